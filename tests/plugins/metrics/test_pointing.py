"""The pointing game against shares that were counted by hand."""

import numpy as np
import pytest
from trials import make_trial

from xai_core.errors import MetricError, ParameterError
from xai_plugins.metrics import PointingGame
from xai_plugins.metrics.pointing import grown

SIZE = (6, 10)
PATCH = (slice(1, 4), slice(2, 6))


def mask(patch=PATCH, size=SIZE):
    found = np.zeros(size, bool)
    found[patch] = True
    return found


def played(attribution, tolerance=0, where=None):
    where = mask() if where is None else where
    trial = make_trial(np.zeros((*where.shape, 3), np.float32), attribution, mask=where)
    return PointingGame(tolerance=tolerance).score(trial)


def peak(row, column, size=SIZE):
    found = np.zeros(size)
    found[row, column] = 2
    return found


def test_maps_whose_score_is_known():
    assert played(mask().astype(float)).value == 1
    assert played(1.0 - mask()).value == 0
    assert played(np.ones(SIZE)).value == pytest.approx(12 / 60)
    assert played(-np.ones(SIZE)).value == pytest.approx(12 / 60)
    assert played(mask((slice(4, 6), slice(4, 10))).astype(float)).value == 0


@pytest.mark.parametrize(
    ("at", "tolerance", "hits"),
    [
        ((1, 2), 0, 1), ((3, 5), 0, 1), ((0, 2), 0, 0), ((1, 6), 0, 0), ((4, 5), 0, 0),
        ((1, 1), 1, 1), ((0, 1), 1, 0), ((0, 1), 2, 1), ((4, 6), 1, 0), ((5, 7), 2, 0),
        ((5, 7), 3, 1), ((0, 9), 4, 0), ((0, 9), 5, 1), ((5, 9), 4, 0), ((5, 9), 5, 1),
    ],
)  # fmt: skip
def test_a_peak_hits_from_its_distance_on(at, tolerance, hits):
    assert played(peak(*at), tolerance).value == hits


def test_of_equal_peaks_it_is_the_share_that_hits():
    three = np.maximum.reduce([peak(1, 2), peak(0, 0), peak(5, 9)])
    score = played(three)
    assert score.value == pytest.approx(1 / 3)
    assert score.facts == {"chance": pytest.approx(0.2), "highest pixels": 3}
    assert played(three, 2).value == pytest.approx(1 / 3)  # (0, 0) is the root of 5 away
    assert played(three, 3).value == pytest.approx(2 / 3)


def test_a_random_map_hits_by_chance_on_average():
    found = [played(np.random.default_rng(n).random(SIZE), 1).value for n in range(400)]
    chance = played(np.ones(SIZE), 1).value
    # 12 in the mask and 14 beside it.
    assert chance == pytest.approx(26 / 60)
    assert np.mean(found) == pytest.approx(chance, abs=0.075)


@pytest.mark.parametrize("size", [(6, 10), (10, 6), (40, 31), (1, 7), (7, 1)])
@pytest.mark.parametrize("tolerance", [0, 1, 2, 5, 15, 200])
def test_what_is_within_reach_is_so_by_its_distance(size, tolerance):
    """Against the distance to each pixel of the mask."""
    where = np.random.default_rng(3).random(size) > 0.97
    where[size[0] // 2, size[1] // 2] = True
    rows, columns = np.indices(size)
    away = np.full(size, np.inf)
    for row, column in np.argwhere(where):
        away = np.minimum(away, (rows - row) ** 2 + (columns - column) ** 2)
    np.testing.assert_array_equal(grown(where, tolerance), away <= tolerance**2)


def test_the_papers_tolerance_is_the_default():
    assert PointingGame().tolerance == 15
    where = mask((slice(0, 1), slice(0, 1)), (40, 50))
    assert played(peak(0, 15, (40, 50)), 15, where).value == 1
    assert played(peak(0, 16, (40, 50)), 15, where).value == 0
    assert played(peak(9, 12, (40, 50)), 15, where).value == 1


def test_without_a_mask_it_says_what_to_give():
    trial = make_trial(np.zeros((*SIZE, 3), np.float32), np.ones(SIZE))
    with pytest.raises(MetricError) as caught:
        PointingGame().score(trial)
    assert str(caught.value) == (
        "there is no mask of this picture; expected one that says where the object is. Give it by "
        "masks= of Study.evaluate, by --masks or by --boxes"
    )


def test_what_is_refused():
    with pytest.raises(ParameterError, match="pointing-game: received tolerance -1; expected a"):
        PointingGame(tolerance=-1)
