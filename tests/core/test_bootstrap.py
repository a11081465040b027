"""Bootstrap intervals against distributions of resampled means that can be counted."""

from itertools import product

import numpy as np
import pytest

from xai_core.bootstrap import digits, interval


def test_one_value_has_no_interval():
    found = interval(np.asarray([0.25]), 0)
    assert (found.mean, found.low, found.high, found.count) == (0.25, None, None, 1)
    assert str(found) == "none"


def test_two_values_by_hand():
    """Of 4 resamples, one has the mean 0 and one the mean 1: more than 2.5 % on either side."""
    found = interval(np.asarray([0.0, 1.0]), 0)
    assert (found.mean, found.low, found.high, found.count) == (0.5, 0.0, 1.0, 2)
    assert str(found) == "0.000 to 1.000"


def test_four_values_by_counting_all_resamples():
    """0, 1, 2, 3: 5 of 256 resamples sum to 1 or less, 1.95 %, and 15 to 2 or less, 5.9 %."""
    values = np.arange(4.0)
    every = np.asarray(list(product(values, repeat=4))).mean(axis=1)
    assert np.quantile(every, 0.025, method="inverted_cdf") == 0.5
    found = interval(values, 0)
    assert (found.low, found.high) == (0.5, 2.5)


def test_many_values_have_the_interval_of_the_normal_distribution():
    """Mean +- 1.96 s / sqrt(n), within the noise of 2,000 resamples."""
    values = np.random.default_rng(3).normal(5, 2, 400)
    found = interval(values, 1)
    half = 1.96 * values.std() / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_what_is_always_the_same_has_no_width():
    found = interval(np.zeros(9), 0)
    assert (found.mean, found.low, found.high) == (0, 0, 0)


def test_it_moves_and_stretches_with_the_values():
    values = np.random.default_rng(0).random(8)
    plain, moved = interval(values, 7), interval(3 - 2 * values, 7)
    assert moved.low == pytest.approx(3 - 2 * plain.high)
    assert moved.high == pytest.approx(3 - 2 * plain.low)


def test_a_seed_draws_the_same_and_another_does_not():
    values = np.random.default_rng(0).random(30)
    assert interval(values, 1) == interval(values, 1)
    assert interval(values, 1) != interval(values, 2)


def test_how_often_it_covers_the_truth():
    """400 samples of 30: 95 % nominal, a little less in truth, as the docstring says."""
    draw = np.random.default_rng(11)
    samples = [interval(draw.normal(0, 1, 30), n) for n in range(400)]
    assert 0.90 < np.mean([each.low < 0 < each.high for each in samples]) < 0.98


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.25, "0.250"),
        (0.0005, "0.001"),
        (4.9e-4, "4.9e-04"),
        (-3.2e-7, "-3.2e-07"),
        (0.0, "0.000"),
        (12.3456, "12.346"),
        (999_999.25, "999999.250"),
        (1e6, "1.00e+06"),
        (-123_456_789_012.5, "-1.23e+11"),
        (np.inf, "inf"),
    ],
)
def test_what_is_not_0_does_not_read_as_0_nor_a_large_one_as_a_row_of_digits(value, told):
    assert digits(value, 3) == told
