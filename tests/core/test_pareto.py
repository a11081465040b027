"""What maps cost, and which nothing beats that takes less: by hand."""

import numpy as np
import pytest

from tests.core.test_agreement import PICTURES, evaluation, gauge, same
from tests.core.test_evaluate import Planted, noise, patch
from tests.core.test_journal import Asking
from xai_core import Study
from xai_core.errors import UsageError
from xai_plugins.metrics import Deletion

SECONDS = {"slow": 8.0, "fast": 0.5, "middle": 2.0, "dear": 9.0}


def named(found):
    return {each.price.row.name: each for each in found}


def test_the_front_by_hand():
    values = same(slow=9, fast=3, middle=2, dear=8, edges=1, random=0)
    found = evaluation([gauge("g")], [values], references=("edges", "random"), seconds=SECONDS)
    offers = named(found.pareto("g"))
    assert list(offers) == ["edges", "random", "fast", "middle", "slow", "dear"]
    assert [name for name, each in offers.items() if each.is_on_front] == ["edges", "fast", "slow"]
    assert {name: each.words for name, each in offers.items()} == {
        "edges": "on the front: nothing takes less",
        "random": "edges is better by the mean, and takes no more",
        "fast": "on the front: better than edges, which takes less",
        "middle": "fast is better by the mean, and takes no more",
        "slow": "on the front: better than fast, which takes less",
        "dear": "slow is better by the mean, and takes no more",
    }
    assert offers["dear"].beaten.gain.mean == -1
    assert offers["slow"].step.gain.mean == 6


def test_lower_may_be_better():
    values = same(slow=1, fast=3, middle=4, dear=2, edges=9)
    found = evaluation([gauge("g", up=False)], [values], seconds=SECONDS)
    offers = found.pareto("g")
    assert [e.price.row.name for e in offers if e.is_on_front] == ["edges", "fast", "slow"]


def test_a_reference_that_is_best_beats_all():
    found = evaluation([gauge("g")], [same(slow=1, fast=2, edges=3)], seconds=SECONDS)
    assert [each.is_on_front for each in found.pareto("g")] == [True, False, False]


def test_the_same_for_more_is_beaten_and_the_same_for_the_same_is_not():
    values = same(slow=2, fast=2, edges=0)
    found = evaluation([gauge("g")], [values], seconds=SECONDS)
    assert not named(found.pareto("g"))["slow"].is_on_front
    found = evaluation([gauge("g")], [values], seconds={"slow": 1.0, "fast": 1.0})
    assert named(found.pareto("g"))["slow"].is_on_front
    assert named(found.pareto("g"))["fast"].is_on_front


def test_seconds_that_differ_by_less_than_they_vary_are_the_same():
    """0.0467 and 0.0466 both are 0.047; 0.052 is more. The price is told as it was measured."""
    values = same(a=2, b=3, c=1, edges=0)
    seconds = {"a": 0.0466, "b": 0.0467, "c": 0.052}
    offers = named(evaluation([gauge("g")], [values], seconds=seconds).pareto("g"))
    assert offers["a"].words == "b is better by the mean, and takes no more"
    assert offers["b"].words == "on the front: better than edges, which takes less"
    assert offers["c"].words == "b is better by the mean, and takes no more"
    assert str(offers["a"].price) == "0.0466 s"
    offers = named(evaluation([gauge("g")], [values], seconds={**seconds, "b": 0.06}).pareto("g"))
    assert offers["a"].is_on_front
    assert offers["b"].words == "on the front: better than a, which takes less"


def test_what_is_not_shown_is_told():
    """By the means on one side, by the pictures on both."""
    values = {
        "fast": [0.0] * 8,
        "slow": [3.0, -2.0] * 4,
        "dear": [2.0, -3.0] * 4,
        "edges": [-9.0] * 8,
    }
    found = evaluation([gauge("g")], [values], seconds=SECONDS)
    offers = named(found.pareto("g"))
    assert offers["slow"].words == (
        "on the front by the means; that it is better than fast, which takes less, is not shown"
    )
    assert offers["slow"].is_on_front
    few = {name: each[:4] for name, each in values.items()}
    offers = named(evaluation([gauge("g")], [few], seconds=SECONDS).pareto("g"))
    assert offers["slow"].words.endswith("less, is not shown (4 pictures, fewer than 6)")
    # It is worse than slow by 1 for every picture.
    assert named(found.pareto("g"))["dear"].words == "slow is better by the mean, and takes no more"
    values["dear"] = [-2.0, 2.0] * 4
    offers = named(evaluation([gauge("g")], [values], seconds=SECONDS).pareto("g"))
    assert offers["dear"].words == "slow is better by the mean, and takes no more; not shown"


def test_what_failed_has_no_price():
    values = {**same(fast=1, edges=0), "slow": [None] * PICTURES}
    found = evaluation([gauge("g")], [values], seconds=SECONDS)
    last = found.pareto("g")[-1]
    assert (last.price.row.name, last.words) == ("slow", "failed on every picture")
    assert not last.is_on_front
    assert (last.price.seconds, str(last.price)) == (None, "no map was made")


def test_the_first_map_is_not_what_they_cost(registry):
    """It has the compilation in it: the lower median leaves it out from two pictures on."""
    from dataclasses import replace

    values = same(fast=1, edges=0)
    found = evaluation([gauge("g")], [values], seconds=SECONDS)
    first, *rest = found.measurements
    found = replace(
        found,
        measurements=(
            replace(first, map_seconds=100.0, pass_seconds=50.0, map_queries=9),
            *(replace(e, pass_seconds=0.25, map_queries=1) if e.row == "fast" else e for e in rest),
        ),
    )
    price, edges = found.prices()
    assert (price.seconds, price.queries) == (0.75, 2.0)
    assert str(price) == "0.75 s"
    assert (edges.seconds, str(edges), edges.passes) == (0.0, "no pass", "no pass")


@pytest.fixture(scope="module")
def made(registry):
    study = Study(patch("softmax", gain=4.0), preprocess="none", registry=registry)
    return study.evaluate(noise(6), [Planted(), "saliency", Asking()], Deletion(steps=4), [0, 1])


def test_passes_are_shared_and_said(made):
    planted, saliency, asking, *references = made.prices()
    assert planted.passes == "1 forward"
    assert saliency.passes == "1 forward, 1 backward"
    assert asking.passes == "some queries"
    assert (planted.queries, asking.queries) == (0, 1)
    by_map = {}
    for each in made.measurements:
        if each.row == "planted":
            by_map[each.picture, each.target.index] = each.map_seconds + each.pass_seconds
    assert len(by_map) == 12
    assert planted.seconds == sorted(by_map.values())[5]
    one = next(each for each in made.measurements if each.row == "planted")
    other = next(each for each in made.measurements if each.row == "saliency")
    assert one.pass_seconds == other.pass_seconds > 0
    assert {each.passes for each in references} == {"no pass"}
    assert all(each.pass_seconds == 0 for each in made.measurements if each.row == "edges")


def test_the_pass_of_two_classes_is_two_halves(registry, monkeypatch):
    from xai_core import evaluating

    study = Study(patch("softmax", gain=4.0), preprocess="none", registry=registry)
    seen = []
    run = evaluating.run_plan

    def watched(*arguments):
        found = run(*arguments)
        seen.extend(each.seconds for each in found.passes)
        return found

    monkeypatch.setattr(evaluating, "run_plan", watched)
    found = study.evaluate(noise(1), Planted(), Deletion(steps=4), [0, 1])
    assert found.measurements[0].pass_seconds == seen[0] / 2


def test_the_tables_tell_it(made):
    text = made.to_markdown()
    assert "| row | seconds a map | queries | passes | deletion(steps=4) |" in text
    (line,) = [
        line for line in text.splitlines() if line.startswith("| saliency") and "backward" in line
    ]
    assert "1 forward, 1 backward" in line
    document = made.to_dict()
    assert [each["row"] for each in document["costs"]][:3] == ["planted", "saliency", "asking"]
    assert {each["row"] for each in document["pareto"]["deletion(steps=4)"]} == {
        row.name for row in made.rows
    }


def test_a_figure(made):
    (axes,) = made.pareto_figure().axes
    assert axes.get_xscale() == "log"
    assert axes.yaxis.get_inverted()  # of deletion, lower is better: better is up
    drawn = {
        container.lines[0].get_xdata()[0]: container.lines[0].get_markerfacecolor()
        for container in axes.containers
    }
    offers = [e for e in made.pareto("deletion(steps=4)") if not e.price.row.is_reference]
    assert set(drawn) == {each.price.seconds for each in offers}
    assert {seconds for seconds, face in drawn.items() if face != "white"} == {
        each.price.seconds for each in offers if each.is_on_front
    }
    levels = [line.get_ydata()[0] for line in axes.lines if len(set(line.get_ydata())) == 1]
    for name in ("random", "edges", "uniform", "centre-gaussian"):
        mean = np.mean(list(made.values("deletion(steps=4)", name).values()))
        assert any(level == pytest.approx(mean) for level in levels)


def test_there_may_be_nothing_to_draw():
    with pytest.raises(UsageError, match="there is no cost to draw"):
        evaluation([gauge("g")], [same(edges=1)]).pareto_figure()
