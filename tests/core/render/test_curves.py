"""What a mean curve is the mean of."""

import numpy as np
import pytest

from xai_core import Curve
from xai_core.render.curves import mean_curve


def curve(x, y):
    return Curve(np.asarray(x, float), np.asarray(y, float), "x", "y")


def test_of_the_same_places_it_is_the_mean_at_each():
    x, y = mean_curve([curve([0, 0.5, 1], [1, 0.4, 0]), curve([0, 0.5, 1], [0, 0.2, 1])])
    np.testing.assert_allclose(x, [0, 0.5, 1])
    np.testing.assert_allclose(y, [0.5, 0.3, 0.5])


@pytest.mark.parametrize("order", [1, -1])
def test_nothing_is_put_where_a_curve_has_no_value(order):
    """The second has none at 2/3 and 1: there the mean is that of the first, not of 0.9 held on."""
    x = [0, 1 / 3, 2 / 3, 1]
    both = [curve(x, [1, 0.5, 0.2, 0]), curve(x, [1, 0.9, np.nan, np.nan])]
    x, y = mean_curve(both[::order])
    np.testing.assert_allclose(x, [0, 1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(y, [1, 0.7, 0.2, 0])


@pytest.mark.parametrize("order", [1, -1])
def test_gaps_of_two_curves_do_not_hide_each_other(order):
    x = [0, 0.25, 0.5, 1]
    both = [curve(x, [1, np.nan, 0.4, 0]), curve(x, [1, 0.2, np.nan, 1])]
    x, y = mean_curve(both[::order])
    np.testing.assert_allclose(x, [0, 0.25, 0.5, 1])
    np.testing.assert_allclose(y, [1, 0.2, 0.4, 0.5])


def test_where_no_curve_has_a_value_the_mean_has_none():
    x, y = mean_curve([curve([0, 0.5, 1], [1, np.nan, 0.2])] * 2)
    np.testing.assert_allclose(x, [0, 1])
    np.testing.assert_allclose(y, [1, 0.2])


def test_a_place_may_stand_twice():
    _, y = mean_curve([curve([0, 0.5, 1], [0, 1, 2]), curve([0, 1, 1], [0, 2, 2])])
    np.testing.assert_allclose(y, [0, 1, 2])


def test_of_other_places_it_is_read_at_those_of_the_first():
    x, y = mean_curve([curve([0, 0.5, 1], [0, 1, 2]), curve([0, 0.25, 1], [4, 3, 0])])
    np.testing.assert_allclose(x, [0, 0.5, 1])
    np.testing.assert_allclose(y, [2, 1.5, 1])
