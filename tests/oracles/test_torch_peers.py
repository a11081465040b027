"""Our maps beside those of pytorch-grad-cam and Captum, on the same weights, as numbers.

Under KERAS_BACKEND=torch a Keras model is a `torch.nn.Module`, and so is each of its layers:
the peers run on them as they are. Optional: `requirements.txt` beside this file says how to
install the peers; without one, its tests are skipped. Maps are compared raw, before the peer
scales or enlarges them for display. Where the numbers differ, the test makes the peer's change to
the definition by hand and must then arrive at the peer's number: nothing else is different.
"""

import importlib
import importlib.util
import sys
from types import ModuleType

import keras
import numpy as np
import pytest
import scipy.special
from keras import layers, ops
from trials import make_trial

from xai_core import Study
from xai_plugins.gradients import (
    ExpectedGradients,
    FullGrad,
    IntegratedGradients,
    Saliency,
    SmoothGrad,
    SquareGrad,
    VarGrad,
)
from xai_plugins.metrics import AverageDrop, AverageIncrease, CascadingRandomisation, Road
from xai_plugins.perturbation.kernel_shap import KernelSHAP
from xai_plugins.perturbation.lime import LIME
from xai_plugins.perturbation.occlusion import Occlusion

if keras.backend.backend() != "torch":
    pytest.skip("the peers run on torch: KERAS_BACKEND=torch", allow_module_level=True)
if not any(map(importlib.util.find_spec, ("captum", "pytorch_grad_cam", "quantus"))):
    pytest.skip("no peer is installed: see requirements.txt", allow_module_level=True)

import torch
from torch import nn

# Peers warn of what is deprecated beneath them, Captum of every hook that it sets.
pytestmark = pytest.mark.filterwarnings("ignore")

SIZE = (24, 32)
SHAPE = (*SIZE, 3)
CLASSES = 5
LAYERS = ("early", "late")
TARGETS = (0, 3)


# ---------------------------------------------------------------------------------------
# The peers


@pytest.fixture(scope="module")
def cams():
    """pytorch-grad-cam, which imports torchvision for what no test here calls.

    Of torchvision there may be no build that fits a torch without CUDA. In its place there is then
    an empty stand-in, while pytorch-grad-cam is imported and no longer.
    """
    with pytest.MonkeyPatch.context() as patch:
        try:
            importlib.import_module("torchvision")
        except (ImportError, RuntimeError):
            for name in ("", ".transforms", ".transforms.functional"):
                stand_in = ModuleType(f"torchvision{name}")
                for unused in ("Compose", "Normalize", "ToTensor", "resize"):
                    setattr(stand_in, unused, None)
                patch.setitem(sys.modules, stand_in.__name__, stand_in)
        return pytest.importorskip("pytorch_grad_cam", exc_type=ImportError)


@pytest.fixture(scope="module")
def captum():
    return pytest.importorskip("captum.attr", exc_type=ImportError)


# ---------------------------------------------------------------------------------------
# The model, as each peer wants it, and evidence of it that neither we nor a peer gathered


def build(activation="relu", stride=2, apart=False):
    """Rectifiers are in the convolutions, or apart from them."""
    keras.utils.set_random_seed(1)
    inputs = x = keras.Input(SHAPE)
    for name, channels, step in (("early", 8, stride), ("late", 6, 1)):
        if apart:
            x = layers.ReLU(name=name)(layers.Conv2D(channels, 3, step, "same")(x))
        else:
            convolve = layers.Conv2D(channels, 3, step, "same", activation=activation, name=name)
            x = convolve(x)
    x = layers.GlobalAveragePooling2D()(x)
    return redrawn(keras.Model(inputs, layers.Dense(CLASSES, name="head")(x)), 0.5)


def redrawn(model, scale):
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(scale=scale, size=weight.shape) for weight in model.weights])
    return model


@pytest.fixture
def model():
    """A new one for every test: some peers leave marks on the layers."""
    return build()


@pytest.fixture
def smooth():
    """No rectifiers: rounding flips none, and sums along a path converge fast."""
    return build("softplus")


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(0).uniform(0, 2, SHAPE).astype("float32")


class ToFirst(nn.Module):
    """From channels last, as in Keras, to channels first, as the peers take for granted."""

    def forward(self, x):
        return x.permute(0, 3, 1, 2)


class ToLast(nn.Module):
    """And back."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1)


def as_torch_has_it(model):
    """The same Keras layers in a row that torch can walk: channels first come in.

    Also the modules that give the layers' activations out, channels first. Where the rectifiers are
    apart from the convolutions they are torch's.
    """
    row, outlets = nn.Sequential(ToLast()), {}
    for layer in model.layers[1:]:
        row.append(nn.ReLU() if isinstance(layer, layers.ReLU) else layer)
        if layer.name in LAYERS:
            outlets[layer.name] = ToFirst()
            row.append(outlets[layer.name])
            row.append(ToLast())
    return row, outlets


def channels_first(picture):
    return torch.from_numpy(picture.transpose(2, 0, 1)[None].copy())


def channels_last(picture):
    return torch.from_numpy(picture[None].copy())


def to_numpy(tensor):
    return tensor.detach().numpy().astype("float64")


def input_gradients(model, pictures, target):
    """(N, H, W, C)."""
    given = torch.from_numpy(np.asarray(pictures, "float32")).requires_grad_()
    return to_numpy(torch.autograd.grad(model(given)[:, target].sum(), given)[0])


def at_layer(model, layer, picture, target):
    """Activations and gradients (h, w, K) at a layer, and the logit."""
    both = keras.Model(model.inputs, [model.get_layer(layer).output, model.output])
    activations, logits = both(channels_last(picture))
    score = logits[0, target]
    (gradients,) = torch.autograd.grad(score, activations)
    return to_numpy(activations)[0], to_numpy(gradients)[0], float(score)


def logits_of(model, pictures):
    with torch.no_grad():
        return to_numpy(model(torch.from_numpy(np.asarray(pictures, "float32"))))


def assert_same(theirs, ours, tolerance=1e-5):
    theirs, ours = np.asarray(theirs, "float64"), np.asarray(ours, "float64")
    assert theirs.shape == ours.shape
    assert np.abs(ours).max() > 0
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=tolerance * np.abs(ours).max())


def assert_differ(theirs, ours, by=1e-3):
    """Not only by a factor: also when each is divided by its largest magnitude."""
    theirs, ours = (np.asarray(each, "float64") for each in (theirs, ours))
    assert np.abs(theirs / np.abs(theirs).max() - ours / np.abs(ours).max()).max() > by


@pytest.fixture
def explain(registry, picture):
    """Our map of the picture."""

    def ours(model, method, target, **options):
        study = Study(model, registry=registry, preprocess="none", **options)
        return study.explain(picture, method, target=target).map

    return ours


def relu(array):
    return np.maximum(array, 0)


# ---------------------------------------------------------------------------------------
# pytorch-grad-cam


@pytest.fixture
def theirs_at(cams, monkeypatch):
    """What a method of pytorch-grad-cam makes of a layer: raw, and with the ReLU that follows.

    After that it scales to 0..1, enlarges, takes the mean over the layers and scales again.
    """
    monkeypatch.setattr(cams.base_cam, "scale_cam_image", lambda cam, _=None: cam)

    def run(name, module, layer, given, target, transform=None):
        kept = []
        with getattr(cams, name)(module, [layer], reshape_transform=transform) as made:
            compute = made.get_cam_image

            def keep(*given):
                kept.append(compute(*given))
                return kept[-1]

            made.get_cam_image = keep
            shown = made(given, [cams.utils.model_targets.ClassifierOutputTarget(target)])
        return kept[0][0], shown[0]

    return run


@pytest.fixture
def on_keras(theirs_at, picture):
    """On the Keras model itself: torch's hooks on its layers are called."""

    def run(name, model, layer, target):
        return theirs_at(
            name, model, model.get_layer(layer), channels_last(picture), target, ToFirst()
        )

    return run


@pytest.fixture
def on_the_row(theirs_at, picture):
    """On the same layers in a row: for methods that look at the input's sides, or change layers."""

    def run(name, model, layer, target):
        row, outlets = as_torch_has_it(model)
        return theirs_at(name, row, outlets[layer], channels_first(picture), target)

    return run


def centred_principal(features):
    """Of (h, w, K): the features less each channel's mean, on their first principal direction."""
    flat = features.reshape(-1, features.shape[-1])
    flat = flat - flat.mean(0)
    return (flat @ np.linalg.svd(flat, full_matrices=False)[2][0]).reshape(features.shape[:2])


def assert_same_but_for_the_sign(theirs, expected):
    assert_same(theirs * np.sign((theirs * expected).sum()), expected)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("layer", LAYERS)
class TestClassActivationMaps:
    @pytest.mark.parametrize(
        ("theirs", "ours"),
        [("GradCAM", "grad-cam"), ("LayerCAM", "layercam"), ("XGradCAM", "xgrad-cam")],
    )
    def test_same(self, on_keras, explain, model, layer, target, theirs, ours):
        _, shown = on_keras(theirs, model, layer, target)
        assert_same(shown, explain(model, ours, target, layer=layer))

    def test_hirescam_is_the_same_before_a_relu_that_the_paper_has_not(
        self, on_keras, explain, model, layer, target
    ):
        raw, shown = on_keras("HiResCAM", model, layer, target)
        ours = explain(model, "hirescam", target, layer=layer)
        assert ours.min() < 0
        assert_same(raw, ours)
        np.testing.assert_array_equal(shown, relu(raw))

    def test_grad_cam_plus_plus_adds_a_millionth_to_a_smaller_denominator(
        self, on_keras, explain, model, picture, layer, target
    ):
        activations, g, _ = at_layer(model, layer, picture, target)
        _, shown = on_keras("GradCAMPlusPlus", model, layer, target)
        ours = explain(model, "grad-cam++", target, layer=layer)
        assert_differ(shown, ours)

        def by_hand(millionth):
            denominator = 2 * g**2 + activations.sum((0, 1)) * g**3 + millionth
            alpha = np.where(g != 0, g**2 / np.where(denominator == 0, 1, denominator), 0)
            return relu((activations * (alpha * relu(g)).sum((0, 1))).sum(-1))

        assert_same(by_hand(0), ours)
        assert_same(shown, by_hand(1e-6))

    @pytest.mark.parametrize(
        ("theirs", "ours"), [("EigenCAM", "eigen-cam"), ("EigenGradCAM", "eigen-grad-cam")]
    )
    def test_eigen_is_centred_and_keeps_the_sign_that_it_comes_with(
        self, on_keras, explain, model, picture, layer, target, theirs, ours
    ):
        activations, gradients, _ = at_layer(model, layer, picture, target)
        features = activations if ours == "eigen-cam" else gradients * activations
        raw, shown = on_keras(theirs, model, layer, target)
        assert_same_but_for_the_sign(raw, centred_principal(features))
        assert abs(raw.mean()) < 1e-5 * np.abs(raw).max()
        np.testing.assert_array_equal(shown, relu(raw))

        # The paper takes the features as they are.
        flat = features.reshape(-1, features.shape[-1])
        first = (flat @ np.linalg.svd(flat, full_matrices=False)[2][0]).reshape(raw.shape)
        ours = explain(model, ours, target, layer=layer)
        assert_same_but_for_the_sign(first, ours)
        assert_differ(raw * np.sign((raw * ours).sum()), ours, by=0.01)


def score_cam(model, picture, enlarge, target):
    """ReLU(sum_k w_k A_k), w the softmax over channels of the logit through A_k."""
    activations, _, _ = at_layer(model, "late", picture, target)
    masks = np.stack([enlarge(each) for each in np.moveaxis(activations, -1, 0)])
    low = masks.min((1, 2), keepdims=True)
    masks = (masks - low) / (masks.max((1, 2), keepdims=True) - low)
    weights = scipy.special.softmax(logits_of(model, masks[..., None] * picture)[:, target])
    return relu((activations * weights).sum(-1))


@pytest.mark.parametrize("target", TARGETS)
class TestScoreCAM:
    def test_same_where_nothing_is_enlarged(self, on_the_row, explain, target):
        # It takes no baseline, which a softmax does not notice.
        model = build(stride=1)
        _, shown = on_the_row("ScoreCAM", model, "late", target)
        assert_same(shown, explain(model, "score-cam", target, layer="late"))

    def test_it_enlarges_from_corner_to_corner(self, on_the_row, explain, model, picture, target):
        from scipy.ndimage import zoom

        _, shown = on_the_row("ScoreCAM", model, "late", target)
        assert_differ(shown, explain(model, "score-cam", target, layer="late"))

        def corner_to_corner(mask):
            return zoom(mask, 2, order=1, mode="nearest")

        assert_same(shown, score_cam(model, picture, corner_to_corner, target))

    def test_channels_last_go_through_it_without_a_word(
        self, on_keras, on_the_row, model, picture, target
    ):
        # The mask is enlarged to the last two sides, 32 x 3, and lies over them.
        wrong, _ = on_keras("ScoreCAM", model, "late", target)
        right, _ = on_the_row("ScoreCAM", model, "late", target)
        assert wrong.shape == right.shape
        assert_differ(wrong, right)


def dropped(model, activations, target, ablated):
    """S_k: the logit from the last layer with channel k at a value of its own."""
    head = keras.Sequential(model.layers[-2:])
    each = np.repeat(activations[None], len(ablated), 0)
    for channel, value in enumerate(ablated):
        each[channel, ..., channel] = value
    return logits_of(head, each)[:, target]


class TestAblationCAM:
    # The logit is above 0 for class 1, below for class 3.
    @pytest.mark.parametrize(("target", "sign"), [(1, 1), (3, -1)])
    @pytest.mark.parametrize("layer", LAYERS)
    def test_it_divides_by_the_score_with_its_sign(
        self, on_the_row, explain, model, picture, layer, target, sign
    ):
        assert np.sign(at_layer(model, layer, picture, target)[2]) == sign
        raw, _ = on_the_row("AblationCAM", model, layer, target)
        assert_same(relu(sign * raw), explain(model, "ablation-cam", target, layer=layer))

    def test_where_no_activation_is_0_it_ablates_with_minus_ten_million_and_more(
        self, on_the_row, explain, picture
    ):
        model = build("linear")
        activations, _, score = at_layer(model, "late", picture, 1)
        raw, _ = on_the_row("AblationCAM", model, "late", 1)
        ours = explain(model, "ablation-cam", 1, layer="late")
        assert_differ(relu(raw), ours, by=0.1)

        def by_hand(ablated, divisor):
            weights = (score - dropped(model, activations, 1, ablated)) / divisor
            return (activations * weights).sum(-1)

        assert_same(relu(by_hand(np.zeros(6), abs(score))), ours)
        # Each channel that much below the one before it.
        assert_same(raw, by_hand(activations.min() - 1e7 * np.arange(1, 7), score))

    def test_on_a_keras_model_it_replaces_no_layer_and_the_map_is_0(self, on_keras, model):
        assert not [each for each in model.modules() if isinstance(each, layers.Layer)][1:]
        raw, _ = on_keras("AblationCAM", model, "late", 1)
        assert not raw.any()


def test_the_size_of_a_map_is_read_off_the_last_two_sides(cams, model, picture):
    # So a module that takes channels first has to stand before a Keras model.
    late = model.get_layer("late")
    target = [cams.utils.model_targets.ClassifierOutputTarget(0)]
    with cams.GradCAM(model, [late], reshape_transform=ToFirst()) as made:
        assert made(channels_last(picture), target).shape == (1, SIZE[1], 3)
    with cams.GradCAM(nn.Sequential(ToLast(), model), [late], reshape_transform=ToFirst()) as made:
        assert made(channels_first(picture), target).shape == (1, *SIZE)


class TestFullGrad:
    @pytest.fixture
    def full_grad(self, cams):
        """Its terms, scaled and enlarged, before their sum is scaled."""

        def run(module, picture, target):
            made = cams.FullGrad(module, [])
            made.aggregate_multi_layers = lambda maps: maps
            return made(
                channels_first(picture), [cams.utils.model_targets.ClassifierOutputTarget(target)]
            )[0, 0]

        return run

    @staticmethod
    def psi(term, more):
        """Of (h, w, K), with what is divided by made larger: to 0..1 by channel, and enlarged."""
        term = np.abs(term)
        term = term - term.min((0, 1))
        high = term.max((0, 1)) + more
        summed = torch.from_numpy((term / np.where(high == 0, 1, high)).sum(-1))[None, None]
        return nn.functional.interpolate(summed, SIZE, mode="bilinear").numpy()[0, 0]

    @pytest.mark.parametrize("target", TARGETS)
    def test_of_keras_it_sees_no_bias(self, full_grad, explain, model, picture, target):
        row, _ = as_torch_has_it(model)
        theirs = full_grad(row, picture, target)
        gradient = input_gradients(model, picture[None], target)[0]
        assert_same(theirs, self.psi(picture * gradient, 1e-7))
        assert_differ(theirs, explain(model, FullGrad(), target), by=0.1)

    @pytest.mark.parametrize("target", TARGETS)
    def test_in_layers_of_torch_it_adds_a_ten_millionth_to_what_it_divides_by(
        self, full_grad, explain, picture, target
    ):
        # Which is not little beside a term of a bias: the gradients that it holds are of a mean.
        model = convolutions_that_leave_the_edge_out()
        twin = in_layers_of_torch(model)
        np.testing.assert_allclose(
            to_numpy(twin(channels_first(picture))), logits_of(model, picture[None]), atol=1e-5
        )
        theirs, ours = full_grad(twin, picture, target), explain(model, FullGrad(), target)
        assert_differ(theirs, ours, by=5e-4)
        terms = bias_terms(twin, picture, target)
        assert_same(sum(self.psi(term, 0) for term in terms), ours)
        assert_same(theirs, sum(self.psi(term, 1e-7) for term in terms))


def convolutions_that_leave_the_edge_out():
    """So that their terms are enlarged; with a normalisation."""
    inputs = keras.Input(SHAPE)
    x = layers.BatchNormalization(epsilon=1e-3)(layers.Conv2D(4, 3)(inputs))
    x = layers.Conv2D(6, 3, activation="relu")(layers.ReLU()(x))
    x = layers.GlobalAveragePooling2D()(x)
    model = redrawn(keras.Model(inputs, layers.Dense(CLASSES)(x)), 0.5)
    variance = model.layers[2].moving_variance
    variance.assign(ops.abs(variance))
    return model


def in_layers_of_torch(model):
    """Of `convolutions_that_leave_the_edge_out`: the same weights, channels first."""
    convolution, normalisation = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, eps=1e-3)
    last, head = nn.Conv2d(4, 6, 3), nn.Linear(6, CLASSES)
    weights = iter(model.get_weights())
    for part in (convolution, normalisation, last, head):
        statistics = [part.running_mean, part.running_var] if part is normalisation else []
        for each in (part.weight, part.bias, *statistics):
            value = next(weights)
            value = value.transpose({4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[value.ndim])
            each.data.copy_(torch.from_numpy(value.copy()))
    pool = [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(convolution, normalisation, nn.ReLU(), last, *pool, head).eval()


def bias_terms(twin, picture, target):
    """The input and each bias, times its gradient: (h, w, K) each."""
    x = channels_first(picture).requires_grad_()
    factors, outputs = [x], [x]
    for part in twin:
        x = part(x)
        if isinstance(part, nn.BatchNorm2d):
            scale = part.weight / torch.sqrt(part.running_var + part.eps)
            factors.append((part.bias - part.running_mean * scale)[None, :, None, None])
            outputs.append(x)
        elif isinstance(part, nn.Conv2d):
            factors.append(part.bias[None, :, None, None])
            outputs.append(x)
    gradients = torch.autograd.grad(x[0, target], outputs)
    return [
        to_numpy(factor * gradient)[0].transpose(1, 2, 0)
        for factor, gradient in zip(factors, gradients, strict=True)
    ]


# ---------------------------------------------------------------------------------------
# Guided Backpropagation and Deconvnet, by both


def fused(x, channels):
    return layers.Conv2D(channels, 3, activation="relu")(x)


def as_layer(x, channels):
    return layers.ReLU()(layers.Conv2D(channels, 3)(x))


def as_activation_layer(x, channels):
    return layers.Activation("relu")(layers.Conv2D(channels, 3)(x))


def as_operation(x, channels):
    return ops.relu(layers.Conv2D(channels, 3)(x))


def rectified(rectifier):
    inputs = keras.Input(SHAPE)
    x = layers.AveragePooling2D(4)(rectifier(rectifier(inputs, 8), 6))
    return redrawn(keras.Model(inputs, layers.Dense(CLASSES)(layers.Flatten()(x))), 1)


def plain(model, picture, target):
    return input_gradients(model, picture[None], target)[0].sum(-1)


@pytest.mark.parametrize("target", TARGETS)
class TestGuided:
    @pytest.mark.parametrize(
        ("theirs", "ours"), [("GuidedBackprop", "guided-backprop"), ("Deconvolution", "deconvnet")]
    )
    def test_captum_with_rectifiers_of_torch(self, captum, explain, picture, target, theirs, ours):
        model = build(apart=True)
        row, _ = as_torch_has_it(model)
        found = getattr(captum, theirs)(row).attribute(channels_first(picture), target=target)
        assert_same(to_numpy(found)[0].sum(0), explain(model, ours, target))

    def test_pytorch_grad_cam_with_rectifiers_of_torch(self, cams, explain, picture, target):
        model = build(apart=True)
        row, _ = as_torch_has_it(model)
        found = cams.GuidedBackpropReLUModel(row)(channels_first(picture), target)
        assert_same(found.sum(-1), explain(model, "guided-backprop", target))

    @pytest.mark.parametrize("rectifier", [fused, as_layer, as_activation_layer, as_operation])
    def test_rectifiers_of_keras_are_left_without_a_word(
        self, captum, cams, explain, picture, target, rectifier
    ):
        model = rectified(rectifier)
        expected = plain(model, picture, target)
        for method in (captum.GuidedBackprop, captum.Deconvolution):
            found = method(model).attribute(channels_last(picture), target=target)
            assert_same(to_numpy(found)[0].sum(-1), expected)
        made = cams.GuidedBackpropReLUModel(nn.Sequential(ToLast(), model))
        assert_same(made(channels_first(picture), target).sum(-1), expected)
        for ours in ("guided-backprop", "deconvnet"):
            assert_differ(explain(model, ours, target), expected, by=0.1)

    def test_pytorch_grad_cam_adds_to_what_it_said_of_the_same_tensor(
        self, cams, explain, picture, target
    ):
        # It reads the gradient off the tensor that it was given, and does not clear it.
        model = build(apart=True)
        made = cams.GuidedBackpropReLUModel(as_torch_has_it(model)[0])
        given = channels_first(picture)
        made(given, target)
        again = made(given, target)
        assert_same(again.sum(-1), 2 * explain(model, "guided-backprop", target))


# ---------------------------------------------------------------------------------------
# Captum: layers


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("layer", LAYERS)
class TestLayerGradCam:
    def test_with_relu_attributions(self, captum, explain, model, picture, layer, target):
        row, outlets = as_torch_has_it(model)
        made = captum.LayerGradCam(row, outlets[layer])
        ours = explain(model, "grad-cam", target, layer=layer)
        given = channels_first(picture)
        found = made.attribute(given, target=target, relu_attributions=True)
        assert_same(to_numpy(found)[0, 0], ours)
        # As it comes it leaves the ReLU out.
        found = to_numpy(made.attribute(given, target=target))[0, 0]
        assert found.min() < 0
        assert_same(relu(found), ours)

    def test_of_a_keras_layer_it_takes_rows_for_channels(
        self, captum, model, picture, layer, target
    ):
        # It runs: the mean over columns and channels, the sum over rows.
        made = captum.LayerGradCam(model, model.get_layer(layer))
        found = to_numpy(made.attribute(channels_last(picture), target=target))[0, 0]
        activations, gradients, _ = at_layer(model, layer, picture, target)
        rows = gradients.mean((1, 2), keepdims=True)
        assert_same(found, (rows * activations).sum(0))

    def test_guided_grad_cam_takes_the_nearest_place(self, captum, explain, picture, layer, target):
        model = build(apart=True)
        row, outlets = as_torch_has_it(model)
        made = captum.GuidedGradCam(row, outlets[layer])
        given = channels_first(picture)
        ours = explain(model, "guided-grad-cam", target, layer=layer)
        bilinear = made.attribute(given, target=target, interpolate_mode="bilinear")
        assert_same(to_numpy(bilinear)[0].sum(0), ours)
        # As it comes.
        found = to_numpy(made.attribute(given, target=target))[0].sum(0)
        assert_differ(found, ours, by=0.1)
        coarse = explain(model, "grad-cam", target, layer=layer).repeat(2, 0).repeat(2, 1)
        assert_same(found, coarse * explain(model, "guided-backprop", target))


# ---------------------------------------------------------------------------------------
# Captum: input gradients


def attribute(made, picture, target, **options):
    """Of the Keras model itself, (H, W, C)."""
    return to_numpy(made.attribute(channels_last(picture), target=target, **options))[0]


@pytest.mark.parametrize("target", TARGETS)
class TestInputGradients:
    def test_saliency(self, captum, explain, model, picture, target):
        made = captum.Saliency(model)
        found = attribute(made, picture, target)
        assert_same(found.max(-1), explain(model, "saliency", target))
        signed = attribute(made, picture, target, abs=False)
        assert_same(signed.sum(-1), explain(model, Saliency(values="signed"), target))

    def test_input_x_gradient(self, captum, explain, model, picture, target):
        found = attribute(captum.InputXGradient(model), picture, target)
        assert_same(found.sum(-1), explain(model, "gradient-x-input", target))

    @pytest.mark.parametrize("steps", [3, 32])
    def test_integrated_gradients(self, captum, explain, smooth, picture, target, steps):
        # By the same quadrature: also where three points are too few.
        found = attribute(captum.IntegratedGradients(smooth), picture, target, n_steps=steps)
        assert_same(found.sum(-1), explain(smooth, IntegratedGradients(steps=steps), target))

    def test_gradient_shap_is_expected_gradients(
        self, captum, explain, smooth, picture, target, monkeypatch
    ):
        # Given our draws: with no background, plain colours, and places on the way to each.
        samples = 24
        draw = np.random.default_rng(0)
        draw.integers(0, 1, samples)
        colours = draw.integers(0, 256, (samples, 1, 1, 3), np.uint8).astype("float32")
        along = draw.uniform(size=samples)
        monkeypatch.setattr(np.random, "choice", lambda count, _: np.arange(count))
        monkeypatch.setattr(np.random, "uniform", lambda *_: along)
        baselines = torch.from_numpy(np.broadcast_to(colours, (samples, *SHAPE)).copy())
        made = captum.GradientShap(smooth)
        options = {"baselines": baselines, "n_samples": samples}
        ours = explain(smooth, ExpectedGradients(samples=samples), target)
        assert_same(attribute(made, picture, target, **options).sum(-1), ours)
        # Its noise on the picture is no part of the definition; as it comes there is none.
        torch.manual_seed(0)
        noisy = attribute(made, picture, target, stdevs=0.3, **options)
        assert_differ(noisy.sum(-1), ours)


# ---------------------------------------------------------------------------------------
# Captum: noise; it is given ours

SAMPLES = 8
SIGMA = 0.2


@pytest.fixture(scope="module")
def noise():
    """The draws of our methods with seed 0."""
    return np.random.default_rng(0).standard_normal((SAMPLES, *SHAPE)).astype("float32")


@pytest.fixture
def tunnel(captum, picture, noise, monkeypatch):
    """A noise tunnel over gradients; its noise is absolute, ours is relative to the reach."""
    monkeypatch.setattr(torch, "normal", lambda _, deviation: deviation * torch.from_numpy(noise))
    deviation = float(SIGMA * (picture.max() - picture.min()))

    def run(model, kind, target, **options):
        made = captum.NoiseTunnel(captum.Saliency(model))
        options = {"nt_samples": SAMPLES, "stdevs": deviation, **options}
        return attribute(made, picture, target, nt_type=kind, **options)

    return run


@pytest.mark.parametrize("target", TARGETS)
class TestNoise:
    def test_smoothgrad(self, tunnel, explain, smooth, picture, noise, target):
        ours = explain(smooth, SmoothGrad(sigma=SIGMA, samples=SAMPLES), target)
        found = tunnel(smooth, "smoothgrad", target, abs=False)
        assert_same(np.abs(found).max(-1), ours)
        # As `Saliency` comes, its magnitudes are pooled.
        found = tunnel(smooth, "smoothgrad", target)
        assert_differ(found.max(-1), ours)
        noisy = picture + SIGMA * (picture.max() - picture.min()) * noise
        gradients = input_gradients(smooth, noisy, target)
        assert_same(found, np.abs(gradients).mean(0))

    def test_squaregrad(self, tunnel, explain, smooth, target):
        found = tunnel(smooth, "smoothgrad_sq", target)
        assert_same(
            found.max(-1), explain(smooth, SquareGrad(sigma=SIGMA, samples=SAMPLES), target)
        )

    def test_vargrad(self, tunnel, explain, smooth, target):
        # It takes E[g^2] - E[g]^2 in float32, which costs digits.
        found = tunnel(smooth, "vargrad", target, abs=False)
        ours = explain(smooth, VarGrad(sigma=SIGMA, samples=SAMPLES), target)
        assert_same(found.max(-1), ours, 1e-4)
        assert_differ(tunnel(smooth, "vargrad", target).max(-1), ours)

    def test_vargrad_cancels(self, tunnel, explain, smooth, target):
        # Without noise it is not 0, and a variance below 0.
        found = tunnel(smooth, "vargrad", target, abs=False, stdevs=0.0)
        assert found.min() < 0
        ours = explain(smooth, VarGrad(sigma=0, samples=SAMPLES), target)
        assert np.abs(ours).max() < 1e-4 * np.abs(found).max()


# ---------------------------------------------------------------------------------------
# Captum: perturbation


def starts(side, window, stride):
    """Where windows begin, the last at the first that reaches the edge."""
    return range(0, -(-(side - window) // stride) * stride + 1, stride)


@pytest.mark.parametrize("target", TARGETS)
class TestOcclusion:
    @staticmethod
    def occlusion(captum, model, picture, target, window, stride):
        found = attribute(
            captum.Occlusion(model),
            picture,
            target,
            sliding_window_shapes=(window, window, 3),
            strides=(stride, stride, 3),
        )
        np.testing.assert_array_equal(found, found[..., :1].repeat(3, -1))
        return found[..., 0]

    @pytest.mark.parametrize("stride", [8, 4])
    def test_each_pixel_gets_the_mean_of_whole_drops(
        self, captum, explain, model, picture, target, stride
    ):
        # Ours spreads a drop over its window first.
        found = self.occlusion(captum, model, picture, target, 8, stride)
        ours = explain(model, Occlusion(window=8, stride=stride), target)
        assert_same(found / 8**2, ours)

    def test_windows_hang_over_the_edge(self, captum, explain, model, picture, target):
        # Ours are moved back inside. Windows of 8 every 5 begin at 0, 5, 10, 15, 20, 25.
        found = self.occlusion(captum, model, picture, target, 8, 5)
        ours = explain(model, Occlusion(window=8, stride=5), target)
        assert_differ(found, ours)
        inside = np.s_[:16, :20]
        assert_same((found / 8**2)[inside], ours[inside])

        total, coverage = np.zeros(SIZE), np.zeros(SIZE)
        (whole,) = logits_of(model, picture[None])[:, target]
        for row in starts(SIZE[0], 8, 5):
            for column in starts(SIZE[1], 8, 5):
                window = np.s_[row : row + 8, column : column + 8]
                covered = picture.copy()
                covered[window] = 0
                total[window] += whole - logits_of(model, covered[None])[0, target]
                coverage[window] += 1
        assert_same(found, total / coverage)

    def test_feature_ablation_of_squares_is_occlusion(
        self, captum, explain, model, picture, target
    ):
        rows, columns = (np.arange(side) // 8 for side in SIZE)
        squares = torch.from_numpy(rows[:, None] * 4 + columns)[None, ..., None]
        made = captum.FeatureAblation(model)
        found = attribute(made, picture, target, feature_mask=squares)
        ours = explain(model, Occlusion(window=8, stride=8), target)
        assert_same(found[..., 0] / 8**2, ours)


class Recorder(layers.Layer):
    """Keeps what passes through it."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def call(self, inputs):
        if inputs.device.type != "meta":  # a model being put together
            self.seen.append(inputs.detach().numpy())
        return inputs


def asked_of(model, explain, method, target):
    """What a method asks the model about, (M, H, W, C), and our map."""
    recorder = Recorder()
    inputs = keras.Input(SHAPE)
    ours = explain(keras.Model(inputs, model(recorder(inputs))), method, target)
    return np.concatenate(recorder.seen), ours


def segments_of(ours):
    """Labels (H, W) of what has one value in our map."""
    return np.unique(ours, return_inverse=True)[1].reshape(ours.shape)


def one_by_one(shown):
    """The coalitions as Captum asks for them."""

    def draw(*_, **__):
        for each in shown:
            yield torch.from_numpy(np.asarray(each)[None]).long()

    return draw


def on_segments(made, model, picture, target, labels, samples):
    """One value a segment, as a map, from black."""
    mask = torch.from_numpy(labels)[None, ..., None]
    options = {"feature_mask": mask, "n_samples": samples, "perturbations_per_eval": 32}
    return attribute(made, picture, target, **options)[..., 0]


@pytest.mark.parametrize("target", TARGETS)
class TestLime:
    WIDTH = 0.3
    SAMPLES = 128  # whole batches: what is asked last is all of it, and no more

    def test_same_given_our_samples_kernel_and_penalty(
        self, captum, explain, model, picture, target
    ):
        from captum._utils.models.linear_model import SkLearnRidge

        method = LIME(samples=self.SAMPLES, segments=30, baseline="black", width=self.WIDTH)
        asked, ours = asked_of(model, explain, method, target)
        asked = asked[-self.SAMPLES :]
        labels = segments_of(ours)
        pixels = np.unique(labels, return_index=True)[1]
        shown = (asked / picture).mean(-1).reshape(self.SAMPLES, -1)[:, pixels].round()
        np.testing.assert_allclose(shown[:, labels][..., None] * picture, asked, atol=1e-6)

        def proximity(*given, **_):
            distance = 1 - torch.sqrt(given[2].double().mean(1))
            return torch.exp(-((distance / self.WIDTH) ** 2))

        made = captum.Lime(model, SkLearnRidge(alpha=1), proximity, one_by_one(shown))
        found = on_segments(made, model, picture, target, labels, self.SAMPLES)
        assert_same(found, ours, 1e-4)
        # Its own penalty is a Lasso's, of 0.01 beside the mean error: it sets segments to 0.
        made = captum.Lime(model, None, proximity, one_by_one(shown))
        lasso = on_segments(made, model, picture, target, labels, self.SAMPLES)
        assert np.abs(lasso - ours).max() > 0.1 * np.abs(ours).max()
        assert (lasso == 0).mean() > 0.1

    def test_its_own_kernel_is_the_root_and_of_pixels(self, captum, picture, target):
        from captum.attr._core.lime import get_exp_kernel_similarity_function

        # exp(-(d / w)^2 / 2), where the paper has exp(-(d / w)^2).
        shown = channels_last(picture)
        half = shown.clone()
        half[:, : SIZE[0] // 2] = 0
        cosine = float((half * shown).sum() / half.norm() / shown.norm())
        kernel = get_exp_kernel_similarity_function("cosine", 0.25)
        found = kernel(shown, half, None)
        assert found == pytest.approx(np.exp(-(((1 - cosine) / 0.25) ** 2) / 2), rel=1e-5)

    def test_it_shows_each_superpixel_by_a_coin(self, captum, target):
        # The paper draws how many are shown, all numbers as likely; so do we.
        torch.manual_seed(target)
        made = captum.Lime(nn.Identity())
        draws = [made.perturb_func(torch.zeros(1), num_interp_features=24) for _ in range(200)]
        shown = to_numpy(torch.cat(draws))
        assert 0.45 < shown.mean() < 0.55
        assert shown.mean(1).std() < 0.15  # a uniform share has 0.29


@pytest.mark.parametrize("target", TARGETS)
class TestKernelShap:
    @pytest.fixture
    def ours(self, explain, model, target):
        """From every coalition: our map, and its superpixels."""
        found = explain(model, KernelSHAP(segments=12, samples=4096), target)
        labels = segments_of(found)
        assert 3 < labels.max() + 1 <= 12
        return found, labels

    def test_same_given_every_coalition(self, captum, model, picture, target, ours):
        # By the weight with which it would draw it; its sum it holds by a large weight.
        expected, labels = ours
        players = labels.max() + 1
        shown = np.arange(2**players)[:, None] >> np.arange(players) & 1
        made = captum.KernelShap(model)
        ends = made.inf_weight

        def weight(*given, **_):
            size = int(given[2].sum())
            if size in (0, players):
                return torch.tensor([ends])
            return torch.tensor([1 / (scipy.special.comb(players, size) * size * (players - size))])

        made.perturb_func, made.similarity_func = one_by_one(shown), weight
        found = on_segments(made, model, picture, target, labels, len(shown))
        assert_same(found, expected, 1e-4)

    def test_its_own_draws_come_to_ours_later(self, captum, explain, model, picture, target, ours):
        # It draws by the same weights, but not in pairs that take the even part of the error out.
        expected, labels = ours
        torch.manual_seed(0)
        made = captum.KernelShap(model)
        few, many = (
            np.abs(on_segments(made, model, picture, target, labels, samples) - expected).max()
            for samples in (200, 3200)
        )
        assert few > 2 * many
        assert many < 0.2 * np.abs(expected).max()
        paired = explain(model, KernelSHAP(segments=12, samples=3200), target)
        assert 0 < 5 * np.abs(paired - expected).max() < many


# ---------------------------------------------------------------------------------------
# Metrics


class TestMetrics:
    """On 20 x 30 pixels, whose tenths are whole numbers."""

    PLACES = (20, 30)

    @pytest.fixture(scope="class")
    def classifier(self):
        torch.manual_seed(3)
        head = nn.Linear(8, CLASSES)
        return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(2), Mean(), head, Softmax())

    @pytest.fixture(scope="class")
    def pixels(self):
        return np.random.default_rng(4).uniform(0, 255, (*self.PLACES, 3)).astype(np.float32)

    @pytest.fixture(scope="class")
    def attribution(self):
        """0 to 1, as the peer asks for."""
        order = np.random.default_rng(5).permutation(600).reshape(self.PLACES)
        return (order / 599).astype(np.float32)

    @pytest.fixture(scope="class")
    def trial(self, classifier, pixels, attribution):
        def ask(given):
            with torch.no_grad():
                return classifier(first(np.float32(given)) / 255)[:, 3].numpy()

        return make_trial(pixels, attribution, ask, target=3)

    def peers(self, metric, classifier, pixels, attribution):
        probability = [lambda outputs: outputs[3]]
        made = metric(first(pixels[None]) / 255, attribution[None], probability, classifier)
        return float(made[0])

    def test_road_combined_is_half_of_ours(
        self, cams, monkeypatch, classifier, pixels, attribution, trial
    ):
        road = importlib.import_module("pytorch_grad_cam.metrics.road")
        init = road.NoisyLinearImputer.__init__
        monkeypatch.setattr(road.NoisyLinearImputer, "__init__", lambda each: init(each, noise=0))
        found = self.peers(road.ROADCombined(), classifier, pixels, attribution)
        ours = Road(noise=0.0).score(trial).value
        assert abs(ours) > 1e-3
        assert found == pytest.approx(ours / 2, abs=1e-5)

    def test_its_drop_is_no_share_of_the_probability(
        self, cams, classifier, pixels, attribution, trial
    ):
        theirs = importlib.import_module("pytorch_grad_cam.metrics.cam_mult_image")
        dropped = self.peers(theirs.DropInConfidence(), classifier, pixels, attribution)
        rose = self.peers(theirs.IncreaseInConfidence(), classifier, pixels, attribution)
        ours = AverageDrop().score(trial).value
        assert dropped == pytest.approx(ours * trial.probability, abs=1e-5)
        assert rose == AverageIncrease().score(trial).value
        assert (ours > 0) != (rose > 0)


def test_mprt_of_quantus_goes_down_from_the_learnt_weights():
    """Of torch's own layers. On TensorFlow it does not: see `test_metric_peers.py`."""
    quantus = pytest.importorskip("quantus", exc_type=ImportError)
    torch.manual_seed(0)
    row = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 6 * 8, 5)
    )
    pixels = np.random.default_rng(0).uniform(0, 1, (1, 3, 12, 16)).astype(np.float32)
    weights, maps = [], []

    def explain(model, inputs, targets, **_):
        weights.append({name: to_numpy(each).copy() for name, each in model.named_parameters()})
        fed = torch.tensor(inputs, requires_grad=True)
        model(fed)[:, 3].sum().backward()
        maps.append(to_numpy(fed.grad * fed).sum(axis=1))
        return maps[-1]

    own = explain(row, pixels, None)
    found = quantus.MPRT(abs=False, normalise=False, disable_warnings=True)(
        model=row,
        x_batch=pixels,
        y_batch=np.array([3]),
        a_batch=own.copy(),
        channel_first=True,
        explain_func=explain,
    )
    learnt, _, *rungs = weights
    lost = [
        {name for name in learnt if not np.array_equal(each[name], learnt[name])} for each in rungs
    ]
    assert lost == [{"3.weight", "3.bias"}, set(learnt)]
    of = make_trial(np.moveaxis(pixels[0], 0, -1), own[0], rungs=[each[0] for each in maps[2:]])
    facts = CascadingRandomisation().score(of).facts
    theirs = [value for (value,) in found.values()]
    assert facts["mean spearman"] == pytest.approx(np.mean(theirs[1:]), abs=1e-6)
    assert facts["spearman at the last rung"] == pytest.approx(theirs[-1], abs=1e-6)


class Mean(nn.Module):
    def forward(self, inputs):
        return inputs.mean(dim=2)


class Softmax(nn.Module):
    def forward(self, inputs):
        return torch.softmax(10 * inputs, dim=1)


def first(pictures):
    """(N, C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(pictures, -1, 1)))


# ---------------------------------------------------------------------------------------
# What a peer leaves behind


def test_our_maps_while_the_hooks_of_a_peer_are_on_the_layers(cams, explain, model):
    before = {name: explain(model, name, 0) for name in ("grad-cam", "guided-backprop")}
    with cams.GradCAM(model, [model.get_layer("late")], reshape_transform=ToFirst()):
        for name, expected in before.items():
            assert_same(explain(model, name, 0), expected)
