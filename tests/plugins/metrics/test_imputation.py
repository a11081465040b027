"""Linear imputation against sums by hand, a dense solver, and pictures that it must leave alone."""

import numpy as np
import pytest

from xai_core.errors import MetricError
from xai_plugins.metrics.imputation import imputed

NEAR = 1e-4
"""Grey levels."""


def noise(size, channels=3, seed=0):
    return np.random.default_rng(seed).uniform(0, 255, (*size, channels))


def dense(pixels, removed):
    """The same equations, one by one, through a dense solver."""
    height, width, channels = pixels.shape
    number = -np.ones((height, width), int)
    number[removed] = np.arange(removed.sum())
    system, right = np.zeros((removed.sum(),) * 2), np.zeros((removed.sum(), channels))
    for y, x in np.argwhere(removed):
        own = number[y, x]
        for down, across in np.ndindex(3, 3):
            at = y + down - 1, x + across - 1
            weight = {0: 0, 1: 1 / 6, 2: 1 / 12}[abs(down - 1) + abs(across - 1)]
            if not (0 <= at[0] < height and 0 <= at[1] < width):
                continue
            system[own, own] += weight
            if removed[at] and weight:
                system[own, number[at]] -= weight
            else:
                right[own] += weight * pixels[at]
    found = pixels.copy()
    found[removed] = np.linalg.solve(system, right)
    return found


def hole(size, *places):
    found = np.zeros(size, bool)
    for place in places:
        found[place] = True
    return found


def test_one_pixel_is_the_weighted_mean_of_its_eight_neighbours():
    pixels = noise((4, 5))
    beside = pixels[0, 2] + pixels[2, 2] + pixels[1, 1] + pixels[1, 3]
    across = pixels[0, 1] + pixels[0, 3] + pixels[2, 1] + pixels[2, 3]
    found = imputed(pixels, hole((4, 5), (1, 2)))
    np.testing.assert_allclose(found[1, 2], beside / 6 + across / 12, atol=NEAR)


def test_in_a_corner_the_three_neighbours_that_exist_count_in_proportion():
    pixels = noise((4, 5))
    found = imputed(pixels, hole((4, 5), (3, 4)))
    expected = (2 * pixels[3, 3] + 2 * pixels[2, 4] + pixels[2, 3]) / 5
    np.testing.assert_allclose(found[3, 4], expected, atol=NEAR)


def test_two_neighbours_that_are_both_removed_by_hand():
    """a = s + b / 6 and b = t + a / 6, so a = (s + t / 6) 36 / 35."""
    pixels = noise((5, 6), channels=1)
    removed = hole((5, 6), (2, 2), (2, 3))
    kept = np.where(removed[..., None], 0, pixels)[..., 0]
    weights = np.asarray([[1, 2, 1], [2, 0, 2], [1, 2, 1]]) / 12
    s, t = ((weights * kept[1:4, at - 1 : at + 2]).sum() for at in (2, 3))
    found = imputed(pixels, removed)[..., 0]
    assert found[2, 2] == pytest.approx((s + t / 6) * 36 / 35, abs=NEAR)
    assert found[2, 3] == pytest.approx((t + s / 6) * 36 / 35, abs=NEAR)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.97])
@pytest.mark.parametrize(("size", "channels"), [((12, 20), 3), ((9, 7), 1), ((17, 23), 3)])
def test_scattered_pixels_as_a_dense_solver_has_them(size, channels, share):
    pixels = noise(size, channels)
    removed = np.random.default_rng(3).random(size) < share
    np.testing.assert_allclose(imputed(pixels, removed), dense(pixels, removed), atol=NEAR)


@pytest.mark.parametrize(
    "removed",
    [
        hole((13, 18), np.s_[2:11, 3:15]),
        hole((13, 18), np.s_[:12]),
        hole((13, 18), np.s_[:, 1:]),
        ~hole((13, 18), (0, 0)),
        ~hole((13, 18), (6, 9)),
        hole((1, 18), np.s_[0, 3:]),
        hole((13, 1), np.s_[:7, 0]),
    ],
    ids=["blob", "all but a row", "all but a column", "all but a corner", "all but one", "1", "1'"],
)
def test_pixels_in_one_piece_as_a_dense_solver_has_them(removed):
    pixels = noise(removed.shape)
    np.testing.assert_allclose(imputed(pixels, removed), dense(pixels, removed), atol=NEAR)


def test_a_large_hole_satisfies_its_equations():
    """Half of a picture of 97 x 130 in one piece: what is beside each pixel makes it."""
    pixels = noise((97, 130))
    removed = hole((97, 130), np.s_[20:90, 25:115])
    found = imputed(pixels, removed)
    padded = np.pad(found, ((1, 1), (1, 1), (0, 0)))
    mean = sum(
        padded[1 + down : 98 + down, 1 + across : 131 + across] / (6 if down * across == 0 else 12)
        for down in (-1, 0, 1)
        for across in (-1, 0, 1)
        if (down, across) != (0, 0)
    )
    np.testing.assert_allclose(found[removed], mean[removed], atol=NEAR)


def test_a_plane_and_one_colour_stay():
    """Neighbours lie evenly around a pixel, so of a plane it is their mean; at the border not."""
    down, across = np.mgrid[:14, :19]
    plane = (40 + 5 * down + 3.0 * across)[..., None]
    inside = hole((14, 19), np.s_[1:13, 1:18])
    np.testing.assert_allclose(imputed(plane, inside), plane, atol=NEAR)
    grey = np.full((14, 19, 3), 77.0)
    np.testing.assert_allclose(imputed(grey, ~hole((14, 19), (5, 0))), grey, atol=NEAR)


def test_what_is_left_is_left_and_nothing_leaves_its_range():
    pixels = noise((20, 31)).astype(np.float32)
    before = pixels.copy()
    removed = np.random.default_rng(1).random((20, 31)) < 0.7
    found = imputed(pixels, removed)
    np.testing.assert_array_equal(found[~removed], before[~removed])
    np.testing.assert_array_equal(pixels, before)
    assert found.min() >= before[~removed].min() - NEAR
    assert found.max() <= before[~removed].max() + NEAR
    np.testing.assert_array_equal(imputed(pixels, np.zeros((20, 31), bool)), before)


def test_with_nothing_left_there_is_nothing_to_begin_from():
    with pytest.raises(MetricError, match=r"no pixel is left .*; expected one at least"):
        imputed(noise((3, 4)), np.ones((3, 4), bool))
