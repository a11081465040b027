"""Deletion and insertion against areas worked out by hand, on pictures that are not square.

The model reads the mean of one patch: v = mean / 255. All pixels are 204, so v is 0.8 at first.
The patch has 12 of the 60 pixels, s = 0.2 of them.
"""

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from trials import Scripted, make_trial

from xai_core.errors import ParameterError
from xai_plugins.metrics import Deletion, Insertion
from xai_plugins.metrics.canvas import canvas
from xai_plugins.metrics.pixels import ranks

SIZE = (6, 10)
PATCH = (slice(1, 4), slice(2, 6))
V, S = 0.8, 0.2


def reads(patch):
    return lambda pixels: pixels[(slice(None), *patch)].mean(axis=(1, 2, 3)).astype(float) / 255


def mask(patch=PATCH):
    found = np.zeros(SIZE)
    found[patch] = 1
    return found


def ramp():
    """Every value once, the patch last."""
    found = np.arange(60.0)[::-1].reshape(SIZE).copy()
    found[PATCH] -= 1000
    return found


def trial(attribution, pixels=None, seed=(0,)):
    pixels = np.full((*SIZE, 3), 204, np.float32) if pixels is None else pixels
    return make_trial(pixels, attribution, reads(PATCH), seed=seed)


def area(metric, attribution, **given):
    return metric.score(trial(attribution, **given)).value


BLACK = MappingProxyType({"steps": 60, "baseline": "black"})


def test_the_true_mask_by_hand():
    """Deleted: a line from v at 0 to 0 at s, then nothing: v s / 2. Inserted: v (1 - s / 2)."""
    assert area(Deletion(**BLACK), mask()) == pytest.approx(V * S / 2, abs=1e-6)
    assert area(Insertion(**BLACK), mask()) == pytest.approx(V * (1 - S / 2), abs=1e-6)


def test_the_inverted_mask_by_hand():
    """Deleted: v up to 1 - s, then a line to 0: v (1 - s / 2). Inserted: v s / 2."""
    assert area(Deletion(**BLACK), -mask()) == pytest.approx(V * (1 - S / 2), abs=1e-6)
    assert area(Insertion(**BLACK), -mask()) == pytest.approx(V * S / 2, abs=1e-6)


@pytest.mark.parametrize("steps", [5, 10, 20, 30])
def test_few_steps_are_exact_where_the_curve_is_straight_between_them(steps):
    """s = 1/5 lies on a step, so the trapezoids are exact."""
    assert area(Deletion(steps=steps), mask()) == pytest.approx(V * S / 2, abs=1e-6)


def test_one_step_is_the_mean_of_both_ends():
    assert area(Deletion(steps=1), mask()) == pytest.approx(V / 2, abs=1e-6)


def test_more_steps_than_pixels_are_the_same():
    assert area(Deletion(steps=240), mask()) == pytest.approx(V * S / 2, abs=1e-6)


def test_steps_that_do_not_divide_the_pixels_are_weighed_by_their_own_share():
    """7 steps of 60: 0, 9, 17, 26, 34, 43, 51, 60. The patch goes from 48 on: y is v up to 43,
    then v (1 - 3 / 12) at 51, then 0."""
    expected = V * (43 + 8 * (1 + 0.75) / 2 + 9 * 0.75 / 2) / 60
    assert area(Deletion(steps=7), -mask()) == pytest.approx(expected, abs=1e-6)


def test_the_mean_colour_in_place_of_pixels_by_hand():
    """The patch is 240, the rest 40: the mean is 80. y falls from 240 / 255 to 80 / 255."""
    pixels = np.full((*SIZE, 3), 40, np.float32)
    pixels[PATCH] = 240
    expected = (80 + 160 * S / 2) / 255
    found = area(Deletion(steps=60, baseline="mean"), mask(), pixels=pixels)
    assert found == pytest.approx(expected, abs=1e-6)


def test_blurring_what_is_the_same_everywhere_changes_nothing():
    assert area(Insertion(), mask()) == pytest.approx(V, abs=1e-6)
    assert area(Deletion(baseline="blur"), -mask()) == pytest.approx(V, abs=1e-6)


def test_the_order_of_maps_whose_worth_is_known():
    """Perfect, then the ones that know nothing, then the wrong patch and the inverted map."""
    random = np.random.default_rng(5).random(SIZE)
    wrong = mask((slice(4, 6), slice(4, 10)))
    for metric, sign in ((Deletion(**BLACK), -1), (Insertion(**BLACK), 1)):
        perfect, inverted = (sign * area(metric, each) for each in (mask(), -mask()))
        for middling in (random, np.ones(SIZE)):
            assert perfect > sign * area(metric, middling) > inverted
        assert perfect > sign * area(metric, wrong) > inverted
        assert sign * area(metric, np.ones(SIZE)) > sign * area(metric, wrong)


def test_a_map_that_says_nothing_has_half_the_area_on_average():
    """Each pixel of the patch goes at a place that is uniform over 0..1."""
    found = [area(Deletion(**BLACK), np.ones(SIZE), seed=(n,)) for n in range(200)]
    # The mean of 12 places among 60 has a deviation of 0.075 v, so that of 200 has 0.0043.
    assert np.mean(found) == pytest.approx(V / 2, abs=0.013)
    assert np.std(found) == pytest.approx(0.0744 * V, rel=0.15)


@pytest.mark.parametrize("where", [np.s_[:3], np.s_[3:]])
def test_ties_do_not_go_by_position(where):
    """Of equal values, as many of the first half as of the second are among the first half."""
    first = ranks(np.ones((6, 1000)), np.random.default_rng(0)) < 3000
    assert first[where].mean() == pytest.approx(0.5, abs=0.03)


def test_ranks_go_from_the_highest_value_down_each_once():
    found = ranks(np.asarray([[0.5, -2.0, 7.0], [1.0, 0.5, 0.5]]), np.random.default_rng(0))
    assert (found[0, 2], found[1, 0], found[0, 1]) == (0, 1, 5)
    assert sorted(found.ravel()) == list(range(6))


def test_ties_are_the_same_for_every_metric_and_every_time():
    metric = Deletion(**BLACK)
    assert area(metric, np.ones(SIZE)) == area(metric, np.ones(SIZE))
    # Inserting what would have been deleted: read from the other end, where nothing is tied.
    assert area(Insertion(**BLACK), ramp()) == pytest.approx(area(metric, -ramp()), abs=1e-12)


def test_only_the_order_of_the_values_counts():
    assert area(Deletion(**BLACK), ramp()) == area(Deletion(**BLACK), np.exp(ramp() / 50) - 3)


def test_the_curve_and_the_facts_are_what_was_asked():
    score = Deletion(steps=5).score(trial(mask()))
    np.testing.assert_allclose(score.curve.x, [0, 0.2, 0.4, 0.6, 0.8, 1])
    np.testing.assert_allclose(score.curve.y, [V, 0, 0, 0, 0, 0], atol=1e-7)
    assert score.curve.x_label == "share of pixels taken away"
    assert score.facts == {
        "probability at the start": pytest.approx(V),
        "probability at the end": 0,
    }
    assert Insertion().score(trial(mask())).curve.x_label == "share of pixels put in"


def test_what_it_asks_is_what_it_says(monkeypatch):
    asked = []

    def ask(pixels):
        asked.append(len(pixels))
        assert pixels.dtype == np.float32
        return np.zeros(len(pixels))

    pixels = np.full((*SIZE, 3), 204, np.float32)
    for metric in (Deletion(steps=300), Insertion(steps=7)):
        asked.clear()
        metric.score(replace(trial(mask(), pixels), witness=Scripted(ask)))
        assert sum(asked) == metric.queries == metric.steps + 1


def test_nothing_that_is_given_is_written_into():
    given = trial(mask(), pixels=np.random.default_rng(0).uniform(0, 255, (*SIZE, 3)))
    given.pixels.flags.writeable = given.attribution.flags.writeable = False
    for baseline in ("black", "mean", "blur"):
        Deletion(baseline=baseline).score(given)
        Insertion(baseline=baseline).score(given)


def test_what_is_refused():
    with pytest.raises(ParameterError) as caught:
        Deletion(baseline="grey")
    assert str(caught.value) == (
        "deletion: received baseline 'grey'; expected one of black, mean, blur"
    )
    with pytest.raises(ParameterError, match="insertion: received steps 0; expected a whole"):
        Insertion(steps=0)


@pytest.mark.parametrize(("size", "sigma"), [((224, 260), 5), ((60, 45), 2), ((45, 60), 2)])
def test_the_blur_spreads_a_point_and_leaves_one_colour(size, sigma):
    """Down and across by the same width: 5 of 224 of the shorter side, or 2 pixels."""
    point = np.zeros((*size, 1))
    row, column = size[0] // 2, size[1] // 2
    point[row, column] = 1
    blurred = canvas("blur", point)[..., 0]
    ratio = np.exp(-0.5 / sigma**2)
    assert blurred[row, column + 1] / blurred[row, column] == pytest.approx(ratio, abs=1e-6)
    assert blurred[row + 1, column] / blurred[row, column] == pytest.approx(ratio, abs=1e-6)
    assert blurred.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(canvas("blur", np.full((*size, 3), 7.0)), 7)


def test_the_mean_colour_is_a_colour():
    pixels = np.zeros((2, 3, 3), np.float32)
    pixels[0, 0] = (60, 6, 0)
    found = canvas("mean", pixels)
    assert (found.shape, found.dtype) == (pixels.shape, np.float32)
    np.testing.assert_allclose(found, np.broadcast_to([10, 1, 0], pixels.shape))
