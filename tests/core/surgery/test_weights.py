"""Variables of ours, and where their values lie."""

import gc

import keras
import numpy as np
import pytest
from plain import array

from xai_core.probe import backend
from xai_core.surgery.weights import Weights

WEIGHTS = Weights(backend().to_host, backend().keep)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("shape", [(), (1,), (5, 7), (3, 3, 2, 5)])
def test_what_is_kept_is_what_was_given(shape, dtype):
    values = np.random.default_rng(0).normal(size=shape).astype(dtype)
    kept = backend().keep(values)
    before = values.copy()
    values += 1
    np.testing.assert_array_equal(array(kept), before)
    assert array(kept).dtype == dtype


def test_it_is_there_as_long_as_its_variable():
    like = keras.Variable(np.zeros(1), dtype="float32", trainable=False)
    draw = [np.random.default_rng(seed).normal(size=(64, 50)) for seed in range(20)]
    made = [WEIGHTS.made(each, like) for each in draw]
    gc.collect()
    np.full((20, 64, 50), np.nan)
    for one, two in zip(made, draw, strict=True):
        assert (one.dtype, one.trainable) == ("float32", False)
        np.testing.assert_array_equal(WEIGHTS.of(one), two.astype(np.float32))
        assert WEIGHTS.wide(one).dtype == np.float64


def test_a_variable_of_it_can_be_assigned_to():
    values = np.arange(6.0).reshape(2, 3)
    kept = backend().keep(values)
    variable = keras.Variable(kept, dtype="float64", trainable=False)
    variable.assign(variable + 1)
    np.testing.assert_array_equal(array(variable.value), values + 1)


@pytest.mark.tensorflow
@pytest.mark.parametrize("size", [1, 3, 1000, 1_000_003])
def test_on_a_cpu_it_is_not_in_the_pool_of_what_operations_make(size):
    """But in an array, laid as vector units read it, which the variable does not copy."""
    kept = backend().keep(np.ones(size, np.float32))
    variable = keras.Variable(kept, dtype="float32", trainable=False)
    address = kept._numpy().ctypes.data
    assert address % 64 == 0
    assert variable.value.read_value()._numpy().ctypes.data == address


def test_what_is_made_has_one_name():
    """TensorFlow keeps something of each name that it ever met, also when the variable is gone."""
    like = keras.Variable(np.ones((2, 3), np.float32))
    one, two = (WEIGHTS.made(np.full((4,), value, np.float32), like) for value in (1.0, 2.0))
    assert one.name == two.name
    assert (np.asarray(one.value) == 1).all()
    assert (np.asarray(two.value) == 2).all()
