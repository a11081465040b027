"""Sparseness, entropy and effective area of maps whose mass is known."""

import math

import numpy as np
import pytest
from patches import SIZE, bright, mask
from trials import make_trial

from xai_plugins.metrics import EffectiveArea, Entropy, Sparseness


def value(metric, attribution):
    pixels = np.zeros((*np.shape(attribution), 3), np.float32)
    return metric.score(make_trial(pixels, np.asarray(attribution, float))).value


def single():
    found = np.zeros(SIZE)
    found[2, 7] = -3.5
    return found


ALL = (Sparseness(), Entropy(), EffectiveArea())


def test_of_four_values_by_hand():
    """1, 2, 3, 4: Gini (-3 - 2 + 3 + 12) / 40; 4 + 3 + 2 are 0.9 of 10."""
    four = [[3.0, -1.0], [2.0, 4.0]]
    assert value(Sparseness(), four) == pytest.approx(0.25, abs=1e-12)
    expected = -sum(p * math.log(p) for p in (0.1, 0.2, 0.3, 0.4))
    assert value(Entropy(), four) == pytest.approx(expected, abs=1e-12)
    assert value(EffectiveArea(), four) == 0.75
    assert value(EffectiveArea(mass=0.91), four) == 1
    assert value(EffectiveArea(mass=0.4), four) == 0.25
    assert value(EffectiveArea(mass=0.5), four) == 0.5


def test_a_single_pixel_is_as_sparse_as_can_be():
    assert value(Sparseness(), single()) == pytest.approx(1 - 1 / 60, abs=1e-12)
    assert value(Entropy(), single()) == 0
    assert value(EffectiveArea(), single()) == 1 / 60


@pytest.mark.parametrize("level", [0, 1, -0.1, 1e-320, 1e308])
def test_a_uniform_map_is_the_other_end_and_zeros_count_as_one(level):
    assert value(Sparseness(), np.full(SIZE, level)) == pytest.approx(0, abs=1e-12)
    assert value(Entropy(), np.full(SIZE, level)) == pytest.approx(math.log(60), abs=1e-12)
    assert value(EffectiveArea(), np.full(SIZE, level)) == 0.9


def test_a_mask_of_a_fifth():
    """Gini 1 - s; the entropy of 12 equal pixels; 11 of 12 hold 90 %."""
    assert value(Sparseness(), mask()) == pytest.approx(0.8, abs=1e-12)
    assert value(Entropy(), mask()) == pytest.approx(math.log(12), abs=1e-12)
    assert value(EffectiveArea(), mask()) == 11 / 60
    assert value(EffectiveArea(mass=1.0), mask()) == 12 / 60
    assert value(EffectiveArea(mass=0.0), mask()) == 0


@pytest.mark.parametrize("metric", ALL, ids=str)
def test_sign_scale_and_place_do_not_count(metric):
    drawn = np.random.default_rng(0).normal(size=SIZE)
    found = value(metric, drawn)
    for other in (-drawn, np.abs(drawn), drawn[::-1, ::-1], 1e-200 * drawn, 1e307 * drawn):
        assert value(metric, other) == pytest.approx(found, abs=1e-12)


def test_sparseness_is_twice_the_area_over_the_lorenz_curve():
    drawn = np.random.default_rng(1).exponential(size=SIZE)
    held = np.concatenate([[0], np.cumsum(np.sort(drawn.ravel()))]) / drawn.sum()
    area = np.sum(held[1:] + held[:-1]) / 2 / 60
    assert value(Sparseness(), drawn) == pytest.approx(1 - 2 * area, abs=1e-12)


def test_of_exponential_noise_as_its_distribution_has_it():
    """Gini 1/2; entropy ln N - (1 - gamma); 90 % of the mass above t: (1 + t) e^-t = 0.9."""
    drawn = np.random.default_rng(2).exponential(size=(300, 400))
    assert value(Sparseness(), drawn) == pytest.approx(0.5, abs=0.005)
    expected = math.log(120_000) - (1 - np.euler_gamma)
    assert value(Entropy(), drawn) == pytest.approx(expected, abs=0.01)
    t = 0.531812
    assert (1 + t) * math.exp(-t) == pytest.approx(0.9, abs=1e-6)
    assert value(EffectiveArea(), drawn) == pytest.approx(math.exp(-t), abs=0.005)


@pytest.mark.parametrize("metric", ALL, ids=str)
def test_the_fewer_pixels_the_better_in_the_direction_that_is_declared(metric):
    down, across = np.mgrid[: SIZE[0], : SIZE[1]]
    blob = np.exp(-((down - 2.5) ** 2) / 4 - (across - 4.5) ** 2 / 9)
    found = [value(metric, each) for each in (single(), mask(), blob, 1 - mask(), np.ones(SIZE))]
    assert found == sorted(found, reverse=metric.higher_is_better)
    assert len(set(found)) == 5


def test_the_entropy_as_a_share_of_the_largest():
    facts = Entropy().score(make_trial(bright(), mask())).facts
    assert dict(facts) == {"share of the largest": pytest.approx(math.log(12) / math.log(60))}
    assert Entropy().score(make_trial(np.zeros((1, 1, 3)), np.ones((1, 1)))).facts == {
        "share of the largest": 0
    }


@pytest.mark.parametrize("metric", ALL, ids=str)
def test_nothing_is_asked(metric):
    """Whoever asks a trial without a model fails."""
    assert metric.queries == 0
    metric.score(make_trial(bright(), mask()))
