"""Gradients under the guided and the deconvnet rule, on models small enough for paper."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from xai_core import Rule, Study
from xai_core.errors import ExplainerError
from xai_core.types import Explanation, Failure

# x = 1, -2, 3 through y = ReLU(x), then S_0 = 2 y_0 - y_1 - 4 y_2 and S_1 = y_0 + 5 y_1 + y_2.
PICTURE = np.asarray([[1.0, 0.0, 3.0]])
SHIFT = np.asarray([0.0, -2.0, 0.0])
HEAD = np.asarray([[2.0, 1.0], [-1.0, 5.0], [-4.0, 1.0]])

# By hand, class 0: the gradient is 2, 0 (closed), -4; guided drops what is below 0: 2, 0, 0;
# deconvnet keeps what is above 0 whatever x was: 2, 0, 0. Class 1: 1, 0, 1; 1, 0, 1; 1, 5, 1.
PLAIN = {0: [[2, 0, -4]], 1: [[1, 0, 1]]}
GUIDED = {0: [[2, 0, 0]], 1: [[1, 0, 1]]}
DECONVNET = {0: [[2, 0, 0]], 1: [[1, 5, 1]]}


class Shift(layers.Layer):
    """Adds -2 to the second of three pixels."""

    def call(self, inputs):
        return inputs + ops.cast(SHIFT.reshape(1, 1, 3, 1), inputs.dtype)


def as_layer(x):
    return layers.ReLU()(Shift()(x))


def as_activation_layer(x):
    return layers.Activation("relu")(Shift()(x))


def as_argument(x):
    made = layers.Conv2D(1, 1, activation="relu", kernel_initializer="ones", use_bias=False)
    return made(Shift()(x))


def as_operation(x):
    return ops.relu(Shift()(x))


def as_relu6(x):
    return ops.relu6(Shift()(x))


def as_relu6_layer(x):
    return layers.ReLU(max_value=6)(Shift()(x))


def inside_a_nested_model(x):
    inner = keras.Input((1, 3, 1))
    return keras.Model(inner, as_layer(inner), name="inner")(x)


def model_with(rectifier):
    inputs = keras.Input((1, 3, 1))
    x = layers.Flatten()(rectifier(inputs))
    model = keras.Model(inputs, layers.Dense(2, use_bias=False, name="head")(x))
    model.get_layer("head").set_weights([HEAD])
    return model


RECTIFIERS = [
    as_layer,
    as_activation_layer,
    as_argument,
    as_operation,
    as_relu6,
    as_relu6_layer,
    inside_a_nested_model,
]


@pytest.mark.parametrize("rectifier", RECTIFIERS)
def test_by_hand_however_the_rectifier_is_written(registry, rectifier):
    model = model_with(rectifier)
    study = Study(model, registry=registry, preprocess="none")
    assert study.rectifiers(Rule.GUIDED) == study.rectifiers(Rule.DECONVNET) == 1
    for target in (0, 1):
        guided = study.explain(PICTURE, "guided-backprop", target=target)
        deconvnet = study.explain(PICTURE, "deconvnet", target=target)
        gradient = study.explain(PICTURE, "gradient-x-input", target=target)
        np.testing.assert_array_equal(guided.map, GUIDED[target])
        np.testing.assert_array_equal(deconvnet.map, DECONVNET[target])
        np.testing.assert_array_equal(gradient.map, np.multiply(PLAIN[target], PICTURE))


def test_relu6_is_closed_above_six(registry):
    study = Study(model_with(as_relu6), registry=registry, preprocess="none")
    high = np.asarray([[7.0, 0.0, 3.0]])
    np.testing.assert_array_equal(study.explain(high, "guided-backprop", target=1).map, [[0, 0, 1]])


def test_the_users_model_keeps_its_own_gradient(registry):
    model = model_with(as_argument)
    before = [layer.get_config() for layer in model.layers]
    activations = [id(vars(layer).get("activation")) for layer in model.layers]
    study = Study(model, registry=registry, preprocess="none")
    study.explain(PICTURE, "guided-backprop", target=0)
    one = study.explain(PICTURE, "saliency", target=0)
    np.testing.assert_array_equal(one.map, np.abs(PLAIN[0]))
    assert [layer.get_config() for layer in model.layers] == before
    assert [id(vars(layer).get("activation")) for layer in model.layers] == activations


def test_beside_other_methods_it_takes_a_pass_of_its_own(registry):
    study = Study(model_with(as_layer), registry=registry, preprocess="none")
    many = study.compare(PICTURE, ["saliency", "guided-backprop", "gradient-x-input"], [0, 1])
    assert [each.rule for each in many.passes] == ["plain", "guided"]
    np.testing.assert_array_equal(many["guided-backprop", 1].map, GUIDED[1])
    np.testing.assert_array_equal(many["saliency", 1].map, np.abs(PLAIN[1]))


@pytest.mark.parametrize("leaky", [layers.LeakyReLU, lambda: layers.ReLU(negative_slope=0.1)])
def test_without_a_rectifier_it_fails_and_the_others_do_not(registry, leaky):
    study = Study(model_with(lambda x: leaky()(Shift()(x))), registry=registry, preprocess="none")
    with pytest.raises(ExplainerError, match="has no ReLU that the guided rule could replace"):
        study.explain(PICTURE, "guided-backprop", target=0)
    many = study.compare(PICTURE, ["guided-backprop", "saliency"], [0, None])
    assert [type(cell) for cell in many.cells] == [Failure, Explanation] * 2
    assert many.cells[2].target == many.cells[3].target


def test_gradient_x_input_sums_to_the_score_of_a_linear_model(registry):
    keras.utils.set_random_seed(4)
    model = keras.Sequential(
        [
            keras.Input((5, 7, 3), dtype="float64"),
            layers.Conv2D(4, 3, dtype="float64", use_bias=False),
            layers.Flatten(dtype="float64"),
            layers.Dense(3, dtype="float64", use_bias=False),
        ]
    )
    study = Study(model, registry=registry, preprocess="none")
    picture = np.random.default_rng(8).integers(0, 256, (5, 7, 3)).astype(float)
    for target in range(3):
        one = study.explain(picture, "gradient-x-input", target=target)
        assert one.map.sum() == pytest.approx(one.score, rel=1e-10)
