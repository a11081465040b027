"""Spearman's rank correlation, by hand and by its identities."""

import numpy as np
import pytest

from xai_core.rank_correlation import spearman


def test_ties_have_their_mean_rank_by_hand():
    """Ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4: about 2.5, 4.5 / sqrt(4.5 * 5)."""
    a, b = np.array([[1.0, 2], [2, 9]]), np.array([[0.0, 8], [4, 9]])
    assert spearman(a, b) == pytest.approx(4.5 / np.sqrt(22.5), abs=1e-15)
    assert spearman(b, a) == spearman(a, b)


def test_only_the_order_counts():
    values = np.random.default_rng(0).normal(size=(5, 7))
    assert spearman(values, np.exp(3 * values)) == pytest.approx(1, abs=1e-15)
    assert spearman(values, -values) == pytest.approx(-1, abs=1e-15)


def test_without_ties_it_is_the_formula_of_squared_differences():
    """1 - 6 sum d^2 / (n (n^2 - 1))."""
    draw = np.random.default_rng(1)
    a, b = draw.permutation(35), draw.permutation(35)
    formula = 1 - 6 * float(((a - b) ** 2).sum()) / (35 * (35**2 - 1))
    assert spearman(a.reshape(5, 7) * 2.0, b.reshape(5, 7) - 9.0) == pytest.approx(formula)


@pytest.mark.parametrize("swap", [1, -1])
def test_one_value_has_no_order(swap):
    assert spearman(*(np.ones((2, 3)), np.arange(6.0).reshape(2, 3))[::swap]) is None
