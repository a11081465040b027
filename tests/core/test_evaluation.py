"""What is said of a difference, by its interval alone; and text of anyone's in Markdown."""

import pytest

from xai_core.bootstrap import Interval
from xai_core.errors import PictureError
from xai_core.evaluation import Evaluation, Gauge, Measurement, Row
from xai_core.metrics import Score
from xai_core.ranking import Contest, Standing
from xai_core.types import Target

CASES = [
    (None, "no picture in common", "no picture in common"),
    (Interval(0.5, None, None, 1), "one picture: no interval", "one picture"),
    (Interval(0.5, 0.4, 0.6, 5), "no difference shown: 5 pictures, fewer than 6",
     "no difference shown to edges"),
    (Interval(0.5, 0.4, 0.6, 6), "beats", "beats edges"),
    (Interval(0.5, -0.1, 1.1, 6), "no difference shown", "no difference shown to edges"),
    (Interval(-0.5, -1.1, 0.1, 6), "no difference shown", "no difference shown to edges"),
    (Interval(0.5, 0.0, 1.1, 6), "no difference shown", "no difference shown to edges"),
    (Interval(-0.5, -0.6, 0.0, 6), "no difference shown", "no difference shown to edges"),
    (Interval(-0.5, -0.6, -0.4, 6), "does not beat", "does not beat edges"),
]  # fmt: skip


@pytest.mark.parametrize(("gain", "word", "told"), CASES)
def test_a_difference_is_shown_where_its_interval_is_on_one_side_of_0(gain, word, told):
    contest = Contest("edges", gain)
    assert contest.word == word
    assert str(contest) == told


def test_what_is_shown_and_what_is_not_stand_together():
    beaten, worse, same = (Interval(0, low, high, 9) for low, high in ((1, 2), (-2, -1), (-1, 1)))
    contests = (
        Contest("random", beaten),
        Contest("edges", worse),
        Contest("uniform", same),
        Contest("centre-gaussian", beaten),
    )
    row = Row("mine", {}, "tests", is_reference=False)
    standing = Standing(row, Interval(0.5, 0.4, 0.6, 9), contests, None, 0)
    assert standing.words == (
        "beats random and centre-gaussian; does not beat edges; no difference shown to uniform"
    )
    assert not standing.beats_all


def evaluation(values, higher_is_better=True):
    """By row, its value for each picture; None is a failure."""
    gauge = Gauge("g", {}, {}, higher_is_better, (0.0, 1.0), "a gauge", "tests")
    target = Target(0, None, "0")
    measurements = [
        Measurement(
            picture=f"p|{number}",
            target=target,
            row=row,
            metric="g",
            outcome=PictureError("a <b> | c\nd") if value is None else Score(value),
            asked=1,
            queries=1,
            seconds=0.0,
            seed=(0,),
        )
        for row, each in values.items()
        for number, value in enumerate(each)
    ]
    return Evaluation(
        model="m",
        rows=tuple(Row(name, {}, "tests", name == "edges") for name in values),
        metrics=(gauge,),
        measurements=tuple(measurements),
        pictures=("p|0", "p|1"),
        seed=0,
        warnings=(),
        notices=(),
        is_interrupted=False,
        origin=dict,
    )


def test_differences_are_paired_on_the_pictures_that_both_have():
    """By hand: on the second alone 0.5 - 0.3; the means are 0.5 and (0.9 + 0.3) / 2."""
    found = evaluation({"mine": [None, 0.5], "edges": [0.9, 0.3]})
    edges, mine = found.ranking("g")
    assert (edges.row.name, mine.row.name) == ("edges", "mine")
    assert mine.contests[0].gain.mean == pytest.approx(0.2)
    assert mine.contests[0].gain.count == 1
    assert (mine.value.mean, mine.value.count, mine.failures) == (0.5, 1, 1)
    assert edges.next.gain.mean == pytest.approx(-0.2)
    assert edges.value.mean == pytest.approx(0.6)


def test_the_gain_is_turned_where_lower_is_better():
    found = evaluation({"mine": [0.1, 0.2], "edges": [0.5, 0.4]}, higher_is_better=False)
    first, _ = found.ranking("g")
    assert first.row.name == "mine"
    assert first.contests[0].gain.mean == pytest.approx(0.3)


def test_anyones_text_means_nothing_in_markdown():
    text = evaluation({"mine": [None, 0.5], "edges": [0.9, 0.3]}).to_markdown()
    assert "| p\\|0 | mine | g | a \\<b\\> \\| c d |" in text.splitlines()
    assert "| mine | 0.5000 | none | 1, 1 failed | one picture: no interval |  |" in text
