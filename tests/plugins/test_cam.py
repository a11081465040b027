"""Grad-CAM and Grad-CAM++: numbers worked out by hand, and the closed form of GAP + Dense."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from xai_core import Evidence, Needs, Study
from xai_core.errors import UndeclaredNeedError
from xai_plugins.cam import GradCAM, GradCAMPlusPlus

# Two pictures, one target each; (N, h, w, K) = (2, 2, 2, 2), channels written out one by one.
#
# Picture 0: an activation below 0, a gradient of 0, a gradient below 0, a channel that
# speaks against the class.
#   A_0 = [[1, 2], [3, -2]]   sum 4      g_0 = [[4, 0], [-1, 1]]   mean 1
#   A_1 = [[0, 4], [-1, 1]]   sum 4      g_1 = [[-2, 0], [0, -2]]  mean -1
# Picture 1: a channel whose activations sum to less than 0.
#   A_0 = [[-1, 0], [0, -1]]  sum -2     g_0 = [[1, 0], [3, -1]]   mean 3/4
#   A_1 = [[2, 0], [0, 1]]    sum 3      g_1 = [[0, 0], [0, 2]]    mean 1/2
ACTIVATIONS = np.stack(
    [
        np.stack([[[1, 2], [3, -2]], [[0, 4], [-1, 1]]], axis=-1),
        np.stack([[[-1, 0], [0, -1]], [[2, 0], [0, 1]]], axis=-1),
    ]
)
GRADIENTS = np.stack(
    [
        np.stack([[[4, 0], [-1, 1]], [[-2, 0], [0, -2]]], axis=-1),
        np.stack([[[1, 0], [3, -1]], [[0, 0], [0, 2]]], axis=-1),
    ]
)

# Grad-CAM, w_k the mean of g_k:
#   picture 0: ReLU(1 A_0 - 1 A_1) = ReLU([[1, -2], [4, -3]])
#   picture 1: ReLU(3/4 A_0 + 1/2 A_1) = ReLU([[-3/4 + 1, 0], [0, -3/4 + 1/2]])
# The sum in place of the mean gives four times that.
GRAD_CAM = [[[1, 0], [4, 0]], [[1 / 4, 0], [0, 0]]]

# Grad-CAM++, alpha = g^2 / (2 g^2 + (sum A) g^3) = 1 / (2 + (sum A) g) where g is not 0:
#   picture 0: w_0 = 4 / (2 + 4 * 4) + 1 / (2 + 4 * 1) = 2/9 + 1/6 = 7/18   (g = 0, -1: nothing)
#              w_1 = 0                                                      (no g above 0)
#              ReLU(7/18 A_0)
#   picture 1: w_0: g = 1 makes 2 + (-2) * 1 = 0, so alpha is 0 there;
#                   g = 3 makes 1 / (2 - 6) = -1/4, so w_0 = -3/4
#              w_1 = 2 / (2 + 3 * 2) = 1/4
#              ReLU(-3/4 A_0 + 1/4 A_1) = [[3/4 + 1/2, 0], [0, 3/4 + 1/4]]
# Picture 0 tells the known mistakes apart: with the mean of A in place of the sum, w_0 is
# 4/6 + 1/3 = 1; with g^3 inside the sum, sum(A g^3) = 59, it is 64/91 + 1/61 = 0.72; with
# alpha made to sum to 1 over the places where g is above 0, (1/18, 1/6) becomes (1/4, 3/4)
# and w_0 is 7/4; without the ReLU on g, it is 7/18 + 1/2.
GRAD_CAM_PLUS_PLUS = [[[7 / 18, 7 / 9], [7 / 6, 0]], [[5 / 4, 0], [0, 1]]]

DTYPES = [("float64", 1e-15), ("float32", 2e-7)]


def evidence_for(explainer, activations, gradients, dtype="float64", declared=None):
    count = len(activations)
    return Evidence(
        explainer=explainer.name,
        declared=explainer.needs if declared is None else declared,
        inputs=ops.zeros((count, 4, 6, 3), dtype),
        pixels=None,
        targets=ops.zeros((count,), "int32"),
        score=ops.zeros((count,), dtype),
        readings={
            Needs.ACTIVATIONS: ops.convert_to_tensor(activations, dtype),
            Needs.ACTIVATION_GRADIENTS: ops.convert_to_tensor(gradients, dtype),
        },
        oracle=None,
    )


@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES)
@pytest.mark.parametrize(
    ("explainer", "expected"), [(GradCAM(), GRAD_CAM), (GradCAMPlusPlus(), GRAD_CAM_PLUS_PLUS)]
)
def test_numbers_worked_out_by_hand(explainer, expected, dtype, tolerance):
    maps = explainer.explain(evidence_for(explainer, ACTIVATIONS, GRADIENTS, dtype))
    maps = ops.convert_to_numpy(maps)
    assert maps.dtype == dtype
    np.testing.assert_allclose(maps, expected, rtol=tolerance, atol=0)


@pytest.mark.parametrize("explainer", [GradCAM(), GradCAMPlusPlus()])
def test_a_gradient_of_zero_gives_a_map_of_zeros(explainer):
    maps = explainer.explain(evidence_for(explainer, ACTIVATIONS, np.zeros_like(GRADIENTS)))
    assert not ops.convert_to_numpy(maps).any()


def test_what_speaks_against_the_class_alone_gives_a_map_of_zeros():
    # w = -1 on activations that are 0 or above.
    evidence = evidence_for(GradCAM(), np.full((1, 2, 2, 1), 3), np.full((1, 2, 2, 1), -1))
    assert not ops.convert_to_numpy(GradCAM().explain(evidence)).any()


def test_grad_cam_plus_plus_does_not_lose_small_gradients():
    # Where g^2 is 0 in float32, the formula as it is printed is 0 / 0. In the limit of a
    # small g, alpha is 1/2: w = 6 g / 2, and the map is 3 g A.
    g = np.float32(1e-30)
    evidence = evidence_for(
        GradCAMPlusPlus(), np.ones((1, 2, 3, 1)), np.full((1, 2, 3, 1), g), "float32"
    )
    maps = ops.convert_to_numpy(GradCAMPlusPlus().explain(evidence))
    np.testing.assert_allclose(maps, np.full((1, 2, 3), 3 * g), rtol=2e-7)


@pytest.mark.parametrize("explainer", [GradCAM(), GradCAMPlusPlus()])
def test_a_map_does_not_depend_on_its_batch_neighbours(explainer):
    rng = np.random.default_rng(5)
    activations, gradients = rng.normal(size=(2, 5, 3, 4, 6))
    together = ops.convert_to_numpy(
        explainer.explain(evidence_for(explainer, activations, gradients))
    )
    assert together.shape == (5, 3, 4)
    for number in range(5):
        one = slice(number, number + 1)
        alone = explainer.explain(evidence_for(explainer, activations[one], gradients[one]))
        np.testing.assert_array_equal(together[one], ops.convert_to_numpy(alone))


@pytest.mark.parametrize("explainer", [GradCAM(), GradCAMPlusPlus()])
@pytest.mark.parametrize("missing", [Needs.ACTIVATIONS, Needs.ACTIVATION_GRADIENTS])
def test_a_read_that_was_not_declared_says_what_to_add(explainer, missing):
    declared = explainer.needs & ~missing
    evidence = evidence_for(explainer, ACTIVATIONS, GRADIENTS, declared=declared)
    with pytest.raises(UndeclaredNeedError) as caught:
        explainer.explain(evidence)
    assert str(caught.value) == (
        f"explainer '{explainer.name}' reads {missing.name}, which its needs ({declared}) do "
        f"not declare; add Needs.{missing.name} to them"
    )


@pytest.fixture(scope="module", params=[("float64", 1e-13), ("float32", 1e-6)])
def pooled(request):
    """A model that ends in GAP + Dense, one picture of its size, and a tolerance."""
    dtype, tolerance = request.param
    inputs = keras.Input((8, 11, 3), dtype=dtype)
    x = layers.Conv2D(5, 3, strides=2, activation="relu", dtype=dtype)(inputs)
    x = layers.Conv2D(6, 2, activation="relu", name="at", dtype=dtype)(x)
    x = layers.GlobalAveragePooling2D(dtype=dtype)(x)
    outputs = layers.Dense(4, activation="softmax", name="head", dtype=dtype)(x)
    model = keras.Model(inputs, outputs)
    rng = np.random.default_rng(3)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.weights])
    return model, rng.integers(0, 256, (8, 11, 3), dtype=np.uint8), tolerance


def head_of(model, picture):
    """Activations (h, w, K) at the layer `at` and the kernel (K, classes) behind it."""
    at = keras.Model(model.input, model.get_layer("at").output)
    activations = at(picture[None] / 255, training=False)[0]
    return ops.convert_to_numpy(activations), ops.convert_to_numpy(model.get_layer("head").kernel)


def test_grad_cam_is_the_class_activation_map_where_the_head_is_gap_and_dense(pooled, registry):
    model, picture, tolerance = pooled
    study = Study(model, preprocess="unit", registry=registry)
    activations, kernel = head_of(model, picture)
    assert activations.shape == (2, 4, 6)
    for target in range(4):
        expected = np.maximum(activations @ kernel[:, target], 0) / (2 * 4)
        found = study.explain(picture, "grad-cam", target=target)
        assert expected.max() > 0
        assert found.map.dtype == activations.dtype
        np.testing.assert_allclose(found.map, expected, rtol=0, atol=tolerance * expected.max())


def test_grad_cam_plus_plus_is_the_formula_of_the_paper_where_g_is_constant(pooled, registry):
    model, picture, tolerance = pooled
    study = Study(model, preprocess="unit", registry=registry)
    activations, kernel = head_of(model, picture)
    for target in range(4):
        g = kernel[:, target].astype(np.float64) / (2 * 4)
        alpha = g**2 / (2 * g**2 + activations.sum(axis=(0, 1)) * g**3)
        expected = np.maximum(activations @ (2 * 4 * alpha * np.maximum(g, 0)), 0)
        found = study.explain(picture, "grad-cam++", target=target).map
        assert expected.max() > 0
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * expected.max())
