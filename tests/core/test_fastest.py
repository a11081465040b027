"""Which of a few ways is taken, by a clock of the test's own."""

import pytest

from xai_core.probe import fastest
from xai_core.probe.fastest import Fastest


@pytest.fixture
def take(monkeypatch):
    """Takes a way of some, which lasts as long as is said of it."""
    now = [0.0]
    monkeypatch.setattr(fastest, "perf_counter", lambda: now[0])

    def go(choice, case, seconds):
        with choice.of(case) as way:
            now[0] += seconds[way]
        return way

    return go


def test_each_is_tried_and_the_fastest_is_taken(take):
    choice = Fastest(("a", "b", "c"))
    first = [take(choice, 1, {"a": 3, "b": 1, "c": 2}) for _ in range(9)]
    assert first == ["a", "b", "c"] * 3
    # Whatever they take later: nothing is timed any more.
    assert [take(choice, 1, {"a": 1, "b": 9, "c": 9}) for _ in range(4)] == ["b"] * 4


def test_what_was_disturbed_once_is_not_held_against_it(take):
    choice = Fastest(("a", "b"))
    disturbed, calm = {"a": 90, "b": 3}, {"a": 2, "b": 3}
    for seconds in (disturbed, disturbed, disturbed, calm, calm, calm):
        take(choice, 1, seconds)
    assert take(choice, 1, calm) == "a"


def test_cases_are_apart(take):
    choice = Fastest(("a", "b"))
    for _ in range(6):
        take(choice, 1, {"a": 1, "b": 2})
        take(choice, 2, {"a": 2, "b": 1})
    assert take(choice, 1, {"a": 0, "b": 0}) == "a"
    assert take(choice, 2, {"a": 0, "b": 0}) == "b"


def test_what_failed_was_not_timed(take):
    choice = Fastest(("a", "b"))
    with pytest.raises(ValueError, match="broken"), choice.of(1) as way:
        raise ValueError(f"broken: {way}")
    assert [take(choice, 1, {"a": 1, "b": 2}) for _ in range(6)] == ["a", "b"] * 3


def test_a_single_way_is_taken(take):
    choice = Fastest((5,))
    assert [take(choice, 1, {5: 1}) for _ in range(5)] == [5] * 5
