"""Maps against references of their own: float64 networks, plain tapes, finite differences.

A reference shares nothing with the product but the formulas of the papers: the network is
built once more in float64 from its configuration, its weights are copied, and a plain
`GradientTape` and NumPy do the rest.
"""

import gc
import json
from functools import partial
from importlib import resources
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from PIL import Image
from plain import array

from xai_core import Needs, Study
from xai_core.demo import cat, coffee
from xai_core.engines import WORTH_FILTERING, Policy
from xai_core.probe import Probe
from xai_core.programs import Programs
from xai_plugins.perturbation import Occlusion

CAM = ("grad-cam", "grad-cam++")
WITHOUT_INPUT = (*CAM, "hirescam", "layercam", "xgrad-cam", "eigen-cam", "eigen-grad-cam")
ENGINES = {
    "auto": ("auto", 0),
    "auto, later": ("auto", WORTH_FILTERING),
    "frozen": ("frozen", 0),
    "openvino": ("openvino", WORTH_FILTERING),
}
"""And how many pictures it saw before."""
ASKS = Occlusion(window=48, stride=48)


class Subject(NamedTuple):
    """A network under proof: how it is made, and what a person knows of it."""

    name: str
    size: tuple[int, int]
    layer: str
    prepare: object
    damped: str = "none"
    """How the names end of what residual branches add to their shortcuts."""


def caffe(rgb):
    return rgb[..., ::-1] - np.array([103.939, 116.779, 123.68], rgb.dtype)


def tf_scheme(rgb):
    return rgb / rgb.dtype.type(127.5) - 1


SUBJECTS = [
    Subject("vgg16", (96, 128), "block5_conv3", caffe),
    Subject("resnet50", (96, 128), "conv5_block3_out", caffe, "_3_bn"),
    Subject("xception", (96, 128), "block14_sepconv2_act", tf_scheme, "_sepconv3_bn"),
    Subject("efficientnet-lite0", (224, 224), "top_activation", lambda rgb: rgb),
]
APPLICATIONS = {
    "vgg16": keras.applications.VGG16,
    "resnet50": keras.applications.ResNet50,
    "xception": keras.applications.Xception,
}


def photograph(size):
    with resources.files("xai_core.demo").joinpath("chelsea.png").open("rb") as file:
        image = Image.open(file).convert("RGB").resize(size[::-1], Image.Resampling.BICUBIC)
    return np.asarray(image)


def revive(model, images, damped, spread=2.5):
    """Random weights that keep the signal alive down to the logits.

    He-normal kernels; residual branches that add little to their shortcuts, as trained
    ones do (networks of full ones amplify every rounding); batch statistics of the picture
    itself; and a last kernel that spreads the logits over the classes, each of which takes
    after the features of a picture, as trained ones do (of one that knows nothing, channels of
    both signs cancel, and what is left is small beside what was rounded: decision 16).
    """
    rng = np.random.default_rng(1)
    for layer in model.layers:
        for variable in layer.trainable_variables:
            if len(variable.shape) > 1:
                depthwise = "depthwise" in variable.name
                fan_in = np.prod(variable.shape[: 2 if depthwise else -1])
                kernel = rng.standard_normal(variable.shape, np.float32)
                variable.assign(kernel * np.float32((2 / fan_in) ** 0.5))
            elif variable.name == "gamma" and layer.name.endswith(damped):
                variable.assign(np.full(variable.shape, 0.3))
    normalized = [each for each in model.layers if isinstance(each, layers.BatchNormalization)]
    momenta = [each.momentum for each in normalized]
    for each in normalized:
        each.momentum = 0.0
    if normalized:
        # Several views, for a single one would be normalised by itself place by place.
        model(np.concatenate([images, images[:, ::-1], images[:, :, ::-1]]), training=True)
    for each, momentum in zip(normalized, momenta, strict=True):
        each.momentum = momentum
    last = model.layers[-1]
    features = keras.Model(model.input, last.input)(images, training=False).numpy()
    kernel = last.kernel.numpy()
    classes = np.arange(kernel.shape[1])
    known = (features / np.linalg.norm(features, axis=1, keepdims=True))[classes % len(features)].T
    kernel += known * np.linalg.norm(kernel, axis=0) * rng.uniform(0.5, 1.5, classes.shape)
    last.kernel.assign(kernel * (spread / np.std(features @ kernel)))
    return model


def in_float64(model):
    """The same network once more, in float64, on the same weights."""
    config = json.loads(json.dumps(model.get_config()).replace('"float32"', '"float64"'))
    twin = type(model).from_config(config)
    assert {variable.dtype for variable in twin.trainable_variables} == {"float64"}
    twin.set_weights(model.get_weights())
    return twin


class Tape:
    """One forward and one backward pass by a plain tape, as anyone would write it."""

    def __init__(self, model, layer, compiled=False):
        self._dense = model.layers[-1]
        outputs = [model.get_layer(layer).output, self._dense.input]
        self._until = keras.Model(model.input, outputs)
        self._dtype = model.inputs[0].dtype
        self._run = tf.function(self._pass, autograph=False) if compiled else self._pass

    def _pass(self, images, target):
        with tf.GradientTape() as tape:
            tape.watch(images)
            activations, features = self._until(images, training=False)
            kernel, bias = self._dense.kernel.value, self._dense.bias.value
            logits = tf.matmul(features, kernel) + bias
            score = tf.gather(logits[0], target)
        return logits[0], activations[0], *tape.gradient(score, [activations, images])

    def __call__(self, images, target):
        """Logits, activations (h, w, K), their gradients, and the input's."""
        images = tf.convert_to_tensor(images, self._dtype)
        logits, a, g, dx = self._run(images, tf.constant(target))
        return logits.numpy(), a.numpy(), g.numpy()[0], dx.numpy()[0]


def by_the_papers(a, g, dx):
    """The maps, by their formulas."""
    with np.errstate(divide="ignore", invalid="ignore"):
        alpha = np.where(g == 0, 0, g**2 / (2 * g**2 + a.sum(axis=(0, 1)) * g**3))
    weights = (alpha * np.maximum(g, 0)).sum(axis=(0, 1))
    return {
        "grad-cam": np.maximum((g.mean(axis=(0, 1)) * a).sum(axis=-1), 0),
        "grad-cam++": np.maximum((weights * a).sum(axis=-1), 0),
        "saliency": np.abs(dx).max(axis=-1),
    }


def deviation(found, expected):
    """The largest difference, in units of the map's maximum."""
    assert expected.max() > 0
    assert found.shape == expected.shape
    return np.abs(found.astype(np.float64) - expected).max() / expected.max()


class Proof(NamedTuple):
    """A network in both precisions, two pictures, and what is exact."""

    subject: Subject
    model: keras.Model
    twin: keras.Model
    pictures: list
    targets: list
    logits: list
    maps: dict
    """By picture and target, then by method."""
    found: list
    """What a study of the float32 network found for each picture, and for what it was asked."""
    fast: dict
    """By engine, the same."""

    def fed(self, number, dtype):
        """What the network is fed: prepared in the precision that it runs in."""
        return self.subject.prepare(self.pictures[number][None].astype(dtype))


@pytest.fixture(scope="module", params=SUBJECTS, ids=[each.name for each in SUBJECTS])
def proof(request, registry):
    subject = request.param
    picture = photograph(subject.size)
    if subject.name in APPLICATIONS:
        model = APPLICATIONS[subject.name](weights=None, input_shape=(*subject.size, 3))
        revive(model, subject.prepare(picture[None].astype(np.float32)), subject.damped)
    else:
        model = registry.adapter(subject.name).build("imagenet")
    twin = in_float64(model)
    exact = Tape(twin, subject.layer, compiled=True)
    made = Proof(subject, model, twin, [picture, picture[:, ::-1]], [], [], {}, [], {})
    made.logits.append(exact(made.fed(0, np.float64), 0)[0])
    # The class the model predicts, and another that is not far behind.
    made.targets.extend(int(each) for each in np.argsort(-made.logits[0])[[0, 2]])
    for number in range(2):
        for target in made.targets:
            _, *evidence = exact(made.fed(number, np.float64), target)
            made.maps[number, target] = by_the_papers(*evidence)
    study = Study(model, registry=registry)
    assert study.adapter.name == subject.name
    assert study.layer == subject.layer
    for each in made.pictures:
        made.found.append(study.compare(each, (*WITHOUT_INPUT, "saliency"), made.targets))
    made.found.append(study.compare(made.pictures[0], ASKS, made.targets[:1]))
    for engine, (chosen, seen) in ENGINES.items():
        # Nothing changes these weights: they may be built in, as those of a file are.
        policy = Policy(model, chosen, owned=True)
        policy.filters(seen)
        study._programs = Programs(study._readout, "logit", policy)
        fast = [study.compare(each, WITHOUT_INPUT, made.targets) for each in made.pictures]
        made.fast[engine] = *fast, study.compare(made.pictures[0], ASKS, made.targets[:1])
    yield made
    del made, model, twin, exact, study
    gc.collect()


@pytest.mark.tensorflow
def test_the_networks_are_alive(proof):
    assert 1.0 < np.std(proof.logits[0]) < 4.0
    for maps in proof.maps.values():
        for method, map_ in maps.items():
            assert np.isfinite(map_).all()
            # Neither blank nor flat: a good part of the map stands out from the rest.
            assert (map_ > 0.05 * map_.max()).mean() > 0.25, method
            assert np.ptp(map_) > 0.25 * map_.max(), method


@pytest.mark.tensorflow
def test_class_activation_maps_in_float32_are_those_of_float64(proof):
    for (number, target), maps in proof.maps.items():
        for method in CAM:
            found = proof.found[number][method, target]
            assert found.layer == proof.subject.layer
            assert found.map.dtype == np.float32
            assert deviation(found.map, maps[method]) < 1e-5, method
    for target in proof.targets:
        score = proof.found[0]["grad-cam", target].score
        assert score == pytest.approx(proof.logits[0][target], rel=1e-5)


@pytest.mark.tensorflow
def test_all_maps_in_float64_are_exact(proof, registry):
    study = Study(proof.twin, registry=registry)
    comparison = study.compare(proof.pictures[0], (*CAM, "saliency"), proof.targets)
    for target in proof.targets:
        for method, expected in proof.maps[0, target].items():
            found = comparison[method, target].map
            assert found.dtype == np.float64
            assert deviation(found, expected) < 1e-9, method


@pytest.mark.tensorflow
def test_saliency_in_float32_is_no_further_off_than_a_plain_tape(proof):
    # In float32 a ReLU, or a tie in a max-pooling, falls to the other side under rounding and
    # moves single pixels by much. Which one it is depends on the order of the additions, which
    # differs between an eager tape and a compiled one, and neither is nearer by right. So the
    # worst of two pictures and two classes is compared, with some room for another order.
    tapes = [Tape(proof.model, proof.subject.layer, compiled) for compiled in (False, True)]
    ours, plain = [], []
    for (number, target), maps in proof.maps.items():
        found = proof.found[number]["saliency", target].map
        ours.append(deviation(found, maps["saliency"]))
        for tape in tapes:
            _, *evidence = tape(proof.fed(number, np.float32), target)
            plain.append(deviation(by_the_papers(*evidence)["saliency"], maps["saliency"]))
    assert max(ours) <= 1.5 * max(plain)


@pytest.mark.tensorflow
def test_saliency_with_weights_folded_or_built_in_is_no_further_off_than_without(registry):
    # What flips differs from picture to picture, so it takes some of them to compare.
    model = registry.adapter("efficientnet-lite0").build("imagenet")
    twin = in_float64(model)
    draw = np.random.default_rng(0)
    whole = [np.asarray(each.pixels)[..., :3] for each in (cat(), coffee())]
    corners = [[draw.integers(0, side - 224) for side in each.shape[:2]] for each in whole * 8]
    pictures = [
        each[top : top + 224, left : left + 224]
        for each, (top, left) in zip(whole * 8, corners, strict=True)
    ]

    def maps(model, engine):
        study = Study(model, registry=registry)
        study._programs = Programs(study._readout, "logit", Policy(model, engine, owned=True))
        return [each.map for each in study.compare(pictures, ["saliency"], [285])]

    exact = maps(twin, "compiled")
    off = {
        engine: [deviation(*each) for each in zip(maps(model, engine), exact, strict=True)]
        for engine in ("compiled", "auto", "frozen")
    }
    for measure in (np.median, np.mean):
        for engine in ("auto", "frozen"):
            assert measure(off[engine]) <= 2 * measure(off["compiled"]), engine


@pytest.mark.tensorflow
@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_agrees_with_the_plain_pass(proof, engine):
    *plain, plain_asked = proof.found
    *fast, asked = proof.fast[engine]
    for whole, part in zip(plain, fast, strict=True):
        for two in part:
            one = whole[two.method.name, two.target.index]
            assert two.score == pytest.approx(one.score, rel=1e-5)
            scale = np.abs(one.map).max()
            assert scale > 0
            assert np.abs(one.map - two.map).max() < 1e-5 * scale, one.method
    # A drop is a difference of scores, and as exact as they are.
    off = np.abs(plain_asked.cells[0].map - asked.cells[0].map) * ASKS.window**2
    assert off.max() < 2e-5 * abs(plain_asked.cells[0].score)


# --- finite differences, on a model that is smooth


def smooth(head):
    """Nothing in it has a kink: differences converge at every place."""
    options = {"dtype": "float64"}
    inputs = keras.Input((6, 9, 3), **options)
    x = layers.Conv2D(4, 3, activation="softplus", **options)(inputs)
    x = layers.Conv2D(5, 2, strides=2, activation="tanh", name="at", **options)(x)
    x = layers.AveragePooling2D((1, 2), **options)(x)
    x = layers.Dense(7, activation="tanh", **options)(layers.Flatten(**options)(x))
    model = keras.Model(inputs, layers.Dense(3, activation=head, **options)(x))
    rng = np.random.default_rng(4)
    model.set_weights([rng.normal(size=weight.shape) * 0.4 for weight in model.weights])
    return model


def differences(function, at, step=1e-4):
    """dS/dx for every value of x, by central differences of fourth order."""
    found = np.empty_like(at)
    for index in np.ndindex(at.shape):
        moved = np.repeat(at[None], 4, axis=0)
        moved[(slice(None), *index)] += step * np.array([-2, -1, 1, 2])
        found[index] = np.dot(function(moved), np.array([1, -8, 8, -1])) / (12 * step)
    return found


def scores_of(part, dense, score):
    """From a part of the model to the scores of one class, by NumPy from the last layer on."""
    kernel, bias = dense.get_weights()

    def scores(batch, target):
        z = array(part(batch, training=False)) @ kernel + bias
        if score == "logit":
            return z[:, target]
        if dense.activation is keras.activations.sigmoid:
            return 1 / (1 + np.exp(-z[:, target]))
        return np.exp(z[:, target]) / np.exp(z).sum(axis=1)

    return scores


@pytest.mark.parametrize("score", ["logit", "probability"])
@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
def test_gradients_are_those_of_finite_differences(registry, score, head):
    model = smooth(head=head)
    study = Study(model, score=score, preprocess="tf", registry=registry)
    picture = np.random.default_rng(6).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    images = tf_scheme(picture[None].astype(np.float64))
    needs = Needs.ACTIVATIONS | Needs.ACTIVATION_GRADIENTS | Needs.INPUT_GRADIENTS
    layer = study.graph.step("at")
    reading = Probe(study._readout, [layer], needs, score)(images, np.array([[0, 1, 2]], np.int32))

    dense = model.layers[-1]
    whole = scores_of(keras.Model(model.input, dense.input), dense, score)
    behind = scores_of(keras.Model(model.get_layer("at").output, dense.input), dense, score)
    (activations,) = [array(value)[0] for value in reading.shared.values()]
    for target in range(3):
        found = {need: array(value)[0] for (need, _), value in reading.per_target[target].items()}
        for function, at, need in (
            (whole, images[0], Needs.INPUT_GRADIENTS),
            (behind, activations, Needs.ACTIVATION_GRADIENTS),
        ):
            expected = differences(partial(function, target=target), at)
            assert np.abs(expected).max() > 1e-3
            off = np.abs(found[need] - expected).max() / np.abs(expected).max()
            assert off < 1e-9
        np.testing.assert_allclose(
            study.explain(picture, "saliency", target=target).map,
            np.abs(found[Needs.INPUT_GRADIENTS]).max(axis=-1),
            rtol=1e-10,
        )
