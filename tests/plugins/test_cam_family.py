"""HiResCAM, LayerCAM and XGrad-CAM: hand-computed numbers, then identities."""

import keras
import numpy as np
import pytest
from keras import ops
from plain import array

from xai_core import Attribution, Evidence, Needs, Study
from xai_plugins.cam import CAM, GradCAM, HiResCAM, LayerCAM, XGradCAM

# One picture, 2 x 2 places, 2 channels; a zero gradient, negative gradients and activations.
ACTIVATIONS = np.asarray([[[[1.0, 2.0], [3.0, -2.0]], [[0.0, 4.0], [4.0, -4.0]]]])
GRADIENTS = np.asarray([[[[0.5, 1.0], [-1.0, 2.0]], [[0.0, -0.5], [0.25, 1.0]]]])


AT_ONE_LAYER = Needs.ACTIVATIONS | Needs.ACTIVATION_GRADIENTS
WITHOUT_QUERIES = [each for each in CAM if each.needs in AT_ONE_LAYER]
FIVE = ["grad-cam", "grad-cam++", "hirescam", "layercam", "xgrad-cam"]


def evidence_for(explainer, activations=ACTIVATIONS, gradients=GRADIENTS):
    return Evidence(
        explainer=explainer.name,
        declared=explainer.needs,
        inputs=None,
        pixels=None,
        targets=np.zeros(len(activations), np.int32),
        score=np.zeros(len(activations)),
        readings={
            Needs.ACTIVATIONS: ops.convert_to_tensor(activations),
            Needs.ACTIVATION_GRADIENTS: ops.convert_to_tensor(gradients),
        },
        oracle=None,
    )


def explained(explainer, **changes):
    found = explainer.explain(evidence_for(explainer, **changes))
    return array(found.maps if isinstance(found, Attribution) else found)


def test_hirescam_by_hand():
    # g A: [0.5 + 2, -3 - 4], [0 - 2, 1 - 4]
    np.testing.assert_allclose(explained(HiResCAM()), [[[2.5, -7.0], [-2.0, -3.0]]])


def test_layercam_by_hand():
    # ReLU(g) A: [0.5 + 2, 0 - 4], [0 + 0, 1 - 4], then ReLU
    np.testing.assert_allclose(explained(LayerCAM()), [[[2.5, 0.0], [0.0, 0.0]]])


def test_xgrad_cam_by_hand():
    # Channel 0: sum g A = 0.5 - 3 + 0 + 1 = -1.5, sum A = 8: w = -0.1875.
    # Channel 1: sum A = 2 - 2 + 4 - 4 = 0: no weight.
    np.testing.assert_allclose(explained(XGradCAM()), np.zeros((1, 2, 2)))
    # With the signs turned: 0.1875 A_0.
    np.testing.assert_allclose(
        explained(XGradCAM(), gradients=-GRADIENTS), [[[0.1875, 0.5625], [0.0, 0.75]]]
    )


def test_xgrad_cam_keeps_the_sign_of_a_negative_sum():
    # A = -1, -3 with g = 2, 1: w = (-2 - 3) / -4 = 1.25; w A is negative, so ReLU leaves 0;
    # with g turned, w = -1.25 and w A = 1.25, 3.75.
    activations = np.asarray([[[[-1.0], [-3.0]]]])
    gradients = np.asarray([[[[-2.0], [-1.0]]]])
    found = explained(XGradCAM(), activations=activations, gradients=gradients)
    np.testing.assert_allclose(found, [[[1.25, 3.75]]])


@pytest.fixture(scope="module")
def linear_head(registry):
    keras.utils.set_random_seed(11)
    inputs = keras.Input((17, 23, 3), dtype="float64")
    options = {"dtype": "float64"}
    x = keras.layers.Conv2D(6, 3, activation="relu", name="features", **options)(inputs)
    x = keras.layers.GlobalAveragePooling2D(**options)(x)
    model = keras.Model(
        inputs,
        keras.layers.Dense(4, activation="softmax", bias_initializer="normal", **options)(x),
    )
    picture = np.random.default_rng(2).integers(0, 256, (17, 23, 3), dtype=np.uint8)
    return model, Study(model, registry=registry, preprocess="unit"), picture


def test_hirescam_sums_to_the_score_less_its_bias(linear_head):
    model, study, picture = linear_head
    for target in range(4):
        one = study.explain(picture, "hirescam", target=target)
        bias = float(model.layers[-1].bias.numpy()[target])
        assert one.map.sum() == pytest.approx(one.score - bias, rel=1e-12)
        assert one.method.signed


def test_on_gap_and_dense_the_family_agrees(linear_head):
    _, study, picture = linear_head
    for target in range(4):
        maps = {
            name: study.explain(picture, name, target=target).map
            for name in ("grad-cam", "xgrad-cam", "hirescam")
        }
        np.testing.assert_allclose(np.maximum(maps["hirescam"], 0), maps["grad-cam"], atol=1e-13)
        np.testing.assert_allclose(maps["xgrad-cam"], maps["grad-cam"], atol=1e-13)


@pytest.mark.parametrize("explainer", WITHOUT_QUERIES, ids=lambda each: each.name)
def test_a_map_is_linear_or_scales_as_its_definition_says(explainer):
    one = explained(explainer)
    twice = explained(explainer, gradients=2 * GRADIENTS)
    if explainer.name == "grad-cam++":
        assert not np.allclose(twice, 2 * one)
    elif explainer.name == "eigen-cam":
        np.testing.assert_allclose(twice, one)
    else:
        np.testing.assert_allclose(twice, 2 * one)


@pytest.mark.tensorflow
def test_five_methods_cost_one_forward_and_one_backward_through_the_head(linear_head, registry):
    model, _, picture = linear_head
    study = Study(model, registry=registry, preprocess="unit")
    many = study.compare(picture, FIVE, [0])
    assert len(many) == 5
    assert len(many.passes) == 1
    (probe,) = study._programs.kinds.values()
    names = probe._pass.__code__.co_freevars
    (program,) = probe._pass.__closure__[names.index("programs")].cell_contents.values()
    kinds = [op.type for op in program.graph.get_operations()]
    assert kinds.count("Conv2D") == 1
    assert kinds.count("Conv2DBackpropInput") == 0
    assert kinds.count("MatMul") == 2


def test_grad_cam_is_the_reference():
    # w = mean g: channel 0 (0.5 - 1 + 0 + 0.25) / 4 = -0.0625, channel 1 3.5 / 4 = 0.875.
    np.testing.assert_allclose(
        explained(GradCAM()), [[[1.6875, 0.0], [3.5, 0.0]]]
    )  # fmt: skip
