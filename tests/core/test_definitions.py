"""Where a function has a kink, which slope a backend takes: what differs by definition.

In `docs/explanation/backends.md` is the same table. What is the same on all of them makes the
same maps; the rest shows only where a value lies exactly on the kink.
"""

import keras
import numpy as np
import pytest
from keras import layers, ops
from plain import array, gradient

X = np.asarray([[-1.0, 0.0, 3.0, 6.0, 7.0]])
SAME = {
    "relu": [0, 0, 1, 1, 1],
    "relu6": [0, 0, 1, 0, 0],
    "hard_sigmoid": [1 / 6, 1 / 6, 0, 0, 0],
    "hard_swish": [1 / 6, 0.5, 1, 1, 1],
}
SELU = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772
DIFFERENT = {
    "leaky_relu at 0": {"tensorflow": 0.2, "jax": 1, "torch": 0.2},
    "selu at 0": {"tensorflow": SELU, "jax": SELU * SELU_ALPHA, "torch": SELU * SELU_ALPHA},
    "hard_tanh at -1": {"tensorflow": 1, "jax": 1, "torch": 0},
    "abs at 0": {"tensorflow": 0, "jax": 1, "torch": 0},
    "maximum(x, 0) at 0": {"tensorflow": 1, "jax": 0.5, "torch": 0.5},
    "clip(x, 0, 6) at 6": {"tensorflow": 1, "jax": 0.5, "torch": 1},
}
FUNCTIONS = {
    "leaky_relu at 0": keras.activations.leaky_relu,
    "selu at 0": keras.activations.selu,
    "hard_tanh at -1": keras.activations.hard_tanh,
    "abs at 0": ops.abs,
    "maximum(x, 0) at 0": lambda x: ops.maximum(x, 0.0),
    "clip(x, 0, 6) at 6": lambda x: ops.clip(x, 0.0, 6.0),
}


def slopes(function):
    return gradient(lambda given: ops.sum(function(given)), X)[0]


@pytest.mark.parametrize("name", SAME)
def test_the_usual_rectifiers_have_the_same_slopes_everywhere(name):
    function = getattr(keras.activations, name)
    np.testing.assert_allclose(slopes(function), SAME[name], rtol=1e-6)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        ({"max_value": 6}, [0, 0, 1, 0, 0]),
        ({"max_value": 6, "negative_slope": 0.1}, [0.1, 0, 1, 0, 0]),
    ],
    ids=["relu6", "leaky"],
)
def test_a_relu_layer_is_flat_on_both_its_kinks(layer, expected):
    np.testing.assert_allclose(slopes(layers.ReLU(**layer, dtype="float64")), expected, rtol=1e-12)


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_differs_is_known(name):
    place = float(name.rpartition(" ")[2])
    found = slopes(FUNCTIONS[name])[list(X[0]).index(place)]
    assert found == pytest.approx(DIFFERENT[name][keras.backend.backend()], rel=1e-6)


@pytest.mark.parametrize(("size", "padding"), [(2, "valid"), (3, "same")])
def test_the_first_of_equals_wins_in_max_pooling(size, padding):
    tied = np.ones((1, 4, 4, 1))
    found = gradient(lambda given: ops.sum(ops.max_pool(given, size, 2, padding)), tied)
    expected = np.zeros((4, 4))
    expected[::2, ::2] = 1
    np.testing.assert_array_equal(found[0, ..., 0], expected)


def test_global_max_pooling_shares_among_equals():
    tied = np.ones((1, 2, 4, 1))
    pool = layers.GlobalMaxPooling2D(dtype="float64")
    found = gradient(lambda given: ops.sum(pool(given)), tied)
    np.testing.assert_allclose(found, np.full((1, 2, 4, 1), 1 / 8), rtol=1e-12)


def test_same_padding_adds_less_before_than_after():
    # 4 with a kernel of 3 in steps of 2: nothing is added above and on the left.
    picture = np.arange(16.0).reshape(1, 4, 4, 1)
    kernel = np.arange(9.0).reshape(3, 3, 1, 1)
    found = array(ops.conv(picture, kernel, 2, "same"))[0, ..., 0]
    padded = np.pad(picture[0, ..., 0], ((0, 1), (0, 1)))
    expected = [
        [(padded[y : y + 3, x : x + 3] * kernel[..., 0, 0]).sum() for x in (0, 2)] for y in (0, 2)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_average_pooling_leaves_padding_out_of_the_mean():
    found = array(ops.average_pool(np.arange(9.0).reshape(1, 3, 3, 1), 2, 2, "same"))
    np.testing.assert_allclose(found[0, ..., 0], [[2, 3.5], [6.5, 8]], rtol=1e-12)


def test_of_equal_scores_the_first_class_ranks_first():
    np.testing.assert_array_equal(array(ops.argsort(np.asarray([[1.0, 2, 2, 1]])))[0], [0, 3, 1, 2])
