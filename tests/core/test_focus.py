"""Focus: areas, centre and entropy of maps whose answer is known."""

import numpy as np
import pytest

from xai_core.focus import measure_focus, place, share


def test_one_place_has_everything():
    raw = np.zeros((4, 5), np.float32)
    raw[1, 3] = 2.0
    focus = measure_focus(raw)
    assert focus.above_half == pytest.approx(1 / 20)
    assert focus.half_mass == pytest.approx(0.5 / 20)
    assert focus.centre == pytest.approx((1.5 / 4, 3.5 / 5))
    assert focus.entropy == 0


def test_a_uniform_map_needs_half_of_the_area():
    focus = measure_focus(np.full((3, 7), 0.2, np.float32))
    assert focus.above_half == 1
    assert focus.half_mass == pytest.approx(0.5)
    assert focus.centre == pytest.approx((0.5, 0.5))
    assert focus.entropy == pytest.approx(1)


def test_half_of_the_mass_counts_the_last_place_in_part():
    # 4 + 3 + 2 + 1 = 10: half is 5, the place with 4 and a third of that with 3.
    focus = measure_focus(np.asarray([[1.0, 4.0], [3.0, 2.0]]))
    assert focus.half_mass == pytest.approx((1 + 1 / 3) / 4)
    assert focus.above_half == pytest.approx(2 / 4)
    assert focus.centre == pytest.approx(
        ((5 * 0.5 + 5 * 1.5) / 10 / 2, (4 * 0.5 + 6 * 1.5) / 10 / 2)
    )
    p = np.asarray([1, 4, 3, 2]) / 10
    assert focus.entropy == pytest.approx(-(p * np.log(p)).sum() / np.log(4))


def test_areas_are_shares_of_the_picture_not_of_the_crop():
    whole, part = (measure_focus(np.ones((2, 2)), covered) for covered in (1.0, 0.6))
    assert part.half_mass == pytest.approx(0.6 * whole.half_mass)
    assert part.above_half == pytest.approx(0.6 * whole.above_half)
    assert part.entropy == whole.entropy


def test_what_speaks_against_is_evidence_too():
    raw = np.asarray([[0.0, -3.0], [1.0, 0.0]])
    assert measure_focus(raw).centre == pytest.approx(
        ((3 * 0.5 + 1.5) / 4 / 2, (3 * 1.5 + 0.5) / 4 / 2)
    )


@pytest.mark.parametrize(
    "raw", [np.zeros((3, 3)), np.asarray([[1.0, np.nan]]), np.asarray([[np.inf]])]
)
def test_no_focus_without_evidence(raw):
    assert measure_focus(raw) is None


def test_in_words():
    raw = np.zeros((10, 10))
    raw[0, 9] = 1
    assert str(measure_focus(raw)) == (
        "half of the evidence lies in 0.5% of the picture, around the upper right"
    )


@pytest.mark.parametrize(
    ("centre", "words"),
    [
        ((0.5, 0.5), "centre"),
        ((0.0, 0.5), "upper centre"),
        ((0.5, 0.1), "middle left"),
        ((1.0, 1.0), "lower right"),
        ((0.34, 0.66), "centre"),
    ],
)
def test_places(centre, words):
    assert place(centre) == words


@pytest.mark.parametrize(("part", "words"), [(0.061, "6%"), (1.0, "100%"), (0.004, "0.4%")])
def test_shares(part, words):
    assert share(part) == words
