"""Spearman's rho against closed forms."""

from itertools import permutations

import numpy as np
import pytest

from xai_core.rank_correlation import spearman


def test_the_same_order_is_1_and_the_opposite_minus_1_to_the_last_bit():
    values = np.random.default_rng(0).normal(size=(224, 225))
    for one in (values, np.rint(3 * values)):
        assert spearman(one, np.exp(one)) == 1
        assert spearman(one, -one) == -1


def test_without_ties_it_is_1_less_6_d2_over_n_n2_less_1():
    for order in permutations(range(5)):
        d2 = sum((a - b) ** 2 for a, b in enumerate(order))
        assert spearman(range(5), order) == pytest.approx(1 - 6 * d2 / 120, abs=1e-15)


def test_equal_values_share_their_mean_rank():
    """Ranks 1.5, 1.5, 3 against 1, 2, 3: less their mean -0.5, -0.5, 1 and -1, 0, 1."""
    assert spearman([0, 0, 5], [1, 2, 3]) == pytest.approx(1.5 / np.sqrt(1.5 * 2), abs=1e-15)
    # Ranks 1.5, 1.5, 3.5, 3.5 against 1.5, 3.5, 1.5, 3.5.
    assert spearman([0, 0, 9, 9], [4, 7, 4, 7]) == 0
    # 2.5, 2.5, 2.5, 2.5, 5 against 1, 3.5, 3.5, 3.5, 3.5: 2.5^2 / 4 of the variance 5.
    assert spearman([0, 0, 0, 0, 1], [0, 1, 1, 1, 1]) == pytest.approx(0.25)


def test_where_one_side_is_the_same_everywhere_there_is_no_order():
    assert spearman([1, 1, 1], [1, 2, 3]) is None
    assert spearman([1, 2, 3], [1, 1, 1]) is None
    assert spearman([[0.0]], [[0.0]]) is None


def test_only_order_counts_however_small_the_differences():
    values = np.random.default_rng(0).normal(size=50)
    other = np.random.default_rng(1).normal(size=50)
    assert spearman(1e-300 * values, 1e300 * other) == spearman(values, other)
    assert spearman(values, other) == spearman(other, values)


def test_what_has_nothing_in_common_is_near_0():
    """The deviation is 1 / sqrt(n - 1) = 0.01."""
    draw = np.random.default_rng(2)
    assert abs(spearman(draw.random(10_001), draw.random(10_001))) < 0.03
