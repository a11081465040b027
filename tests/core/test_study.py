"""Studies: targets, scores, preparation, queries, failures, warnings, provenance, threads."""

import gc
import json
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from types import SimpleNamespace
from typing import ClassVar

import keras
import numpy as np
import pytest
from keras import layers, ops
from plain import array as numpy
from plain import gradient

from xai_core import Explainer, ModelAdapter, Needs, Registry, Study, hookimpl
from xai_core.errors import (
    ExplainerError,
    LabelsError,
    SurgeryError,
    TargetError,
    UnknownNameError,
    UsageError,
)
from xai_core.planner import describe_explainer
from xai_core.preprocessing import SCHEMES
from xai_core.probe import AT_INPUT, Probe
from xai_core.registry import Plugin, Source
from xai_core.surgery import deepest_per_resolution
from xai_core.types import Explanation, Failure

SIZE = (8, 11)
METHODS = ("grad-cam", "grad-cam++", "saliency")


def classifier(
    units=4, activation="softmax", dtype="float32", channels=3, size=SIZE, seed=25, inside="relu"
):
    """Two convolutions and a dense layer, with weights that leave nothing dead."""
    inputs = keras.Input((*size, channels), dtype=dtype)
    x = layers.Conv2D(5, 3, activation=inside, dtype=dtype)(inputs)
    x = layers.Conv2D(6, 3, strides=2, activation=inside, name="at", dtype=dtype)(x)
    pool = layers.GlobalAveragePooling2D if None in size else layers.Flatten
    x = pool(dtype=dtype)(x)
    outputs = layers.Dense(units, activation, name="dense", dtype=dtype)(x)
    model = keras.Model(inputs, outputs, name="small")
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        fan_in = np.prod(weight.shape[:-1]) if len(weight.shape) > 1 else 20
        weight.assign(rng.normal(size=weight.shape) * np.sqrt(2 / fan_in))
    return model


def draw(seed=0, size=SIZE, channels=3):
    """Noise, lit from a side of its own."""
    rng = np.random.default_rng(seed)
    light = np.outer(rng.uniform(0, 1, size[0]), rng.uniform(0, 1, size[1])) ** 0.5
    noise = rng.uniform(0, 256, (*size, channels)) * light[..., None]
    return noise.astype(np.uint8) if channels == 3 else noise[..., 0].astype(np.uint8)


def batch_of(picture, dtype="float32"):
    """What a model that is fed RGB 0..1 gets."""
    images = picture[None] if picture.ndim == 3 else picture[None, ..., None]
    return images.astype(dtype) / np.asarray(255, dtype)


def taped(model, images, target, score="logit"):
    """Activations, their gradients and the gradients of the input, by the backend's own tools.

    `classifier` ends in one dense layer, whose activation is done here by hand.
    """
    dense, at = model.get_layer("dense"), model.get_layer("at").output
    activations = numpy(keras.Model(model.input, at)(images, training=False))

    def score_behind(start):
        until = keras.Model(start, dense.input)

        def total(given):
            features = until(given, training=False)
            scores = ops.matmul(features, dense.kernel.value) + dense.bias.value
            if score == "probability":
                scores = getattr(ops, dense.activation.__name__)(scores)
            return ops.sum(scores[:, target])

        return total

    by_activations = gradient(score_behind(at), activations)
    return activations, by_activations, gradient(score_behind(model.input), images)


def expected_maps(model, images, target, score="logit"):
    """The three built-in methods, by their formulas, in NumPy."""
    a, g, dx = (each[0] for each in taped(model, images, target, score))
    with np.errstate(divide="ignore", invalid="ignore"):
        alpha = np.where(g == 0, 0, g**2 / (2 * g**2 + a.sum(axis=(0, 1)) * g**3))
    return {
        "grad-cam": np.maximum((g.mean(axis=(0, 1)) * a).sum(axis=-1), 0),
        "grad-cam++": np.maximum((a * (alpha * np.maximum(g, 0)).sum(axis=(0, 1))).sum(-1), 0),
        "saliency": np.abs(dx).max(axis=-1),
    }


def assert_close(found, expected, tolerance):
    """Within a tolerance relative to the largest value, which is not 0."""
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def kinds(explanation):
    return [warning.kind for warning in explanation.warnings]


@pytest.fixture
def study(registry):
    return Study(classifier(), preprocess="unit", registry=registry)


# --- targets and scores


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-6)])
@pytest.mark.parametrize("channels", [1, 3])
def test_maps_are_those_of_a_plain_tape(registry, dtype, tolerance, channels):
    model = classifier(dtype=dtype, channels=channels)
    study = Study(model, preprocess="unit", registry=registry)
    picture = draw(1, channels=channels)
    comparison = study.compare(picture, METHODS, [0, 1, 2, 3])
    for target in range(4):
        expected = expected_maps(model, batch_of(picture, dtype), target)
        for method in METHODS:
            found = comparison[method, target]
            assert found.map.dtype == dtype
            assert_close(found.map, expected[method], tolerance)
    assert comparison["saliency", 0].map.shape == SIZE
    assert comparison["grad-cam", 0].map.shape == (2, 4)


def test_the_predicted_class_is_explained_by_default(study):
    for seed in range(8):
        picture = draw(seed)
        outputs = numpy(study.model(batch_of(picture)))[0]
        found = study.explain(picture)
        assert found.target.index == outputs.argmax()
        assert found.target.asked == "predicted"
        assert found.probability == pytest.approx(outputs.max(), rel=1e-5)
        chosen = study.explain(picture, target=int(outputs.argmax()))
        np.testing.assert_allclose(found.map, chosen.map, rtol=1e-6)
        assert chosen.target.asked == str(outputs.argmax())


def test_the_pictures_above_are_not_all_of_one_class(study):
    assert len({study.explain(draw(seed)).target.index for seed in range(8)}) > 1


def test_the_score_is_the_logit(study):
    picture = draw(2)
    dense = study.model.get_layer("dense")
    features = keras.Model(study.model.input, dense.input)(batch_of(picture))
    logits = numpy(features @ dense.kernel + dense.bias)[0]
    for target in range(4):
        found = study.explain(picture, target=target)
        assert found.score_kind == "logit"
        assert found.score == pytest.approx(logits[target], rel=1e-5, abs=1e-6)
    prediction = study.predict(picture, top=9)
    assert [each.index for each in prediction.classes] == list(np.argsort(-logits))
    np.testing.assert_allclose(
        [each.logit for each in prediction.classes], np.sort(logits)[::-1], rtol=1e-5, atol=1e-6
    )


def test_several_targets_share_a_pass_and_change_nothing(study):
    picture = draw(3)
    together = study.compare(picture, METHODS, [2, 0, None, 3])
    assert len(together) == 12
    for target in (2, 0, 3):
        for method in METHODS:
            # The predicted class may be among them: take the cell asked for by its index.
            (cell,) = together.select(method=method, target=str(target)).cells
            alone = study.explain(picture, method, target=target)
            assert (cell.score, cell.probability) == pytest.approx((alone.score, alone.probability))
            assert_close(cell.map, alone.map, 1e-6)


def test_the_order_is_that_of_the_targets_then_the_methods(study):
    cells = study.compare(draw(3), ["saliency", "grad-cam"], [2, 0]).cells
    assert [(cell.target.index, cell.method.name) for cell in cells] == [
        (2, "saliency"), (2, "grad-cam"), (0, "saliency"), (0, "grad-cam"),
    ]  # fmt: skip


def test_the_classes_of_highest_score(study):
    picture = draw(4)
    order = np.argsort(-numpy(study.model(batch_of(picture)))[0])
    comparison = study.compare(picture, "saliency", top=3)
    assert [cell.target.index for cell in comparison] == list(order[:3])
    assert [cell.target.asked for cell in comparison] == ["rank 1", "rank 2", "rank 3"]
    for cell in comparison:
        alone = study.explain(picture, "saliency", target=cell.target.index)
        assert_close(cell.map, alone.map, 1e-6)


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (4, "received class 4; expected 0 to 3, for the model has 4 classes"),
        (-1, "received class -1; expected 0 to 3, for the model has 4 classes"),
        ("cat", "received class 'cat', and the model's classes have no names; expected an index"),
    ],
)
def test_a_class_that_the_model_does_not_have(study, target, text):
    with pytest.raises(TargetError) as caught:
        study.explain(draw(), target=target)
    assert str(caught.value).startswith(text)


def test_more_classes_than_there_are(study):
    with pytest.raises(TargetError, match="received top 5; expected 1 to 4, the model's classes"):
        study.compare(draw(), top=5)


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_one_unit_explains_class_1_by_its_logit_and_class_0_by_the_negative(registry, activation):
    model = classifier(1, activation, "float64", seed=21)
    study = Study(model, preprocess="unit", registry=registry)
    picture = draw(5)
    images = batch_of(picture, "float64")
    one = expected_maps(model, images, 0)
    z = study.explain(picture, target=1).score
    dense = model.get_layer("dense")
    dense.set_weights([-weight for weight in dense.get_weights()])
    zero = expected_maps(model, images, 0)  # of -z
    dense.set_weights([-weight for weight in dense.get_weights()])
    comparison = study.compare(picture, METHODS, [0, 1])
    for method in METHODS:
        assert_close(comparison[method, 1].map, one[method], 1e-12)
        assert_close(comparison[method, 0].map, zero[method], 1e-12)
    assert np.abs(one["grad-cam"] - zero["grad-cam"]).max() > 0.1 * one["grad-cam"].max()
    assert comparison["saliency", 0].score == -z
    assert comparison["saliency", 0].probability == pytest.approx(1 / (1 + np.exp(z)), rel=1e-12)
    assert comparison["saliency", 1].probability == pytest.approx(1 / (1 + np.exp(-z)), rel=1e-12)
    assert study.explain(picture).target.index == int(z > 0)


def test_the_probability_of_a_sigmoid_scales_the_gradient_by_p_1_minus_p(registry):
    model = classifier(3, "sigmoid", "float64", seed=23)
    picture = draw(6)
    by_logit = Study(model, preprocess="unit", registry=registry)
    by_probability = Study(model, preprocess="unit", score="probability", registry=registry)
    outputs = numpy(model(batch_of(picture, "float64")))[0]
    for target, p in enumerate(outputs):
        assert 0.01 < p < 0.99
        for method in ("saliency", "grad-cam"):  # both are linear in the gradient
            logit = by_logit.explain(picture, method, target=target)
            probability = by_probability.explain(picture, method, target=target)
            assert probability.score_kind == "probability"
            assert probability.score == probability.probability == pytest.approx(p, rel=1e-12)
            np.testing.assert_allclose(probability.map, p * (1 - p) * logit.map, rtol=1e-11)


def test_the_probability_of_a_softmax_has_the_gradient_of_a_softmax(registry):
    model = classifier(dtype="float64")
    study = Study(model, preprocess="unit", score="probability", registry=registry)
    picture = draw(7)
    comparison = study.compare(picture, METHODS, [0, 1, 2, 3])
    alive = 0
    for target in range(4):
        expected = expected_maps(model, batch_of(picture, "float64"), target, "probability")
        for method in METHODS:
            found = comparison[method, target].map
            alive += expected[method].any()
            np.testing.assert_allclose(
                found, expected[method], rtol=0, atol=1e-11 * expected[method].max()
            )
    assert alive >= 8


def test_a_layer_of_a_nested_backbone_is_explained_as_in_the_flat_model(registry):
    flat = classifier(dtype="float64")
    backbone = keras.Model(flat.input, flat.get_layer("at").output, name="backbone")
    inputs = keras.Input((*SIZE, 3), dtype="float64")
    x = layers.Flatten(dtype="float64")(backbone(inputs))
    nested = keras.Model(inputs, flat.get_layer("dense")(x))
    study = Study(nested, preprocess="unit", registry=registry)
    assert study.layer == "backbone/at"
    picture = draw(5)
    comparison = study.compare(picture, METHODS, [0, 1, 2, 3])
    for target in range(4):
        expected = expected_maps(flat, batch_of(picture, "float64"), target)
        for method in METHODS:
            assert_close(comparison[method, target].map, expected[method], 1e-12)


def test_a_score_that_does_not_exist(registry):
    with pytest.raises(UsageError, match="received score 'loss'; expected 'logit' or 'probabilit"):
        Study(classifier(), score="loss", registry=registry)


# --- batches, threads, weights


def reading_of(study, images, wanted, needs):
    layer = study.graph.step(study.layer)
    return Probe(study._readout, [layer], needs, "logit")(images, wanted)


def test_a_map_does_not_depend_on_its_batch_neighbours(registry):
    study = Study(classifier(dtype="float64"), preprocess="unit", registry=registry)
    needs = Needs.ACTIVATIONS | Needs.ACTIVATION_GRADIENTS | Needs.INPUT_GRADIENTS
    images = np.concatenate([batch_of(draw(seed), "float64") for seed in range(5)])
    wanted = np.array([[-1, 2], [0, -2], [3, 3], [-4, 1], [-1, -1]], np.int32)
    together = reading_of(study, images, wanted, needs)
    assert set(together.per_target[0]) == {
        (Needs.ACTIVATION_GRADIENTS, "at"),
        (Needs.INPUT_GRADIENTS, AT_INPUT),
    }
    for number in range(5):
        one = slice(number, number + 1)
        alone = reading_of(study, images[one], wanted[one], needs)
        np.testing.assert_array_equal(numpy(alone.targets), numpy(together.targets)[one])
        np.testing.assert_allclose(numpy(alone.score), numpy(together.score)[one], rtol=1e-12)
        for column in range(2):
            for key, value in alone.per_target[column].items():
                assert_close(numpy(together.per_target[column][key])[one], numpy(value), 1e-12)
        for key, value in alone.shared.items():
            assert_close(numpy(together.shared[key])[one], numpy(value), 1e-12)


def test_ranks_and_indices_are_resolved_for_each_picture(study):
    images = np.concatenate([batch_of(draw(seed)) for seed in range(5)])
    order = np.argsort(-numpy(study.model(images)), axis=1)
    wanted = np.array([[-1, 2, -3]] * 5, np.int32)
    found = numpy(reading_of(study, images, wanted, Needs.NOTHING).targets)
    np.testing.assert_array_equal(found, np.stack([order[:, 0], np.full(5, 2), order[:, 2]], 1))


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_pictures_in_batches_get_the_maps_they_get_alone(registry, batch):
    # Five pictures in batches of two: the last one is filled up.
    study = Study(classifier(dtype="float64"), preprocess="unit", registry=registry)
    pictures = [draw(seed) for seed in range(5)]
    comparison = study.compare(pictures, METHODS, batch=batch)
    cells = iter(comparison.cells)
    for picture in pictures:
        for method in METHODS:
            cell, alone = next(cells), study.explain(picture, method)
            assert cell.picture.sha256 == alone.picture.sha256
            assert (cell.method.name, cell.target) == (method, alone.target)
            assert_close(cell.map, alone.map, 1e-12)
    assert len(comparison.predictions) == 5


def test_threads_share_a_study(registry):
    model = classifier()
    pictures = [draw(seed) for seed in range(4)]
    jobs = [(picture, method) for picture in pictures for method in ("grad-cam", "saliency")]
    single = Study(model, preprocess="unit", registry=registry)
    expected = [single.explain(picture, method).map for picture, method in jobs]
    shared = Study(model, preprocess="unit", registry=registry)  # nothing is compiled yet
    barrier = threading.Barrier(2)

    def work(order):
        barrier.wait(timeout=60)
        return [(job, shared.explain(*jobs[job]).map) for job in order]

    with ThreadPoolExecutor(2) as pool:
        results = pool.map(work, [range(8), reversed(range(8))])
        found = [pair for each in results for pair in each]
    assert len(found) == 16
    for job, result in found:
        np.testing.assert_array_equal(result, expected[job])


def test_weights_that_are_trained_further_change_the_map(study):
    picture = draw(8)
    model = study.model
    before = study.explain(picture, "saliency", target=1).map
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(batch_of(picture), np.array([2]), verbose=0)
    after = study.explain(picture, "saliency", target=1).map
    assert np.abs(after - before).max() > 1e-3 * before.max()
    assert_close(after, expected_maps(model, batch_of(picture), 1)["saliency"], 1e-6)


def test_a_map_cannot_be_written_to(study):
    found = study.explain(draw())
    with pytest.raises(ValueError, match="read-only"):
        found.map[0, 0] = 1


# --- precision


def half_precision(kernel):
    """y = conv(x) = kernel x, then the mean, then kernel: dy/dx = kernel^2 / places."""
    inputs = keras.Input((2, 4, 1))
    options = {"use_bias": False, "kernel_initializer": keras.initializers.Constant(kernel)}
    x = layers.Conv2D(1, 1, dtype="mixed_float16", name="at", **options)(inputs)
    x = layers.GlobalAveragePooling2D(dtype="mixed_float16")(x)
    return keras.Model(inputs, layers.Dense(2, dtype="mixed_float16", **options)(x))


def test_small_gradients_survive_half_precision(registry):
    # 2^-24 is the smallest number above 0 in float16, and the gradient is 2^-29.
    study = Study(half_precision(2.0**-13), preprocess="unit", registry=registry)
    found = study.explain(draw(size=(2, 4), channels=1), "saliency", target=0)
    assert found.map.dtype == np.float32
    np.testing.assert_array_equal(found.map, np.full((2, 4), 2.0**-29, np.float32))
    assert kinds(found) == ["uniform"]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_gives_maps_near_those_of_float32(registry, policy):
    full = classifier(inside="softplus")  # a ReLU would flip here and there under rounding
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        half = classifier(dtype=None, inside="softplus")
    finally:
        keras.config.set_dtype_policy(before)
    assert half.get_layer("at").compute_dtype == policy.removeprefix("mixed_")
    picture = draw(9)
    unit = 2.0 ** {"mixed_float16": -11, "mixed_bfloat16": -8}[policy]
    for method in ("grad-cam", "saliency"):
        maps = [
            Study(model, preprocess="unit", registry=registry).explain(picture, method, target=0)
            for model in (full, half)
        ]
        assert maps[1].map.dtype == np.float32
        # Some ten roundings follow each other.
        assert_close(maps[1].map, maps[0].map, 10 * unit)


def test_a_model_of_whole_numbers_is_explained_all_the_same(registry):
    def build(dtype):
        inputs = keras.Input((*SIZE, 3), dtype=dtype)
        x = layers.Rescaling(1 / 255)(inputs)
        x = layers.Conv2D(4, 3, activation="relu", kernel_initializer=glorot(1))(x)
        x = layers.GlobalAveragePooling2D()(x)
        return keras.Model(inputs, layers.Dense(3, kernel_initializer=glorot(2))(x))

    glorot = keras.initializers.GlorotUniform
    picture = draw(10)
    whole, real = (Study(build(dtype), registry=registry) for dtype in ("uint8", "float32"))
    for method in METHODS:
        expected = real.explain(picture, method, target=1)
        np.testing.assert_array_equal(whole.explain(picture, method, target=1).map, expected.map)
        assert whole.explain(picture, method, target=1).score == expected.score
    assert whole.explain(picture, "saliency", target=1).map.max() > 0


# --- preparation


@dataclass(frozen=True)
class Inputs(Explainer):
    """Shows what the model was fed: one channel of it."""

    name: ClassVar[str] = "inputs"
    needs: ClassVar[Needs] = Needs.NOTHING
    signed: ClassVar[bool] = True
    channel: int = 0

    def explain(self, evidence):
        return evidence.inputs[..., self.channel]


def fed(study, picture):
    return np.stack([study.explain(picture, Inputs(channel), target=0).map for channel in range(3)])


@dataclass(frozen=True)
class Acme(ModelAdapter):
    """A family of small models, for tests."""

    name: str = "acme"
    summary: str = "small models"
    rank: int = 5
    input_size: tuple | None = (9, 14)
    preprocessing: object = SCHEMES["caffe"]
    fit: str = "stretch"

    def build(self, weights):
        assert weights in ("imagenet", "random")
        return classifier()

    def matches(self, graph):
        return graph.name == "small"

    def feature_layers(self, graph):
        from xai_core import FeatureLayer

        return [FeatureLayer(path, 2) for path in deepest_per_resolution(graph)[:1]]

    def labels(self, classes):
        return ["ant", "bee", "cat", "dog"] if classes == 4 else None


class AcmeHooks:
    @hookimpl
    def xai_adapters(self):
        return [Acme()]

    @hookimpl
    def xai_explainers(self):
        return [Inputs()]


@pytest.fixture
def acme():
    """A registry of one family, from a distribution of its own, and the built-in plugins."""
    import xai_plugins

    return Registry(
        [
            Plugin(Source("xai-core", "0"), xai_plugins),
            Plugin(Source("acme-models", "1.2"), AcmeHooks()),
        ]
    )


def test_the_familys_preprocessing_labels_and_layer_are_used(acme):
    study = Study(classifier(), registry=acme)
    picture = draw(11)
    mean = np.array([103.939, 116.779, 123.68])
    expected = np.moveaxis(picture[..., ::-1] - mean, -1, 0)
    np.testing.assert_allclose(fed(study, picture), expected, rtol=1e-6, atol=1e-5)
    found = study.explain(picture, target="cat")
    assert (found.target.index, found.target.label, str(found.target)) == (2, "cat", "2 cat")
    assert kinds(found) == []
    assert found.layer == "conv2d" or found.layer.startswith("conv2d_")
    assert found.provenance["adapter"] == "acme"
    assert found.provenance["preprocessing"] == "caffe"
    assert found.provenance["preprocessing_reason"] == "that of the family acme"


def test_a_family_that_does_not_recognise_the_model(registry):
    with pytest.raises(UsageError) as caught:
        Study(classifier(), adapter="vgg16", registry=registry)
    assert str(caught.value) == (
        "adapter 'vgg16' does not recognise 'small'; expected a model of its family. Leave the "
        "adapter out to have the family found by structure."
    )
    with pytest.raises(UnknownNameError, match="no adapter is called 'vgg61'; near it: vgg16"):
        Study(classifier(), adapter="vgg61", registry=registry)


def test_a_guess_is_a_guess_and_said(registry):
    study = Study(classifier(), registry=registry)
    picture = draw(12)
    np.testing.assert_allclose(fed(study, picture), np.moveaxis(picture / 255, -1, 0), rtol=1e-6)
    found = study.explain(picture, "saliency")
    assert [str(warning) for warning in found.warnings] == [
        "guessed-preprocessing: the model does not say how it wants its input; unit (RGB 0..1) is "
        "a guess. Say it with preprocess (--preprocess)."
    ]
    assert found.provenance["preprocessing_reason"] == "a guess"
    assert study.predict(picture).warnings == found.warnings


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none", lambda x: x),
        ("unit", lambda x: x / 255),
        ("tf", lambda x: x / 127.5 - 1),
        ("caffe", lambda x: x[..., ::-1] - [103.939, 116.779, 123.68]),
        ("torch", lambda x: (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]),
    ],
)
def test_a_named_scheme(acme, name, expected):
    study = Study(classifier(), preprocess=name, registry=acme)  # over the family's
    picture = draw(13)
    found = fed(study, picture)
    np.testing.assert_allclose(
        found, np.moveaxis(expected(picture.astype(np.float64)), -1, 0), rtol=1e-5, atol=1e-5
    )
    one = study.explain(picture, "saliency")
    assert kinds(one) == []
    assert one.provenance["preprocessing"] == name
    assert one.provenance["preprocessing_reason"] == "as asked for"


def test_a_callable_of_ones_own(registry):
    received = []

    def halve(images):
        received.append((images.shape, images.dtype, images.max()))
        return images / 2

    study = Study(classifier(), preprocess=halve, registry=registry)
    picture = draw(14)
    np.testing.assert_array_equal(fed(study, picture), np.moveaxis(picture / 2, -1, 0))
    assert received[0] == ((1, *SIZE, 3), np.float32, picture.max())
    assert study.explain(picture).provenance["preprocessing"] == "halve"


@pytest.mark.parametrize(
    ("function", "made"),
    [
        (lambda images: images[:, ::2], "float32 (1, 4, 11, 3)"),
        (lambda images: images * np.float32(np.nan), "float32 (1, 8, 11, 3)"),
    ],
    ids=["shape", "NaN"],
)
def test_a_callable_that_breaks_the_input(registry, function, made):
    study = Study(classifier(), preprocess=function, registry=registry)
    with pytest.raises(UsageError) as caught:
        study.explain(draw())
    assert str(caught.value) == (
        f"preprocessing '<lambda>' made {made} of float32 (1, 8, 11, 3); expected the same shape "
        "and finite numbers"
    )


def test_a_scheme_that_does_not_exist(registry):
    with pytest.raises(UnknownNameError) as caught:
        Study(classifier(), preprocess="tensorflow", registry=registry)
    assert str(caught.value) == (
        "no preprocessing scheme is called 'tensorflow'; expected one of none, unit, tf, caffe, "
        "torch, or, from Python, a callable on float RGB 0..255"
    )


@pytest.mark.parametrize("name", ["caffe", "torch"])
def test_a_scheme_for_colours_on_a_grey_model(registry, name):
    with pytest.raises(UsageError, match=f"preprocessing '{name}' is for 3 channels and 'small'"):
        Study(classifier(channels=1), preprocess=name, registry=registry)


def with_start(*start, dtype=None):
    """A model that begins with some layers, or with what a function makes of its input."""
    inputs = x = keras.Input((*SIZE, 3), dtype=dtype)
    for each in start:
        x = each(x)
    if len(x.shape) == 4:
        x = layers.Flatten()(layers.Conv2D(2, 2)(x))
    return keras.Model(inputs, layers.Dense(3)(x))


@pytest.mark.parametrize(
    ("start", "rescales"),
    [
        ([], False),
        ([layers.Rescaling(1 / 255)], True),
        ([layers.Normalization(mean=[100, 110, 120], variance=[50, 50, 50])], True),
        ([lambda x: x / 127.5 - 1], True),
        ([layers.RandomFlip(), layers.CenterCrop(6, 6), layers.Rescaling(1 / 255)], True),
        ([layers.RandomFlip(), layers.Resizing(5, 6)], False),
        ([layers.BatchNormalization()], False),
        ([layers.Flatten()], False),
        ([layers.AveragePooling2D(2)], False),
        pytest.param([lambda x: x[..., ::-1]], False, marks=pytest.mark.backwards),
        ([lambda x: ops.flip(x, axis=-1)], False),
        ([lambda x: ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))], False),
        ([lambda x: layers.Concatenate()([x, x])], False),
        ([keras.Sequential([layers.RandomZoom(0.1), layers.Rescaling(1 / 255)])], True),
    ],
    ids=["nothing", "rescaling", "normalization", "arithmetic", "augmented-and-rescaled",
         "augmented", "batch-norm", "flatten", "pool", "bgr", "bgr-flipped", "pad", "concatenate",
         "nested"],
)  # fmt: skip
def test_whether_a_model_rescales_its_input_itself(registry, start, rescales):
    study = Study(with_start(*start), registry=registry)
    expected = ("none", "the model rescales its input itself") if rescales else ("unit", "a guess")
    assert (study.input.preprocessing.name, study.input.reason) == expected
    guessed = [] if rescales else ["guessed-preprocessing"]
    assert kinds(study.explain(draw(), "saliency")) == guessed


def test_a_model_of_whole_numbers_is_not_fed_0_to_1(registry):
    cast = with_start(lambda x: ops.cast(x, "float32"), dtype="uint8")
    assert Study(cast, registry=registry).input.preprocessing.name == "none"


def test_a_grey_picture_and_a_colour_picture_on_a_grey_model(registry):
    study = Study(classifier(channels=1), preprocess="none", registry=registry)
    grey = draw(15, channels=1)
    np.testing.assert_array_equal(study.explain(grey, Inputs()).map, grey)
    colour = draw(15)
    luma = colour @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(study.explain(colour, Inputs()).map, luma, rtol=1e-5)


def test_a_grey_picture_on_a_colour_model(study):
    grey = draw(16, channels=1)
    for channel in range(3):
        np.testing.assert_allclose(study.explain(grey, Inputs(channel)).map, grey / 255, rtol=1e-6)


def test_an_open_size_is_guessed_and_said(registry):
    study = Study(classifier(size=(None, None)), preprocess="unit", registry=registry)
    assert study.input.size == (224, 224)
    found = study.explain(draw(), "saliency")
    assert found.map.shape == (224, 224)
    assert [str(warning) for warning in found.warnings] == [
        "guessed-size: the model leaves its input size open; 224x224 is a guess. Say it with size "
        "(--size)."
    ]


def test_an_open_size_can_be_said(registry):
    model = classifier(size=(None, None), dtype="float64")
    study = Study(model, size=(13, 9), preprocess="unit", registry=registry)
    picture = draw(17, size=(13, 9))
    comparison = study.compare(picture, METHODS, [1])
    expected = expected_maps(model, batch_of(picture, "float64"), 1)
    for method in METHODS:
        assert kinds(comparison[method, 1]) == []
        assert_close(comparison[method, 1].map, expected[method], 1e-12)
    assert comparison["grad-cam", 1].map.shape == (5, 3)
    assert [row.shape for row in study.layers()][:2] == [(None, 11, 7, 5), (None, 5, 3, 6)]


def test_an_open_size_is_the_familys_where_it_has_one(acme):
    study = Study(classifier(size=(None, None)), registry=acme)
    assert study.input.size == (9, 14)
    assert kinds(study.explain(draw())) == []


def test_half_an_open_size(registry):
    study = Study(classifier(size=(None, 12)), preprocess="unit", registry=registry)
    assert study.input.size == (224, 12)


def test_a_size_that_does_not_fit(registry):
    with pytest.raises(UsageError) as caught:
        Study(classifier(), size=(11, 8), registry=registry)
    assert str(caught.value) == (
        "received size 11x8; 'small' takes 8x11 (height x width) only. Leave the size out."
    )
    with pytest.raises(UsageError, match="received size 0x5; expected at least 1x1"):
        Study(classifier(size=(None, None)), size=(0, 5), registry=registry)


def test_an_input_that_is_no_picture(registry):
    for shape in ((5,), (5, 6, 4), (5, 6, 7, 3)):
        inputs = keras.Input(shape)
        model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(inputs)), name="other")
        with pytest.raises(SurgeryError, match=r"the input of 'other' has shape .*; expected pict"):
            Study(model, registry=registry)


def test_channels_first(registry):
    inputs = keras.Input((6, 7, 3))
    x = layers.GlobalAveragePooling2D(data_format="channels_first", name="pool")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(x), name="first")
    with pytest.raises(SurgeryError, match="layer 'pool' of 'first' has its channels first"):
        Study(model, registry=registry)


def test_a_subclassed_model(registry):
    class Mine(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(SurgeryError, match="is a Mine whose `call` is code of its own"):
        Study(Mine(name="mine"), registry=registry)


def test_labels(registry, tmp_path):
    names = ["ant", "bee", "cat", "dog"]
    (tmp_path / "names.txt").write_text("\n".join(names))
    (tmp_path / "names.json").write_text(json.dumps(dict(enumerate(names))))
    for labels in (names, tmp_path / "names.txt", str(tmp_path / "names.json")):
        study = Study(classifier(), labels=labels, preprocess="unit", registry=registry)
        assert study.explain(draw(), target="cat").target.index == 2
        assert [each.label for each in study.predict(draw()).classes] == [
            names[each.index] for each in study.predict(draw()).classes
        ]


def test_labels_that_do_not_fit(registry):
    with pytest.raises(LabelsError) as caught:
        Study(classifier(), labels=["ant", "bee"], registry=registry)
    assert str(caught.value) == ("labels has 2 names; expected 4, one for each class of the model")
    with pytest.raises(LabelsError, match=r"labels has 1 names; expected 2, .* \(0 first, then 1"):
        Study(classifier(1, "sigmoid"), labels=["yes"], registry=registry)


# --- queries


@dataclass(frozen=True)
class Asks(Explainer):
    """Asks for darkened pictures, and answers with what it was told."""

    name: ClassVar[str] = "asks"
    needs: ClassVar[Needs] = Needs.QUERIES
    signed: ClassVar[bool] = True
    count: int = 37
    gradients: bool = False

    def explain(self, evidence):
        light = np.linspace(0, 1, self.count).reshape(1, -1, 1, 1, 1)
        images = numpy(evidence.inputs)[:, None] * light.astype(numpy(evidence.inputs).dtype)
        if not self.gradients:
            return evidence.scores(images)[:, None]
        found = evidence.gradients(images)
        return ops.reshape(found, (found.shape[0], self.count, -1))


@pytest.mark.parametrize("count", [1, 32, 37])
def test_scores_that_are_asked_for_are_those_of_the_model(registry, count):
    model = classifier(dtype="float64")
    study = Study(model, preprocess="unit", registry=registry)
    pictures = [draw(18), draw(19), draw(21)]
    comparison = study.compare(pictures, Asks(count))
    assert len({cell.target.index for cell in comparison}) > 1
    logits = keras.Model(model.input, model.get_layer("dense").input)
    kernel, bias = model.get_layer("dense").get_weights()
    for picture, cell in zip(pictures, comparison, strict=True):
        light = np.linspace(0, 1, count).reshape(-1, 1, 1, 1)
        direct = numpy(logits(batch_of(picture, "float64") * light)) @ kernel + bias
        np.testing.assert_allclose(cell.map, direct[None, :, cell.target.index], rtol=1e-12)


def test_gradients_that_are_asked_for_are_those_of_the_model(registry):
    model = classifier(dtype="float64")
    study = Study(model, preprocess="unit", registry=registry)
    pictures = [draw(18), draw(19), draw(21)]
    for picture, cell in zip(pictures, study.compare(pictures, Asks(11, True)), strict=True):
        light = np.linspace(0, 1, 11).reshape(-1, 1, 1, 1)
        _, _, direct = taped(model, batch_of(picture, "float64") * light, cell.target.index)
        assert_close(cell.map, direct.reshape(11, -1), 1e-12)


def test_queries_follow_the_score_of_the_study(registry):
    model = classifier(dtype="float64")
    study = Study(model, preprocess="unit", score="probability", registry=registry)
    picture = draw(20)
    light = np.linspace(0, 1, 5).reshape(-1, 1, 1, 1)
    direct = numpy(model(batch_of(picture, "float64") * light))
    np.testing.assert_allclose(
        study.explain(picture, Asks(5), target=3).map, direct[None, :, 3], rtol=1e-12
    )


@pytest.mark.compiles
def test_queries_of_any_number_are_served_by_one_program(registry):
    traced = []

    class Traces(layers.Layer):
        def call(self, inputs):
            traced.append(inputs.shape)
            return inputs

    inputs = keras.Input((*SIZE, 3))
    x = layers.Flatten()(layers.Conv2D(3, 3)(Traces()(inputs)))
    study = Study(keras.Model(inputs, layers.Dense(3)(x)), preprocess="unit", registry=registry)
    study.explain(draw(), Asks(37))
    before = len(traced)
    for count in (1, 5, 64, 70):
        study.explain(draw(), Asks(count))
    assert len(traced) == before


# --- explainers that fail


@dataclass(frozen=True)
class Broken(Explainer):
    """Does one thing wrong."""

    name: ClassVar[str] = "broken"
    needs: ClassVar[Needs] = Needs.NOTHING
    fault: str = "raises"

    def explain(self, evidence):
        count = evidence.targets.shape[0]
        match self.fault:
            case "raises":
                raise ZeroDivisionError("no reason")
            case "rank":
                return np.ones((count, 3, 4, 1))
            case "count":
                return np.ones((count + 1, 3, 4))
            case "empty":
                return np.ones((count, 0, 4))
            case "ints":
                return np.ones((count, 3, 4), np.int64)
            case "none":
                return None
            case "undeclared":
                return evidence.activations
            case "undeclared-query":
                return evidence.scores(evidence.inputs[:, None])
            case "nan":
                return np.where(np.eye(3, 4)[None] > 0, np.nan, 1.0)
            case "uniform":
                return np.full((count, 3, 4), 0.25)
            case "zeros":
                return np.zeros((count, 3, 4))
            case "one":
                return np.full((count, 1, 1), 0.25)


SOURCE = f"explainer 'broken' of module {__name__}"
EXPECTED = "expected floating maps of shape (1, h, w)"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            "raises",
            f"{SOURCE} raised ZeroDivisionError: no reason "
            f"(test_study.py:{Broken.explain.__code__.co_firstlineno + 4}, in explain)",
        ),
        ("rank", f"{SOURCE} returned float64 of shape (1, 3, 4, 1); {EXPECTED}"),
        ("count", f"{SOURCE} returned float64 of shape (2, 3, 4); {EXPECTED}"),
        ("empty", f"{SOURCE} returned float64 of shape (1, 0, 4); {EXPECTED}"),
        ("ints", f"{SOURCE} returned int64 of shape (1, 3, 4); {EXPECTED}"),
        ("none", f"{SOURCE} returned None; {EXPECTED}"),
        (
            "undeclared",
            "explainer 'broken' reads ACTIVATIONS, which its needs (NOTHING) do not "
            f"declare; add Needs.ACTIVATIONS to them. It is of module {__name__}",
        ),
        (
            "undeclared-query",
            "explainer 'broken' reads QUERIES, which its needs (NOTHING) do not "
            f"declare; add Needs.QUERIES to them. It is of module {__name__}",
        ),
    ],
)
def test_an_explainer_that_fails_fails_alone(study, fault, message):
    comparison = study.compare(draw(), ["saliency", Broken(fault), "grad-cam"], [0, 1])
    assert [type(cell) for cell in comparison.cells] == [Explanation, Failure, Explanation] * 2
    assert [failure.message for failure in comparison.failures] == [message] * 2
    assert [failure.target.index for failure in comparison.failures] == [0, 1]
    assert comparison["saliency", 1].map.max() > 0
    with pytest.raises(ExplainerError) as caught:
        comparison["broken", 1]
    assert str(caught.value) == message
    with pytest.raises(ExplainerError) as caught:
        study.explain(draw(), Broken(fault))
    assert str(caught.value) == message


@dataclass(frozen=True)
class Hoarder(Explainer):
    """Raises, with an array at hand."""

    name: ClassVar[str] = "hoarder"
    needs: ClassVar[Needs] = Needs.NOTHING

    def explain(self, evidence):
        array = np.ones(1000)
        HELD.append(weakref.ref(array))
        raise LookupError("no way")


HELD = []


@pytest.mark.parametrize(("pictures", "held"), [(1, True), (2, False)])
def test_failures_of_several_pictures_keep_nothing_of_the_pass(study, pictures, held):
    """With what was there, memory would grow with each; of one, a debugger finds it."""
    HELD.clear()
    made = study.compare([draw(number) for number in range(pictures)], [Hoarder()], 0, batch=1)
    gc.collect()
    assert [each() is not None for each in HELD] == [held] * pictures
    for each in made.failures:
        assert "raised LookupError: no way (test_study.py:" in each.message
        assert (each.error.__cause__.__traceback__ is not None) == held


def test_what_others_declared_is_not_given_to_an_explainer_that_did_not(study):
    # The pass reads the activations, for Grad-CAM; this explainer must not see them.
    comparison = study.compare(draw(), ["grad-cam", Broken("undeclared")])
    assert len(comparison.failures) == 1


@pytest.mark.bounds
def test_an_explainer_of_a_distribution_is_named_with_it(acme):
    study = Study(classifier(), registry=acme)
    with pytest.raises(ExplainerError, match=r"explainer 'inputs' of acme-models 1\.2 raised"):
        study.explain(draw(), Inputs(channel=3))
    assert study.explain(draw(), "inputs").method.source == "acme-models 1.2"


def test_an_explainer_that_does_not_exist(study):
    with pytest.raises(UnknownNameError, match="no explainer is called 'gradcam'; near it: grad-c"):
        study.explain(draw(), "gradcam")
    with pytest.raises(UsageError, match="received no methods; expected at least one"):
        study.compare(draw(), [])
    with pytest.raises(UsageError, match="received no targets; expected at least one"):
        study.compare(draw(), targets=[])


# --- warnings


def test_a_sound_map_has_no_warnings(study):
    for cell in study.compare(draw(22), METHODS, top=1):
        assert cell.warnings == ()


def test_a_uniform_map(study):
    found = study.explain(draw(), Broken("uniform"))
    assert [str(each) for each in found.warnings] == ["uniform: the map is 0.25 everywhere"]
    assert kinds(study.explain(draw(), Broken("one"))) == []


def test_a_map_of_zeros(study):
    found = study.explain(draw(), Broken("zeros"))
    assert [str(each) for each in found.warnings] == [
        "all-zero: the map is 0 everywhere: it shows nothing"
    ]


def test_a_map_that_is_not_finite(study):
    found = study.explain(draw(), Broken("nan"))
    assert [str(each) for each in found.warnings] == [
        f"non-finite: 3 of the 12 values that 'broken' of module {__name__} returned are NaN or "
        "infinite"
    ]


def test_gradients_that_overflow(registry):
    model = classifier(dtype="float32")
    model.get_layer("dense").kernel.assign(np.full((48, 4), 3e38))
    study = Study(model, preprocess="unit", registry=registry)
    assert kinds(study.explain(draw(), "saliency", target=0)) == ["non-finite"]


def test_class_activation_maps_of_what_speaks_against(registry):
    # One class has only weights below 0.
    model = classifier()
    kernel = -np.abs(model.get_layer("dense").get_weights()[0])
    model.get_layer("dense").set_weights([kernel, np.zeros(4)])
    study = Study(model, preprocess="unit", registry=registry)
    comparison = study.compare(draw(23), METHODS, [1])
    assert kinds(comparison["grad-cam", 1]) == ["all-zero"]
    assert kinds(comparison["saliency", 1]) == []


def test_gradients_that_vanish(registry):
    model = classifier()
    kernel, bias = model.get_layer("dense").get_weights()
    kernel[:, 2] = 0
    model.get_layer("dense").set_weights([kernel, bias])
    study = Study(model, preprocess="unit", registry=registry)
    comparison = study.compare(draw(24), METHODS, [2, 0])
    for method in METHODS:
        assert kinds(comparison[method, 2]) == ["vanished-gradients", "all-zero"]
        assert "vanished-gradients" not in kinds(comparison[method, 0])
    assert "at the target layer" in comparison["grad-cam", 2].warnings[0].message
    assert "at the input" in comparison["saliency", 2].warnings[0].message


def test_gradients_that_vanish_on_the_way_to_the_input_alone(registry):
    # The first convolution is dead: the CAMs have gradients, the saliency has none.
    model = classifier()
    first = model.layers[1]
    first.set_weights([np.zeros(first.kernel.shape), np.ones(first.bias.shape)])
    study = Study(model, preprocess="unit", registry=registry)
    comparison = study.compare(draw(25), ["grad-cam", "saliency"])
    assert "vanished-gradients" not in kinds(comparison.cells[0])
    assert kinds(comparison.cells[1]) == ["vanished-gradients", "all-zero"]


def test_a_saturated_probability(registry):
    model = classifier()
    model.get_layer("dense").bias.assign([30.0, 0.0, 0.0, 0.0])
    picture = draw(26)
    by_probability = Study(model, preprocess="unit", score="probability", registry=registry)
    found = by_probability.explain(picture, "saliency", target=0)
    assert kinds(found)[0] == "saturated"
    assert found.warnings[0].message == (
        "the probability is 1.000000, where its gradient all but vanishes; explain the logit "
        "instead"
    )
    assert kinds(by_probability.explain(picture, "saliency", target=1))[0] == "saturated"
    by_logit = Study(model, preprocess="unit", registry=registry)
    assert kinds(by_logit.explain(picture, "saliency", target=0)) == []


def test_a_probability_that_is_not_saturated(registry):
    study = Study(classifier(), preprocess="unit", score="probability", registry=registry)
    assert kinds(study.explain(draw(27), "saliency")) == []


def test_random_weights(acme):
    found = Study("acme", weights="random", registry=acme).explain(draw())
    assert [str(each) for each in found.warnings] == [
        "random-weights: the weights are random: the maps explain nothing"
    ]
    assert found.provenance["weights"] == "random"
    assert kinds(Study("acme", registry=acme).explain(draw())) == []


def test_an_output_of_unknown_meaning(registry):
    study = Study(classifier(activation="tanh"), preprocess="unit", registry=registry)
    found = study.explain(draw(), "saliency")
    assert [str(each) for each in found.warnings] == [
        "unknown-output: the last activation is neither softmax nor sigmoid nor absent, so the "
        "output itself is explained, and shown as it is in place of a probability"
    ]
    assert found.probability == found.score


# --- provenance


def test_provenance(registry):
    model = classifier()
    study = Study(model, preprocess="tf", registry=registry)
    picture = draw(28, size=(16, 22))
    found = study.explain(picture, "grad-cam", target=3)
    record = json.loads(json.dumps(found.provenance))
    assert record["method"] == "grad-cam"
    assert record["method_source"] == "xai-core 0"
    assert record["layer"] == "at"
    assert record["target"] == {"index": 3, "label": None, "asked": "3"}
    assert (record["score"], record["score_kind"]) == (found.score, "logit")
    assert record["picture_size"] == [16, 22]
    assert len(record["picture_sha256"]) == 64
    assert record["region"] == {"left": 0, "top": 0, "width": 22, "height": 16}
    assert (record["model"], record["model_source"], record["weights"]) == (
        "small", "in memory", "its own",
    )  # fmt: skip
    assert record["input_size"] == list(SIZE)
    assert record["adapter"] == "generic"
    assert record["versions"]["keras"] == keras.__version__
    name = keras.backend.backend()
    assert record["backend"] == name
    assert record["versions"][name] == version(name)


def test_the_parameters_of_a_method_are_recorded(study):
    found = study.explain(draw(), Asks(3))
    assert found.provenance["parameters"] == {"count": 3, "gradients": False}
    assert found.provenance["method_source"] == f"module {__name__}"
    assert str(found.method) == "asks(count=3)"


def test_the_hash_of_the_weights_notices_a_change(registry):
    model = classifier()
    study = Study(model, preprocess="unit", registry=registry)
    first = study.explain(draw()).provenance
    assert len(first["weights_sha256"]) == 64
    assert first["weights_changed"] is False
    same = Study(classifier(), preprocess="unit", registry=registry).explain(draw()).provenance
    bias = model.get_layer("dense").bias
    bias.assign(bias + np.float32(1e-6))
    changed = study.explain(draw()).provenance
    assert changed["weights_sha256"] is None
    assert changed["weights_changed"] is True
    again = Study(model, preprocess="unit", registry=registry).explain(draw()).provenance
    assert again["weights_changed"] is False
    assert again["weights_sha256"] != first["weights_sha256"]
    # The names that Keras numbers, such as conv2d_7, are part of the hash.
    assert len(same["weights_sha256"]) == 64


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_archive_holds_the_raw_map_and_its_provenance(registry, tmp_path, dtype):
    study = Study(classifier(dtype=dtype), preprocess="unit", registry=registry)
    found = study.explain(draw(29), "saliency")
    path = found.save(tmp_path / "map.npz")
    with np.load(path, allow_pickle=False) as archive:
        assert sorted(archive.files) == ["map", "metadata"]
        np.testing.assert_array_equal(archive["map"], found.map)
        assert archive["map"].dtype == dtype
        assert json.loads(str(archive["metadata"])) == json.loads(json.dumps(found.provenance))


def test_the_archive_of_a_comparison(study, tmp_path):
    comparison = study.compare(draw(30), ["grad-cam", Broken(), "saliency"], [0, 1])
    path = comparison.save(tmp_path / "maps.npz")
    with np.load(path, allow_pickle=False) as archive:
        records = json.loads(str(archive["metadata"]))
        assert [(each["method"], each["target"]["index"]) for each in records] == [
            ("grad-cam", 0), ("saliency", 0), ("grad-cam", 1), ("saliency", 1),
        ]  # fmt: skip
        for number, explanation in enumerate(comparison):
            np.testing.assert_array_equal(archive[f"map_{number}"], explanation.map)


# What a user may pass, and half precision's ends


def test_a_preprocessing_that_cannot_be_called_is_refused(registry):
    with pytest.raises(UsageError, match=r"received preprocess 3; expected a scheme's name"):
        Study(
            keras.Sequential([keras.Input((4, 4, 3)), layers.Flatten(), layers.Dense(2)]),
            registry=registry,
            preprocess=3,
        )


@pytest.mark.parametrize("many", [np.asarray([0, 1]), range(2), (index for index in (0, 1))])
def test_any_iterable_of_targets_will_do(registry, many):
    model = keras.Sequential([keras.Input((4, 6, 3)), layers.Flatten(), layers.Dense(2)])
    study = Study(model, registry=registry, preprocess="unit")
    found = study.compare(np.zeros((4, 6, 3), np.uint8), "saliency", many)
    assert [cell.target.index for cell in found.cells] == [0, 1]


def test_a_class_in_the_place_of_an_explainer_is_told(registry):
    from xai_plugins.cam import GradCAM

    model = keras.Sequential([keras.Input((4, 6, 3)), layers.Flatten(), layers.Dense(2)])
    study = Study(model, registry=registry, preprocess="unit")
    with pytest.raises(UsageError, match=r"received <class '.*GradCAM'> as a method; expected"):
        study.explain(np.zeros((4, 6, 3), np.uint8), GradCAM)


def test_a_gradient_of_100_goes_through_float16(registry):
    model = keras.Sequential(
        [
            keras.Input((2, 3, 1), dtype="float16"),
            layers.Flatten(dtype="float16"),
            layers.Dense(2, use_bias=False, dtype="float16"),
        ]
    )
    model.set_weights([np.full((6, 2), 100.0, np.float16)])
    one = Study(model, registry=registry, preprocess="none").explain(np.ones((2, 3)), "saliency")
    np.testing.assert_array_equal(one.map, np.full((2, 3), 100.0, np.float32))


def test_a_picture_in_0_to_1_is_warned_about(registry):
    model = keras.Sequential([keras.Input((4, 6, 3)), layers.Flatten(), layers.Dense(2)])
    study = Study(model, registry=registry, preprocess="unit")
    pixels = np.random.default_rng(0).random((4, 6, 3))
    kinds = [warning.kind for warning in study.explain(pixels, "saliency").warnings]
    assert kinds == ["picture-range"]
    assert [warning.kind for warning in study.predict(pixels).warnings] == ["picture-range"]
    assert study.explain(255 * pixels, "saliency").warnings == ()


@pytest.mark.parametrize(("brightest", "expected"), [(0, []), (1, ["picture-range"]), (2, [])])
def test_the_range_of_a_picture_is_that_of_all_its_rows(registry, brightest, expected):
    model = keras.Sequential([keras.Input((4, 6, 3)), layers.Flatten(), layers.Dense(2)])
    study = Study(model, registry=registry, preprocess="unit")
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[3, 2, 1] = brightest
    assert [warning.kind for warning in study.predict(pixels).warnings] == expected


def test_pictures_of_one_name_are_told_apart(registry):
    model = keras.Sequential([keras.Input((4, 6, 3)), layers.Flatten(), layers.Dense(2)])
    study = Study(model, registry=registry, preprocess="unit")
    many = study.compare([np.zeros((4, 6, 3), np.uint8)] * 3, "saliency", [0, 1])
    assert [cell.picture.name for cell in many.cells[::2]] == ["array", "array (2)", "array (3)"]
    assert len(many.select(picture="array (2)").cells) == 2


def test_warnings_are_written_over_the_overlay(registry):
    model = keras.Sequential([keras.Input((120, 180, 3)), layers.Flatten(), layers.Dense(2)])
    model.set_weights([np.zeros((64800, 2)), np.zeros(2)])
    study = Study(model, registry=registry, preprocess="unit")
    one = study.explain(np.full((120, 180, 3), 200, np.uint8), "saliency")
    assert [warning.kind for warning in one.warnings] == ["vanished-gradients", "all-zero"]
    drawn = np.asarray(one.overlay())
    assert drawn.shape == (120, 180, 3)
    np.testing.assert_array_equal(drawn[:60], 200)
    assert (drawn[-1] == 0).all()
    assert (drawn[-16:] > 200).any()


def test_a_score_that_is_no_number_is_warned_about_and_saved_as_null(registry, tmp_path):
    model = keras.Sequential(
        [keras.Input((4, 6, 3)), layers.Flatten(), layers.Dense(2, name="head")], name="broken"
    )
    kernel = np.ones((72, 2))
    model.get_layer("head").set_weights([kernel, np.asarray([np.nan, 0.0])])
    study = Study(model, registry=registry, preprocess="unit")
    one = study.explain(np.full((4, 6, 3), 9, np.uint8), "gradient-x-input", target=0)
    assert kinds(one) == ["non-finite"]
    assert one.warnings[0].message == "the logit itself is nan"
    with np.load(one.save(tmp_path / "one.npz")) as archive:
        assert '"score": null' in str(archive["metadata"])


def test_an_adapter_that_raises_is_left_out_with_a_warning(registry):
    from dataclasses import dataclass

    import xai_plugins
    from xai_core import hookimpl
    from xai_core.registry import Plugin, PluginWarning, Registry, Source
    from xai_core.surgery import read_graph
    from xai_plugins.adapters.generic import Generic

    @dataclass(frozen=True)
    class Raises(Generic):
        name: str = "raises"
        rank: int = 9

        def matches(self, graph):
            raise ValueError("on purpose")

    class Hooks:
        @hookimpl
        def xai_adapters(self):
            return [Raises()]

    both = Registry(
        [Plugin(Source("xai-core", "0"), xai_plugins), Plugin(Source("bad", "1"), Hooks())]
    )
    model = keras.Sequential([keras.Input((4, 6, 3)), layers.Flatten(), layers.Dense(2)])
    with pytest.warns(PluginWarning, match="adapter 'raises' was left out: it raised ValueError"):
        adapter = both.adapter_for(read_graph(model))
    assert adapter.name == "generic"


def test_a_map_is_asked_for_by_method_and_target(registry):
    study = Study(classifier(), registry=registry, preprocess="unit")
    many = study.compare(draw(), "saliency", [0, 1])
    with pytest.raises(KeyError, match="expected a method and a target"):
        many["saliency"]
    with pytest.raises(KeyError, match=r"0 maps for \('saliency', 9\); expected one"):
        many["saliency", 9]


def test_what_a_plugin_offers_are_the_usual_parameters():
    offered = Asks(7)
    plugin = SimpleNamespace(xai_explainers=hookimpl(lambda: [offered]))
    registry = Registry([Plugin(Source("other", "1"), plugin)])
    assert str(describe_explainer(offered, registry)) == "asks"
    assert str(describe_explainer(Asks(3), registry)) == "asks(count=3)"
    assert describe_explainer(Asks(3), registry).parameters == {"count": 3, "gradients": False}
