"""What LIME and Kernel SHAP share: superpixels, what covers them, and the fit with its errors."""

import dataclasses
import sys
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from keras import ops
from plain import array

from xai_core import Evidence, Needs
from xai_core.errors import ExplainerError
from xai_plugins.perturbation import LIME, KernelSHAP
from xai_plugins.perturbation.superpixels import (
    OnSuperpixels,
    Weights,
    effective_number,
    least_squares,
    superpixels,
)


class Oracle:
    """Answers by a function of one picture, and keeps what was asked."""

    def __init__(self, score, shape):
        self.score, self.shape, self.asked = score, shape, []

    def scores(self, images, targets):
        images = ops.convert_to_numpy(images)
        self.asked.extend(images)
        return ops.convert_to_tensor([self.score(image) for image in images], "float64")

    def black(self):
        return ops.zeros((1, *self.shape), "float64")


def evidence_for(pixels, score=np.sum):
    """On pictures (N, H, W, C) that the model is fed as they are, divided by 255."""
    inputs = pixels / 255
    return Evidence(
        explainer="lime",
        declared=Needs.QUERIES,
        inputs=ops.convert_to_tensor(inputs, "float64"),
        pixels=pixels,
        targets=np.zeros(len(pixels), np.int32),
        score=np.asarray([score(each) for each in inputs]),
        readings={},
        oracle=Oracle(score, pixels.shape[1:]),
    )


def divided(pixels, segments, compactness=30.0):
    (labels,) = superpixels(evidence_for(pixels[None]), segments, compactness)
    return labels


def squares(count=1, colours=(200.0, 90.0, 10.0)):
    """Pictures of one colour, 6 x 9, that are divided into six squares."""
    return np.broadcast_to(np.asarray(colours), (count, 6, 9, 3)).copy()


SQUARES = np.repeat(np.repeat(np.arange(6).reshape(2, 3), 3, axis=0), 3, axis=1)
NOISE = np.random.default_rng(2).uniform(0, 255, (64, 96, 3))


def test_a_picture_of_one_colour_is_divided_into_squares():
    np.testing.assert_array_equal(divided(squares()[0], 6), SQUARES)
    np.testing.assert_array_equal(divided(squares()[0][..., :1], 6), SQUARES)


def test_superpixels_keep_to_an_edge():
    pixels = np.full((24, 40, 3), (220.0, 30.0, 20.0))
    pixels[:, 17:] = (20.0, 60.0, 200.0)
    labels = divided(pixels, 12)
    assert not set(labels[:, :17].ravel()) & set(labels[:, 17:].ravel())
    assert labels.max() + 1 >= 6


def test_grey_is_divided_as_the_same_in_rgb():
    grey = (
        np.tile(np.linspace(0, 255, 40), (24, 1))[..., None]
        * (np.arange(24) % 7 > 2)[:, None, None]
    )
    np.testing.assert_array_equal(divided(grey, 12), divided(np.repeat(grey, 3, axis=-1), 12))


@pytest.mark.parametrize(
    ("pixels", "segments"),
    [
        (NOISE, 50),
        (np.zeros((64, 96, 3)), 50),
        (NOISE[:1, :1], 50),
        (NOISE[:2, :3], 4),
        (NOISE[:1, :30], 7),
        (NOISE, 1),
    ],
)
def test_labels_have_no_gaps_and_are_about_as_many_as_asked_for(pixels, segments):
    labels = divided(pixels, segments)
    found = np.unique(labels)
    np.testing.assert_array_equal(found, np.arange(len(found)))
    most = min(segments, labels.size)
    assert most / 2 <= len(found) <= 1.5 * most
    assert labels.shape == pixels.shape[:2]


def test_of_texture_too_few_superpixels_are_not_left():
    # With so little compactness next to nothing is connected, and one swallows the rest.
    assert len(np.unique(divided(NOISE, 50, 0.1))) >= 25


def test_each_picture_is_divided_by_itself():
    pictures = np.stack([NOISE, np.zeros_like(NOISE), NOISE[::-1]])
    labels = superpixels(evidence_for(pictures), 20, 30.0)
    for found, pixels in zip(labels, pictures, strict=True):
        np.testing.assert_array_equal(found, divided(pixels, 20))
    assert len(set(labels.max(axis=(1, 2)))) > 1


def test_without_scikit_image_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    with pytest.raises(ExplainerError, match=r'pip install "xai-core\[superpixels\]"'):
        LIME().explain(evidence_for(squares()))


METHODS = [LIME(samples=40, segments=6), KernelSHAP(samples=40, segments=6)]


@pytest.mark.parametrize("method", METHODS, ids=lambda each: each.name)
def test_what_is_covered_has_the_colour_of_what_covers(method):
    # Six parts of unequal size, for 8 x 12 is no multiple of theirs.
    pixels = np.random.default_rng(3).uniform(80, 90, (1, 8, 12, 3))
    labels = divided(pixels[0], 6, 1000.0)
    areas = np.bincount(labels.ravel())
    assert len(areas) == 6
    assert len(set(areas)) > 1
    means = np.stack([pixels[0][labels == each].mean(axis=0) for each in range(6)])
    covers = {
        "black": np.zeros((8, 12, 3)),
        "mean": np.broadcast_to(pixels[0].mean(axis=(0, 1)) / 255, (8, 12, 3)),
        "superpixels": means[labels] / 255,
    }
    for baseline, cover in covers.items():
        evidence = evidence_for(pixels)
        dataclasses.replace(method, baseline=baseline, compactness=1000.0).explain(evidence)
        for image in evidence.oracle.asked:
            on = np.isclose(image, pixels[0] / 255, rtol=0, atol=1e-12).all(axis=-1)
            np.testing.assert_allclose(image[~on], cover[~on], atol=1e-12)
            # A superpixel is on or off as a whole.
            shares = np.bincount(labels.ravel(), on.ravel()) / areas
            assert set(shares) <= {0.0, 1.0}


@dataclass(frozen=True)
class Counted(OnSuperpixels):
    """Gives each superpixel its number, with a variance of the square of that."""

    name: ClassVar[str] = "counted"

    def weigh(self, players, score, game):
        numbers = np.arange(players, dtype=np.float64)
        return Weights(numbers, numbers**2)


def test_the_error_is_the_root_mean_square_over_the_pixels():
    labels = divided(squares(colours=(9.0,) * 3)[0, :, :8], 6)
    areas = np.bincount(labels.ravel())
    assert len(set(areas)) > 1
    found = Counted(segments=6).explain(evidence_for(squares(colours=(9.0,) * 3)[:, :, :8]))
    expected = np.sqrt(areas @ np.arange(len(areas)) ** 2 / areas.sum())
    assert found.facts["standard error"] == pytest.approx([expected], rel=1e-12)
    np.testing.assert_array_equal(found.maps[0], labels)


@pytest.mark.parametrize("method", METHODS, ids=lambda each: each.name)
def test_each_pixel_has_the_weight_of_its_superpixel(method):
    # S counts each square by its own number, so that what is 3 x 3 x 3 x 0.5 adds that times it.
    def score(picture):
        return sum(number * picture[number == SQUARES].sum() for number in range(6))

    found = dataclasses.replace(method, baseline="black", **_exact(method)).explain(
        evidence_for(np.full((1, 6, 9, 3), 127.5), score)
    )
    np.testing.assert_allclose(ops.convert_to_numpy(found.maps)[0], 13.5 * SQUARES, atol=1e-10)
    assert found.facts["superpixels"] == 6
    assert found.facts["standard error"] == pytest.approx(0, abs=1e-12)


def _exact(method):
    return {"ridge": 0.0} if method.name == "lime" else {}


@pytest.mark.parametrize("method", METHODS, ids=lambda each: each.name)
def test_a_map_depends_on_nothing_but_its_picture_and_the_seed(monkeypatch, method):
    def score(picture):
        return np.cos((picture.sum(axis=-1) * np.linspace(-1, 1, 96)).sum() / 300)

    method = dataclasses.replace(method, segments=12)
    pictures = np.stack([NOISE, 0.3 * NOISE[::-1] + 20, np.full_like(NOISE, 90.0)])
    together = method.explain(evidence_for(pictures, score))
    for number in range(3):
        alone = method.explain(evidence_for(pictures[number : number + 1], score))
        np.testing.assert_array_equal(together.maps[number], alone.maps[0])
        for name, values in alone.facts.items():
            np.testing.assert_array_equal(together.facts[name][number], values[0])
    monkeypatch.setattr("xai_core.evidence.QUERY_BATCH", 7)
    again = method.explain(evidence_for(pictures, score))
    np.testing.assert_array_equal(again.maps, together.maps)
    other = dataclasses.replace(method, seed=1).explain(evidence_for(pictures[:1], score))
    assert not np.allclose(other.maps[0], together.maps[0], rtol=1e-3)


@pytest.mark.parametrize("method", METHODS, ids=lambda each: each.name)
def test_where_the_score_does_not_depend_on_the_picture_the_map_is_zero(method):
    found = method.explain(evidence_for(NOISE[None], lambda picture: 0.1))
    np.testing.assert_array_equal(found.maps, np.zeros((1, 64, 96)))
    assert found.facts["standard error"] == 0


@pytest.mark.parametrize("method", METHODS, ids=lambda each: each.name)
def test_one_superpixel_has_what_the_whole_picture_adds(method):
    method = dataclasses.replace(method, segments=1, baseline="black", **_exact(method))
    found = method.explain(evidence_for(np.full((1, 4, 5, 1), 127.5)))
    np.testing.assert_allclose(found.maps, np.full((1, 4, 5), 10.0), rtol=1e-12)


@pytest.mark.parametrize("method", METHODS, ids=lambda each: each.name)
@pytest.mark.parametrize(("samples", "few"), [(4, True), (2000, False)])
def test_too_few_samples_are_warned_of(method, samples, few):
    made = dataclasses.replace(method, segments=24, samples=samples).explain(
        evidence_for(NOISE[None, :24, :32])
    )
    message, about = made.warnings["few-samples"]
    assert array(about).tolist() == [few]
    assert "raise samples" in message
    assert np.isfinite(array(made.maps)).all()


def test_the_effective_number_by_hand():
    assert effective_number(np.full(8, 0.3)) == pytest.approx(8)
    assert effective_number(np.asarray([3.0, 1.0, 0.0])) == 16 / 10
    assert effective_number(np.zeros(4)) == 0


def _rows(seed=6, count=40, columns=5):
    generator = np.random.default_rng(seed)
    return (
        generator.normal(size=(count, columns)),
        generator.normal(size=count),
        generator.uniform(0.1, 2, count),
    )


def test_the_fit_is_that_of_rows_scaled_by_the_root_of_their_weights():
    design, response, weights = _rows()
    penalty = np.asarray([0.0, 2.0, 2.0, 2.0, 2.0])
    fit = least_squares(design, response, weights, penalty)
    root = np.sqrt(weights)
    # A penalty is a row that wants the coefficient to be 0.
    stacked = np.concatenate([root[:, None] * design, np.diag(np.sqrt(penalty))])
    wanted = np.concatenate([root * response, np.zeros(5)])
    expected = np.linalg.lstsq(stacked, wanted, rcond=None)[0]
    np.testing.assert_allclose(fit.coefficients, expected, rtol=1e-10)
    left = np.average((response - design @ expected) ** 2, weights=weights)
    spread = np.average((response - np.average(response, weights=weights)) ** 2, weights=weights)
    assert fit.r2 == pytest.approx(1 - left / spread, rel=1e-10)


@pytest.mark.parametrize("penalty", [0.0, 3.0])
def test_the_variances_are_those_of_leaving_out_each_row(penalty):
    # The jackknife, row by row: what a row changes when it is left out, squared and summed.
    design, response, weights = _rows()
    whole = least_squares(design, response, weights, np.full(5, penalty))
    changes = []
    for number in range(len(response)):
        rest = np.arange(len(response)) != number
        part = least_squares(design[rest], response[rest], weights[rest], np.full(5, penalty))
        changes.append(part.coefficients - whole.coefficients)
    np.testing.assert_allclose(whole.variances, np.sum(np.square(changes), axis=0), rtol=1e-9)


def test_where_rows_leave_a_direction_open_the_shortest_is_taken():
    # Only b0 + b1 is determined: 3, in equal parts.
    design = np.asarray([[1.0, 1.0], [2.0, 2.0]])
    fit = least_squares(design, np.asarray([3.0, 6.0]), np.ones(2), np.zeros(2))
    np.testing.assert_allclose(fit.coefficients, [1.5, 1.5], rtol=1e-12)
