"""Score-CAM against a calculation by NumPy alone."""

import keras
import numpy as np
import pytest
from keras import layers

from xai_core import Study

F64 = {"dtype": "float64"}
HEIGHT, WIDTH = 4, 6
KERNEL = np.asarray([[1.0, -1.0, 0.0], [2.0, 0.5, 0.0], [-0.5, 1.0, 0.0]])
BIAS = np.asarray([0.25, 1.5, 3.0])
OFFSET = np.asarray([0.5, -7.0])
HEAD = np.asarray([[2.0, -1.0], [0.5, 3.0], [1.0, 1.0]])


@pytest.fixture(scope="module")
def model():
    """Features at the input's resolution, the third of them constant."""
    inputs = keras.Input((HEIGHT, WIDTH, 3), **F64)
    x = layers.Conv2D(3, 1, activation="relu", name="features", **F64)(inputs)
    x = layers.GlobalAveragePooling2D(**F64)(x)
    made = keras.Model(inputs, layers.Dense(2, name="head", **F64)(x))
    made.get_layer("features").set_weights([KERNEL.reshape(1, 1, 3, 3), BIAS])
    made.get_layer("head").set_weights([HEAD, OFFSET])
    return made


def features(x):
    return np.maximum(x @ KERNEL + BIAS, 0)


def score(x, target):
    return features(x).mean(axis=(-3, -2)) @ HEAD[:, target] + OFFSET[target]


def expected_map(x, black, target):
    found = features(x)
    low, high = found.min(axis=(0, 1)), found.max(axis=(0, 1))
    gained = []
    for k in range(3):
        reach = high[k] - low[k]
        mask = (found[..., k] - low[k]) / reach if reach else np.zeros((HEIGHT, WIDTH))
        shown = black + mask[..., None] * (x - black)
        gained.append(score(shown, target) - score(black, target))
    weights = np.exp(gained) / np.exp(gained).sum()
    return np.maximum(found @ weights, 0)


@pytest.mark.parametrize(("scheme", "low"), [("unit", 0.0), ("tf", -1.0)])
@pytest.mark.parametrize("target", [0, 1])
def test_the_definition(registry, model, scheme, low, target):
    picture = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    x = picture / 255 if scheme == "unit" else picture / 127.5 - 1
    study = Study(model, registry=registry, preprocess=scheme)
    one = study.explain(picture, "score-cam", target=target)
    expected = expected_map(x, np.full_like(x, low), target)
    np.testing.assert_allclose(one.map, expected, rtol=1e-12)
    assert one.facts["queries"] == 4  # three channels and the black picture
    assert np.ptp(expected) > 0.1


def test_the_features_may_be_coarser_than_the_picture(registry):
    inputs = keras.Input((8, 12, 3), **F64)
    x = layers.AveragePooling2D(4, name="features", **F64)(inputs)
    x = layers.GlobalAveragePooling2D(**F64)(x)
    model = keras.Model(inputs, layers.Dense(1, use_bias=False, name="head", **F64)(x))
    model.get_layer("head").set_weights([np.asarray([[1.0], [0.0], [0.0]])])
    picture = np.zeros((8, 12, 3), np.uint8)
    picture[:4, :4, 0] = 255
    picture[4:, 8:, 1] = 255
    study = Study(model, registry=registry, preprocess="unit", layer="features")
    one = study.explain(picture, "score-cam", target=1)
    # Bilinear between centres 4 apart: over the bright cell the mask is 1 to its centre, then
    # 7/8, 5/8; squared for two sides: ((2 + 7/8 + 5/8) / 4)^2 of the 1/6 that it adds.
    kept = ((2 + 7 / 8 + 5 / 8) / 4) ** 2 / 6
    gained = np.asarray([kept, 0, 0])
    weights = np.exp(gained) / np.exp(gained).sum()
    expected = np.zeros((2, 3))
    expected[0, 0], expected[1, 2] = weights[0], weights[1]
    np.testing.assert_allclose(one.map, expected, rtol=1e-12)


def test_a_map_does_not_depend_on_its_batch_neighbours(registry, model):
    pictures = list(np.random.default_rng(2).integers(0, 256, (3, HEIGHT, WIDTH, 3), np.uint8))
    study = Study(model, registry=registry, preprocess="unit")
    together = study.compare(pictures, ["score-cam"], [0], batch=2)
    for picture, one in zip(pictures, together, strict=True):
        alone = study.explain(picture, "score-cam", target=0)
        np.testing.assert_allclose(one.map, alone.map, rtol=1e-13)
