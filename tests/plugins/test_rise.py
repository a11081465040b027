"""RISE: its masks against closed forms, its maps against what was asked."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers, ops

from xai_core import Evidence, Needs, Study
from xai_core.errors import ParameterError
from xai_plugins.perturbation import RISE, CentredRISE
from xai_plugins.perturbation.rise import Masks

BLACK = -0.7
PICTURES = np.random.default_rng(4).uniform(0.2, 1.5, (3, 11, 17, 3))
WEIGHTS = np.random.default_rng(5).normal(size=(11, 17, 3))


def bent(picture):
    """A score of one picture that is neither linear nor near 0."""
    return 6 + np.tanh((picture * WEIGHTS).sum() / 10)


class Oracle:
    """Answers by a function of one picture, and keeps what was asked."""

    def __init__(self, score):
        self.score, self.asked, self.answers = score, [], []

    def scores(self, images, targets):
        images = ops.convert_to_numpy(images)
        answers = [self.score(image) for image in images]
        self.asked.extend(images)
        self.answers.extend(answers)
        return ops.convert_to_tensor(answers, "float64")

    def black(self):
        return ops.full((1, *PICTURES.shape[1:]), BLACK, "float64")


def evidence_for(pictures, score=bent):
    return Evidence(
        explainer="rise",
        declared=Needs.QUERIES,
        inputs=ops.convert_to_tensor(pictures, "float64"),
        pixels=pictures,
        targets=np.zeros(len(pictures), np.int32),
        score=np.asarray([score(each) for each in pictures]),
        readings={},
        oracle=Oracle(score),
    )


def explained(explainer, pictures=PICTURES[:1], score=bent):
    """The maps, the facts, the masks (M, H, W) and the scores that they had."""
    evidence = evidence_for(pictures, score)
    made = explainer.explain(evidence)
    shown = (np.asarray(evidence.oracle.asked) - BLACK) / (pictures[0] - BLACK)
    return ops.convert_to_numpy(made.maps), made, shown, np.asarray(evidence.oracle.answers)


def test_a_mask_by_hand():
    # One column of nodes, 0 and 1 in turn, cells of 4 pixels. With no shift the pixels lie at
    # 0, 1/4, 1/2, ... of the way from one node to the next; shifted by 3 they begin at 3/4.
    grid = np.repeat(np.asarray([0.0, 1.0, 0.0, 1.0])[:, None], 4, axis=1)
    masks = Masks(np.stack([grid, grid]), np.asarray([[0, 0], [3, 1]]), (4, 2), (8, 3))
    ramp = np.asarray([0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2]) / 4
    np.testing.assert_allclose(masks(slice(0, 1))[0], np.repeat(ramp[:8, None], 3, axis=1))
    np.testing.assert_allclose(masks(slice(1, 2))[0], np.repeat(ramp[3:, None], 3, axis=1))


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_the_mean_of_the_masks_is_p_everywhere(p):
    masks = Masks.draw(6000, 7, p, (23, 34), seed=1)(slice(0, 6000))
    assert masks.min() >= 0
    assert masks.max() <= 1
    # Five standard errors of a mean of 6000, at 782 places.
    np.testing.assert_allclose(masks.mean(axis=0), p, atol=5 * masks.std() / 6000**0.5)


def test_the_masks_are_spread_evenly_because_each_has_its_own_shift():
    # A pixel a share f of the way between two nodes has p (1 - p) ((1 - f)^2 + f^2) along each
    # axis, and every f = 0, 1/c, 2/c, ... is as likely: cells of c = 4 and 5 pixels.
    masks = Masks.draw(6000, 7, 0.5, (23, 34), seed=2)
    shares = [np.arange(c) / c for c in (4, 5)]
    rows, columns = (np.mean((1 - f) ** 2 + f**2) for f in shares)
    variance = masks(slice(0, 6000)).var(axis=0)
    np.testing.assert_allclose(variance, 0.25 * rows * columns, rtol=0.12)
    # With one shift for all, a place on a node varies up to four times as much as one between.
    shared = dataclasses.replace(masks, shifts=np.full_like(masks.shifts, 2))
    variance = shared(slice(0, 6000)).var(axis=0)
    assert variance.min() < 0.35 * variance.max()


def test_the_map_is_the_mean_of_score_times_mask_over_p():
    maps, _, masks, scores = explained(RISE(masks=70, cells=3, p=0.4))
    assert masks.shape == (70, 11, 17, 3)
    np.testing.assert_allclose(masks, np.repeat(masks[..., :1], 3, axis=-1), atol=1e-12)
    expected = np.mean(scores[:, None, None] * masks[..., 0], axis=0) / 0.4
    np.testing.assert_allclose(maps[0], expected, rtol=1e-12)


def test_the_centred_map_is_that_of_the_score_less_its_mean():
    maps, made, masks, scores = explained(CentredRISE(masks=70, cells=3, p=0.4))
    about = (scores - scores.mean())[:, None, None]
    np.testing.assert_allclose(maps[0], np.mean(about * masks[..., 0], axis=0) / 0.4, rtol=1e-10)
    weighted = about * (masks[..., 0] - 0.4) / 0.4
    error = np.sqrt((weighted.var(axis=0, ddof=1) / 70).mean())
    assert made.facts["standard error"] == pytest.approx([error], rel=1e-12)
    again = explained(RISE(masks=70, cells=3, p=0.4))[2]
    np.testing.assert_array_equal(masks, again)


def test_the_standard_error_is_that_of_a_mean_in_root_mean_square():
    _, made, masks, scores = explained(RISE(masks=70, cells=3, p=0.4))
    weighted = scores[:, None, None] * masks[..., 0] / 0.4
    error = np.sqrt((weighted.var(axis=0, ddof=1) / 70).mean())
    assert made.facts["standard error"] == pytest.approx([error], rel=1e-12)


def test_the_standard_error_does_not_cancel():
    # All masks show all: every score is 1e9, and nothing varies.
    maps, made, _, _ = explained(RISE(masks=70, p=1.0), score=lambda picture: 1e9)
    np.testing.assert_array_equal(maps, np.full((1, 11, 17), 1e9))
    assert made.facts["standard error"] == 0


@pytest.mark.parametrize("method", [RISE, CentredRISE])
def test_the_standard_error_is_the_spread_over_seeds(method):
    made = [explained(method(masks=100, seed=seed)) for seed in range(30)]
    spread = np.sqrt(np.stack([maps[0] for maps, *_ in made]).var(axis=0, ddof=1).mean())
    said = np.mean([found.facts["standard error"][0] for _, found, *_ in made])
    assert said == pytest.approx(spread, rel=0.15)


def test_without_the_offset_the_error_is_smaller():
    # The score is 6 +- 1: most of the error is that of the mean of 100 masks, times 6.
    plain, centred = (
        explained(method(masks=100))[1].facts["standard error"][0] for method in (RISE, CentredRISE)
    )
    assert centred < plain / 5


@pytest.mark.parametrize("method", [RISE(masks=70), CentredRISE(masks=70)])
def test_a_map_depends_on_nothing_but_its_picture_and_the_seed(monkeypatch, method):
    together, made, masks, _ = explained(method, PICTURES)
    for number, one in enumerate(together):
        alone, lone, *_ = explained(method, PICTURES[number : number + 1])
        np.testing.assert_array_equal(one, alone[0])
        fact = "standard error"
        assert made.facts[fact][number] == lone.facts[fact][0]
    # All pictures have the same masks.
    shown = (PICTURES[1] - BLACK) / (PICTURES[0] - BLACK)
    np.testing.assert_allclose(masks[70:140] / shown, masks[:70], atol=1e-12)
    monkeypatch.setattr("xai_core.evidence.QUERY_BATCH", 9)
    np.testing.assert_array_equal(explained(method, PICTURES)[0], together)
    other = dataclasses.replace(method, seed=1)
    assert not np.allclose(explained(other, PICTURES)[0], together, rtol=1e-3)


def test_where_the_score_does_not_depend_on_the_picture():
    for score in (0.1, -7.3):
        _, made, masks, _ = explained(RISE(masks=70), score=lambda picture, s=score: s)
        expected = score * masks[..., 0].mean(axis=0) / 0.5
        np.testing.assert_allclose(made.maps[0], expected, rtol=1e-12)
        assert made.warnings["offset"][1].tolist() == [True]
        zero = explained(CentredRISE(masks=70), score=lambda picture, s=score: s)[0]
        np.testing.assert_array_equal(zero, np.zeros((1, 11, 17)))


def test_a_map_that_varies_is_not_warned_of():
    # A thing on the right that is seen or not, as probabilities of classes mostly are.
    def score(picture):
        return float(picture[2:9, 12:].mean() > 0.6)

    maps, made, *_ = explained(RISE(masks=400, cells=3), score=score)
    assert maps[0, 2:9, 12:].min() > 1.2 * maps[0, :, :5].max()
    assert made.warnings["offset"][1].tolist() == [False]


def test_in_a_study_it_costs_a_query_a_mask(registry):
    model = keras.Sequential(
        [keras.Input((9, 12, 1)), layers.Flatten(), layers.Dense(3, activation="softmax")]
    )
    study = Study(model, preprocess="unit", registry=registry)
    picture = np.random.default_rng(1).integers(0, 256, (9, 12), dtype=np.uint8)
    method = CentredRISE(masks=75)
    one = study.explain(picture, method, target=0)
    assert one.facts["queries"] == method.queries == 75
    assert one.map.dtype == np.float32
    assert one.method.signed
    # On a linear model each node counts what lies around it: in the mean what a pixel adds over
    # black, smoothed. Here it is enough that both agree.
    kernel = model.layers[-1].get_weights()[0][:, 0].reshape(9, 12)
    added = kernel * picture / 255
    found = study.explain(picture, CentredRISE(masks=2000, cells=12), target=0)
    assert np.corrcoef(found.map.ravel(), added.ravel())[0, 1] > 0.7


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"p": 0.0}, "rise: received p 0.0; expected a number, 0.01 to 1"),
        ({"masks": 1}, "rise: received masks 1; expected a whole number, at least 2"),
    ],
)
def test_what_has_no_map_or_no_error_is_refused(changes, told):
    with pytest.raises(ParameterError) as caught:
        RISE(**changes)
    assert str(caught.value) == told
