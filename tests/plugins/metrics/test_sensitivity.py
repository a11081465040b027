"""Max-sensitivity against norms by hand, with methods whose answer to noise is known."""

import numpy as np
import pytest
from trials import make_trial

from xai_core.errors import MetricError, ParameterError
from xai_plugins.metrics import MaxSensitivity

SIZE = (6, 10)


def picture(value=100):
    return np.full((*SIZE, 3), value, np.float32)


def said(maps, attribution, metric=None, pixels=None, seed=(0,)):
    seen = []

    def make(pixels):
        seen.append(pixels)
        return maps(pixels)

    trial = make_trial(picture() if pixels is None else pixels, attribution, maps=make, seed=seed)
    return (metric or MaxSensitivity()).score(trial), seen[0]


def red(pixels):
    return pixels[..., 0].astype(float)


def test_the_greatest_distance_by_hand():
    """Maps 3, 4 and 12 away in one place, of a map of norm 2: at most 6, and 19 / 6 on average."""
    own = np.zeros(SIZE)
    own[0, 0] = 2

    def maps(pixels):
        made = np.stack([own] * 3)
        made[:, 5, 9] = (3, -4, 12)
        return made

    score, _ = said(maps, own, MaxSensitivity(samples=3))
    assert score.value == pytest.approx(6)
    assert score.facts == {"mean": pytest.approx(19 / 6), "norm of the map": pytest.approx(2)}


def test_the_norm_is_euclidean_over_the_map():
    own = np.ones(SIZE)
    score, _ = said(lambda p: np.stack([1.5 * own] * len(p)), own)
    assert score.value == pytest.approx(0.5)
    opposite, _ = said(lambda p: np.stack([-own] * len(p)), own)
    assert opposite.value == pytest.approx(2)


def test_maps_whose_score_is_known():
    own = red(picture())
    stays, _ = said(lambda p: np.stack([own] * len(p)), own)
    assert stays.value == 0
    # Signed noise made anew, of the same norm on average: the root of 2.
    draw = np.random.default_rng(0)
    noise, _ = said(lambda p: draw.normal(size=(len(p), *SIZE)), draw.normal(size=SIZE))
    assert noise.facts["mean"] == pytest.approx(np.sqrt(2), abs=0.12)
    # A map of the pixels: noise of radius r has the norm r / root 3 a pixel.
    moves, _ = said(red, own, MaxSensitivity(samples=50, radius=6))
    assert moves.facts["mean"] == pytest.approx(6 / np.sqrt(3) / 100, rel=0.05)
    assert moves.value > moves.facts["mean"]


def test_the_noise_is_uniform_within_the_radius_on_every_value():
    _, noisy = said(red, red(picture()), MaxSensitivity(samples=300, radius=8))
    assert noisy.shape == (300, *SIZE, 3)
    assert noisy.dtype == np.float32
    noise = noisy - 100
    assert np.abs(noise).max() <= 8
    assert noise.std() == pytest.approx(8 / np.sqrt(3), rel=0.02)
    assert noise.mean() == pytest.approx(0, abs=0.1)
    # Of 54,000 values, no two places or channels have the same.
    assert len(np.unique(noisy[0])) > 170


@pytest.mark.parametrize(("value", "mean"), [(0, 2), (255, 253)])
def test_the_noisy_picture_is_a_picture(value, mean):
    """Half of the noise is cut off: a quarter of the radius is left of it on average."""
    _, noisy = said(red, np.ones(SIZE), MaxSensitivity(radius=8), picture(value))
    assert noisy.min() >= 0
    assert noisy.max() <= 255
    assert noisy.mean() == pytest.approx(mean, abs=0.2)


def test_the_noise_is_the_same_for_every_map_and_goes_by_the_seed():
    _, one = said(red, np.ones(SIZE))
    _, other = said(lambda p: 0 * red(p), np.ones(SIZE))
    _, third = said(red, np.ones(SIZE), seed=(1,))
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, third)


def test_no_radius_is_no_noise():
    score, noisy = said(red, red(picture()), MaxSensitivity(radius=0.0))
    assert score.value == 0
    np.testing.assert_array_equal(noisy, np.stack([picture()] * 10))


def test_a_map_of_nothing():
    still, _ = said(lambda p: 0 * red(p), np.zeros(SIZE))
    assert still.value == 0
    with pytest.raises(MetricError) as caught:
        said(red, np.zeros(SIZE))
    assert str(caught.value) == (
        "the map is 0 everywhere and that of a noisy picture is not; expected a map to compare "
        "with, since the distance is told in multiples of its norm"
    )


def test_it_asks_for_as_many_maps_as_it_says():
    _, noisy = said(red, np.ones(SIZE), MaxSensitivity(samples=7))
    assert len(noisy) == MaxSensitivity(samples=7).maps == 7
    with pytest.raises(ParameterError, match="max-sensitivity: received radius 256"):
        MaxSensitivity(radius=256)
