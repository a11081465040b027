"""What is said of a difference, and of what is not shown; and text of anyone's in Markdown."""

from dataclasses import replace

import pytest

from xai_core.bootstrap import Interval
from xai_core.errors import PictureError
from xai_core.evaluation import Evaluation, Gauge, Measurement, Row
from xai_core.metrics import Score
from xai_core.ranking import Contest, Standing
from xai_core.report.evaluation import Page
from xai_core.types import Target

ROW = Row("mine", {}, "tests", is_reference=False)
CASES = [
    (None, None, "no picture in common", "no picture in common"),
    (Interval(0.5, None, None, 1), 1.0, "one picture: no interval", "one picture"),
    (Interval(0.5, 0.4, 0.6, 5), 0.03, "no difference shown: 5 pictures, fewer than 6",
     "no difference shown to edges"),
    (Interval(0.5, 0.4, 0.6, 6), 0.05, "beats", "beats edges"),
    (Interval(0.5, 0.1, 0.9, 6), 0.06, "no difference shown", "no difference shown to edges"),
    (Interval(-0.5, -0.9, -0.1, 6), 0.06, "no difference shown", "no difference shown to edges"),
    (Interval(-0.5, -0.6, -0.4, 6), 0.05, "is worse than", "is worse than edges"),
]  # fmt: skip


@pytest.mark.parametrize(("gain", "chance", "word", "told"), CASES)
def test_a_difference_is_shown_where_chance_hardly_makes_one(gain, chance, word, told):
    contest = Contest("edges", gain, chance)
    assert contest.word == word
    assert str(contest) == told


def test_what_has_no_value_by_a_metric_is_not_there_to_be_beaten():
    without = Contest("uniform", None, is_defined=False)
    assert str(without) == without.word == "uniform has no value"
    contests = (Contest("random", Interval(1, 0.5, 2, 9), 0.01), without)
    standing = Standing(ROW, Interval(0.5, 0.4, 0.6, 9), contests, None, 0)
    assert standing.words == "beats random; uniform has no value"
    assert standing.beats_all
    assert not Standing(ROW, Interval(0.5, 0.4, 0.6, 9), (without,), None, 0).beats_all


def test_what_is_shown_and_what_is_not_stand_together():
    beaten, worse = Interval(1, 0.5, 2, 9), Interval(-1, -2, -0.5, 9)
    contests = (
        Contest("random", beaten, 0.01),
        Contest("edges", worse, 0.01),
        Contest("uniform", beaten, 0.3),
        Contest("centre-gaussian", beaten, 0.01),
    )
    standing = Standing(ROW, Interval(0.5, 0.4, 0.6, 9), contests, None, 0)
    assert standing.words == (
        "beats random and centre-gaussian; is worse than edges; no difference shown to uniform"
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


@pytest.mark.parametrize(("off", "word"), [(2e-8, "no difference shown"), (2e-6, "beats")])
def test_what_float32_rounds_is_no_difference(off, word):
    """Two methods that are the same by definition differ in the last digits, all one way."""
    values = [0.1072, -3.0, 0.5, 40.0, 1e-7, 0.9]
    found = evaluation(
        {"mine": [each + off * abs(each) for each in values], "edges": values, "far": [-9.0] * 6}
    )
    mine, edges, far = found.ranking("g")
    assert (mine.row.name, mine.next.word) == ("mine", word)
    assert mine.contests[0].word == word
    assert (edges.next.word, far.contests[0].word) == ("beats", "is worse than")


def test_the_gain_is_turned_where_lower_is_better():
    found = evaluation({"mine": [0.1, 0.2], "edges": [0.5, 0.4]}, higher_is_better=False)
    first, _ = found.ranking("g")
    assert first.row.name == "mine"
    assert first.contests[0].gain.mean == pytest.approx(0.3)


def test_anyones_text_means_nothing_in_markdown():
    text = evaluation({"mine": [None, 0.5], "edges": [0.9, 0.3]}).to_markdown()
    assert "| p\\|0 | mine | g | a \\<b\\> \\| c d |" in text.splitlines()
    assert "| mine | 0.5000 | none | 1, 1 failed | one picture: no interval |  |" in text


def of_classes(values):
    """By row, its values by picture and class; None is a failure."""
    found = evaluation(dict.fromkeys(values, ()))
    measurements = [
        Measurement(
            picture=f"p{picture}",
            target=Target(index, None, str(index)),
            row=row,
            metric="g",
            outcome=PictureError("no") if value is None else Score(value),
            asked=0,
            queries=0,
            seconds=0.0,
            seed=(0,),
        )
        for row, each in values.items()
        for picture, classes in enumerate(each)
        for index, value in enumerate(classes)
    ]
    return replace(found, measurements=tuple(measurements))


def test_classes_are_paired_with_their_own():
    """Edges is better in every class that both have; its mean is lower for a class of its own."""
    found = of_classes({"mine": [[None, 0.8]] * 7, "edges": [[0.3, 0.9]] * 7})
    first, second = found.ranking("g")
    assert (first.row.name, first.value.mean) == ("mine", pytest.approx(0.8))
    assert second.value.mean == pytest.approx(0.6)
    (contest,) = first.contests
    assert contest.gain.mean == pytest.approx(-0.1)
    assert contest.word == "is worse than"


def test_the_classes_of_a_picture_count_once():
    """Six pictures that point one way are shown, three of two classes are not."""
    assert of_classes({"mine": [[0.8]] * 6, "edges": [[0.5]] * 6}).ranking("g")[0].beats_all
    three = of_classes({"mine": [[0.8, 0.8]] * 3, "edges": [[0.5, 0.5]] * 3}).ranking("g")[0]
    assert three.contests[0].gain.count == 3
    assert not three.beats_all


def test_an_interval_may_be_on_one_side_where_nothing_is_shown():
    """Four of ten are won, the others even: resamples without one of the four are rare."""
    (first, _) = evaluation({"mine": [1.0] * 4 + [0.5] * 6, "edges": [0.5] * 10}).ranking("g")
    assert first.contests[0].gain.low > 0
    assert first.contests[0].chance == 2 / 2**4
    assert first.words == "no difference shown to edges"


def test_a_reference_that_fails_on_every_picture_has_no_value():
    """And need not be beaten; one that was not measured is another matter."""
    found = evaluation({"mine": [0.9] * 6, "edges": [None] * 6})
    mine, edges = found.ranking("g")
    assert (mine.words, edges.words) == ("edges has no value", "failed on every picture")
    assert str(mine.next) == "edges has no value"
    assert not mine.beats_all
    early = replace(found, measurements=found.measurements[:6])
    assert early.ranking("g")[0].words == "no picture in common"


def test_rungs_without_a_map_are_told_where_the_means_stand():
    found = evaluation({"grad-cam": [0.5, 0.6], "mine": [0.1, 0.2], "edges": [1.0, 1.0]})
    lost = {"grad-cam": (1, 2), "mine": (0, 0), "edges": (0, 0)}
    measurements = tuple(
        replace(
            each,
            outcome=Score(
                each.score.value,
                {"rungs": 6.0, "rungs without a map": float(lost[each.row][number % 2])},
            ),
        )
        for number, each in enumerate(found.measurements)
    )
    text = replace(found, measurements=measurements).to_markdown()
    told = "Rungs without a map, which have no part in a mean: grad-cam at 3 of 12."
    assert told in text.splitlines()
    assert "Rungs without a map" not in found.to_markdown()


SIX = [0.5, 0.51, 0.52, 0.53, 0.54, 0.55]


@pytest.mark.parametrize(
    ("edges", "word", "sentence"),
    [
        (0.1, "beats all 2", "mine beats every map that knows nothing of the model, by g."),
        (0.5, "beats 1 of 2", "mine is not shown to beat them all by any metric."),
        (0.9, "beats 1 of 2, worse than 1", "mine is not shown to beat them all by any metric."),
        (None, "beats all 1",
         "mine beats every map that knows nothing of the model and has a value, by g."),
    ],
)  # fmt: skip
def test_the_page_says_what_is_beaten(edges, word, sentence):
    """The uniform map is beaten, the edges are or are not."""
    even = [value + by for value, by in zip(SIX, (0.1, -0.1) * 3, strict=True)]
    other = {None: [None] * 6, 0.5: even}.get(edges, [edges] * 6)
    found = evaluation({"mine": SIX, "edges": other, "uniform": [0.0] * 6})
    rows = tuple(replace(each, is_reference=each.name != "mine") for each in found.rows)
    page = Page(replace(found, rows=rows))
    assert page.verdict(page.sections[0], "mine").word == word
    assert sentence in list(page.sentences)
