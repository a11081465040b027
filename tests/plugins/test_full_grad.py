"""FullGrad, and the bias terms that it is made of."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from plain import drawn

from xai_core import Needs, Study, read_picture
from xai_plugins.gradients import FullGrad

F64 = {"dtype": "float64"}

# x = 1, 2, 3 in a row. Two features, ReLU(2 x - 3) and ReLU(-x + 2): 0, 1, 3 and 1, 0, 0.
# S = 1 f(1) + 2 f(2) + 3 f(3) + 4 g(1) + 5 g(2) + 6 g(3) + 10, where f and g are the features:
# dS/df = 1, 2, 3 open at 2 and 3; dS/dg = 4, 5, 6 open at 1 (2 - 2 = 0 is closed).
PICTURE = np.asarray([[1.0, 2.0, 3.0]])
HEAD = np.asarray([[1.0], [4.0], [2.0], [5.0], [3.0], [6.0]])
SCORE = 1 * 0 + 2 * 1 + 3 * 3 + 4 * 1 + 10
X_TERM = [1 * -4, 2 * 4, 3 * 6]
F_BIAS = [0, -3 * 2, -3 * 3]
G_BIAS = [2 * 4, 0, 0]


@pytest.fixture(scope="module")
def by_hand(registry):
    inputs = keras.Input((1, 3, 1))
    x = layers.Conv2D(2, 1, activation="relu", name="features")(inputs)
    model = keras.Model(inputs, layers.Dense(1, name="head")(layers.Flatten()(x)))
    model.get_layer("features").set_weights(
        [np.reshape([2.0, -1.0], (1, 1, 1, 2)), np.asarray([-3.0, 2.0])]
    )
    model.get_layer("head").set_weights([HEAD, np.asarray([10.0])])
    return Study(model, registry=registry, preprocess="none")


def terms(study, picture, target):
    """The bias terms of a picture."""
    images, _ = study.input.prepare([read_picture(picture)])
    found = study.bias_terms(ops.convert_to_tensor(images), np.asarray([target], np.int32))
    return {path: ops.convert_to_numpy(each)[0] for path, each in found.items()}


def test_bias_terms_by_hand(by_hand):
    found = terms(by_hand, PICTURE, 1)
    assert set(found) == {"features", "head"}
    np.testing.assert_array_equal(found["features"][0, :, 0], F_BIAS)
    np.testing.assert_array_equal(found["features"][0, :, 1], G_BIAS)
    np.testing.assert_array_equal(found["head"], [10])
    assert sum(map(sum, (X_TERM, F_BIAS, G_BIAS))) + 10 == SCORE


def test_the_map_by_hand(by_hand):
    one = by_hand.explain(PICTURE, "full-grad", target=1)
    # Magnitudes to 0..1: 4, 8, 18 to 0, 2/7, 1; 0, 6, 9 to 0, 2/3, 1; 8, 0, 0 to 1, 0, 0.
    np.testing.assert_allclose(one.map, [[0 + 0 + 1, 2 / 7 + 2 / 3, 1 + 1]], rtol=1e-6)
    assert one.facts == {"completeness gap": 0, "queries": 1}
    # With both channels scaled as one: 0, 6, 9 and 8, 0, 0 over 9.
    layer = by_hand.explain(PICTURE, FullGrad(scaled="layer"), target=1)
    np.testing.assert_allclose(layer.map, [[8 / 9, 2 / 7 + 6 / 9, 1 + 1]], rtol=1e-6)


def test_the_other_class_of_one_unit_has_the_terms_with_the_other_sign(by_hand):
    np.testing.assert_array_equal(terms(by_hand, PICTURE, 0)["head"], [-10])
    np.testing.assert_array_equal(terms(by_hand, PICTURE, 0)["features"][0, :, 0], [0, 6, 9])


def deep(seed=2):
    """Every kind of bias, implicit ones too, and a residual branch."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((9, 12, 3), **F64)
    x = layers.Rescaling(2.0, offset=-1.0, **F64)(inputs)
    x = layers.Conv2D(6, 3, padding="same", bias_initializer="normal", **F64)(x)
    x = layers.BatchNormalization(name="norm", **F64)(x)
    x = layers.ReLU(**F64)(x)
    branch = layers.SeparableConv2D(
        6, 3, padding="same", activation="relu", bias_initializer="normal", **F64
    )(x)
    x = layers.Add(**F64)([x, branch])
    x = layers.MaxPooling2D(**F64)(x)
    inner = keras.Input((4, 6, 6), **F64)
    y = layers.DepthwiseConv2D(3, activation="relu", bias_initializer="normal", **F64)(inner)
    x = keras.Model(inner, y, name="inner")(x)
    x = layers.Flatten(**F64)(x)
    x = layers.Dense(8, activation="relu", bias_initializer="normal", **F64)(x)
    model = keras.Model(
        inputs, layers.Dense(3, activation="softmax", bias_initializer="normal", **F64)(x)
    )
    drawn(model, seed)
    draw = np.random.default_rng(seed)
    model.get_layer("norm").set_weights([draw.uniform(0.5, 1.5, 6) for _ in range(4)])
    return model


@pytest.fixture(scope="module")
def whole(registry):
    return Study(deep(), registry=registry, preprocess="unit")


def test_all_terms_sum_to_the_logit_where_all_else_is_linear_or_a_relu(whole):
    pictures = np.random.default_rng(5).integers(0, 256, (4, 9, 12, 3), dtype=np.uint8)
    many = whole.compare(list(pictures), ["full-grad"], [0, 1, 2])
    for one in many:
        assert one.facts["completeness gap"] == pytest.approx(0, abs=1e-12)
        assert abs(one.score) > 1e-3


def test_what_is_not_linear_leaves_a_gap(registry):
    inputs = keras.Input((4, 6, 3), **F64)
    x = layers.Conv2D(4, 3, activation="tanh", **F64)(inputs)
    model = keras.Model(inputs, layers.Dense(2, **F64)(layers.Flatten(**F64)(x)))
    study = Study(model, registry=registry, preprocess="none")
    picture = np.random.default_rng(5).uniform(0, 5, (4, 6, 3))
    one = study.explain(picture, "full-grad", target=0)
    assert one.facts["completeness gap"] > 0.05 * abs(one.score)
    assert "incomplete" in {each.kind for each in one.warnings}


def test_the_map_is_the_sum_over_channels_of_each_scaled_magnitude(whole):
    picture = np.random.default_rng(6).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    one = whole.explain(picture, "full-grad", target=1)
    gradient = whole.read(
        ops.convert_to_tensor(picture[None] / 255), [[1]], Needs.INPUT_GRADIENTS, ()
    )
    ((found,),) = (tuple(each.values()) for each in gradient.per_target)
    by_input = ops.convert_to_numpy(found)[0] * (picture / 255)
    expected = np.zeros((9, 12))
    for term in (by_input, *terms(whole, picture, 1).values()):
        if term.ndim != 3:
            continue
        size = np.abs(term)
        low, high = size.min(axis=(0, 1)), size.max(axis=(0, 1))
        scaled = np.where(high > low, (size - low) / np.where(high > low, high - low, 1), 0)
        expected += ops.convert_to_numpy(ops.image.resize(scaled, (9, 12))).sum(axis=-1)
    # TensorFlow resizes in float32 whatever it is given.
    np.testing.assert_allclose(one.map, expected, rtol=1e-6)


def test_the_users_model_is_left_alone(registry):
    model = deep()
    before = [layer.get_config() for layer in model.layers]
    nodes = [len(layer._inbound_nodes) for layer in model.layers]
    weights = [np.array(each) for each in model.get_weights()]
    picture = np.random.default_rng(6).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    Study(model, registry=registry, preprocess="unit").explain(picture, "full-grad")
    assert [layer.get_config() for layer in model.layers] == before
    assert [len(layer._inbound_nodes) for layer in model.layers] == nodes
    for one, other in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_probability_has_terms_of_its_own(registry):
    model = deep()
    study = Study(model, registry=registry, preprocess="unit", score="probability")
    logit = Study(model, registry=registry, preprocess="unit")
    picture = np.random.default_rng(6).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    ours, theirs = terms(study, picture, 1), [terms(logit, picture, each) for each in range(3)]
    p = [logit.explain(picture, "saliency", target=each).probability for each in range(3)]
    # dp_1 = p_1 (dz_1 - sum_j p_j dz_j).
    for path in ours:
        mean = sum(p[each] * theirs[each][path] for each in range(3))
        np.testing.assert_allclose(ours[path], p[1] * (theirs[1][path] - mean), atol=1e-12)
