"""Saliency: numbers worked out by hand, and a linear model, whose gradient is known."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from xai_core import Evidence, Needs, Study
from xai_core.errors import UndeclaredNeedError
from xai_plugins.gradients import Saliency

# One picture, two by two places, two channels (c0, c1). The largest is below 0 (-3), tied
# with its negative (-2, 2), absent (0, 0), and above 0 (0.5); a sum, a mean or a maximum
# without magnitudes gives other numbers at each.
GRADIENTS = np.array([[[[1, -3], [-2, 2]], [[0, 0], [0.5, -0.25]]]])
SALIENCY = np.array([[[3, 2], [0, 0.5]]])


def evidence_for(gradients, dtype="float64", declared=Saliency.needs):
    count = len(gradients)
    return Evidence(
        explainer="saliency",
        declared=declared,
        inputs=ops.zeros(gradients.shape, dtype),
        pixels=None,
        targets=ops.zeros((count,), "int32"),
        score=ops.zeros((count,), dtype),
        readings={Needs.INPUT_GRADIENTS: ops.convert_to_tensor(gradients, dtype)},
        oracle=None,
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_numbers_worked_out_by_hand(dtype):
    maps = ops.convert_to_numpy(Saliency().explain(evidence_for(GRADIENTS, dtype)))
    assert maps.dtype == dtype
    np.testing.assert_array_equal(maps, SALIENCY)


def test_a_map_does_not_depend_on_its_batch_neighbours():
    gradients = np.random.default_rng(2).normal(size=(4, 3, 5, 3))
    together = ops.convert_to_numpy(Saliency().explain(evidence_for(gradients)))
    np.testing.assert_array_equal(together, np.abs(gradients).max(axis=-1))
    for number in range(4):
        alone = Saliency().explain(evidence_for(gradients[number : number + 1]))
        np.testing.assert_array_equal(together[number], ops.convert_to_numpy(alone)[0])


def test_a_read_that_was_not_declared_says_what_to_add():
    with pytest.raises(UndeclaredNeedError) as caught:
        Saliency().explain(evidence_for(GRADIENTS, declared=Needs.ACTIVATIONS))
    assert str(caught.value) == (
        "explainer 'saliency' reads INPUT_GRADIENTS, which its needs (ACTIVATIONS) "
        "do not declare; add Needs.INPUT_GRADIENTS to them"
    )


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-15), ("float32", 1e-6)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_linear_model_is_explained_by_its_kernel(registry, dtype, tolerance, channels):
    # x -> x/255 (outside) -> x * 2 - 1 (inside) -> kernel: the gradient is twice the kernel.
    model = keras.Sequential(
        [
            keras.Input((4, 7, channels), dtype=dtype),
            layers.Rescaling(2.0, -1.0, dtype=dtype),
            layers.Flatten(dtype=dtype),
            layers.Dense(3, activation="softmax", name="head", dtype=dtype),
        ]
    )
    rng = np.random.default_rng(8)
    kernel = rng.normal(size=(4 * 7 * channels, 3))
    model.get_layer("head").set_weights([kernel, rng.normal(size=3)])
    picture = rng.integers(0, 256, (4, 7, channels), dtype=np.uint8)
    study = Study(model, preprocess="unit", registry=registry)
    for target in range(3):
        expected = np.abs(2 * kernel[:, target]).reshape(4, 7, channels).max(axis=-1)
        found = study.explain(picture, "saliency", target=target)
        assert found.layer is None
        np.testing.assert_allclose(found.map, expected, rtol=tolerance)
