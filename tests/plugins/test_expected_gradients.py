"""Expected Gradients: exact where nothing is left to chance, within its own error elsewhere."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from PIL import Image

from xai_core import Study
from xai_core.errors import ParameterError, PictureError
from xai_plugins.gradients import ExpectedGradients, IntegratedGradients

F64 = {"dtype": "float64"}
SIZE = (4, 6)


class Square(layers.Layer):
    def call(self, x):
        return ops.square(x) / 2


def build(*before):
    keras.utils.set_random_seed(6)
    inputs = keras.Input((*SIZE, 3), **F64)
    x = inputs
    for layer in before:
        x = layer(x)
    return keras.Model(inputs, layers.Dense(3, name="head", **F64)(layers.Flatten(**F64)(x)))


@pytest.fixture(scope="module")
def linear(registry):
    return Study(build(), registry=registry, preprocess="tf")


@pytest.fixture(scope="module")
def square(registry):
    return Study(build(Square(**F64)), registry=registry, preprocess="unit")


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(3).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("background") / "one.png"
    pixels = np.random.default_rng(9).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path, pixels


def test_on_a_linear_model_with_one_background_it_is_exact(linear, picture, file):
    path, pixels = file
    one = linear.explain(picture, ExpectedGradients(5, (str(path),)), target=1)
    kernel = np.asarray(linear.model.get_layer("head").kernel)[:, 1].reshape(*SIZE, 3)
    difference = (picture.astype(float) - pixels) / 127.5
    np.testing.assert_allclose(one.map, (difference * kernel).sum(axis=-1), rtol=1e-9, atol=1e-12)
    assert one.facts["standard error"] == pytest.approx(0, abs=1e-12)
    assert one.facts["queries"] == 5


def test_with_a_black_background_it_tends_to_integrated_gradients(square, picture, tmp_path):
    path = tmp_path / "black.png"
    Image.new("RGB", SIZE[::-1]).save(path)
    exact = square.explain(picture, IntegratedGradients(steps=4), target=0)
    one = square.explain(picture, ExpectedGradients(400, (str(path),)), target=0)
    error = one.facts["standard error"]
    difference = np.sqrt(np.mean((one.map - exact.map) ** 2))
    assert 0.3 * error < difference < 2.5 * error
    assert error < 0.1 * np.sqrt(np.mean(exact.map**2))


def test_the_error_told_is_the_spread_over_seeds(square, picture):
    maps, told = [], []
    for seed in range(24):
        one = square.explain(picture, ExpectedGradients(64, seed=seed), target=2)
        maps.append(one.map)
        told.append(one.facts["standard error"])
    spread = np.sqrt(np.mean(np.var(maps, axis=0, ddof=1)))
    assert np.mean(told) == pytest.approx(spread, rel=0.25)


def test_plain_colours_are_drawn_evenly(linear, picture):
    # On a linear model the mean over all colours is that over mid grey.
    one = linear.explain(picture, ExpectedGradients(1024), target=1)
    kernel = np.asarray(linear.model.get_layer("head").kernel)[:, 1].reshape(*SIZE, 3)
    expected = (picture.astype(float) / 127.5 - 1) * kernel
    difference = np.sqrt(np.mean((one.map - expected.sum(axis=-1)) ** 2))
    assert difference < 2.5 * one.facts["standard error"]


def test_a_map_does_not_depend_on_its_batch_neighbours(square, picture):
    pictures = [picture, 255 - picture, picture // 2]
    together = square.compare(pictures, [ExpectedGradients(40)], [0])
    for each, one in zip(pictures, together, strict=True):
        alone = square.explain(each, ExpectedGradients(40), target=0)
        np.testing.assert_allclose(one.map, alone.map, rtol=1e-12, atol=1e-15)
        assert one.facts["queries"] == 40


def test_a_background_that_cannot_be_read_is_told(square, picture):
    with pytest.raises(PictureError, match=r"nowhere\.png"):
        square.explain(picture, ExpectedGradients(4, ("nowhere.png",)), target=0)
    with pytest.raises(
        ParameterError, match="received samples 1; expected a whole number, at least 2"
    ):
        ExpectedGradients(samples=1)
