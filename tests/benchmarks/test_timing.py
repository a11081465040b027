"""What counts as a sample, by a clock that only moves when it is told to."""

import pytest

from benchmarks import timing
from benchmarks.timing import Turns, Way, alternate, reason


class Clock:
    def __init__(self):
        self.now = 100.0
        self.pending = 0.0
        self.calls = []
        self.waited = []

    def __call__(self):
        return self.now

    def way(self, what, *, first, later, device=0.0, **options):
        """Something that takes so long on the host, and on a device that is still at it."""

        def call():
            self.now += later if what in self.calls else first
            self.pending = device
            self.calls.append(what)
            return what

        return Way(what, call, **options)

    def wait(self, made=None):
        self.waited.append(made)
        self.now += self.pending
        self.pending = 0.0


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", made)
    return made


def quiet(done, total, what):
    pass


def test_the_first_call_is_apart_and_warm_ups_do_not_count(clock):
    ways = [clock.way("a", first=9.0, later=2.0), clock.way("b", first=5.0, later=1.0, share=4)]
    a, b = alternate(ways, Turns(samples=3, seed=0, warm_ups=2), clock.wait, quiet)
    assert (a.first, a.samples) == (9.0, (2.0, 2.0, 2.0))
    assert (b.first, b.samples) == (5.0, (1.0, 1.0, 1.0))
    assert (a.value, b.value) == (2.0, 0.25)
    assert len(clock.calls) == 2 * (3 + 2)


@pytest.mark.parametrize(("seconds", "expected"), [(0, 4), (11, 4), (18, 6), (36, 12), (1000, 12)])
def test_short_calls_have_more_samples_up_to_thrice(clock, seconds, expected):
    """A round takes 3 seconds; that the first took 14 does not count."""
    ways = [clock.way("a", first=9.0, later=2.0), clock.way("b", first=5.0, later=1.0)]
    told = []
    turns = Turns(samples=4, seed=0, warm_ups=2, seconds=seconds)
    a, b = alternate(ways, turns, clock.wait, lambda *said: told.append(said[:2]))
    assert (a.samples, b.samples) == ((2.0,) * expected, (1.0,) * expected)
    assert told[-1] == (2 * (2 + expected) - 1, 2 * (2 + expected))


def test_without_warm_ups_the_first_call_is_a_sample_too(clock):
    (only,) = alternate(
        [clock.way("a", first=9.0, later=2.0)], Turns(2, 0, warm_ups=0), clock.wait, quiet
    )
    assert (only.first, only.samples) == (9.0, (9.0, 2.0))


def test_what_is_compiled_late_is_called_more_often_before_it_counts(clock):
    told = []
    ways = [
        clock.way("a", first=9.0, later=2.0, more_warm_ups=3),
        clock.way("b", first=5.0, later=1.0),
    ]
    a, b = alternate(ways, Turns(2, 0, warm_ups=1), clock.wait, lambda *said: told.append(said))
    assert clock.calls[:5] == ["a", "a", "a", "a", "b"]
    assert (clock.calls.count("a"), clock.calls.count("b")) == (6, 3)
    assert (a.first, a.samples) == (9.0, (2.0, 2.0))
    assert (b.first, b.samples) == (5.0, (1.0, 1.0))
    assert [done for done, _, _ in told] == [0, 4, 5, 6, 7, 8]
    assert {total for _, total, _ in told} == {9}


def test_the_device_is_waited_for_before_the_clock_is_read(clock):
    ways = [clock.way("slow", first=1.0, later=1.0, device=7.0)]
    (slow,) = alternate(ways, Turns(2, 0), clock.wait, quiet)
    assert slow.samples == (8.0, 8.0)
    # Once for all there is, before the clock starts, and for what was made before it is read.
    assert clock.waited == [None, "slow"] * 4


def test_every_round_calls_every_way_once_in_an_order_drawn_anew(clock):
    names = "abcdef"
    ways = [clock.way(name, first=1.0, later=1.0) for name in names]
    alternate(ways, Turns(8, 3), clock.wait, quiet)
    rounds = ["".join(clock.calls[first : first + 6]) for first in range(0, len(clock.calls), 6)]
    assert all(sorted(each) == list(names) for each in rounds)
    assert len(set(rounds)) > 6
    again, clock.calls = clock.calls, []
    alternate(ways, Turns(8, 3), clock.wait, quiet)
    assert clock.calls == again


def test_what_is_not_meant_is_taken_off(clock):
    way = clock.way("a", first=9.0, later=5.0, less=lambda made: {"a": 3.0}[made])
    (only,) = alternate([way], Turns(1, 0), clock.wait, quiet)
    assert only.samples == (2.0,)


def test_a_way_that_fails_is_told_and_the_others_go_on(clock):
    def broken():
        raise ValueError("no\nsuch thing")

    ways = [Way("broken", broken, against="b"), clock.way("b", first=1.0, later=1.0)]
    broken, b = alternate(ways, Turns(3, 0), clock.wait, quiet)
    assert broken.failure == "ValueError: no such thing"
    assert broken.value is None
    assert len(b.samples) == 3


def test_progress_counts_every_call(clock):
    told = []
    ways = [clock.way("a", first=1.0, later=1.0), clock.way("b", first=1.0, later=1.0)]
    alternate(ways, Turns(1, 0), clock.wait, lambda *said: told.append(said))
    assert [done for done, _, _ in told] == list(range(6))
    assert {total for _, total, _ in told} == {6}


def test_a_reason_names_no_place_of_this_machine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert reason(OSError(f"no {tmp_path}/a.keras")) == "OSError: no a.keras"
