"""How alike two maps are: by hand, and against scikit-image where it says the same."""

import numpy as np
import pytest
from skimage.feature import hog as peer_hog
from skimage.metrics import structural_similarity

from xai_core.errors import MetricError
from xai_core.rank_correlation import spearman
from xai_plugins.metrics.similarity import (
    SIMILARITIES,
    gradients,
    held_to_vary,
    hog,
    ssim,
    structure,
)

SIZE = (24, 37)


def noise(seed=0, size=SIZE):
    return np.random.default_rng(seed).normal(size=size)


@pytest.mark.parametrize("kind", SIMILARITIES)
@pytest.mark.parametrize("scale", [1, 1e-20, 1e20])
def test_a_map_is_like_itself_at_any_scale(kind, scale):
    assert SIMILARITIES[kind](noise(), scale * noise()) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("kind", SIMILARITIES)
def test_it_is_the_same_both_ways_and_within_its_bounds(kind):
    measure = SIMILARITIES[kind]
    for size in ((1, 2), (2, 1), (3, 5), SIZE):
        for seed in range(5):
            one, other = noise(seed, size), noise(seed + 9, size)
            found = measure(one, other)
            if found is not None:
                assert found == pytest.approx(measure(other, one), abs=1e-12)
                assert -1 <= found <= 1


def test_the_map_turned_round():
    one = noise()
    assert spearman(one, -one) == -1
    assert SIMILARITIES["spearman-abs"](one, -one) == 1
    # Where a window's mean is not 0, both of its factors turn: their product does not.
    assert ssim(one - one.mean() + 9, 9 + one.mean() - one) < 0 < ssim(one, -one)
    # Gradients that point the other way are of the same orientation.
    assert hog(one, -one) == pytest.approx(1)


def test_spearman_with_ties_by_hand():
    """Ranks 1 2.5 2.5 4 and 1 4 2.5 2.5: covariance 2.25, variances 4.5."""
    assert spearman(np.array([[1.0, 2, 2, 9]]), np.array([[-5.0, 7, 0, 0]])) == pytest.approx(0.5)
    # Of three places, 1.5 1.5 3 and 2 1 3: 1.5 / sqrt(1.5 x 2).
    assert spearman(np.array([0.0, 0, 4]), np.array([2.0, 1, 3])) == pytest.approx(1.5 / 3**0.5)


def test_a_rectified_map_is_like_the_map_where_it_is_not_tied():
    """Half of the values at 0: their ranks are one, and the correlation is sqrt(3) / 2 x ... .

    Of uniform ranks u, those of the map are u above 1/2 and 1/4 below: covariance 1/12 - 1/96,
    variance the same, over 1/12: sqrt(7/8).
    """
    one = noise(size=(100, 120))
    assert spearman(one, np.maximum(one, 0)) == pytest.approx((7 / 8) ** 0.5, abs=0.01)


def test_magnitudes_alone():
    one = np.array([[-3.0, 1, 2]])
    assert SIMILARITIES["spearman"](one, np.array([[3.0, 1, 2]])) == pytest.approx(-0.5)
    assert SIMILARITIES["spearman-abs"](one, np.array([[3.0, 1, 2]])) == 1


@pytest.mark.parametrize("kind", ["spearman", "spearman-abs", "hog"])
def test_what_is_the_same_everywhere_is_like_nothing(kind):
    assert SIMILARITIES[kind](np.ones(SIZE), noise()) is None
    assert SIMILARITIES[kind](noise(), np.zeros(SIZE)) is None


def test_magnitudes_that_are_all_one_have_no_order():
    assert SIMILARITIES["spearman-abs"](np.sign(noise()), noise()) is None


@pytest.mark.parametrize("signed", [True, False])
def test_structure_is_that_of_scikit_image_away_from_the_edges(signed):
    """At the edges, where a window is cut off, theirs is of a picture that goes on mirrored."""
    one = noise(1) if signed else np.abs(noise(1))
    other = one + 0.3 * (noise(2) if signed else np.abs(noise(2)))
    _, expected = structural_similarity(
        one / np.abs(one).max(), other / np.abs(other).max(), full=True, gaussian_weights=True,
        sigma=1.5, use_sample_covariance=False, data_range=2 if signed else 1,
    )  # fmt: skip
    found = structure(one, other)
    np.testing.assert_allclose(found[5:-5, 5:-5], expected[5:-5, 5:-5], atol=1e-12)
    assert ssim(one, other) == found.mean()


def test_structure_by_hand_of_a_map_that_is_one_place():
    """No variance: (2 x y + c) / (x^2 + y^2 + c) with c = (0.01 x 2)^2."""
    found = structure(np.array([[5.0]]), np.array([[-0.1]]))
    c = 0.02**2
    np.testing.assert_allclose(found, (-2 + c) / (2 + c), rtol=1e-12)


@pytest.mark.parametrize("size", [(48, 64), (50, 79)])
def test_histograms_are_those_of_scikit_image(size):
    values = noise(3, size)
    expected = peer_hog(
        values / np.abs(values).max(), orientations=9, pixels_per_cell=(16, 16),
        cells_per_block=(2, 2), block_norm="L2-Hys",
    )  # fmt: skip
    found = gradients(values / np.abs(values).max())
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_histograms_by_hand():
    """A ramp across has gradients of 0 degrees alone, one down of 90 in the fifth bin of 20."""
    across = gradients(np.tile(np.arange(8.0), (4, 1)))
    # Cells of 2 x 2: 2 x 4 of them, 1 x 3 blocks of 4 cells of 9 bins.
    assert across.shape == (1 * 3 * 4 * 9,)
    (bins,) = np.nonzero(across.reshape(-1, 9).sum(axis=0))
    assert bins.tolist() == [0]
    (bins,) = np.nonzero(gradients(np.tile(np.arange(8.0), (4, 1)).T).reshape(-1, 9).sum(axis=0))
    assert bins.tolist() == [4]
    # Within, all gradients are alike: four equal cells, 1 / 2 each, clipped at 0.2, and 1 / 2.
    np.testing.assert_allclose(across.reshape(3, 4, 9)[1, :, 0], 0.5, atol=1e-6)


def test_maps_of_other_edges_are_unlike():
    rows, columns = np.mgrid[:32, :48]
    assert hog(np.sin(rows / 3), np.sin(columns / 3)) < -0.1
    assert hog(np.sin(rows / 3), np.sin(rows / 3 + 1)) > 0.9


def test_a_map_of_one_value_is_refused():
    with pytest.raises(MetricError) as caught:
        held_to_vary(np.full((2, 3), 0.25), "the map")
    assert str(caught.value) == (
        "the map is 0.25 everywhere; expected one with an order, to compare it with another"
    )
    held_to_vary(np.eye(2), "the map")
