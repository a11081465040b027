"""Relevance mass and rank against sums and counts by hand."""

import numpy as np
import pytest
from trials import make_trial

from xai_core.errors import MetricError
from xai_plugins.metrics import RelevanceMass, RelevanceRank

SIZE = (6, 10)
PATCH = (slice(1, 4), slice(2, 6))
MASS, RANK = RelevanceMass(), RelevanceRank()


def mask(patch=PATCH):
    found = np.zeros(SIZE, bool)
    found[patch] = True
    return found


def said(metric, attribution, where=None):
    where = mask() if where is None else where
    return metric.score(make_trial(np.zeros((*SIZE, 3), np.float32), attribution, mask=where))


@pytest.mark.parametrize("metric", [MASS, RANK])
def test_maps_whose_score_is_known(metric):
    assert said(metric, mask().astype(float)).value == 1
    assert said(metric, np.ones(SIZE)).value == pytest.approx(0.2)
    assert said(metric, 1.0 - mask()).value == 0
    assert said(metric, mask((slice(4, 6), slice(4, 10))).astype(float)).value == 0
    assert said(metric, np.ones(SIZE)).facts["chance"] == pytest.approx(0.2)


def test_the_mass_by_hand():
    """Inside 1 + 3, outside 4; against 5 inside and 2 outside: 4 of 8."""
    found = np.zeros(SIZE)
    found[1, 2], found[3, 5], found[0, 0], found[2, 3], found[5, 5] = 1, 3, 4, -5, -2
    score = said(MASS, found)
    assert score.value == pytest.approx(0.5)
    assert score.facts["values above 0"] == 3


def test_the_mass_is_the_same_in_other_units_and_never_overflows():
    found = np.random.default_rng(0).random(SIZE)
    value = said(MASS, found).value
    for factor in (1e-300, 1e-20, 7, 1.7e308):
        assert said(MASS, factor * found).value == pytest.approx(value)
    assert said(MASS, (1e-20 * found).astype(np.float32)).value == pytest.approx(value, rel=1e-6)


def test_a_map_without_evidence_has_no_mass_and_says_so():
    for found in (np.zeros(SIZE), -np.ones(SIZE), -1.0 * mask()):
        score = said(MASS, found)
        assert (score.value, score.facts["values above 0"]) == (0, 0)


def test_the_rank_by_hand():
    """K = 12: the highest twelve are 5 inside and 7 outside."""
    found = np.zeros(SIZE)
    found[1, 2:6], found[2, 2] = 9, 8
    found[5, :7] = 10
    score = said(RANK, found)
    assert score.value == pytest.approx(5 / 12)
    assert score.facts["cut"] == 8


def test_ties_at_the_cut_are_shared():
    """Seven outside are first; of 53 at 0, 12 in the mask, five are taken: 5 x 12 / 53."""
    found = np.zeros(SIZE)
    found[5, :7] = 1
    assert said(RANK, found).value == pytest.approx(5 * 12 / 53 / 12)
    # Three in the mask are first, and nine of 57, nine of them in the mask.
    found = np.zeros(SIZE)
    found[1, 2:5] = 1
    assert said(RANK, found).value == pytest.approx((3 + 9 * 9 / 57) / 12)


def test_only_the_order_counts_for_the_rank():
    found = np.random.default_rng(0).normal(size=SIZE)
    value = said(RANK, found).value
    assert said(RANK, np.exp(found / 5) - 3).value == value
    assert said(MASS, np.exp(found)).value != pytest.approx(said(MASS, found).value)


@pytest.mark.parametrize("metric", [MASS, RANK])
def test_a_random_map_scores_by_chance_on_average(metric):
    found = [said(metric, np.random.default_rng(n).random(SIZE)).value for n in range(200)]
    assert np.mean(found) == pytest.approx(0.2, abs=0.02)


def test_all_of_the_picture_is_always_hit():
    found = np.random.default_rng(0).normal(size=SIZE)
    for metric in (MASS, RANK):
        assert said(metric, found, np.ones(SIZE, bool)).value == pytest.approx(1)


@pytest.mark.parametrize("metric", [MASS, RANK])
def test_a_mask_is_needed(metric):
    with pytest.raises(MetricError, match="there is no mask of this picture; expected one"):
        metric.score(make_trial(np.zeros((*SIZE, 3), np.float32), np.ones(SIZE)))
