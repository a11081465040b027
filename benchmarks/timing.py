"""Timing things in turns, so that whatever slows the machine down slows them all."""

import gc
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from benchmarks.results import Measurement


class Tell(Protocol):
    """Called as work goes on."""

    def __call__(self, done: int, total: int, what: str) -> None:
        """Say that `done` of `total` is done, and what runs now."""


class Wait(Protocol):
    """Called before and after what is timed."""

    def __call__(self, made: Any = None) -> None:
        """Wait for what was made, or until the device has nothing left to do."""


def _nothing(_: Any) -> float:
    return 0.0


@dataclass(frozen=True)
class Way:
    """Something to call, and what its time is set against."""

    what: str
    call: Callable[[], Any]
    against: str | None = None
    share: float = 1
    """How many pictures or queries one call serves."""
    less: Callable[[Any], float] = _nothing
    """Seconds of a call, by what it returned, that are not what is measured."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    more_warm_ups: int = 0
    """Calls after the first, beside the warm-ups of all, that are not counted either."""


@dataclass(frozen=True)
class Turns:
    """How often each way is called."""

    samples: int
    seed: int
    warm_ups: int = 2
    """Calls that are not counted; the first of them, or of all, is kept apart as well."""
    seconds: float = 0
    """Where the last round that is not counted says that it takes no longer, up to thrice as many
    samples."""

    def counted(self, round_took: float) -> int:
        """How many rounds count."""
        return min(max(self.samples, int(self.seconds / max(round_took, 1e-9))), 3 * self.samples)


def alternate(ways: Sequence[Way], turns: Turns, wait: Wait, tell: Tell) -> tuple[Measurement, ...]:
    """Call each way once a round, in an order that is drawn anew for each.

    Args:
        ways: What to time.
        turns: How many rounds.
        wait: Waits for what was made, which is part of every sample; before one, for all there is.
        tell: Told how far it is.

    Returns:
        A measurement of each way, in seconds; of one that failed, why.
    """
    counted = turns.samples
    more = sum(way.more_warm_ups for way in ways)
    first: dict[str, float] = {}
    samples: dict[str, list[float]] = {each.what: [] for each in ways}
    failures: dict[str, str] = {}
    order = random.Random(turns.seed)
    done = number = 0
    while number < turns.warm_ups + counted:
        started = time.perf_counter()
        total = (turns.warm_ups + counted) * len(ways) + more
        gc.collect()  # what one way left behind is not cleaned up in the time of another
        for way in ways if number == 0 else order.sample(ways, len(ways)):
            times = 1 + way.more_warm_ups if number == 0 else 1
            tell(done, total, way.what)
            done += times
            if way.what in failures:
                continue
            try:
                seconds, *_ = [_time(way, wait) for _ in range(times)]
            except Exception as error:  # noqa: BLE001 - a way that fails is a result
                failures[way.what] = reason(error)
                continue
            if number == 0:
                first[way.what] = seconds
            if number >= turns.warm_ups:
                samples[way.what].append(seconds)
        number += 1
        if number == turns.warm_ups > 1:  # before the first that counts: no sample decides
            counted = turns.counted(time.perf_counter() - started)
    return tuple(
        Measurement(way.what, against=way.against, failure=failures[way.what])
        if way.what in failures
        else Measurement(
            way.what,
            samples=tuple(samples[way.what]),
            against=way.against,
            share=way.share,
            first=first[way.what],
            facts=way.facts,
        )
        for way in ways
    )


def _time(way: Way, wait: Wait) -> float:
    wait()
    started = time.perf_counter()
    made = way.call()
    wait(made)
    return time.perf_counter() - started - way.less(made)


def reason(error: BaseException) -> str:
    """An error on one line, without the places of this machine."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    places = map(str, (tempfile.gettempdir(), Path.cwd(), sys.prefix, Path.home()))
    for place in sorted(places, key=len, reverse=True):
        text = text.replace(f"{place}/", "")
    return text[:300]
