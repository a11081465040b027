"""The distance to float64 by hand."""

import numpy as np
import pytest
from trials import make_trial

from xai_core.errors import MetricError
from xai_plugins.metrics import Float64Distance

SIZE = (40, 50)


def said(raw, precise):
    pixels = np.zeros((6, 10, 3), np.float32)
    return Float64Distance().score(make_trial(pixels, np.asarray(raw), precise=precise))


def test_the_greatest_difference_over_the_greatest_value_by_hand():
    """Off by 0.5, 1 and 0.25 where the greatest is 4 below 0."""
    score = said([[1.5, -3.0, 0.25]], [[1.0, -4.0, 0.0]])
    assert score.value == pytest.approx(0.25)
    assert score.facts["rank correlation"] == 1


def test_the_percentile_leaves_one_in_a_thousand_out():
    """2,000 values: one is off by 10 of 100, all others by 0.01."""
    precise = np.linspace(1, 100, 2000).reshape(SIZE)
    raw = precise + 0.01
    raw[3, 4] = precise[3, 4] - 10
    score = said(raw, precise)
    assert score.value == pytest.approx(0.1)
    assert score.facts["99.9th percentile"] == pytest.approx(1e-4, rel=1e-6)
    assert 0.99 < score.facts["rank correlation"] < 1


def test_the_percentile_by_hand():
    """Differences 0, 1, ..., 1999 of 4000: the place of the percentile is 0.999 x 1999."""
    precise = np.full(SIZE, 4000.0)
    score = said(precise - np.arange(2000.0).reshape(SIZE), precise)
    assert score.value == pytest.approx(1999 / 4000)
    assert dict(score.facts) == {"99.9th percentile": pytest.approx(0.999 * 1999 / 4000)}


def test_what_float32_alone_takes_away():
    precise = np.random.default_rng(0).normal(size=SIZE)
    assert 0 < said(precise.astype(np.float32), precise).value < 2**-23
    assert said(precise, precise).value == 0


def test_an_inverted_map_and_another():
    precise = np.random.default_rng(0).normal(size=SIZE)
    score = said(-precise, precise)
    assert (score.value, score.facts["rank correlation"]) == (pytest.approx(2), -1)
    other = np.random.default_rng(1).normal(size=SIZE)
    assert abs(said(other, precise).facts["rank correlation"]) < 0.1


def test_units_do_not_matter():
    precise = np.random.default_rng(0).normal(size=SIZE)
    raw = precise.astype(np.float32).astype(float)
    assert said(1e-30 * raw, 1e-30 * precise).value == pytest.approx(said(raw, precise).value)


def test_maps_of_nothing():
    score = said(np.zeros(SIZE), np.zeros(SIZE))
    assert (score.value, dict(score.facts)) == (0, {"99.9th percentile": 0})
    with pytest.raises(MetricError) as caught:
        said(np.ones(SIZE), np.zeros(SIZE))
    assert str(caught.value) == (
        "the map in float64 is 0 everywhere and the map is not; expected a value to compare with, "
        "since the distance is told in shares of the largest"
    )
