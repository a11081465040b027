"""Whether metrics order the rows alike: against ranks by hand, and shown only where it is shown."""

import numpy as np
import pytest

from xai_core.agreement import Agreement, Correlation
from xai_core.evaluation import Evaluation, Gauge, Measurement, Row
from xai_core.metrics import Score
from xai_core.rank_correlation import spearman
from xai_core.types import Target

PICTURES = 8


def gauge(name, *, up=True):
    return Gauge(name, {}, {}, up, (-10.0, 10.0), "a gauge", "tests")


def evaluation(gauges, values, *, references=("edges",), seconds=None, seed=0):
    """By metric and row, its value for each picture; None is no measurement."""
    measurements = [
        Measurement(
            picture=f"p{number}",
            target=Target(0, None, "0"),
            row=row,
            metric=str(each),
            outcome=Score(value),
            asked=1,
            queries=1,
            seconds=0.0,
            seed=(0,),
            map_seconds=(seconds or {}).get(row, 0.0),
        )
        for each, of_row in zip(gauges, values, strict=True)
        for row, of_picture in of_row.items()
        for number, value in enumerate(of_picture)
        if value is not None
    ]
    rows = dict.fromkeys(row for of_row in values for row in of_row)
    return Evaluation(
        model="m",
        rows=tuple(Row(name, {}, "tests", name in references) for name in rows),
        metrics=tuple(gauges),
        measurements=tuple(measurements),
        pictures=tuple(f"p{number}" for number in range(PICTURES)),
        seed=seed,
        warnings=(),
        notices=(),
        is_interrupted=False,
        origin=dict,
    )


def same(**means):
    """The same for every picture."""
    return {name: [mean] * PICTURES for name, mean in means.items()}


def test_each_metric_is_turned_so_that_better_is_up():
    one = same(a=1, b=2, c=3, edges=4)
    found = evaluation([gauge("up"), gauge("down", up=False)], [one, one]).agreement()
    (each,) = found
    assert (each.one, each.other) == ("up", "down")
    assert each.all == Correlation(-1.0, -1.0, -1.0, rows=4, pictures=8)
    assert (each.words, str(each.all)) == ("disagree", "-1.00 (-1.00 to -1.00)")
    assert each.methods is None  # three of them are too few
    (each,) = evaluation([gauge("up"), gauge("too")], [one, one]).agreement()
    assert (each.all.rho, each.words) == (1.0, "agree")


def test_rho_by_hand_with_a_tie():
    """Ranks 1, 2.5, 2.5, 4, 5 and 2, 1, 4, 3, 5: 6.5 / sqrt(9.5 x 10)."""
    one, other = same(a=1, b=5, c=5, d=7, edges=9), same(a=2, b=1, c=6, d=5, edges=8)
    (each,) = evaluation([gauge("one"), gauge("other")], [one, other]).agreement()
    assert each.all.rho == pytest.approx(6.5 / np.sqrt(95), abs=1e-12)
    # Methods alone: 1, 2.5, 2.5, 4 and 2, 1, 4, 3.
    assert each.methods.rho == pytest.approx(1.5 / np.sqrt(4.5 * 5), abs=1e-12)
    assert (each.all.rows, each.methods.rows) == (5, 4)


def test_methods_alone_may_disagree_where_all_rows_agree():
    one = same(a=11, b=12, c=13, d=14, edges=1, random=2, uniform=3, blob=4)
    other = same(a=14, b=13, c=12, d=11, edges=1, random=2, uniform=3, blob=4)
    references = ("edges", "random", "uniform", "blob")
    found = evaluation([gauge("one"), gauge("other")], [one, other], references=references)
    (each,) = found.agreement()
    # d^2 = 9 + 1 + 1 + 9 = 20 of the methods: 1 - 6 x 20 / (8 x 63), and -1.
    assert each.all.rho == pytest.approx(1 - 120 / 504, abs=1e-12)
    assert each.methods.rho == -1
    assert each.words == "agree; over the methods alone: disagree"
    text = found.to_markdown()
    row = (
        "| one | other | +0.76 (+0.76 to +0.76) | 8 | 8 | agree | disagree: -1.00 (-1.00 to -1.00)"
    )
    assert row in text
    assert found.to_dict()["agreement"][0]["methods"]["rho"] == -1


def test_the_interval_is_over_pictures():
    """It is what resampling the pictures and ranking anew gives, done one by one."""
    draw = np.random.default_rng(3)
    names = [*"abcd", "edges"]
    values = [
        {name: draw.normal(place / 3, 1, PICTURES).tolist() for place, name in enumerate(names)}
        for _ in range(2)
    ]
    (each,) = evaluation([gauge("one"), gauge("other")], values, seed=7).agreement()
    picked = np.random.default_rng(7).integers(PICTURES, size=(2000, PICTURES))
    tables = [np.asarray(list(of.values())) for of in values]
    rhos = [spearman(*(table[:, some].mean(axis=1) for table in tables)) for some in picked]
    low, high = np.percentile(rhos, [2.5, 97.5])
    assert (each.all.low, each.all.high) == pytest.approx((low, high), abs=1e-9)
    assert each.all.low < each.all.rho < each.all.high


def test_the_interval_holds_the_estimate():
    """Both order twelve rows alike by the means, and noise makes other orders of each resample."""
    draw = np.random.default_rng(4)
    rows = [f"m{number}" for number in range(12)]
    noise = draw.normal(0, 3, (2, 12, PICTURES))
    noise -= noise.mean(axis=2, keepdims=True)
    values = [
        {row: list(number + noise[side, number]) for number, row in enumerate(rows)}
        for side in range(2)
    ]
    (pair,) = evaluation([gauge("one"), gauge("other")], values).agreement()
    assert (pair.all.rho, pair.all.high) == (1, 1)
    assert pair.all.low < 0.9


def test_what_is_not_shown_is_not_said():
    draw = np.random.default_rng(0)
    values = [{name: draw.normal(size=PICTURES).tolist() for name in "abcdef"} for _ in range(2)]
    (each,) = evaluation([gauge("one"), gauge("other")], values).agreement()
    assert each.all.low < 0 < each.all.high
    assert (
        each.all.word == ("agree" if each.all.rho > 0 else "disagree") + " by the means; not shown"
    )


@pytest.mark.parametrize(
    ("found", "word", "told"),
    [
        (Correlation(None, None, None, 2, 9), "2 rows in common, fewer than 3", "none"),
        (Correlation(None, None, None, 6, 9), "one of them says the same of all rows", "none"),
        (Correlation(-0.5, None, None, 6, 5),
         "disagree by the means; not shown: 5 pictures, fewer than 6", "-0.50"),
        (Correlation(0.0, -1.0, 1.0, 6, 9), "neither agree nor disagree", "+0.00 (-1.00 to +1.00)"),
        (Correlation(0.5, 0.0, 1.0, 6, 9),
         "agree by the means; not shown", "+0.50 (+0.00 to +1.00)"),
        (Correlation(0.5, 0.1, 1.0, 6, 9), "agree", "+0.50 (+0.10 to +1.00)"),
        (Correlation(-0.5, -0.9, -0.1, 6, 9), "disagree", "-0.50 (-0.90 to -0.10)"),
    ],
)  # fmt: skip
def test_words(found, word, told):
    assert (found.word, str(found)) == (word, told)
    assert Agreement("one", "other", found, None).words == word


def test_only_pictures_that_all_rows_have_count():
    one = same(a=1, b=2, c=3)
    other = {**same(a=1, b=2), "c": [9, *[0] * 6, None], "lost": [None] * 8}
    (each,) = evaluation([gauge("one"), gauge("other")], [one, other]).agreement()
    # Of c, 9 / 7 lies between a and b: its ranks are 1, 3, 2.
    assert (each.all.rho, each.all.rows, each.all.pictures) == (0.5, 3, 7)
    nothing = evaluation([gauge("one"), gauge("other")], [one, {"a": [1] * 8}])
    assert nothing.agreement()[0].all.word == "1 rows in common, fewer than 3"


def test_with_few_pictures_there_is_no_interval():
    few = {name: [each] * 5 for name, each in {"a": 1, "b": 2, "c": 3}.items()}
    (each,) = evaluation([gauge("one"), gauge("other")], [few, few]).agreement()
    assert (each.all.rho, each.all.low, each.all.pictures) == (1.0, None, 5)


def test_one_metric_has_no_other():
    found = evaluation([gauge("one")], [same(a=1, edges=2)])
    assert found.agreement() == ()
    assert "agree" not in found.to_markdown()
