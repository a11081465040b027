"""Path, noise, ablation and principal-component methods: closed forms and independent sums."""

import json

import keras
import numpy as np
import pytest
from keras import layers, ops
from plain import array, gradient

from xai_core import Study
from xai_core.errors import ParameterError
from xai_plugins.cam import AblationCAM, EigenCAM, EigenGradCAM, GradCAM
from xai_plugins.gradients import (
    FullGrad,
    GradientXInput,
    GuidedBackprop,
    IntegratedGradients,
    Saliency,
    SmoothGrad,
    SquareGrad,
    VarGrad,
)

SIZE = (9, 13)
F64 = {"dtype": "float64"}


def build(head, activation="softplus", seed=5):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((*SIZE, 3), **F64)
    x = layers.Conv2D(6, 3, activation=activation, name="features", **F64)(inputs)
    x = head(**F64)(x)
    return keras.Model(inputs, layers.Dense(4, bias_initializer="normal", name="head", **F64)(x))


@pytest.fixture(scope="module")
def smooth(registry):
    model = build(layers.GlobalAveragePooling2D)
    return model, Study(model, registry=registry, preprocess="unit")


@pytest.fixture(scope="module")
def linear(registry):
    model = build(layers.Flatten, activation="linear")
    return model, Study(model, registry=registry, preprocess="unit")


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(3).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


@pytest.mark.parametrize("baseline", ["black", "mean", "blurred", "random"])
def test_integrated_gradients_is_complete(smooth, picture, baseline):
    _, study = smooth
    one = study.explain(picture, IntegratedGradients(baseline=baseline), target=2)
    change = one.facts["change of the score"]
    assert abs(change) > 1e-4
    assert one.map.sum() == pytest.approx(change, rel=1e-9)
    assert one.facts["completeness gap"] == pytest.approx(0, abs=1e-9)


def test_the_change_is_that_of_the_scores(smooth, picture):
    model, study = smooth
    one = study.explain(picture, IntegratedGradients(), target=2)
    black = array(model(np.zeros((1, *SIZE, 3))))[0, 2]
    assert one.facts["change of the score"] == pytest.approx(one.score - black, rel=1e-12)


def test_integrated_gradients_by_an_independent_midpoint_sum(smooth, picture):
    model, study = smooth
    x = picture[None] / 255.0
    total = np.zeros(picture.shape)
    for step in range(400):
        point = x * ((step + 0.5) / 400)
        total += gradient(lambda given: model(given)[0, 1], point)[0] / 400
    reference = (picture / 255.0 * total).sum(-1)
    one = study.explain(picture, IntegratedGradients(steps=40), target=1)
    np.testing.assert_allclose(one.map, reference, atol=1e-5 * np.abs(reference).max())


def test_too_few_steps_leave_a_gap_that_is_told(registry, picture):
    study = Study(build(layers.GlobalAveragePooling2D, "relu"), registry=registry, preprocess="tf")
    gaps = [
        study.explain(picture, IntegratedGradients(steps=n), target=0).facts["completeness gap"]
        for n in (1, 64)
    ]
    assert gaps[0] > 10 * gaps[1]


def test_on_a_linear_model_it_is_gradient_x_input(linear, picture):
    _, study = linear
    many = study.compare(picture, [IntegratedGradients(steps=3), GradientXInput()], [0, 3])
    for path, product in zip(many.cells[::2], many.cells[1::2], strict=True):
        np.testing.assert_allclose(path.map, product.map, atol=1e-12)


def test_smoothgrad_without_noise_is_the_gradient(smooth, picture):
    _, study = smooth
    for of in (Saliency(), GradientXInput()):
        one = study.explain(picture, SmoothGrad(sigma=0, samples=3, of=of), target=1)
        np.testing.assert_allclose(one.map, study.explain(picture, of, target=1).map, rtol=1e-12)
    zero = study.explain(picture, VarGrad(sigma=0, samples=3), target=1)
    np.testing.assert_allclose(zero.map, 0, atol=1e-25)
    square = study.explain(picture, SquareGrad(sigma=0, samples=3), target=1)
    plain = study.explain(picture, "saliency", target=1)
    np.testing.assert_allclose(square.map, plain.map**2, rtol=1e-12)


def test_the_three_pools_agree_with_their_definitions(smooth, picture):

    model, study = smooth
    x = picture[None] / 255.0
    noise = np.random.default_rng(0).standard_normal((40, *SIZE, 3))
    points = x + 0.2 * (x.max() - x.min()) * noise
    gradients = gradient(lambda given: ops.sum(model(given)[:, 3]), points)
    for method, pooled in (
        (SmoothGrad, gradients.mean(0)),
        (VarGrad, gradients.var(0)),
        (SquareGrad, (gradients**2).mean(0)),
    ):
        one = study.explain(picture, method(sigma=0.2, samples=40), target=3)
        np.testing.assert_allclose(one.map, np.abs(pooled).max(-1), rtol=1e-9)


@pytest.mark.parametrize("method", [SmoothGrad(samples=5), IntegratedGradients(baseline="random")])
def test_a_map_depends_on_the_seed_and_not_on_its_neighbours(smooth, picture, method):
    import dataclasses

    _, study = smooth
    other = 255 - picture
    alone = study.explain(picture, method, target=0)
    beside = study.compare([other, picture], [method], [0]).cells[1]
    np.testing.assert_allclose(beside.map, alone.map, rtol=1e-9, atol=1e-12)
    reseeded = study.explain(picture, dataclasses.replace(method, seed=7), target=0)
    assert not np.allclose(reseeded.map, alone.map, rtol=1e-3)


def test_ablation_drops_are_those_of_a_linear_head(smooth, picture):
    # GAP + Dense: without channel k the score drops by W_kc mean(A_k).
    model, study = smooth
    features = keras.Model(model.inputs[0], model.get_layer("features").output)
    activations = array(features(picture[None] / 255.0))[0]
    kernel, bias = model.get_layer("head").get_weights()
    for target in range(4):
        one = study.explain(picture, AblationCAM(chunk=4), target=target)
        drops = kernel[:, target] * activations.mean((0, 1))
        assert one.score == pytest.approx(drops.sum() + bias[target], rel=1e-12)
        expected = np.maximum((activations * drops / abs(one.score)).sum(-1), 0)
        np.testing.assert_allclose(one.map, expected, rtol=1e-9, atol=1e-12)


def test_ablation_near_a_score_of_zero_is_warned_about(registry, picture):
    model = build(layers.GlobalAveragePooling2D)
    model.get_layer("head").set_weights([np.zeros((6, 4)), np.zeros(4)])
    one = Study(model, registry=registry, preprocess="unit").explain(picture, "ablation-cam")
    assert [warning.kind for warning in one.warnings] == ["all-zero", "score-near-zero"]


@pytest.mark.parametrize(("channels", "explainer"), [(6, EigenCAM()), (200, EigenCAM())])
def test_eigen_cam_is_the_first_singular_vector(registry, picture, channels, explainer):
    keras.utils.set_random_seed(6)
    inputs = keras.Input((*SIZE, 3), **F64)
    x = layers.Conv2D(channels, 3, activation="relu", name="features", **F64)(inputs)
    x = layers.GlobalAveragePooling2D(**F64)(x)
    model = keras.Model(inputs, layers.Dense(2, **F64)(x))
    features = keras.Model(inputs, model.get_layer("features").output)
    activations = array(features(picture[None] / 255.0))[0]
    matrix = activations.reshape(-1, channels)
    _, _, right = np.linalg.svd(matrix, full_matrices=False)
    projected = (matrix @ right[0]).reshape(activations.shape[:2])
    correlation = np.corrcoef(projected.ravel(), activations.mean(-1).ravel())[0, 1]
    one = Study(model, registry=registry, preprocess="unit").explain(picture, explainer)
    np.testing.assert_allclose(one.map, np.sign(correlation) * projected, rtol=1e-8, atol=1e-10)
    assert one.facts["correlation with the mean"] == pytest.approx(abs(correlation))


def test_eigen_grad_cam_is_that_of_the_weighted_activations(smooth, picture):
    _, study = smooth
    many = study.compare(picture, [EigenGradCAM(), "hirescam"], [2])
    # Of g A the mean over the channels is HiResCAM / K, with which the sign correlates.
    both = [many["eigen-grad-cam", 2].map.ravel(), many["hirescam", 2].map.ravel()]
    assert np.corrcoef(both)[0, 1] > 0
    assert many["eigen-grad-cam", 2].facts["correlation with the mean"] > 0.1


def test_a_sign_that_is_ambiguous_is_warned_about(registry):
    # Two channels that cancel in the mean: either sign is as good.
    inputs = keras.Input((2, 2, 1))
    x = layers.Conv2D(2, 1, use_bias=False, name="features")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    model.get_layer("features").set_weights([np.asarray([1.0, -1.0]).reshape(1, 1, 1, 2)])
    picture = np.asarray([[10.0, 20.0], [30.0, 40.0]])
    one = Study(model, registry=registry, preprocess="none").explain(picture, "eigen-cam")
    assert [warning.kind for warning in one.warnings] == ["sign-ambiguous"]
    assert one.facts["correlation with the mean"] == 0


def test_parameters_and_facts_are_provenance(smooth, picture):
    _, study = smooth
    one = study.explain(picture, SmoothGrad(samples=4), target=0)
    told = json.loads(json.dumps(one.provenance))
    assert told["parameters"] == {"samples": 4, "sigma": 0.15, "seed": 0, "of": "saliency"}
    path = study.explain(picture, "integrated-gradients", target=0).provenance
    assert path["parameters"] == {
        "steps": 32,
        "tolerance": None,
        "most_steps": 512,
        "baseline": "black",
        "seed": 0,
    }
    of = SmoothGrad(samples=4, of=Saliency(values="signed"))
    told = study.explain(picture, of, target=0).provenance
    assert told["parameters"]["of"] == "saliency(values=signed)"
    assert path["facts"]["queries"] == 33
    assert set(path["facts"]) == {"completeness gap", "change of the score", "steps", "queries"}


def test_points_are_doubled_until_the_gap_is_closed_for_each_picture_alone(smooth, picture):
    _, study = smooth
    # A faint picture is all but linear on its path: one point will do, a bright one takes more.
    pictures = [picture // 64, picture]
    exact = IntegratedGradients(steps=1, tolerance=1e-9, most_steps=64)
    together = study.compare(pictures, [exact], [2])
    taken = [one.facts["steps"] for one in together]
    assert 1 < taken[0] < taken[1] <= 64
    for one, alone in zip(pictures, together, strict=True):
        assert alone.facts["completeness gap"] <= 1e-9 * abs(alone.facts["change of the score"])
        np.testing.assert_allclose(
            study.explain(one, exact, target=2).map, alone.map, rtol=1e-10, atol=1e-14
        )
        fixed = IntegratedGradients(steps=int(alone.facts["steps"]))
        np.testing.assert_allclose(
            study.explain(one, fixed, target=2).map, alone.map, rtol=1e-10, atol=1e-14
        )


def test_doubling_ends_at_the_most_steps(smooth, picture):
    _, study = smooth
    one = study.explain(picture, IntegratedGradients(1, 0.0, most_steps=5), target=2)
    assert one.facts["steps"] == 5
    assert one.facts["queries"] == 1 + 1 + 2 + 4 + 5
    (told,) = (each for each in one.warnings if each.kind == "incomplete")
    assert "miss the change of the score by more than 0 of it" in told.message
    with pytest.raises(ParameterError, match="received most_steps 5 and steps 8; expected most_st"):
        IntegratedGradients(8, 0.1, most_steps=5)


def test_a_gap_that_is_wide_is_told(registry, picture):
    model = build(layers.Flatten, activation="relu")
    study = Study(model, registry=registry, preprocess="tf")
    few = study.explain(picture, IntegratedGradients(steps=1), target=0)
    many = study.explain(picture, IntegratedGradients(steps=200), target=0)
    share = few.facts["completeness gap"] / abs(few.facts["change of the score"])
    assert ("incomplete" in {each.kind for each in few.warnings}) == (share > 0.05)
    assert share > 0.05
    assert "incomplete" not in {each.kind for each in many.warnings}


def test_smoothing_takes_the_rule_and_the_sign_of_what_it_smooths(registry, picture):
    model = build(layers.GlobalAveragePooling2D, activation="relu")
    study = Study(model, registry=registry, preprocess="unit")
    still = SmoothGrad(samples=3, sigma=0.0, of=GuidedBackprop())
    one = study.explain(picture, still, target=1)
    guided = study.explain(picture, "guided-backprop", target=1)
    np.testing.assert_allclose(one.map, guided.map, rtol=1e-12, atol=1e-15)
    plain = study.explain(picture, Saliency(values="signed"), target=1)
    assert np.abs(one.map - plain.map).max() > 1e-5
    assert one.method.signed
    assert one.facts == {"rectifiers replaced": 1, "queries": 3}
    assert not SmoothGrad().signed


def test_smoothing_refuses_a_method_that_reads_more_than_gradients():
    for method in (AblationCAM(), FullGrad(), GradCAM()):
        with pytest.raises(ParameterError, match=f"received of '{method.name}', which needs"):
            SmoothGrad(of=method)


def test_of_a_method_that_asks_itself_the_maps_of_the_copies_are_pooled(smooth, picture):
    model, study = smooth
    path = IntegratedGradients(steps=3)
    still = study.explain(picture, SmoothGrad(samples=2, sigma=0.0, of=path), target=1)
    np.testing.assert_allclose(still.map, study.explain(picture, path, target=1).map, rtol=1e-12)
    assert SmoothGrad(samples=2, of=path).queries == 2 * (4 + 1) == still.facts["queries"]
    assert still.method.signed
    # By hand: the maps of three noisy copies, each complete, one after the other.
    noise = np.random.default_rng(7).standard_normal((3, *SIZE, 3))
    x = picture / 255
    maps = []
    for each in noise:
        copy = x + 0.2 * np.ptp(x) * each
        nodes, weights = np.polynomial.legendre.leggauss(3)
        points = (nodes.reshape(-1, 1, 1, 1) + 1) / 2 * copy
        gradients = gradient(lambda given: ops.sum(model(given)[:, 1]), points)
        maps.append((copy * np.einsum("i,ihwc->hwc", weights / 2, gradients)).sum(axis=-1))
    for method, pooled in ((SmoothGrad, np.mean), (VarGrad, np.var)):
        one = study.explain(picture, method(3, 0.2, 7, path), target=1)
        np.testing.assert_allclose(one.map, pooled(maps, axis=0), rtol=1e-9, atol=1e-15)


def test_signed_saliency_is_the_sum_over_the_channels(smooth, picture):
    model, study = smooth
    one = study.explain(picture, Saliency(values="signed"), target=3)
    times_input = study.explain(picture, GradientXInput(), target=3)
    assert one.method.signed
    assert (one.map < 0).any()
    direct = gradient(lambda given: model(given)[0, 3], picture[None] / 255)[0]
    np.testing.assert_allclose(one.map, direct.sum(axis=-1), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(
        times_input.map, (direct * picture / 255).sum(axis=-1), rtol=1e-12, atol=1e-15
    )
    with pytest.raises(ParameterError, match="received values 'both'; expected one of magnitude, "):
        Saliency(values="both")
