"""The chance of a difference, by hand, by its closed form, and by how often it is wrong."""

from math import comb

import numpy as np
import pytest

from xai_core.sign_flips import FEWEST, LEVEL, chance


def test_by_hand():
    """Of 1, 2, 3 and -1 the sum is 5; of the 16 patterns, 7 (1) and 5 (2: either 1) reach it."""
    assert chance(np.array([1.0, 2, 3, -1]), 0) == 2 * 3 / 16
    assert chance(np.array([-1.0, -2, -3, 1]), 0) == 2 * 3 / 16


@pytest.mark.parametrize("count", range(1, 11))
def test_all_one_way(count):
    assert chance(np.linspace(1, 2, count), 0) == 2 / 2**count


def test_fewest_is_the_first_number_of_pairs_that_can_show_anything():
    assert 2 / 2**FEWEST <= LEVEL < 2 / 2 ** (FEWEST - 1)


@pytest.mark.parametrize(("ahead", "even"), [(3, 3), (4, 6), (4, 16), (6, 4)])
def test_a_difference_of_0_says_nothing_either_way(ahead, even):
    """Four pictures of ten, or of twenty, that are won 4 to 0 are no proof: 2 / 2^4."""
    found = chance(np.array([1.0] * ahead + [0.0] * even), 0)
    assert found == pytest.approx(2 / 2**ahead, abs=0 if ahead + even <= 12 else 0.01)


def test_no_difference_at_all_is_all_chance():
    assert chance(np.zeros(8), 0) == 1
    assert chance(np.zeros(30), 0) == 1


@pytest.mark.parametrize("pairs", [9, 15, 40])
def test_of_yes_and_no_it_is_the_sign_test(pairs):
    """The binomial's tails: exact up to 12 pairs, of 9,999 drawn patterns beyond."""
    for won in (pairs - 2, 2 * pairs // 3):
        tail = sum(comb(pairs, each) for each in range(won, pairs + 1)) / 2**pairs
        found = chance(np.array([1.0] * won + [-1.0] * (pairs - won)), 3)
        deviation = (2 * tail / 9999) ** 0.5
        assert found == pytest.approx(2 * tail, abs=1e-12 if pairs <= 12 else 4 * deviation + 1e-4)


def test_rounding_of_equal_sums_does_not_count_as_smaller():
    values = np.array([0.1, 0.2, 0.3, -0.4, 0.15, 0.05])
    whole = np.array([2.0, 4, 6, -8, 3, 1])
    assert chance(values, 0) == chance(whole, 0)


@pytest.mark.parametrize("count", [6, 10, 20])
def test_where_there_is_no_difference_one_in_twenty_is_shown_at_most(count):
    """The bootstrap's interval would leave 0 out in 10 to 14 % of these."""
    draws = np.random.default_rng(7).normal(size=(2000, count))
    share = np.mean([chance(each, 0) <= LEVEL for each in draws])
    assert share < LEVEL + 3 * (LEVEL / 2000) ** 0.5
    assert share > 0.02


def test_the_same_seed_is_the_same_chance():
    values = np.random.default_rng(1).normal(0.4, 1, 25)
    once, again, other = (chance(values, seed) for seed in (1, 1, 2))
    assert once == again != other
    assert once == pytest.approx(other, abs=0.01)
