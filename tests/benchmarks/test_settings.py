"""What cannot be measured is refused before anything runs."""

import json
from dataclasses import asdict

import pytest

from benchmarks.models import spec
from benchmarks.settings import FULL, QUICK, Conditions, Extent
from xai_core.errors import UsageError


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"device": "tpu"}, "received device 'tpu'; expected cpu or gpu"),
        ({"backend": "jax"}, "received backend 'jax'; expected tensorflow: xai-core runs on no"),
        ({"threads": 0}, "received threads 0; expected at least 1"),
        ({"samples": 0}, "received samples 0; expected at least 1"),
    ],
)
def test_conditions_that_cannot_be_met_are_refused(changed, message):
    with pytest.raises(UsageError, match=message):
        Conditions(**changed)


def test_a_model_that_no_one_knows_is_refused():
    with pytest.raises(UsageError, match="received model 'vgg'; expected one of vgg16, resnet50"):
        spec("vgg")


@pytest.mark.parametrize("extent", [FULL, QUICK])
def test_a_worker_is_told_the_same(extent):
    assert Extent.read(json.loads(json.dumps(asdict(extent)))) == extent
    conditions = Conditions(engine="eager", threads=3, samples=4, seed=5)
    assert Conditions.read({**asdict(conditions), "unknown": 1}) == conditions


def test_bars_ask_for_nine_samples_and_these_models():
    assert Conditions().samples >= 9
    assert set(FULL.models) == {"vgg16", "resnet50", "xception"}
    assert FULL.batches == (1, 8)
