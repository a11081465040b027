"""The grid pointing game: mosaics of plain pictures, whose cells are known."""

import numpy as np
import pytest
from trials import Scripted, make_trial

from xai_core.errors import MetricError, ParameterError
from xai_core.metrics import Other
from xai_plugins.metrics import GridPointingGame
from xai_plugins.metrics.grid import mosaic

SIZE = (6, 12)
OWN = 200


def plain(value, size=SIZE):
    return np.full((*size, 3), value, np.float32)


def others(count, size=SIZE):
    return tuple(Other(plain(10 * n, size), n + 1) for n in range(count))


def played(maps, side=2, seed=(0,), size=SIZE, found=None):
    seen = []

    def make(pixels, target):
        seen.append((pixels, target))
        return maps(pixels)

    trial = make_trial(
        plain(OWN, size),
        np.zeros(size),
        lambda pixels: pixels.max(axis=(1, 2, 3)) / 255,
        maps=make,
        others=others(side**2 - 1, size) if found is None else found,
        seed=seed,
    )
    return GridPointingGame(side=side).score(trial), seen


def bright(pixels):
    return (pixels.mean(axis=-1) > 150).astype(float)


@pytest.mark.parametrize("side", [2, 3])
def test_maps_whose_score_is_known(side):
    cells = side**2
    for seed in range(5):
        assert played(bright, side, (seed,))[0].value == 1
        assert played(lambda p: 1 - bright(p), side, (seed,))[0].value == 0
        uniform, _ = played(lambda p: np.ones((1, *SIZE)), side, (seed,))
        assert uniform.value == pytest.approx(1 / cells)
        assert uniform.facts["chance"] == pytest.approx(1 / cells)
        # Half of what is in the own cell is in it; and the rest counts for all it has.
        split, _ = played(lambda p: bright(p) + (p.mean(axis=-1) == 0), side, (seed,))
        assert split.value == pytest.approx(0.5)


def test_what_is_below_0_counts_nothing():
    score, _ = played(lambda p: bright(p) - 5 * (1 - bright(p)))
    assert (score.value, score.facts["values above 0"]) == (1, 18)
    for nothing in (np.zeros((1, *SIZE)), -np.ones((1, *SIZE))):
        score, _ = played(lambda p, nothing=nothing: nothing)
        assert (score.value, score.facts["values above 0"]) == (0, 0)


def test_the_mosaic_is_of_the_own_picture_and_the_others_and_is_asked_about_for_the_class():
    score, ((pixels, target),) = played(bright)
    assert target == 0
    assert pixels.shape == (1, *SIZE, 3)
    assert pixels.dtype == np.float32
    cells = [pixels[0, r : r + 3, c : c + 6] for r in (0, 3) for c in (0, 6)]
    assert sorted(float(each.mean()) for each in cells) == [0, 10, 20, OWN]
    assert all(np.ptp(each) == 0 for each in cells)
    assert score.facts["probability of the class for the mosaic"] == pytest.approx(OWN / 255)


def test_the_own_place_is_drawn_by_the_seed_all_alike():
    places = []
    for seed in range(200):
        _, ((pixels, _),) = played(bright, seed=(seed,))
        row, column = np.argwhere(bright(pixels)[0])[0]
        places.append((row // 3) * 2 + column // 6)
        _, ((again, _),) = played(bright, seed=(seed,))
        np.testing.assert_array_equal(pixels, again)
    # 50 of each, with a deviation of 6.1.
    np.testing.assert_allclose(np.bincount(places, minlength=4), 50, atol=20)


def test_a_picture_is_brought_to_its_cell_by_the_mean_over_areas():
    picture = np.random.default_rng(0).uniform(0, 255, (6, 12, 3)).astype(np.float32)
    made = mosaic([picture, plain(0), plain(0), picture], 2)
    means = picture.reshape(3, 2, 6, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(made[:3, :6], means, rtol=1e-5)
    np.testing.assert_allclose(made[3:, 6:], means, rtol=1e-5)
    assert not made[:3, 6:].any()


def test_areas_that_are_no_whole_pixels_are_weighed_by_their_share():
    """A row of 0, 30, 60 on two of 1.5: (0 + 15) / 1.5 and (15 + 60) / 1.5."""
    row = np.asarray([0, 30, 60], np.float32).reshape(3, 1, 1) * np.ones((3, 4, 1), np.float32)
    made = mosaic([row, row, row, row], 2)  # cells of 1 and 2 rows
    np.testing.assert_allclose(made[:, 0, 0], [30, 10, 50], rtol=1e-6)
    assert made.shape == (3, 4, 1)


def test_sides_that_cannot_be_divided_say_the_share_of_the_cell():
    """7 x 5: rows of 3 and 4, columns of 2 and 3."""
    shares = set()
    for seed in range(30):
        score, _ = played(lambda p: np.ones((1, 7, 5)), seed=(seed,), size=(7, 5))
        assert score.value == pytest.approx(score.facts["chance"])
        shares.add(round(35 * score.value))
    assert shares == {6, 8, 9, 12}


def test_too_many_pictures_for_the_input_or_too_few_in_the_evaluation():
    with pytest.raises(MetricError) as caught:
        played(bright, 7)
    assert str(caught.value) == (
        "a mosaic of 7 x 7 pictures does not go into an input of 6 x 12; expected side = 6 at most"
    )
    with pytest.raises(ParameterError, match="received side 1; expected a whole number, at least"):
        GridPointingGame(side=1)


def test_nothing_that_is_given_is_written_into():
    given = make_trial(
        plain(OWN), np.zeros(SIZE), lambda p: p.mean(axis=(1, 2, 3)) / 255, maps=bright,
        others=others(3),
    )  # fmt: skip
    given.pixels.flags.writeable = given.attribution.flags.writeable = False
    for each in others(3):
        each.pixels.flags.writeable = False
    assert isinstance(given.witness, Scripted)
    GridPointingGame().score(given)
