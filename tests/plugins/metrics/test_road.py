"""ROAD where the model reads the mean of a patch: 240 in it, 40 elsewhere, 12 of 60 pixels."""

from dataclasses import replace

import numpy as np
import pytest
from patches import SIZE, WRONG, bright, flat, mask, reads
from trials import Scripted, make_trial

from xai_plugins.metrics import Road
from xai_plugins.metrics.imputation import imputed

FOURS = Road(shares=4, noise=0.0)
"""20, 40, 60 and 80 %: the patch is the first fifth."""


def trial(attribution, pixels=None, seed=(0,)):
    return make_trial(bright() if pixels is None else pixels, attribution, reads(), seed=seed)


def value(metric, attribution, **given):
    return metric.score(trial(attribution, **given)).value


def test_the_true_mask_by_hand():
    """Without the patch, its pixels are made up from a rest of 40; without the rest, it stays."""
    score = FOURS.score(trial(mask()))
    assert score.value == pytest.approx(200 / 255, abs=1e-5)
    assert dict(score.facts) == {
        "mean probability, most relevant first": pytest.approx(40 / 255, abs=1e-5),
        "mean probability, least relevant first": pytest.approx(240 / 255, abs=1e-5),
    }
    np.testing.assert_allclose(score.curve.x, [0.2, 0.4, 0.6, 0.8])
    np.testing.assert_allclose(score.curve.y, 200 / 255, atol=1e-5)


def test_the_inverted_mask_is_worth_as_much_the_other_way():
    assert value(FOURS, -mask()) == pytest.approx(-200 / 255, abs=1e-5)


def test_half_of_the_patch_by_a_solver_of_its_own():
    """With one share, 50 %: the highest 30 of a map that falls from the left, then the others."""
    ramp = -np.arange(60.0).reshape(SIZE[::-1]).T
    score = Road(shares=1, noise=0.0).score(trial(ramp))
    removed = np.zeros(SIZE, bool)
    removed[:, :5] = True
    most, least = (reads()(imputed(bright(), each)[None])[0] for each in (removed, ~removed))
    assert score.value == pytest.approx(least - most, abs=1e-6)
    assert abs(least - most) > 0.1


def test_one_colour_is_made_up_as_it_was():
    assert value(Road(noise=0.0), mask(), pixels=flat()) == pytest.approx(0, abs=1e-6)


def test_the_order_of_maps_whose_worth_is_known():
    random = np.random.default_rng(5).random(SIZE)
    found = [value(Road(), each) for each in (mask(), random, -mask())]
    assert found == sorted(found, reverse=True)
    perfect, _, inverted = found
    for middling in (np.ones(SIZE), mask(WRONG)):
        assert perfect > value(Road(), middling) + 0.3
        assert value(Road(), middling) > inverted + 0.3


def test_a_map_that_says_nothing_is_worth_nothing_on_average():
    found = [value(Road(shares=3), np.ones(SIZE), seed=(n,)) for n in range(100)]
    assert np.mean(found) == pytest.approx(0, abs=4 * np.std(found) / 10)
    assert 0.02 < np.std(found) < 0.2


def test_noise_of_a_hundredth_of_the_range_is_on_what_is_removed_alone():
    asked = []

    def ask(pixels):
        asked.append(pixels)
        return np.zeros(len(pixels))

    draw = np.random.default_rng(4)
    pixels = draw.uniform(0, 255, (30, 40, 3)).astype(np.float32)
    given = replace(make_trial(pixels, draw.random((30, 40)), ask), witness=Scripted(ask))
    asked.clear()
    Road(shares=3).score(given)
    noisy, _ = asked
    asked.clear()
    Road(shares=3, noise=0.0).score(given)
    plain, _ = asked
    assert noisy.dtype == np.float32
    for each, clean, share in zip(noisy, plain, (0.25, 0.5, 0.75), strict=True):
        removed = (each != pixels).any(axis=2)
        assert removed.mean() == share
        assert (each - clean)[removed].std() == pytest.approx(2.55, rel=0.06)
        assert (each - clean)[removed].mean() == pytest.approx(0, abs=0.25)
    # The same noise at every share, and for whatever map.
    both = (noisy[0] != pixels).all(axis=2)
    np.testing.assert_allclose((noisy - plain)[0][both], (noisy - plain)[2][both], atol=1e-4)
    asked.clear()
    Road(shares=3).score(replace(given, attribution=given.attribution[::-1]))
    mirrored, _ = asked
    again = both & both[::-1]
    np.testing.assert_array_equal((mirrored[0] == pixels).all(axis=2), ~both[::-1])
    assert again.any()


def test_what_is_removed_first_in_one_order_is_removed_last_in_the_other():
    asked = []

    def ask(pixels):
        asked.append((pixels != bright()).any(axis=3))
        return np.zeros(len(pixels))

    given = make_trial(bright(), np.ones(SIZE), ask)
    asked.clear()
    Road().score(given)
    most, least = asked
    np.testing.assert_array_equal(most, ~least[::-1])
    np.testing.assert_array_equal(most.sum(axis=(1, 2)), 6 * np.arange(1, 10))


@pytest.mark.parametrize("shares", [1, 9, 130])
def test_what_it_asks_is_what_it_says(shares):
    """130 are more than there are pixels, and more than are asked about in one go."""
    asked = []

    def ask(pixels):
        asked.append(len(pixels))
        return np.zeros(len(pixels))

    metric = Road(shares=shares)
    metric.score(replace(trial(mask()), witness=Scripted(ask)))
    assert sum(asked) == metric.queries == 2 * shares
    assert len(asked) == (2 if shares < 130 else 4)


def test_a_picture_of_one_pixel_stays_as_it_is():
    pixels = np.full((1, 1, 3), 51.0, np.float32)
    score = Road().score(
        make_trial(pixels, np.ones((1, 1)), lambda each: each.mean((1, 2, 3)) / 255)
    )
    assert score.value == 0
    assert score.facts["mean probability, most relevant first"] == pytest.approx(0.2)
