"""What is kept, and what stands for what."""

import json

import pytest

from benchmarks.results import Measurement, Result, Results, quartiles
from xai_core.errors import UsageError

FORWARD = Measurement("forward", samples=(2.0, 9.0, 4.0), share=8, facts={"operations": 5})
MAPS = Measurement("maps", samples=(6.0, 1.0, 3.0), against="forward", share=4, first=7.5)
LOST = Measurement("lost", against="forward", failure="not installed: lost")


def result(scenario="core/a", environment="e", measurements=(FORWARD, MAPS, LOST), **options):
    return Result(scenario, environment, measurements, "2026-01-02T03:04:05", 1.5, 0.5, **options)


def environment(**conditions):
    known = {"device": "cpu", "backend": "tensorflow", "engine": "frozen", "threads": 2}
    return {"conditions": {**known, "samples": 9, **conditions}}


def test_a_ratio_is_of_medians_for_each_picture():
    made = result()
    assert FORWARD.value == 0.5
    assert MAPS.value == 0.75
    assert made.ratio(MAPS) == 1.5
    assert made.ratio(FORWARD) is None
    assert made.ratio(LOST) is None


def test_group_and_case_are_the_parts_of_the_name():
    made = result("core/vgg16/batch-8")
    assert (made.group, made.case) == ("core", "vgg16/batch-8")


def test_what_is_written_is_what_is_read(tmp_path):
    path = tmp_path / "results.json"
    kept = (
        Results().plus(result(), environment()).plus(result("core/b", failure="x"), environment())
    )
    kept.write(path)
    assert Results.read(path) == kept
    lines = path.read_text().splitlines()
    assert sum(line.startswith('{"scenario"') for line in lines) == 2
    assert json.loads(path.read_text())["results"][0]["measurements"][1]["samples"] == [6, 1, 3]
    assert list(tmp_path.iterdir()) == [path]


def test_no_file_is_no_results(tmp_path):
    assert Results.read(tmp_path / "none.json") == Results()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"environments": {}, "results": [{}]}'])
def test_a_file_of_another_kind_is_refused(tmp_path, text):
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="expected results that `python -m benchmarks run` wrote"):
        Results.read(path)


def test_what_is_measured_again_takes_the_place_of_what_was():
    kept = Results().plus(result(), environment()).plus(result("core/b"), environment())
    newer = result(environment="f", measurements=(FORWARD,))
    kept = kept.plus(newer, environment(samples=3))
    assert [(each.scenario, each.environment) for each in kept.results] == [
        ("core/b", "e"),
        ("core/a", "f"),
    ]
    assert set(kept.environments) == {"e", "f"}


def test_other_conditions_stand_beside_it():
    kept = Results().plus(result(), environment())
    others = (
        {"threads": 1},
        {"engine": "eager"},
        {"backend": "jax"},
        {"dtype": "bfloat16"},
        {"device": "gpu"},
        {"device": "gpu", "tf32": True},
    )
    for other in others:
        kept = kept.plus(result(environment=str(other)), environment(**other))
    assert len(kept.results) == 7
    # What older files do not say had its default.
    kept = kept.plus(result(environment="new"), environment(dtype="float32", tf32=False))
    assert len(kept.results) == 7
    assert [each.environment for each in kept.results].count("e") == 0


def test_an_environment_that_nothing_refers_to_is_dropped():
    kept = Results().plus(result(), environment()).plus(result(environment="f"), environment())
    assert set(kept.environments) == {"f"}


def test_done_is_what_was_measured_in_the_same_environment():
    kept = Results().plus(result(), environment())
    assert kept.has("core/a", "e")
    assert not kept.has("core/a", "f")
    assert not kept.has("core/b", "e")
    assert not Results().plus(result(failure="x"), environment()).has("core/a", "e")


def test_quartiles_lie_between_samples():
    assert quartiles([4.0, 1.0, 2.0, 3.0, 5.0]) == (2.0, 4.0)
    assert quartiles([1.0, 2.0]) == (1.25, 1.75)
    assert quartiles([3.0]) == (3.0, 3.0)
