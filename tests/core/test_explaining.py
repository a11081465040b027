"""Explainers as one program: the same maps, and nothing stale."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import keras
import numpy as np
import pytest
from keras import layers, ops
from plain import drawn

from xai_core import Attribution, Explainer, Needs, Study
from xai_core.engines import WORTH_TRACING
from xai_core.probe import _TOGETHER
from xai_core.programs import _KEPT

SIZE = (12, 20)
CAM = Needs.ACTIVATIONS | Needs.ACTIVATION_GRADIENTS


def build(dtype="float32"):
    keras.utils.set_random_seed(8)
    options = {"dtype": dtype}
    inputs = keras.Input((*SIZE, 3), **options)
    x = layers.Conv2D(5, 3, activation="relu", name="shallow", **options)(inputs)
    x = layers.Conv2D(6, 3, strides=2, activation="relu", name="deep", **options)(x)
    x = layers.Flatten(**options)(layers.MaxPooling2D(**options)(x))
    x = layers.Dense(9, activation="relu", **options)(x)
    return drawn(keras.Model(inputs, layers.Dense(7, **options)(x)), 8)


@pytest.fixture(scope="module")
def model():
    return build()


def pictures(count, seed=2):
    draw = np.random.default_rng(seed)
    return [draw.integers(0, 256, (*SIZE, 3), dtype=np.uint8) for _ in range(count)]


def study_of(model, registry, engine="compiled"):
    return Study(model, registry=registry, preprocess="unit", engine=engine)


RUNS = []


@dataclass(frozen=True)
class Told(Explainer):
    """Grad-CAM times a power, with facts, warnings and a count of how often it runs as Python."""

    name: ClassVar[str] = "told"
    needs: ClassVar[Needs] = CAM
    traceable: ClassVar[bool] = True
    power: float = 1.0
    weights: Any = None

    def explain(self, evidence):
        RUNS.append(self.power)
        weights = ops.mean(evidence.activation_gradients, axis=(1, 2), keepdims=True)
        maps = self.power * ops.sum(weights * evidence.activations, axis=-1)
        highest = ops.max(maps, axis=(1, 2))
        return Attribution(
            maps,
            {"highest": highest, "score": evidence.score},
            {"above": ("the map is above 0.15", highest > 0.15)},
        )


@pytest.fixture(autouse=True)
def none_ran():
    RUNS.clear()


CAMS = ["grad-cam", "grad-cam++", "hirescam", "layercam", "xgrad-cam", "eigen-cam"]
OTHERS = ["layercam-fused", "eigen-grad-cam", "saliency", "gradient-x-input"]
RULES = ["guided-backprop", "deconvnet", "guided-grad-cam"]


def test_compiled_explainers_make_the_same_maps(registry, model):
    methods = [*CAMS, *OTHERS, *RULES, "integrated-gradients", Told()]
    asked = {"methods": methods, "targets": [0, 3, None], "layers": ["shallow", "deep"], "batch": 4}
    one = study_of(model, registry, "eager").compare(pictures(6), **asked)
    other = study_of(model, registry).compare(pictures(6), **asked)
    assert not other.failures
    assert len(one.cells) == len(other.cells) == 6 * 3 * (9 * 2 + 1 + 5)
    for plain, compiled in zip(one, other, strict=True):
        assert (plain.method, plain.layer, plain.target) == (
            compiled.method,
            compiled.layer,
            compiled.target,
        )
        peak = np.abs(plain.map).max()
        np.testing.assert_allclose(compiled.map, plain.map, atol=2e-6 * peak, rtol=0)
        assert set(compiled.facts) == set(plain.facts)
        for name, value in plain.facts.items():
            assert compiled.facts[name] == pytest.approx(value, rel=1e-4, abs=1e-6)
        assert [each.kind for each in compiled.warnings] == [each.kind for each in plain.warnings]


@pytest.mark.compiles
def test_python_runs_once(registry, model):
    study = study_of(model, registry)
    first = study.compare(pictures(1, seed=3), [Told()], [0, 3])
    again = study.compare(pictures(1, seed=4), [Told()], [1])
    assert RUNS == [1.0]
    assert not np.allclose(first.cells[0].map, again.cells[0].map)
    assert study.explain(pictures(1, seed=4)[0], Told(), target=1).facts["score"] == pytest.approx(
        again.cells[0].score
    )


def test_warnings_are_of_the_picture_that_they_are_about(registry, model):
    light = [np.full((*SIZE, 3), 250, np.uint8), *pictures(2), np.zeros((*SIZE, 3), np.uint8)]
    cells = study_of(model, registry).compare(light, [Told(100.0)], [0], batch=3).cells
    highest = [cell.map.max() for cell in cells]
    told = ["above" in {each.kind for each in cell.warnings} for cell in cells]
    assert told == [bool(each > 0.15) for each in highest], highest
    assert set(told) == {True, False}, highest


@pytest.mark.compiles
def test_another_parameter_is_another_program(registry, model):
    study = study_of(model, registry)
    (picture,) = pictures(1)
    one, two = (study.explain(picture, Told(power), target=0).map for power in (1.0, 3.0))
    np.testing.assert_allclose(two, 3 * one, rtol=1e-6)
    # A whole number equals a float, and may make something else of the maps.
    study.explain(picture, Told(3), target=0)
    assert RUNS == [1.0, 3.0, 3]
    assert type(RUNS[-1]) is int


def test_parameters_that_have_no_hash_are_not_compiled(registry, model):
    study = study_of(model, registry)
    (picture,) = pictures(1)
    for _ in range(2):
        study.explain(picture, Told(weights=[1, 2]), target=0)
    assert len(RUNS) == 2


@pytest.mark.compiles
def test_programs_do_not_pile_up(registry, model):
    study = study_of(model, registry)
    (picture,) = pictures(1)
    for number in range(_KEPT + 3):
        study.explain(picture, Told(1.0 + number), target=0)
    assert len(study._programs._traced) == _KEPT
    study.explain(picture, Told(float(_KEPT)), target=0)
    assert len(RUNS) == _KEPT + 3
    study.explain(picture, Told(1.0), target=0)
    assert len(RUNS) == _KEPT + 4


@pytest.mark.compiles
def test_it_is_compiled_when_it_is_worth_it(registry, model):
    study = study_of(model, registry, "auto")
    (picture,) = pictures(1)
    for _ in range(WORTH_TRACING):
        study.explain(picture, Told(), target=0)
    assert len(RUNS) == WORTH_TRACING
    for _ in range(5):
        study.explain(picture, Told(), target=0)
    assert len(RUNS) == WORTH_TRACING + 1


@dataclass(frozen=True)
class Asks(Explainer):
    """Says that it can be compiled, and cannot."""

    name: ClassVar[str] = "asks"
    needs: ClassVar[Needs] = CAM
    traceable: ClassVar[bool] = True
    what: str = "pixels"
    seen: list[str] = field(default_factory=list, compare=False, hash=False)

    def explain(self, evidence):
        if self.what == "pixels":
            light = float(np.mean(evidence.pixels))
        elif self.what == "black":
            light = float(ops.sum(evidence.black))
        else:
            light = float(evidence.score[0])
        return (1 + light) * ops.sum(evidence.activations, axis=-1)


@pytest.mark.parametrize("what", ["pixels", "black", "value"])
def test_what_cannot_be_compiled_after_all_is_run_by_itself(registry, model, what):
    made = [
        study_of(model, registry, engine).compare(pictures(2), [Asks(what), "grad-cam"], [0])
        for engine in ("eager", "compiled")
    ]
    for plain, other in zip(*made, strict=True):
        np.testing.assert_allclose(other.map, plain.map, rtol=1e-6, atol=1e-9)
    assert made[1].cells[0].map.max() > 0


@dataclass(frozen=True)
class Wrong(Explainer):
    """Returns what is no map."""

    name: ClassVar[str] = "wrong"
    needs: ClassVar[Needs] = CAM
    traceable: ClassVar[bool] = True
    how: str = "none"

    def explain(self, evidence):
        maps = ops.sum(evidence.activations, axis=-1)
        return (
            {
                "none": None,
                "shape": evidence.activations,
                "dtype": ops.cast(maps, "int32"),
                "raises": maps,
            }[self.how]
            if self.how != "raises"
            else maps["nothing"]
        )


@pytest.mark.parametrize("how", ["none", "shape", "dtype", "raises"])
def test_what_is_wrong_is_told_as_ever(registry, model, how):
    told = []
    for engine in ("eager", "compiled"):
        made = study_of(model, registry, engine).compare(pictures(2), [Wrong(how), "grad-cam"])
        assert len(made.failures) == 2
        assert len(list(made)) == 2
        told.append(str(made.failures[0].error))
    if how == "raises":
        assert "raised" in told[1]
    else:
        assert told[0] == told[1]
        assert "expected floating maps" in told[1]


# --- several targets through the head at once


class Odd(layers.Layer):
    """An operation that TensorFlow does not know how to run on several gradients at once."""

    def call(self, inputs):
        import tensorflow as tf

        @tf.custom_gradient
        def same(x):
            def gradient(dy):
                return tf.numpy_function(lambda value: 2 * value, [dy], dy.dtype)

            return tf.identity(x), gradient

        return same(inputs)


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(False, id="known"),
        pytest.param(True, id="unknown", marks=pytest.mark.tensorflow),
    ],
)
def test_targets_at_once_are_targets_one_by_one(registry, odd):
    keras.utils.set_random_seed(8)
    inputs = keras.Input((*SIZE, 3))
    x = layers.Conv2D(6, 3, activation="relu", name="deep")(inputs)
    x = layers.BatchNormalization()(layers.DepthwiseConv2D(2)(layers.MaxPooling2D()(x)))
    x = layers.AveragePooling2D(2)(layers.SeparableConv2D(5, 2, activation="gelu")(x))
    x = Odd()(x) if odd else x
    model = keras.Model(inputs, layers.Dense(7)(layers.Flatten()(x)))
    study = study_of(model, registry)
    together = study.compare(pictures(3), ["hirescam", "saliency"], [0, 3, 6], layers="deep")
    assert not together.failures
    for target in (0, 3, 6):
        alone = study.compare(pictures(3), ["hirescam", "saliency"], [target], layers="deep")
        same = [cell for cell in together if cell.target.index == target]
        for one, other in zip(alone, same, strict=True):
            peak = np.abs(one.map).max()
            assert peak > 0
            np.testing.assert_allclose(other.map, one.map, atol=2e-6 * peak, rtol=0)


def test_gradients_that_are_too_large_go_one_by_one(registry, monkeypatch):
    model = build("float64")
    plain = study_of(model, registry).compare(pictures(2), ["grad-cam"], [0, 1, 2])
    monkeypatch.setattr("xai_core.probe._TOGETHER", 2)
    small = study_of(model, registry).compare(pictures(2), ["grad-cam"], [0, 1, 2])
    for one, other in zip(plain, small, strict=True):
        np.testing.assert_allclose(other.map, one.map, rtol=0, atol=2e-6 * one.map.max())
    assert max(one.map.max() for one in plain) > 0
    assert _TOGETHER == 2**24
