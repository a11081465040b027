"""Our maps beside those of other libraries, on one small Keras 3 model, as numbers.

Optional: `requirements.txt` beside this file says how to install the peers; without one, its
tests are skipped. Maps are compared raw, before the peer scales or enlarges them for display.
Where the numbers differ, the test makes the peer's change to the definition by hand and must
then arrive at the peer's number: nothing else is different.
"""

import importlib.util

import keras
import numpy as np
import pytest
import scipy.special
from keras import layers, ops

from xai_core import Study
from xai_plugins.gradients import (
    ExpectedGradients,
    IntegratedGradients,
    SmoothGrad,
    SquareGrad,
    VarGrad,
)
from xai_plugins.perturbation.kernel_shap import KernelSHAP
from xai_plugins.perturbation.lime import LIME
from xai_plugins.perturbation.occlusion import Occlusion
from xai_plugins.perturbation.rise import RISE

if keras.backend.backend() != "tensorflow":
    pytest.skip("the peers run on TensorFlow", allow_module_level=True)
PEERS = ("lime", "saliency", "shap", "tf_explain", "tf_keras_vis", "xplique")
if not any(map(importlib.util.find_spec, PEERS)):
    pytest.skip("no peer is installed: see requirements.txt", allow_module_level=True)

# Peers warn of what is deprecated beneath them.
pytestmark = pytest.mark.filterwarnings("ignore")

SIZE = (24, 32)
SHAPE = (*SIZE, 3)
CLASSES = 5
LAYERS = ("early", "late")
TARGETS = (0, 3)


# ---------------------------------------------------------------------------------------
# The peers


@pytest.fixture
def vis():
    return pytest.importorskip("tf_keras_vis", exc_type=ImportError)


@pytest.fixture
def xplique():
    return pytest.importorskip("xplique.attributions", exc_type=ImportError)


@pytest.fixture
def tf_explain():
    return pytest.importorskip("tf_explain.core", exc_type=ImportError)


@pytest.fixture
def pair():
    return pytest.importorskip("saliency.core", exc_type=ImportError)


@pytest.fixture
def lime():
    return pytest.importorskip("lime.lime_image", exc_type=ImportError)


@pytest.fixture
def shap():
    return pytest.importorskip("shap", exc_type=ImportError)


# ---------------------------------------------------------------------------------------
# The model, and evidence of it that neither we nor a peer gathered


def build(activation="relu", last=None, stride=2, size=SIZE):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((*size, 3))
    x = layers.Conv2D(8, 3, stride, "same", activation=activation, name="early")(inputs)
    x = layers.Conv2D(6, 3, 1, "same", activation=activation, name="late")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(CLASSES, activation=last, name="head")(x))
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(scale=0.5, size=weight.shape) for weight in model.weights])
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


def one_hot(target, classes=CLASSES):
    return np.eye(classes, dtype="float32")[[target]]


def input_gradients(model, pictures, target):
    """(N, H, W, C)."""
    import tensorflow as tf

    pictures = tf.convert_to_tensor(np.asarray(pictures, "float32"))
    with tf.GradientTape() as tape:
        tape.watch(pictures)
        score = model(pictures)[:, target]
    return tape.gradient(score, pictures).numpy().astype("float64")


def at_layer(model, layer, picture, target):
    """Activations and gradients (h, w, K) at a layer, and the logit."""
    import tensorflow as tf

    both = keras.Model(model.inputs, [model.get_layer(layer).output, model.output])
    with tf.GradientTape() as tape:
        activations, logits = both(picture[None])
        score = logits[0, target]
    gradients = tape.gradient(score, activations)
    found = (activations.numpy()[0], gradients.numpy()[0], score.numpy())
    return tuple(each.astype("float64") for each in found)


def for_pair(model, target, layer=None):
    """What the library `saliency` asks of a model."""

    def call(pictures, call_model_args=None, expected_keys=None):
        pictures = np.asarray(pictures, "float32")
        if layer is None:
            return {
                "INPUT_OUTPUT_GRADIENTS": input_gradients(model, pictures, target),
                "OUTPUT_LAYER_VALUES": model(pictures).numpy()[:, target],
            }
        activations, gradients, _ = at_layer(model, layer, pictures[0], target)
        return {
            "CONVOLUTION_LAYER_VALUES": activations[None],
            "CONVOLUTION_OUTPUT_GRADIENTS": gradients[None],
        }

    return call


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
# Class activation maps


def vis_cam(kind, model, layer, picture, target):
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
    from tf_keras_vis.layercam import Layercam
    from tf_keras_vis.utils.scores import CategoricalScore

    made = {"grad-cam": Gradcam, "grad-cam++": GradcamPlusPlus, "layercam": Layercam}[kind](model)
    maps = made(
        CategoricalScore(target),
        picture,
        penultimate_layer=layer,
        expand_cam=False,
        normalize_cam=False,
    )
    return np.asarray(maps)[0]


def xplique_cam(kind, model, layer, picture, target):
    """Without the bicubic enlargement that ends the public call."""
    import tensorflow as tf
    from xplique.attributions import GradCAM, GradCAMPP

    made = {"grad-cam": GradCAM, "grad-cam++": GradCAMPP}[kind](model, conv_layer=layer)
    given = tf.constant(picture[None]), tf.constant(one_hot(target))
    activations, gradients = made._gradient(*given)
    weights = made._compute_weights(gradients, activations)
    return made._apply_weights(weights, activations).numpy()[0]


def tf_explain_cam(model, layer, picture, target, use_guided_grads):
    """Without the colours that end the public call."""
    from tf_explain.core.grad_cam import GradCAM

    found = GradCAM.get_gradients_and_filters(model, picture[None], layer, target, use_guided_grads)
    return GradCAM.generate_ponderated_output(*found)[0].numpy()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("layer", LAYERS)
class TestClassActivationMaps:
    def test_grad_cam_of_tf_keras_vis(self, vis, explain, model, picture, layer, target):
        theirs = vis_cam("grad-cam", model, layer, picture, target)
        assert_same(theirs, explain(model, "grad-cam", target, layer=layer))

    def test_grad_cam_of_xplique(self, xplique, explain, model, picture, layer, target):
        ours = explain(model, "grad-cam", target, layer=layer)
        assert_same(xplique_cam("grad-cam", model, layer, picture, target), ours)

    def test_grad_cam_of_saliency(self, pair, explain, model, picture, layer, target):
        theirs = pair.GradCam().GetMask(
            picture, for_pair(model, target, layer), should_resize=False, three_dims=False
        )
        assert_same(theirs, explain(model, "grad-cam", target, layer=layer))

    def test_grad_cam_of_tf_explain_lacks_the_last_relu(
        self, tf_explain, explain, model, picture, layer, target
    ):
        theirs = tf_explain_cam(model, layer, picture, target, use_guided_grads=False)
        assert theirs.min() < 0
        assert_same(relu(theirs), explain(model, "grad-cam", target, layer=layer))

    def test_grad_cam_of_tf_explain_as_it_comes_drops_gradients(
        self, tf_explain, explain, model, picture, layer, target
    ):
        # Those below 0, and those where the activation is 0, before the mean is taken.
        theirs = tf_explain_cam(model, layer, picture, target, use_guided_grads=True)
        assert_differ(theirs, explain(model, "grad-cam", target, layer=layer), by=0.1)
        activations, gradients, _ = at_layer(model, layer, picture, target)
        weights = (relu(gradients) * (activations > 0)).mean((0, 1))
        assert_same(theirs, (weights * activations).sum(-1))

    def test_layercam_of_tf_keras_vis(self, vis, explain, model, picture, layer, target):
        theirs = vis_cam("layercam", model, layer, picture, target)
        assert_same(theirs, explain(model, "layercam", target, layer=layer))

    def test_grad_cam_plus_plus_of_tf_keras_vis_makes_alpha_sum_to_one(
        self, vis, explain, model, picture, layer, target
    ):
        activations, g, score = at_layer(model, layer, picture, target)
        alpha = g**2 / np.where(g == 0, 1, 2 * g**2 + activations.sum((0, 1)) * g**3)
        ours = explain(model, "grad-cam++", target, layer=layer)
        assert_same(relu((activations * (alpha * relu(g)).sum((0, 1))).sum(-1)), ours)

        theirs = vis_cam("grad-cam++", model, layer, picture, target)
        assert_differ(theirs, ours)
        total = alpha.sum((0, 1))
        alpha = alpha / np.where(total == 0, 1, total)
        weights = (alpha * relu(np.exp(score) * g)).sum((0, 1))
        assert_same(theirs, relu((weights * activations).sum(-1)))

    def test_grad_cam_plus_plus_of_xplique_takes_means_in_the_place_of_sums(
        self, xplique, explain, model, picture, layer, target
    ):
        theirs = xplique_cam("grad-cam++", model, layer, picture, target)
        assert_differ(theirs, explain(model, "grad-cam++", target, layer=layer))
        activations, g, _ = at_layer(model, layer, picture, target)
        denominator = 2 * g**2 + activations.mean((0, 1)) * g**3
        alpha = g**2 / np.where(denominator == 0, 1e-4, denominator)
        weights = (alpha * relu(g)).mean((0, 1))
        assert_same(theirs, relu((weights * activations).sum(-1)))


def test_grad_cam_plus_plus_of_tf_keras_vis_is_lost_where_the_logit_is_large(
    vis, explain, model, picture
):
    # It takes exp of the logit, which float32 holds up to 88. A bias changes no gradient.
    kernel, bias = model.get_layer("head").get_weights()
    before = explain(model, "grad-cam++", 0)
    model.get_layer("head").set_weights([kernel, bias + 100])
    assert not np.isfinite(vis_cam("grad-cam++", model, "late", picture, 0)).any()
    assert_same(explain(model, "grad-cam++", 0), before)


def score_cam(model, picture, enlarge, weigh):
    """ReLU(sum_k w_k A_k), with w of the logits (K, classes) of the picture seen through A_k."""
    activations, _, _ = at_layer(model, "late", picture, 0)
    masks = np.stack([enlarge(each) for each in np.moveaxis(activations, -1, 0)])
    low = masks.min((1, 2), keepdims=True)
    masks = (masks - low) / (masks.max((1, 2), keepdims=True) - low)
    shown = (masks[..., None] * picture).astype("float32")
    logits = model(shown).numpy().astype("float64")
    return relu((activations * weigh(logits)).sum(-1))


def softmax(logits, axis):
    powers = np.exp(logits - logits.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("factor", [1, 2])
class TestScoreCAM:
    @pytest.fixture
    def model(self, factor):
        return build(stride=factor)

    def test_ours_is_the_softmax_over_channels_of_what_each_adds_to_black(
        self, explain, model, picture, factor, target
    ):
        def enlarge(mask):
            enlarged = ops.image.resize(mask[..., None], SIZE, data_format="channels_last")
            return ops.convert_to_numpy(enlarged)[..., 0]

        def over_channels(logits):
            black = model(np.zeros((1, *SHAPE), "float32")).numpy()[0, target]
            return softmax(logits[:, target] - black, 0)

        ours = explain(model, "score-cam", target, layer="late")
        assert_same(ours, score_cam(model, picture, enlarge, over_channels))

    def test_tf_keras_vis_weighs_by_the_softmax_over_classes(
        self, vis, explain, model, picture, factor, target
    ):
        # It takes no baseline, and enlarges from corner to corner instead of by centres.
        from scipy.ndimage import zoom
        from tf_keras_vis.scorecam import Scorecam
        from tf_keras_vis.utils.scores import CategoricalScore

        theirs = Scorecam(model)(
            CategoricalScore(target),
            picture,
            penultimate_layer="late",
            expand_cam=False,
            normalize_cam=False,
        )
        theirs = np.asarray(theirs)[0]
        assert_differ(theirs, explain(model, "score-cam", target, layer="late"), by=0.01)

        def enlarge(mask):
            return zoom(mask, factor, order=1, mode="nearest")

        def over_classes(logits):
            return softmax(logits, 1)[:, target]

        assert_same(theirs, score_cam(model, picture, enlarge, over_classes))


# ---------------------------------------------------------------------------------------
# Input gradients


def vis_saliency(model, picture, target, *, modifier=None, **options):
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.utils.scores import CategoricalScore

    made = Saliency(model, model_modifier=modifier)
    maps = made(CategoricalScore(target), picture, normalize_map=False, **options)
    return np.asarray(maps)[0]


def xplique_map(name, model, picture, target, *, classes=CLASSES, **options):
    import xplique.attributions

    made = getattr(xplique.attributions, name)(model, **options)
    maps = made(picture[None], one_hot(target, classes)).numpy()[0]
    return maps[..., 0] if maps.shape[-1] == 1 else maps


@pytest.mark.parametrize("target", TARGETS)
class TestGradients:
    def test_saliency_of_tf_keras_vis(self, vis, explain, model, picture, target):
        theirs = vis_saliency(model, picture, target)
        assert_same(theirs, explain(model, "saliency", target))

    def test_saliency_of_xplique(self, xplique, explain, model, picture, target):
        ours = explain(model, "saliency", target)
        assert_same(xplique_map("Saliency", model, picture, target), ours)

    def test_saliency_of_saliency(self, pair, explain, model, picture, target):
        gradient = pair.GradientSaliency().GetMask(picture, for_pair(model, target))
        assert_same(np.abs(gradient).max(-1), explain(model, "saliency", target))

    def test_saliency_of_tf_explain(self, tf_explain, explain, model, picture, target):
        # Before it sums the magnitudes over the channels, standardises and casts to uint8.
        from tf_explain.core.vanilla_gradients import VanillaGradients

        theirs = VanillaGradients.compute_gradients(picture[None], model, target).numpy()[0]
        assert_same(np.abs(theirs).max(-1), explain(model, "saliency", target))

    def test_gradient_x_input_of_xplique(self, xplique, explain, model, picture, target):
        ours = explain(model, "gradient-x-input", target)
        summed = xplique_map("GradientInput", model, picture, target, reducer="sum")
        assert_same(summed, ours)
        # As it comes it takes the mean over the channels.
        assert_same(3 * xplique_map("GradientInput", model, picture, target), ours)

    def test_gradient_x_input_of_tf_explain(self, tf_explain, explain, model, picture, target):
        from tf_explain.core.gradients_inputs import GradientsInputs

        theirs = GradientsInputs.compute_gradients(picture[None], model, target).numpy()[0]
        assert_same(theirs.sum(-1), explain(model, "gradient-x-input", target))


# ---------------------------------------------------------------------------------------
# Integrated Gradients, from black


def on_the_path(model, picture, target, steps):
    """Gradients at evenly spaced points, both ends among them."""
    path = np.linspace(0, 1, steps)[:, None, None, None] * picture
    return input_gradients(model, path, target)


def pair_integrated(pair, model, picture, target, steps):
    made = pair.IntegratedGradients()
    maps = made.GetMask(picture, for_pair(model, target), x_steps=steps, batch_size=64)
    return maps.sum(-1)


def xplique_integrated(model, picture, target, steps):
    return xplique_map(
        "IntegratedGradients", model, picture, target, reducer="sum", steps=steps, batch_size=64
    )


@pytest.mark.parametrize("target", TARGETS)
class TestIntegratedGradients:
    def test_xplique_by_trapezoids_comes_to_ours(self, xplique, explain, smooth, picture, target):
        ours = explain(smooth, IntegratedGradients(steps=32), target)
        assert_same(xplique_integrated(smooth, picture, target, 64), ours, 1e-4)
        few = on_the_path(smooth, picture, target, 4)
        trapezoids = (few[1:] + few[:-1]).mean(0) / 2
        assert_same(xplique_integrated(smooth, picture, target, 4), (picture * trapezoids).sum(-1))

    def test_saliency_gives_the_ends_a_whole_weight(self, pair, explain, smooth, picture, target):
        ours = explain(smooth, IntegratedGradients(steps=32), target)
        gradients = on_the_path(smooth, picture, target, 8)
        plain_mean = (picture * gradients.mean(0)).sum(-1)
        assert_same(pair_integrated(pair, smooth, picture, target, 8), plain_mean)
        # So it comes to ours slowly: the error falls with the number of steps, not its square.
        errors = [
            np.abs(pair_integrated(pair, smooth, picture, target, steps) - ours).max()
            for steps in (32, 128)
        ]
        assert 3.5 < errors[0] / errors[1] < 4.5
        assert errors[1] < 1e-2 * np.abs(ours).max()

    def test_tf_explain_does_not_multiply_by_the_picture(
        self, tf_explain, explain, smooth, picture, target
    ):
        from tf_explain.core.integrated_gradients import IntegratedGradients as Theirs

        path = Theirs.generate_interpolations(picture[None], 128).astype("float32")
        theirs = Theirs.get_integrated_gradients(path, smooth, target, 128).numpy()[0]
        gradients = on_the_path(smooth, picture, target, 128)
        assert_same(theirs, gradients.mean(0))
        ours = explain(smooth, IntegratedGradients(steps=32), target)
        assert_differ(theirs.sum(-1), ours, by=0.1)
        assert_same((picture * theirs).sum(-1), ours, 1e-2)

    def test_shap_at_random_points_comes_to_ours(self, shap, explain, smooth, picture, target):
        # Expected Gradients with one background is Integrated Gradients by Monte Carlo.
        made = shap.GradientExplainer(smooth, np.zeros((1, *SHAPE), "float32"))
        samples = 400
        found = made.shap_values(picture[None], nsamples=samples, rseed=1)[0, ..., target]
        gradients = on_the_path(smooth, picture, target, 64)
        spread = (picture * gradients).sum(-1).std(0) / np.sqrt(samples)
        ours = explain(smooth, IntegratedGradients(steps=32), target)
        assert np.abs(found.sum(-1) - ours).max() < 5 * spread.max()
        assert spread.max() < 0.05 * np.abs(ours).max()

    def test_all_are_ours_on_a_linear_model(self, xplique, pair, shap, explain, picture, target):
        linear = build("linear")
        ours = explain(linear, "integrated-gradients", target)
        assert_same(xplique_integrated(linear, picture, target, 4), ours)
        assert_same(pair_integrated(pair, linear, picture, target, 4), ours)
        black = np.zeros((1, *SHAPE), "float32")
        for method in (shap.GradientExplainer, shap.DeepExplainer):
            found = method(linear, black).shap_values(picture[None])[0, ..., target]
            assert_same(found.sum(-1), ours)


def test_expected_gradients_of_shap(shap, explain, smooth, picture, monkeypatch):
    # Given our draws: with no background, plain colours, and places on the way to each.
    samples = 24
    draw = np.random.default_rng(0)
    draw.integers(0, 1, samples)
    colours = draw.integers(0, 256, (samples, 1, 1, 3), np.uint8).astype("float32")
    along = draw.uniform(size=samples)
    ours = explain(smooth, ExpectedGradients(samples=samples), 3)

    def start_again(_):
        picks, places = iter(range(samples)), iter(along)
        monkeypatch.setattr(np.random, "choice", lambda _: next(picks))
        monkeypatch.setattr(np.random, "uniform", lambda: next(places))

    monkeypatch.setattr(np.random, "seed", start_again)
    made = shap.GradientExplainer(smooth, np.broadcast_to(colours, (samples, *SHAPE)).copy())
    theirs = made.shap_values(picture[None], nsamples=samples, rseed=0)[0, ..., 3]
    assert_same(theirs.sum(-1), ours)


# ---------------------------------------------------------------------------------------
# Noise: the peers are given ours

SAMPLES = 8
SIGMA = 0.2


@pytest.fixture(scope="module")
def noise():
    """The draws of our methods with seed 0."""
    return np.random.default_rng(0).standard_normal((SAMPLES, *SHAPE)).astype("float32")


@pytest.fixture
def reach(picture):
    return picture.max() - picture.min()


@pytest.fixture
def noisy(picture, noise, reach):
    return picture + SIGMA * reach * noise


@pytest.fixture
def numpy_draws_ours(monkeypatch, noise):
    """`numpy.random.normal` returns our draws, all at once or one after the other."""
    rest = iter(noise)

    def normal(_, deviation, shape):
        whole = np.prod(shape) == noise.size
        return np.asarray(deviation) * (noise.reshape(shape) if whole else next(rest))

    monkeypatch.setattr(np.random, "normal", normal)


@pytest.fixture
def xplique_draws_ours(monkeypatch, xplique, noise):
    from xplique.attributions.gradient_statistics.gradient_statistic import GradientStatistic

    def perturb(inputs, _, deviation):
        return inputs + deviation * noise

    monkeypatch.setattr(GradientStatistic, "_perturb_samples", staticmethod(perturb))


class TestNoise:
    @pytest.mark.parametrize("target", TARGETS)
    def test_smoothgrad_without_noise(self, vis, xplique, pair, explain, smooth, picture, target):
        ours = explain(smooth, SmoothGrad(sigma=0, samples=3), target)
        assert_same(vis_saliency(smooth, picture, target, smooth_samples=3, smooth_noise=0), ours)
        gradient = xplique_map(
            "SmoothGrad", smooth, picture, target, reducer=None, nb_samples=3, noise=0.0
        )
        assert_same(np.abs(gradient).max(-1), ours)
        gradient = pair.GradientSaliency().GetSmoothedMask(
            picture, for_pair(smooth, target), stdev_spread=0, nsamples=3, magnitude=False
        )
        assert_same(np.abs(gradient).max(-1), ours)

    def test_smoothgrad_of_saliency(self, pair, explain, smooth, picture, numpy_draws_ours):
        theirs = pair.GradientSaliency().GetSmoothedMask(
            picture, for_pair(smooth, 3), stdev_spread=SIGMA, nsamples=SAMPLES, magnitude=False
        )
        ours = explain(smooth, SmoothGrad(sigma=SIGMA, samples=SAMPLES), 3)
        assert_same(np.abs(theirs).max(-1), ours)

    def test_smoothgrad_of_saliency_as_it_comes_is_squaregrad(
        self, pair, explain, smooth, picture, numpy_draws_ours
    ):
        theirs = pair.GradientSaliency().GetSmoothedMask(
            picture, for_pair(smooth, 3), stdev_spread=SIGMA, nsamples=SAMPLES
        )
        ours = explain(smooth, SquareGrad(sigma=SIGMA, samples=SAMPLES), 3)
        assert_same(theirs.max(-1), ours)

    def test_smoothgrad_of_tf_keras_vis_as_it_comes_takes_the_mean_of_magnitudes(
        self, vis, explain, smooth, picture, noisy, numpy_draws_ours
    ):
        options = {"smooth_samples": SAMPLES, "smooth_noise": SIGMA}
        theirs = vis_saliency(smooth, picture, 3, **options)
        ours = explain(smooth, SmoothGrad(sigma=SIGMA, samples=SAMPLES), 3)
        assert_differ(theirs, ours)
        gradients = input_gradients(smooth, noisy, 3)
        assert_same(theirs, np.abs(gradients).mean(0).max(-1))
        # Asked for the gradients themselves it has the same mean as ours.
        theirs = vis_saliency(smooth, picture, 3, gradient_modifier=None, keepdims=True, **options)
        assert_same(np.abs(theirs).max(-1), ours)

    def test_smoothgrad_and_squaregrad_of_xplique(
        self, explain, smooth, picture, reach, xplique_draws_ours
    ):
        # Its noise is absolute, ours is relative to the picture's reach.
        options = {"reducer": None, "nb_samples": SAMPLES, "noise": float(SIGMA * reach)}
        mean = xplique_map("SmoothGrad", smooth, picture, 3, **options)
        ours = explain(smooth, SmoothGrad(sigma=SIGMA, samples=SAMPLES), 3)
        assert_same(np.abs(mean).max(-1), ours)
        squared = xplique_map("SquareGrad", smooth, picture, 3, **options)
        ours = explain(smooth, SquareGrad(sigma=SIGMA, samples=SAMPLES), 3)
        assert_same(squared.max(-1), ours)

    def test_vargrad_of_xplique_divides_by_one_less(
        self, explain, smooth, picture, reach, xplique_draws_ours
    ):
        options = {"reducer": None, "nb_samples": SAMPLES, "noise": float(SIGMA * reach)}
        theirs = xplique_map("VarGrad", smooth, picture, 3, **options).max(-1)
        ours = explain(smooth, VarGrad(sigma=SIGMA, samples=SAMPLES), 3)
        assert_same(theirs * (SAMPLES - 1) / SAMPLES, ours, 1e-4)

    def test_vargrad_of_xplique_cancels(self, xplique, explain, smooth, picture):
        # E[g^2] - E[g]^2 in float32: without noise it is not 0, and a variance below 0.
        options = {"reducer": None, "nb_samples": 3, "noise": 0.0}
        theirs = xplique_map("VarGrad", smooth, picture, 3, **options)
        assert theirs.min() < 0
        ours = explain(smooth, VarGrad(sigma=0, samples=3), 3)
        assert np.abs(ours).max() < 1e-4 * np.abs(theirs).max()

    def test_smoothgrad_of_tf_explain_is_that_of_the_cross_entropy(
        self, tf_explain, explain, picture
    ):
        # -d log p for each input, so it takes probabilities: p times it is that of p.
        from tf_explain.core.smoothgrad import SmoothGrad as Theirs

        probable = build("softplus", last="softmax")
        images = Theirs.generate_noisy_images(picture[None], 3, 0.0)
        theirs = Theirs.get_averaged_gradients(images, probable, 3, 3).numpy()[0]
        probability = probable(picture[None]).numpy()[0, 3]
        of_probability = explain(probable, "saliency", 3, score="probability")
        assert_same(np.abs(probability * theirs).max(-1), of_probability)
        assert_differ(np.abs(theirs).max(-1), explain(probable, "saliency", 3))


# ---------------------------------------------------------------------------------------
# Guided Backpropagation and Deconvnet


def fused(x, channels):
    return layers.Conv2D(channels, 3, activation="relu")(x)


def as_layer(x, channels):
    return layers.ReLU()(layers.Conv2D(channels, 3)(x))


def as_activation_layer(x, channels):
    return layers.Activation("relu")(layers.Conv2D(channels, 3)(x))


def as_operation(x, channels):
    return ops.relu(layers.Conv2D(channels, 3)(x))


def fused_relu6(x, channels):
    return layers.Conv2D(channels, 3, activation="relu6")(x)


def as_relu6_layer(x, channels):
    return layers.ReLU(max_value=6)(layers.Conv2D(channels, 3)(x))


def nested(x, channels):
    inputs = keras.Input(x.shape[1:])
    return keras.Model(inputs, fused(inputs, channels))(x)


def rectified(rectifier):
    keras.utils.set_random_seed(3)
    inputs = keras.Input(SHAPE)
    x = layers.AveragePooling2D(4)(rectifier(rectifier(inputs, 8), 6))
    model = keras.Model(inputs, layers.Dense(4)(layers.Flatten()(x)))
    rng = np.random.default_rng(3)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.weights])
    return model


def vis_guided(model, picture, target):
    from tf_keras_vis.utils.model_modifiers import GuidedBackpropagation

    guided = vis_saliency(
        model,
        picture,
        target,
        modifier=GuidedBackpropagation(),
        gradient_modifier=None,
        keepdims=True,
    )
    return guided.sum(-1)


def plain(model, picture, target):
    return input_gradients(model, picture[None], target)[0].sum(-1)


class TestGuided:
    @pytest.mark.parametrize("rectifier", [fused, as_activation_layer])
    def test_guided_of_tf_keras_vis(self, vis, explain, picture, rectifier):
        model = rectified(rectifier)
        theirs = vis_guided(model, picture, 2)
        assert_same(theirs, explain(model, "guided-backprop", 2))

    @pytest.mark.parametrize(
        "rectifier", [as_layer, as_operation, fused_relu6, as_relu6_layer, nested]
    )
    def test_guided_of_tf_keras_vis_is_the_plain_gradient_elsewhere(
        self, vis, explain, picture, rectifier
    ):
        model = rectified(rectifier)
        theirs = vis_guided(model, picture, 2)
        assert_same(theirs, plain(model, picture, 2))
        assert_differ(theirs, explain(model, "guided-backprop", 2), by=0.1)

    @pytest.mark.parametrize("rectifier", [fused, as_layer, as_activation_layer])
    @pytest.mark.parametrize(
        ("theirs", "ours"), [("GuidedBackprop", "guided-backprop"), ("DeconvNet", "deconvnet")]
    )
    def test_xplique(self, xplique, explain, picture, rectifier, theirs, ours):
        model = rectified(rectifier)
        found = xplique_map(theirs, model, picture, 2, classes=4, reducer="sum")
        assert_same(found, explain(model, ours, 2))

    @pytest.mark.parametrize("rectifier", [as_operation, fused_relu6, nested])
    @pytest.mark.parametrize(
        ("theirs", "ours"), [("GuidedBackprop", "guided-backprop"), ("DeconvNet", "deconvnet")]
    )
    def test_xplique_is_the_plain_gradient_elsewhere(
        self, xplique, explain, picture, rectifier, theirs, ours
    ):
        model = rectified(rectifier)
        found = xplique_map(theirs, model, picture, 2, classes=4, reducer="sum")
        assert_same(found, plain(model, picture, 2))
        assert_differ(found, explain(model, ours, 2), by=0.1)

    def test_guided_of_xplique_leaves_relu6_open_above_six(self, xplique, registry):
        # x = 7, -1, 3 through ReLU6, then S = y_0 + y_1 + y_2: closed, closed, open.
        inputs = keras.Input((1, 3, 1))
        x = layers.Flatten()(layers.ReLU(max_value=6)(inputs))
        model = keras.Model(inputs, layers.Dense(2, kernel_initializer="ones")(x))
        values = np.asarray([[7, -1, 3]], "float32")
        found = xplique_map("GuidedBackprop", model, values[..., None], 0, classes=2)
        np.testing.assert_array_equal(found, [[1, 0, 1]])
        study = Study(model, registry=registry, preprocess=lambda _: values[None, ..., None])
        ours = study.explain(np.zeros((1, 3)), "guided-backprop", target=0).map
        np.testing.assert_array_equal(ours, [[0, 0, 1]])
        np.testing.assert_array_equal(ours, plain(model, values[..., None], 0))


# ---------------------------------------------------------------------------------------
# Perturbation


def covering(size, window, stride):
    """How many windows that fit lie over each place, (H, W)."""
    coverage = np.zeros(size)
    for row in range(0, size[0] - window + 1, stride):
        for column in range(0, size[1] - window + 1, stride):
            coverage[row : row + window, column : column + window] += 1
    return coverage


def xplique_occlusion(model, picture, target, window, stride):
    options = {"patch_size": window, "patch_stride": stride, "occlusion_value": 0.0}
    return xplique_map("Occlusion", model, picture, target, **options)


@pytest.mark.parametrize("target", TARGETS)
class TestOcclusion:
    def test_xplique_sums_whole_drops(self, xplique, explain, model, picture, target):
        # Ours spreads a drop over its window, and takes the mean over the windows at a place.
        for stride in (8, 4):
            theirs = xplique_occlusion(model, picture, target, 8, stride)
            ours = explain(model, Occlusion(window=8, stride=stride), target)
            assert_same(theirs / 8**2 / covering(SIZE, 8, stride), ours)

    def test_xplique_leaves_the_edge_out(self, xplique, explain, model, picture, target):
        # Windows of 8 every 5: the last that fits ends at row 23 of 24 and column 28 of 32.
        theirs = xplique_occlusion(model, picture, target, 8, 5)
        assert not theirs[23:].any()
        assert not theirs[:, 28:].any()
        ours = explain(model, Occlusion(window=8, stride=5), target)
        assert ours[23:].all()
        assert ours[:, 28:].all()
        inside = np.s_[:16, :20]  # what no window of ours against an edge reaches
        assert_same((theirs / 8**2)[inside] / covering(SIZE, 8, 5)[inside], ours[inside])

    def test_saliency_sums_whole_drops(self, pair, explain, model, picture, target):
        theirs = pair.Occlusion().GetMask(picture, for_pair(model, target), size=20)
        np.testing.assert_array_equal(theirs, theirs[..., :1].repeat(3, -1))
        ours = explain(model, Occlusion(window=20, stride=1), target)
        assert_same(theirs[..., 0] / 20**2 / covering(SIZE, 20, 1), ours)

    def test_tf_explain_takes_one_less_the_score(self, tf_explain, registry, monkeypatch, target):
        # And covers with 127.5 whatever the model is fed: a preprocessing makes that our black.
        from tf_explain.core.occlusion_sensitivity import OcclusionSensitivity

        small = build(size=(12, 12))
        picture = np.random.default_rng(4).uniform(0, 100, (12, 12, 3)).astype("float32")
        study = Study(small, registry=registry, preprocess=lambda images: images + 127.5)
        one = study.explain(picture, Occlusion(window=1, stride=1), target=target)
        monkeypatch.setattr(small, "predict", lambda images, **_: small(images).numpy())
        theirs = OcclusionSensitivity().get_sensitivity_map(small, picture + 127.5, target, 1)
        assert_same(theirs - (1 - one.score), one.map, 1e-4)

    def test_tf_explain_turns_pictures_that_are_not_square(
        self, tf_explain, model, picture, monkeypatch, target
    ):
        from tf_explain.core.occlusion_sensitivity import OcclusionSensitivity

        monkeypatch.setattr(model, "predict", lambda images, **_: model(images).numpy())
        theirs = OcclusionSensitivity().get_sensitivity_map(model, picture, target, 8)
        assert theirs.shape == SIZE[::-1]


class Recorder(layers.Layer):
    """Keeps what passes through it."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def call(self, inputs):
        import tensorflow as tf

        def keep(batch):
            self.seen.append(batch)
            return batch

        return tf.ensure_shape(tf.numpy_function(keep, [inputs], inputs.dtype), inputs.shape)


def asked_of(model, explain, method, target):
    """What a method asks the model about, (M, H, W, C), and our map."""
    recorder = Recorder()
    inputs = keras.Input(SHAPE)
    ours = explain(keras.Model(inputs, model(recorder(inputs))), method, target)
    return np.concatenate(recorder.seen), ours


def is_a_mask(asked, picture):
    """Neither the picture, nor what fills a batch up."""
    whole = (asked == picture).all((1, 2, 3))
    return ~whole & asked.any((1, 2, 3))


class TestRise:
    def test_xplique_divides_by_what_the_masks_sum_to(
        self, xplique, explain, model, picture, monkeypatch
    ):
        # Given our masks. Ours divides by what that is on average, as in the paper.
        import tensorflow as tf

        asked, ours = asked_of(model, explain, RISE(masks=64), 3)
        asked = asked[is_a_mask(asked, picture)]
        masks = (asked / picture).mean(-1, keepdims=True)
        assert masks.shape == (64, *SIZE, 1)
        scores = model(asked).numpy()[:, 3, None, None]
        assert_same((scores * masks[..., 0]).sum(0) / (64 * 0.5), ours)

        def ours_instead(*_):
            return tf.constant(asked), tf.constant(masks)

        monkeypatch.setattr(xplique.Rise, "_apply_masks", staticmethod(ours_instead))
        theirs = xplique_map("Rise", model, picture, 3, nb_samples=64, batch_size=64)
        assert_differ(theirs, ours, by=0.01)
        assert_same(theirs * masks[..., 0].sum(0) / (64 * 0.5), ours, 1e-4)

    def test_xplique_shifts_the_masks_of_a_batch_together(self, xplique, picture):
        import tensorflow as tf

        grid = np.random.default_rng(0).random((1, 7, 7, 1)) < 0.5
        equal = tf.constant(grid.repeat(16, 0))
        _, masks = xplique.Rise._apply_masks(tf.constant(picture), equal, 0.0)
        np.testing.assert_array_equal(masks, masks[:1].numpy().repeat(16, 0))


def segments_of(ours):
    """Labels (H, W) of what has one value in our map."""
    return np.unique(ours, return_inverse=True)[1].reshape(ours.shape)


def a_pixel_of_each(labels):
    return np.unique(labels, return_index=True)[1]


class TestLime:
    WIDTH = 0.3
    SAMPLES = 128  # whole batches: what is asked last is all of it, and no more

    @pytest.fixture
    def ours(self, explain, model, picture):
        """Our map, its segments, the coalitions (n, S) asked about, and their logits."""
        method = LIME(samples=self.SAMPLES, segments=30, baseline="black", width=self.WIDTH)
        asked, ours = asked_of(model, explain, method, 3)
        asked = asked[-self.SAMPLES :]
        labels = segments_of(ours)
        shown = (asked / picture).mean(-1).reshape(self.SAMPLES, -1)[:, a_pixel_of_each(labels)]
        np.testing.assert_allclose(shown[:, labels][..., None] * picture, asked, atol=1e-6)
        return ours, labels, shown.round(), model(asked).numpy()

    def by_lime(self, lime, monkeypatch, picture, ours, **options):
        _, labels, shown, logits = ours
        made = lime.LimeImageExplainer(**options)
        monkeypatch.setattr(made, "data_labels", lambda *_, **__: (shown, logits))
        monkeypatch.setattr(
            lime.sklearn.metrics, "pairwise_distances", from_all(lime.sklearn.metrics)
        )
        found = made.explain_instance(
            picture, None, labels=(3,), top_labels=None, segmentation_fn=lambda _: labels
        )
        return np.vectorize(dict(found.local_exp[3]).get)(labels)

    def test_lime_takes_the_root_of_the_kernel(self, lime, monkeypatch, picture, ours):
        # exp(-(d / w)^2 / 2) where the paper has exp(-(d / w)^2): its width is ours over root 2.
        width = self.WIDTH / np.sqrt(2)
        assert_same(
            self.by_lime(lime, monkeypatch, picture, ours, kernel_width=width), ours[0], 1e-4
        )
        same_width = self.by_lime(lime, monkeypatch, picture, ours, kernel_width=self.WIDTH)
        assert_differ(same_width, ours[0], by=0.01)

    def test_lime_shows_each_superpixel_by_a_coin(self, lime, picture):
        # The paper draws how many are shown, all numbers as likely; so do we.
        labels = np.arange(SIZE[0])[:, None].repeat(SIZE[1], 1)
        made = lime.LimeImageExplainer(random_state=0)
        shown, _ = made.data_labels(
            picture, 0 * picture, labels, lambda batch: np.zeros((len(batch), 1)), 200, 50
        )
        assert shown[0].all()
        assert 0.45 < shown[1:].mean() < 0.55
        assert shown[1:].mean(1).std() < 0.15  # a uniform share has 0.29

    def test_xplique(self, xplique, model, picture, ours):
        # Given our samples, kernel and penalty; its own are a coin for each superpixel, a
        # kernel of the Euclidean distance between pictures, and a penalty of 2.
        import tensorflow as tf
        from sklearn.linear_model import Ridge

        expected, labels, shown, _ = ours
        distance = 1 - np.sqrt(shown.mean(1))
        proximity = np.exp(-((distance / self.WIDTH) ** 2))
        found = xplique_map(
            "Lime",
            model,
            picture,
            3,
            interpretable_model=Ridge(alpha=1),
            similarity_kernel=lambda *_: tf.constant(proximity),
            pertub_func=lambda *_: tf.constant(shown, tf.int32),
            map_to_interpret_space=lambda _: tf.constant(labels, tf.int32),
            ref_value=np.zeros(3),
            nb_samples=self.SAMPLES,
        )
        assert_same(found, expected, 1e-4)

    def test_the_cosine_of_xplique_has_its_sign_turned(self, xplique, picture):
        # Keras' cosine_similarity is a loss, -cos: a picture is at distance 2 from itself.
        import tensorflow as tf

        kernel = xplique.Lime._get_exp_kernel_func("cosine", 1.0)
        same = kernel(tf.constant(picture), tf.ones((1, 2), tf.int32), picture[None]).numpy()
        np.testing.assert_allclose(same, np.exp(-4), rtol=1e-5)


def from_all(metrics):
    """Distances from the coalition of all, where Lime takes those from its first sample."""
    distances = metrics.pairwise_distances

    def to_all(shown, _, metric):
        return distances(shown, np.ones((1, shown.shape[1])), metric=metric)

    return to_all


class TestKernelShap:
    @pytest.mark.parametrize("target", TARGETS)
    def test_shap(self, shap, explain, model, picture, target):
        ours = explain(model, KernelSHAP(segments=12, samples=2**12), target)
        labels = segments_of(ours)
        players = labels.max() + 1
        assert 3 < players <= 12  # both ask about every coalition

        def scores(coalitions):
            shown = coalitions[:, labels][..., None] * picture
            return model(shown.astype("float32")).numpy()[:, target]

        made = shap.KernelExplainer(scores, np.zeros((1, players)))
        every = {"nsamples": 2**players, "silent": True}
        found = made.shap_values(np.ones((1, players)), l1_reg=False, **every)[0]
        assert_same(found[labels], ours, 1e-4)
        # As it comes it keeps ten superpixels, and the others are 0.
        found = made.shap_values(np.ones((1, players)), **every)[0]
        assert np.count_nonzero(found) == 10 < players

    @pytest.mark.parametrize("target", TARGETS)
    def test_xplique_does_not_hold_the_values_to_their_sum(
        self, xplique, explain, model, picture, target
    ):
        # Given every coalition, by the weight with which it draws it.
        import tensorflow as tf

        ours = explain(model, KernelSHAP(segments=12, samples=2**12), target)
        labels = segments_of(ours)
        players = labels.max() + 1
        shown = np.arange(1, 2**players - 1)[:, None] >> np.arange(players) & 1
        sizes = shown.sum(1)
        weights = 1 / (scipy.special.comb(players, sizes) * sizes * (players - sizes))

        made = xplique.KernelShap(
            model,
            map_to_interpret_space=lambda _: tf.constant(labels, tf.int32),
            ref_value=np.zeros(3),
            nb_samples=len(shown),
            batch_size=len(shown),
        )
        made.pertub_func = lambda *_: tf.constant(shown, tf.int32)
        made.similarity_kernel = lambda *_: tf.constant(weights)
        found = made(picture[None], one_hot(target)).numpy()[0, ..., 0]

        pixels = a_pixel_of_each(labels)
        theirs, expected = found.ravel()[pixels], ours.ravel()[pixels]
        whole, black = model(np.stack([picture, 0 * picture])).numpy()[:, target]
        assert expected.sum() == pytest.approx(whole - black, abs=1e-5)
        assert abs(theirs.sum() - (whole - black)) > 1e-3 * np.abs(expected).max()
        # That is all: each superpixel has the same share of what is missing.
        assert_same(theirs - theirs.mean(), expected - expected.mean(), 1e-4)


# ---------------------------------------------------------------------------------------
# What a peer leaves behind


def test_guided_after_xplique_has_hooked_the_layers(xplique, explain, model, picture):
    # Xplique's Grad-CAM leaves `call` in the attributes of every layer that it was asked for.
    before = explain(model, "guided-backprop", 0)
    for layer in LAYERS:
        xplique_cam("grad-cam", model, layer, picture, 0)
        assert "call" in vars(model.get_layer(layer))
    assert_same(explain(model, "guided-backprop", 0), before)
