"""VGG16 at its own size, several pictures at once: what small pictures do not reach.

Minimal filtering takes every convolution from the third block on, dense layers go in pieces, and
OpenVINO runs the pictures side by side.
"""

import gc

import keras
import numpy as np
import pytest

from tests.proofs.test_float64 import WITHOUT_INPUT, caffe, deviation, in_float64, revive
from xai_core import Study
from xai_core.demo import cat, coffee
from xai_core.engines import WORTH_FILTERING, Policy
from xai_core.programs import Programs

pytestmark = pytest.mark.tensorflow

METHODS = (*WITHOUT_INPUT, "saliency")


def pictures():
    """Corners of two photographs."""
    whole = [np.asarray(each.pixels) for each in (cat(), coffee())]
    return [each[at] for each in whole for at in (np.s_[:224, :224], np.s_[-224:, -224:])]


class Network:
    """Its maps in float64, by a plain pass, and by an engine."""

    def __init__(self, registry):
        self.registry = registry
        self.pictures = pictures()
        images = caffe(np.stack(self.pictures).astype(np.float32))
        self.model = revive(keras.applications.VGG16(weights=None), images, "none")
        twin = in_float64(self.model)
        self.exact = self.maps(Study(twin, registry=registry))
        del twin
        gc.collect()
        self.plain = self.by("compiled")

    def maps(self, study):
        made = study.compare(self.pictures, METHODS, None, batch=4)
        assert not made.failures
        return made.cells

    def by(self, engine, seen=0):
        study = Study(self.model, registry=self.registry)
        policy = Policy(self.model, engine, owned=True)
        policy.filters(seen)
        study._programs = Programs(study._readout, "logit", policy)
        return self.maps(study)


@pytest.fixture(scope="module")
def network(registry):
    made = Network(registry)
    yield made
    del made
    gc.collect()


@pytest.fixture(scope="module", params=["auto", "openvino"])
def fast(request, network):
    if request.param == "openvino":
        pytest.importorskip("openvino")
    return network.by(request.param, WORTH_FILTERING)


def test_class_activation_maps_are_those_of_float64(network, fast):
    """But for at most one picture, where a ReLU of the head, 0 but for rounding, falls elsewhere.

    On which picture, and whether by the plain pass or by the other, is the processor's business.
    """
    far, other = set(), 0
    for exact, plain, made in zip(network.exact, network.plain, fast, strict=True):
        assert made.score == pytest.approx(exact.score, rel=1e-5)
        if made.method.name in WITHOUT_INPUT:
            off = deviation(made.map, exact.map)
            assert off < 0.02, str(made.method)
            far |= {made.picture.name} if off >= 1e-5 else set()
            other += not np.array_equal(plain.map, made.map)
    assert len(far) <= 1
    # Another program made them.
    assert other > len(network.pictures)


def test_saliency_is_no_further_from_float64_than_by_the_plain_pass(network, fast):
    """The largest of four pictures, as which ReLU flips is another with every order of adding."""
    off = {
        name: [
            deviation(two.map, one.map)
            for one, two in zip(network.exact, made, strict=True)
            if one.method.name == "saliency"
        ]
        for name, made in (("plain", network.plain), ("fast", fast))
    }
    assert len(off["fast"]) == len(network.pictures)
    assert max(off["fast"]) <= 1.5 * max(off["plain"])
