"""Average drop and increase where the model reads a patch, 0.8 of the range at first."""

import numpy as np
import pytest
from patches import PATCH, SIZE, WRONG, flat, mask, reads
from trials import make_trial

from xai_plugins.metrics import AverageDrop, AverageIncrease


def against(pixels):
    """The patch less half of what is beside it, over 255."""
    rest = pixels[:, mask() == 0].mean(axis=(1, 2)) / 255
    return reads()(pixels) - rest / 2


def trial(attribution, probabilities=None, pixels=None):
    return make_trial(flat() if pixels is None else pixels, attribution, probabilities or reads())


def drop(attribution, **given):
    return AverageDrop().score(trial(attribution, **given)).value


def increase(attribution, **given):
    return AverageIncrease().score(trial(attribution, **given)).value


def test_the_drop_of_maps_whose_worth_is_known():
    assert drop(mask()) == 0
    assert drop(1 - mask()) == 1
    assert drop(mask(WRONG)) == 1
    assert drop(np.ones(SIZE)) == 0


def test_what_the_map_dims_counts_in_proportion():
    """A quarter of the largest value in the patch: three quarters of 0.8 are lost."""
    score = AverageDrop().score(trial(8 - 6 * mask()))
    assert score.value == pytest.approx(0.75, abs=1e-6)
    assert dict(score.facts) == {
        "probability of the picture": pytest.approx(0.8),
        "probability of what is left": pytest.approx(0.2, abs=1e-6),
    }


def test_half_of_the_patch_by_hand():
    half = mask((PATCH[0], slice(2, 4)))
    assert drop(half) == pytest.approx(0.5, abs=1e-6)


def test_what_hides_what_speaks_against_the_class_increases_it():
    """0.8 - 0.4 = 0.4 at first; the patch alone has 0.8, the rest alone -0.4."""
    assert increase(mask(), probabilities=against) == 1
    assert drop(mask(), probabilities=against) == 0
    assert increase(1 - mask(), probabilities=against) == 0
    assert drop(1 - mask() + 0.75 * mask(), probabilities=against) == pytest.approx(0.5, abs=1e-6)
    facts = AverageIncrease().score(trial(mask(), against)).facts
    assert facts["probability of what is left"] == pytest.approx(0.8, abs=1e-6)


def test_a_uniform_map_changes_nothing_and_does_not_increase():
    for level in (1, 1e-20, 3e5, 0.1):
        assert drop(np.full(SIZE, level), probabilities=against) == 0
        assert increase(np.full(SIZE, level), probabilities=against) == 0


@pytest.mark.parametrize("none", [np.zeros(SIZE), -mask() - 1])
def test_where_nothing_is_above_zero_nothing_is_left(none):
    assert drop(none) == 1
    assert increase(none) == 0


def test_what_is_below_zero_is_cut_off_and_scale_does_not_count():
    for scale in (1, 1e-200, 1e200):
        assert drop(scale * (mask() - 3 * mask(WRONG))) == 0
        assert drop(scale * (0.5 * mask() + mask(WRONG))) == pytest.approx(0.5, abs=1e-6)


def test_of_a_class_that_is_not_there_nothing_can_drop():
    assert drop(mask(), pixels=flat(0)) == 0


def test_each_asks_about_one_picture():
    asked = []

    def ask(pixels):
        asked.append((len(pixels), pixels.dtype))
        return np.full(len(pixels), 0.5)

    for metric in (AverageDrop(), AverageIncrease()):
        given = trial(mask(), ask)
        asked.clear()
        assert metric.score(given).value == 0
        assert asked == [(1, np.float32)]
        assert metric.queries == 1
