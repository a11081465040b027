"""What a metric is answered when it asks for maps: on models that read one patch."""

from dataclasses import dataclass
from typing import ClassVar

import keras
import numpy as np
import pytest
from keras import layers

from xai_core import Explainer, Metric, Needs, Score, Study
from xai_plugins.perturbation import RISE

SIZE = (6, 10)


@dataclass(frozen=True)
class Times(Explainer):
    """The gradient by the input times a number, summed over the channels."""

    name: ClassVar[str] = "times"
    needs: ClassVar[Needs] = Needs.INPUT_GRADIENTS
    factor: float = 1.0

    def explain(self, evidence):
        from keras import ops

        return self.factor * ops.sum(evidence.input_gradients, axis=-1)


@dataclass(frozen=True)
class Broken(Explainer):
    """Raises."""

    name: ClassVar[str] = "broken"
    needs: ClassVar[Needs] = Needs.NOTHING

    def explain(self, evidence):
        raise LookupError("no way")


@dataclass(frozen=True)
class Peek(Metric):
    """Hands the trial to a function, and keeps what it returns."""

    name: ClassVar[str] = "peek"
    summary: ClassVar[str] = "whatever is asked"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    ask: object = None

    def __post_init__(self):
        pass

    def score(self, trial):
        SEEN.append((trial, self.ask(trial)))
        return Score(0.0)


SEEN = []


def asked(study, ask, methods=(Times(),), pictures=None, targets=0):
    """What each row's trial answered, by row; an evaluation that failed raises."""
    SEEN.clear()
    found = study.evaluate(
        [picture()] if pictures is None else pictures, list(methods), Peek(ask), targets
    )
    return found, [answer for _, answer in SEEN]


def picture(seed=0):
    return np.random.default_rng(seed).integers(40, 216, (*SIZE, 3), dtype=np.uint8)


def linear(kernel, dtype="float32"):
    inputs = keras.Input((*SIZE, 3), dtype=dtype)
    head = layers.Dense(kernel.shape[1], dtype=dtype, name="head")
    model = keras.Model(inputs, head(layers.Flatten(dtype=dtype)(inputs)))
    head.set_weights([kernel, np.zeros(kernel.shape[1])])
    return model


@pytest.fixture(scope="module")
def kernel():
    return np.random.default_rng(1).normal(0, 0.01, (180, 3))


@pytest.fixture(scope="module")
def study(kernel, registry):
    return Study(linear(kernel), preprocess="none", registry=registry)


@pytest.fixture(scope="module")
def gradient(kernel):
    """Of each class by the pixels, summed over the channels, (3, 6, 10)."""
    return kernel.T.reshape(3, *SIZE, 3).sum(axis=-1)


def test_scores_are_logits_and_probabilities_their_softmax(registry, kernel):
    model = linear(kernel)
    study = Study(
        keras.Model(model.input, layers.Softmax()(model.output)),
        preprocess="none",
        registry=registry,
    )
    pixels = np.stack([picture(1), picture(2)]).astype(np.float32)
    _, (answer, *_) = asked(
        study, lambda trial: (trial.scores(pixels), trial.probabilities(pixels, 2))
    )
    logits = pixels.reshape(2, 180).astype(np.float64) @ kernel
    np.testing.assert_allclose(answer[0], logits[:, 0], atol=1e-5)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answer[1], shares[:, 2], rtol=1e-5)


def test_a_score_and_a_probability_of_one_picture_are_one_question(study):
    def ask(trial):
        trial.scores(trial.pixels[None])
        return trial.probabilities(trial.pixels[None], 1)

    found, _ = asked(study, ask)
    assert sum(each.queries for each in found.measurements) == 1


@pytest.mark.parametrize(
    ("blue", "low", "high"), [(2.0, 0, 2), (-0.5, -0.5, 1)], ids=["above 1", "below 0"]
)
def test_an_output_outside_0_to_1_is_no_probability(registry, blue, low, high):
    """Whether it is of a class or picture that was asked about, or of the picture itself."""
    inputs = keras.Input((*SIZE, 3))
    mean = layers.GlobalAveragePooling2D()(inputs)
    head = layers.Dense(2, keras.activations.leaky_relu, use_bias=False)
    model = keras.Model(inputs, head(mean))
    slope = 1.0 if blue > 0 else 5.0  # below 0 the activation keeps a fifth
    head.set_weights([np.diag([1.0, 1.0, 1.0])[:, [0, 2]] / 255 * [1, blue * slope]])
    study = Study(model, preprocess="none", registry=registry)
    assert {each.kind for each in study.warnings} == {"unknown-output"}
    dark, red, bluish = (np.full((*SIZE, 3), each, np.uint8) for each in
                         ([0, 0, 0], [255, 0, 0], [255, 0, 255]))  # fmt: skip

    def failures(asking, own):
        found, _ = asked(study, asking, pictures=[own])
        return {str(each.outcome) for each in found.failures}

    message = (
        f"received outputs of the model from {low:g} to {high:g} in the place of probabilities; "
        "expected 0 to 1. Its last activation is neither softmax nor sigmoid nor absent (the "
        "warning unknown-output): use metrics that ask for scores or maps, as mu-fidelity, or a "
        "model that ends in one of these"
    )
    pixels = np.stack([dark, red, bluish]).astype(np.float32)
    assert failures(lambda trial: trial.probabilities(pixels), red) == set()
    told = failures(lambda trial: trial.probabilities(pixels, 1), red)
    assert len(told) == 1
    assert f"from {min(low, 0):g} to" in told.pop()
    assert failures(lambda trial: trial.probabilities(pixels[:2]), bluish) == {message}
    assert failures(lambda trial: trial.scores(pixels, 1), bluish) == set()
    assert failures(lambda trial: trial.maps(pixels, 1), bluish) == set()


def test_maps_of_other_pictures_and_classes_are_the_methods_own(study, gradient):
    methods = (Times(), Times(factor=-2.0))
    _, answers = asked(
        study, lambda trial: trial.maps(np.stack([trial.pixels, 0 * trial.pixels]), 2), methods
    )
    for answer, factor in zip(answers, (1, -2), strict=False):
        np.testing.assert_allclose(answer, factor * np.stack([gradient[2]] * 2), atol=1e-7)


def test_maps_of_all_methods_are_made_in_one_pass(study, monkeypatch):
    passes = []
    compare = Study.compare

    def counted(self, pictures, *args, **kwargs):
        passes.append(len(pictures))
        return compare(self, pictures, *args, **kwargs)

    monkeypatch.setattr(Study, "compare", counted)
    both = np.stack([picture(1), picture(2), picture(1)]).astype(np.float32)
    found, _ = asked(study, lambda trial: trial.maps(both), (Times(), Times(factor=3.0)))
    assert passes == [2]
    assert [each.maps for each in found.measurements] == [3] * 6


def test_reference_maps_know_the_picture_and_no_class(study):
    def ask(trial):
        return trial.maps(trial.pixels[None]), trial.maps(trial.pixels[None], 2), trial.attribution

    _, (_, drawn, centre, edges, uniform) = asked(study, ask)
    for own, other, first in (centre, edges, uniform):
        np.testing.assert_array_equal(own[0], first)
        np.testing.assert_array_equal(other[0], first)
    own, other, first = drawn
    assert abs(np.corrcoef(own.ravel(), first.ravel())[0, 1]) < 0.4
    assert abs(np.corrcoef(own.ravel(), other.ravel())[0, 1]) < 0.4


def test_a_method_that_fails_says_so_to_whoever_asks_again(study):
    found, _ = asked(study, lambda trial: trial.maps(trial.pixels[None]), (Times(), Broken()))
    (failure,) = found.failures
    assert failure.row == "broken"
    assert "raised LookupError: no way" in failure.message


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (
            np.full((1, *SIZE, 3), 256.0),
            "received pictures with values in 256..256; expected 0..255, since methods are asked "
            "about pictures. Clip them first",
        ),
        (
            np.zeros((1, 3, 3, 3)),
            "received pictures as float64 of shape (1, 3, 3, 3); expected numbers of shape (Q, 6, "
            "10, 3), like the pixels of the trial",
        ),
    ],
)
def test_what_is_no_picture_is_refused(study, pixels, message):
    found, _ = asked(study, lambda trial: trial.maps(pixels))
    assert {each.message for each in found.failures} == {message}
    assert len(found.failures) == 5


def test_in_float64_the_map_is_that_of_the_same_weights(registry):
    inputs = keras.Input((*SIZE, 3))
    made = layers.Conv2D(4, 3, activation="tanh")(inputs)
    made = layers.Dense(3, name="head")(layers.GlobalAveragePooling2D()(made))
    model = keras.Model(inputs, made)
    study = Study(model, preprocess="unit", registry=registry)
    _, (precise, *references) = asked(study, lambda trial: (trial.precise(), trial.raw))
    assert precise[0].dtype == np.float64
    apart = np.abs(precise[0] - precise[1]).max() / np.abs(precise[0]).max()
    assert 0 < apart < 1e-5
    for made, raw in references:
        np.testing.assert_array_equal(made, raw)
    # the same written out in NumPy
    kernel, bias, dense, _ = (np.asarray(each, np.float64) for each in model.get_weights())
    x = picture().astype(np.float64) / 255
    slope = np.zeros((*SIZE, 3))
    for row in range(4):
        for column in range(8):
            part = x[row : row + 3, column : column + 3]
            z = np.tensordot(part, kernel, 3) + bias
            back = (1 - np.tanh(z) ** 2) * dense[:, 0] / 32
            slope[row : row + 3, column : column + 3] += kernel @ back
    np.testing.assert_allclose(precise[0], slope.sum(axis=-1), rtol=1e-9, atol=1e-12)


def test_at_the_last_rung_nothing_is_left_and_the_users_model_is_as_it_was(registry, kernel):
    inputs = keras.Input((*SIZE, 3))
    made = layers.Conv2D(4, 3, activation="tanh", name="below")(inputs)
    made = layers.Dense(3, name="above")(layers.GlobalAveragePooling2D()(made))
    model = keras.Model(inputs, made)
    before = model.get_weights()
    study = Study(model, preprocess="unit", registry=registry)
    _, (rungs, *_) = asked(study, lambda trial: (trial.randomised(9), trial.attribution))
    rungs, learnt = rungs
    assert [each.layers for each in rungs] == [("above",), ("below",)]
    for each in rungs:
        assert each.reason is None
        assert not np.allclose(each.attribution, learnt)
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


def test_a_map_that_says_nothing_at_a_rung_is_told(registry, kernel):
    """A Dense layer of zeros by its own initialiser has no gradient."""
    inputs = keras.Input((*SIZE, 3))
    head = layers.Dense(3, kernel_initializer="zeros", name="head")
    model = keras.Model(inputs, head(layers.Flatten()(inputs)))
    head.set_weights([kernel, np.zeros(3)])
    study = Study(model, preprocess="none", registry=registry)
    _, (rungs, *references) = asked(study, lambda trial: trial.randomised(1), (Times(), Broken()))
    assert [(each.layers, each.reason) for each in rungs] == [
        (("head",), "all values are the same")
    ]
    assert references[-1][0].reason == "all values are the same"  # the uniform map
    assert references[0][0].reason is None


def test_others_are_of_other_classes_each_of_its_own(registry, kernel):
    kernel = kernel - kernel.mean(axis=0)  # no class is ahead of any picture
    study = Study(linear(kernel), preprocess="none", registry=registry)
    pictures = [picture(seed) for seed in range(12)]
    classes = [int(np.argmax(each.reshape(180) @ kernel)) for each in pictures]
    assert set(classes) == {0, 1, 2}
    _, answers = asked(study, lambda trial: trial.others(2), pictures=pictures, targets=[None])
    for number, ((trial, _), answer) in enumerate(zip(SEEN, answers, strict=True)):
        assert {each.target for each in answer} == {0, 1, 2} - {trial.target}, number
        for each in answer:
            (place,) = [k for k, made in enumerate(pictures) if (made == each.pixels).all()]
            assert classes[place] == each.target


def test_too_few_others_are_told(study):
    found, _ = asked(study, lambda trial: trial.others(3), pictures=[picture(0), picture(0)])
    assert {each.message for each in found.failures} == {
        "3 other pictures of classes of their own are asked for, and the evaluation has 0; "
        "expected more pictures, of more classes"
    }


@dataclass(frozen=True)
class _Unset(Metric):
    name: ClassVar[str] = "unset"
    summary: ClassVar[str] = "nothing"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, trial):
        return Score(0.0)


def test_what_a_metric_costs_is_unknown_and_it_asks_for_no_map_until_it_says_so():
    assert (_Unset().queries, _Unset().maps, _Unset().family) == (None, 0, "other")


def test_what_the_model_was_run_on_for_maps_is_counted(study):
    """Of both methods at once: by the first row that asks. RISE asks about 20 pictures a map."""
    pixels = np.stack([picture(1), picture(2), picture(3)])
    methods = (Times(), RISE(masks=20))
    found, _ = asked(study, lambda trial: trial.maps(pixels), methods)
    # The picture's own probability, three pictures to a pass, and RISE's questions about each.
    assert [each.queries for each in found.measurements] == [1 + 3 + 3 * 20, 0, 0, 0, 0, 0]
    assert found.queries == 64
    assert [each.maps for each in found.measurements] == [3] * 6


def test_a_copy_of_a_picture_is_no_other_picture(registry, kernel):
    """It is not drawn, and does not change what is: whoever gives a file twice gets the same."""
    kernel = kernel - kernel.mean(axis=0)
    study = Study(linear(kernel), preprocess="none", registry=registry)
    pictures = [picture(seed) for seed in range(12)]
    target = 1 + int(np.argmax(pictures[0].reshape(180) @ kernel)) % 2

    def drawn(pictures):
        asked(study, lambda trial: trial.others(2), pictures=pictures, targets=[target])
        return SEEN[0][1], SEEN[0][0].pixels

    once, own = drawn(pictures)
    twice, _ = drawn([*pictures, *pictures])
    for one, other in zip(once, twice, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)
        assert (one.pixels != own).any()
