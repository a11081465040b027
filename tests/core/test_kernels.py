"""The same numbers as Keras', by other ways through memory: `shifted.py`, and torch's layout."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from plain import array, drawn, gradient
from usual import usual

from xai_core import Study
from xai_core.probe.replaced import Replaced
from xai_core.probe.shifted import depthwise


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (3, 3), (5, 4)])
@pytest.mark.parametrize(
    ("strides", "dilation"),
    [((1, 1), (1, 1)), ((2, 2), (1, 1)), ((3, 3), (1, 1)), ((1, 1), (2, 3))],
)
def test_a_depthwise_convolution_is_a_sum_of_shifted_pictures(size, strides, dilation, padding):
    draw = np.random.default_rng(0)
    pictures = draw.normal(size=(2, 12, 17, 3))
    kernel = draw.normal(size=(*size, 3, 1))
    given = ops.convert_to_tensor(pictures), ops.convert_to_tensor(kernel)
    found = array(depthwise(*given, strides, padding, dilation))
    expected = by_definition(pictures, kernel, strides, dilation, padding)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def by_definition(pictures, kernel, strides, dilation, padding):
    """Place by place; `same` has as many places as there are steps, and pads more behind."""
    (count, *sides, channels), size = pictures.shape, kernel.shape[:2]
    reach = [(size[axis] - 1) * dilation[axis] + 1 for axis in (0, 1)]
    if padding == "same":
        made = [-(-sides[axis] // strides[axis]) for axis in (0, 1)]
        missing = [
            max((made[axis] - 1) * strides[axis] + reach[axis] - sides[axis], 0) for axis in (0, 1)
        ]
        pictures = np.pad(
            pictures, [(0, 0), *((each // 2, each - each // 2) for each in missing), (0, 0)]
        )
    else:
        made = [(sides[axis] - reach[axis]) // strides[axis] + 1 for axis in (0, 1)]
    found = np.zeros((count, *made, channels))
    for y, x, i, j in np.ndindex(*made, *size):
        row, column = y * strides[0] + i * dilation[0], x * strides[1] + j * dilation[1]
        found[:, y, x] += pictures[:, row, column] * kernel[i, j, :, 0]
    return found


def test_what_is_replaced_is_put_back_by_the_last_to_leave():
    rows = {"known": 1}
    replaced = Replaced(rows, "known", 2)
    with replaced():
        with replaced():
            assert rows == {"known": 2}
        assert rows == {"known": 2}
    assert rows == {"known": 1}
    with Replaced(rows, "of another version", 3)():
        assert rows == {"known": 1}
    with pytest.raises(KeyError), replaced():
        raise KeyError
    assert rows == {"known": 1}


def convolutions(seed=0):
    inputs = keras.Input((14, 19, 3), dtype="float64")
    x = inputs
    for layer in (
        layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", dtype="float64"),
        layers.DepthwiseConv2D(3, padding="same", dtype="float64"),
        layers.BatchNormalization(dtype="float64"),
        layers.SeparableConv2D(7, 3, activation="relu", name="deep", dtype="float64"),
        layers.DepthwiseConv2D(2, depth_multiplier=2, dtype="float64"),
        layers.Conv2D(9, 1, padding="same", dtype="float64"),
        layers.Conv2D(40, (2, 3), padding="same", activation="relu", dtype="float64"),
        layers.MaxPooling2D((2, 3), padding="same", dtype="float64"),
        layers.AveragePooling2D((1, 2), dtype="float64"),
        layers.Flatten(dtype="float64"),
    ):
        x = layer(x)
    return drawn(keras.Model(inputs, layers.Dense(4, dtype="float64")(x)), seed)


PICTURE = np.random.default_rng(5).integers(0, 256, (14, 19, 3), dtype=np.uint8)


def test_a_study_has_the_gradients_that_keras_has_by_itself(registry, tmp_path):
    """With weights that lie otherwise, in a model that the study loads, as well."""
    model = convolutions()
    model.save(tmp_path / "model.keras")
    with usual():
        direct = gradient(
            lambda given: model(given, training=False)[0, 2], PICTURE[None].astype(np.float64) / 255
        )[0]
    assert np.abs(direct).max() > 1e-3
    for given in (model, tmp_path / "model.keras"):
        study = Study(given, registry=registry, preprocess="unit")
        cells = study.compare(PICTURE, ["saliency", "gradient-x-input"], [2])
        found = cells["gradient-x-input", 2].map
        np.testing.assert_allclose(found, (direct * PICTURE / 255).sum(-1), rtol=0, atol=1e-12)


@pytest.mark.torch
def test_kernels_lie_otherwise_and_are_the_same(registry, tmp_path):
    model = convolutions()
    model.save(tmp_path / "model.keras")
    before, strides = model.get_weights(), [each.value.stride() for each in model.weights]
    study = Study(tmp_path / "model.keras", registry=registry, preprocess="unit")
    study.explain(PICTURE, "grad-cam", target=0)
    held = study._loaded.model.weights
    moved = [each.value.stride() for each in held]
    assert [one != other for one, other in zip(moved, strides, strict=True)].count(True) >= 3
    for one, other in zip(before, held, strict=True):
        np.testing.assert_array_equal(array(other.value), one)
    # A model from outside is read as it is.
    Study(model, registry=registry, preprocess="unit").explain(PICTURE, "grad-cam", target=0)
    assert [each.value.stride() for each in model.weights] == strides


@pytest.mark.jax
@pytest.mark.parametrize("batch", [(), (1,), (3,), (2, 3)])
def test_eigenvectors_are_found_matrix_by_matrix(batch):
    """Two batches of large matrices, solved at once by two threads, would wait for each other."""
    import jax

    from xai_core.probe.jax_layers import fast_layers

    draw = np.random.default_rng(3)
    half = draw.normal(size=(*batch, 5, 5))
    matrices = (half + half.swapaxes(-1, -2)).astype(np.float32)
    given = ops.convert_to_tensor(matrices)
    with fast_layers():
        values, vectors = (array(each) for each in ops.linalg.eigh(given))
        steps = str(jax.make_jaxpr(ops.linalg.eigh)(given))
    solved = [line for line in steps.splitlines() if "= eigh[" in line.replace("\t", " ")]
    assert values.shape == (*batch, 5)
    rebuilt = (vectors * values[..., None, :]) @ vectors.swapaxes(-1, -2)
    np.testing.assert_allclose(rebuilt, matrices, atol=1e-5)
    assert (np.diff(values, axis=-1) > 0).all()
    assert solved
    assert all("f32[5,5]" in line for line in solved)
