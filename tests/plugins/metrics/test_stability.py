"""Stability of methods that move with the picture, stay, or are made anew."""

import numpy as np
import pytest
from PIL import Image
from trials import make_trial

from xai_core.errors import MetricError, ParameterError
from xai_core.rank_correlation import spearman
from xai_plugins.metrics import Stability
from xai_plugins.metrics.stability import moved, overlap, recompressed

SIZE = (12, 20)
WAYS = {"moved up": (-1, 0), "moved down": (1, 0), "moved left": (0, -1), "moved right": (0, 1)}


def picture(channels=3, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (*SIZE, channels)).astype(np.float32)


def said(maps, attribution, metric=None, pixels=None):
    seen = []

    def make(pixels):
        seen.append(pixels)
        return maps(pixels)

    trial = make_trial(picture() if pixels is None else pixels, attribution, maps=make)
    return (metric or Stability()).score(trial), seen[0]


def red(pixels):
    return pixels[..., 0].astype(float)


def test_a_map_that_moves_with_the_picture_is_stable():
    """The red of a picture is moved with it to the last bit; JPEG changes it."""
    score, seen = said(red, red(picture()[None])[0])
    assert {name: score.facts[name] for name in WAYS} == dict.fromkeys(WAYS, 1)
    assert score.facts["JPEG"] == pytest.approx(spearman(seen[4][..., 0], picture()[..., 0]))
    assert 0.1 < score.facts["JPEG"] < 0.9
    assert score.value == pytest.approx((4 + score.facts["JPEG"]) / 5)


def test_a_map_that_is_the_opposite_of_what_it_was():
    score, _ = said(lambda p: -red(p), red(picture()[None])[0])
    assert [score.facts[name] for name in WAYS] == [-1] * 4


def test_noise_made_anew_is_at_0():
    draw = np.random.default_rng(0)
    found = [said(lambda p: draw.normal(size=(5, *SIZE)), draw.normal(size=SIZE))[0].value
             for _ in range(50)]  # fmt: skip
    assert np.mean(found) == pytest.approx(0, abs=0.02)


def test_a_map_that_stays_while_the_picture_moves_is_not_at_its_place():
    """A ramp across that stays: moved sideways or not, its order is the same; a checkerboard's
    is the opposite after an odd shift."""
    board = np.indices(SIZE).sum(axis=0) % 2 * 1.0
    score, _ = said(lambda p: np.stack([board] * 5), board, Stability(shift=3))
    assert score.facts == {**dict.fromkeys(WAYS, pytest.approx(-1)), "JPEG": 1}
    assert score.value == pytest.approx(-0.6)
    ramp = np.indices(SIZE)[1] * 1.0
    assert said(lambda p: np.stack([ramp] * 5), ramp)[0].value == 1


def test_maps_without_order():
    flat, other = np.ones(SIZE), red(picture()[None])[0]
    assert said(lambda p: np.stack([flat] * 5), 3 * flat)[0].value == 1
    assert said(red, flat)[0].value == 0
    assert said(lambda p: np.stack([flat] * 5), other)[0].value == 0


def test_only_the_order_counts():
    """Each map on a scale of its own."""
    own = red(picture()[None])[0]
    score, _ = said(red, own)
    scaled, _ = said(lambda p: np.exp(red(p) / 40) - 8, 1e-9 * own)
    assert scaled.value == pytest.approx(score.value, abs=1e-12)


@pytest.mark.parametrize(("down", "across"), [(-2, 0), (2, 0), (0, -3), (0, 3)])
def test_a_moved_picture_has_its_pixels_elsewhere_and_its_edge_repeated(down, across):
    pixels = picture(1)
    found = moved(pixels, down, across)
    for row in range(SIZE[0]):
        for column in range(SIZE[1]):
            source = (min(max(row - down, 0), 11), min(max(column - across, 0), 19))
            assert found[row, column, 0] == pixels[(*source, 0)]
    before, after = overlap(pixels[..., 0], found[..., 0], down, across)
    np.testing.assert_array_equal(before, after)
    assert before.shape == (12 - abs(down), 20 - abs(across))


def test_the_pictures_that_are_asked_about():
    pixels = picture()
    _, seen = said(red, red(pixels[None])[0], Stability(shift=2, quality=40))
    assert seen.shape == (5, *SIZE, 3)
    assert seen.dtype == np.float32
    for each, (down, across) in zip(seen, WAYS.values(), strict=False):
        np.testing.assert_array_equal(each, moved(pixels, 2 * down, 2 * across))
    np.testing.assert_array_equal(seen[4], recompressed(pixels, 40))


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_nearer_the_better_its_quality(channels):
    rows, columns = np.indices(SIZE)
    smooth = np.stack([4 * rows + 5 * columns + 20 * c for c in range(channels)], -1)
    pixels = smooth.astype(np.float32)
    apart = [np.abs(recompressed(pixels, quality) - pixels).mean() for quality in (5, 50, 95)]
    assert apart[0] > apart[1] > apart[2]
    assert apart[2] < 2
    assert recompressed(pixels, 50).dtype == np.float32


def test_jpeg_is_pillows(tmp_path):
    levels = np.rint(picture()).astype(np.uint8)
    Image.fromarray(levels).save(tmp_path / "a.jpg", quality=60, subsampling=2)
    with Image.open(tmp_path / "a.jpg") as read:
        np.testing.assert_array_equal(recompressed(picture(), 60), np.asarray(read))


def test_what_is_refused():
    with pytest.raises(MetricError) as caught:
        said(red, red(picture()[None])[0], Stability(shift=12))
    assert str(caught.value) == (
        "a picture of 12 x 20 moved by 12 pixels has nothing left to compare; expected a shift of "
        "11 at most"
    )
    with pytest.raises(ParameterError, match="stability: received quality 96; expected a whole"):
        Stability(quality=96)


def test_nothing_that_is_given_is_written_into():
    pixels = picture()
    before = pixels.copy()
    said(red, red(pixels[None])[0], pixels=pixels)
    np.testing.assert_array_equal(pixels, before)
