"""Maps that know nothing of a model, by hand, on pictures that are not square."""

import numpy as np
import pytest

from xai_core.references import REFERENCES


def made(name, pixels, seed=0):
    return REFERENCES[name](np.asarray(pixels), np.random.default_rng(seed))


def test_every_table_has_these_rows():
    assert list(REFERENCES) == ["random", "centre-gaussian", "edges", "uniform"]


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("channels", [1, 3])
def test_each_is_a_finite_map_of_the_pictures_size(name, channels):
    pixels = np.random.default_rng(1).uniform(0, 255, (4, 7, channels)).astype(np.float32)
    before = pixels.copy()
    found = made(name, pixels)
    assert found.shape == (4, 7)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_array_equal(found, made(name, pixels))


def test_uniform_is_one_everywhere():
    assert (made("uniform", np.zeros((2, 3, 3))) == 1).all()


def test_random_depends_on_the_generator_alone():
    pixels = np.zeros((4, 5, 3))
    np.testing.assert_array_equal(made("random", pixels), made("random", pixels + 9))
    assert not np.array_equal(made("random", pixels), made("random", pixels, seed=1))


def test_the_blob_is_highest_in_the_middle_and_as_wide_as_a_quarter_of_each_side():
    """At a quarter of a side from the centre: exp(-1/2)."""
    blob = made("centre-gaussian", np.zeros((5, 9, 3)))
    assert blob[2, 4] == blob.max() == 1
    np.testing.assert_allclose(blob, blob[::-1, ::-1], rtol=1e-12)
    wide = made("centre-gaussian", np.zeros((1, 100, 1)))[0]
    # The centres of the pixels 74 and 75 lie at 0.245 and 0.255 from the middle.
    assert np.sqrt(wide[74] * wide[75]) == pytest.approx(np.exp(-0.5), abs=1e-3)


def test_edges_are_sobels():
    """A step of 10 between the columns 1 and 2: 4 x 10 on both sides of it, nothing elsewhere."""
    pixels = np.zeros((3, 5, 1))
    pixels[:, 2:] = 10
    np.testing.assert_allclose(made("edges", pixels), [[0, 40, 40, 0, 0]] * 3)
    np.testing.assert_allclose(
        made("edges", pixels.transpose(1, 0, 2)), np.transpose([[0, 40, 40, 0, 0]] * 3)
    )


def test_edges_both_ways_add_as_squares():
    """A ramp of 1 down and 2 across: Sobel's weights sum to 8, so hypot(8, 16) within."""
    down, across = np.mgrid[:4, :6]
    found = made("edges", (down + 2.0 * across)[..., None])
    np.testing.assert_allclose(found[1:-1, 1:-1], np.hypot(8, 16))
