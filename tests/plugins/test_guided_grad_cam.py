"""Guided Grad-CAM: the product of two maps, each under its own rule."""

import keras
import numpy as np
import pytest
from keras import layers

from xai_core import Study
from xai_core.errors import ExplainerError

F64 = {"dtype": "float64"}


def build(stride=1, activation="relu"):
    keras.utils.set_random_seed(8)
    inputs = keras.Input((6, 9, 3), **F64)
    x = layers.Conv2D(5, 3, stride, "same", activation=activation, name="features", **F64)(inputs)
    x = layers.GlobalAveragePooling2D(**F64)(x)
    # A rectifier behind the layer: guided gradients by the activations would be others.
    x = layers.Dense(7, activation=activation, **F64)(x)
    return keras.Model(inputs, layers.Dense(3, **F64)(x))


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(4).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def test_it_is_guided_backpropagation_times_the_plain_grad_cam(registry, picture):
    study = Study(build(), registry=registry, preprocess="unit")
    methods = ["grad-cam", "guided-backprop", "guided-grad-cam"]
    many = study.compare(picture, methods, [0, 1, 2])
    for target in range(3):
        expected = many["grad-cam", target].map * many["guided-backprop", target].map
        np.testing.assert_allclose(many["guided-grad-cam", target].map, expected, rtol=1e-12)
    assert any(np.abs(many["guided-grad-cam", target].map).max() > 1e-6 for target in range(3))
    assert [(each.rule, each.needs) for each in many.passes] == [
        ("plain", ("ACTIVATIONS", "ACTIVATION_GRADIENTS")),
        ("guided", ("INPUT_GRADIENTS",)),
    ]
    assert many["guided-grad-cam", 0].facts == {"rectifiers replaced": 2}
    assert many["guided-grad-cam", 0].layer == "features"
    assert {each.gradient for each in many["guided-grad-cam", 0].health} == {
        "ACTIVATION_GRADIENTS",
        "INPUT_GRADIENTS",
    }


def test_a_coarse_map_is_brought_to_the_inputs_resolution(registry, picture):
    study = Study(build(stride=3), registry=registry, preprocess="unit")
    many = study.compare(picture, ["grad-cam", "guided-backprop", "guided-grad-cam"], [2])
    coarse, guided, both = (each.map for each in many)
    assert coarse.shape == (2, 3)
    # Bilinear between centres 3 apart: the centres keep their values.
    np.testing.assert_allclose(both[1::3, 1::3], coarse * guided[1::3, 1::3], rtol=1e-12)


def test_without_a_rectifier_it_says_so(registry, picture):
    study = Study(build(activation="tanh"), registry=registry, preprocess="unit")
    with pytest.raises(ExplainerError, match="has no ReLU that the guided rule could replace"):
        study.explain(picture, "guided-grad-cam")


@pytest.mark.parametrize("method", ["guided-grad-cam", "full-grad", "gradient-x-input"])
def test_layers_in_another_precision_than_the_input(registry, method):
    # As Keras' applications are in float64: their input stays in float32.
    made = {}
    for dtype in ("float32", "float64"):
        inputs = keras.Input((10, 14, 3), dtype=dtype)
        x = keras.layers.Conv2D(4, 3, activation="relu", dtype="float64")(inputs)
        x = keras.layers.GlobalAveragePooling2D(dtype="float64")(x)
        model = keras.Model(inputs, keras.layers.Dense(5, dtype="float64")(x))
        draw = np.random.default_rng(2)
        model.set_weights([draw.normal(size=each.shape) for each in model.weights])
        picture = np.random.default_rng(3).integers(0, 256, (10, 14, 3), dtype=np.uint8)
        study = Study(model, registry=registry, preprocess="unit")
        made[dtype] = study.explain(picture, method, target=1).map
    assert np.abs(made["float64"]).max() > 0
    scale = np.abs(made["float64"]).max()
    np.testing.assert_allclose(made["float32"], made["float64"], atol=1e-5 * scale, rtol=0)
