"""One of several ways to the same numbers, chosen by the clock."""

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Generic, TypeVar

Way = TypeVar("Way")

_TRIES = 3
"""Of each way: the first compiles, and any other may be disturbed."""


class Fastest(Generic[Way]):
    """Takes each way in turn at first, and then the one that took the least time at its best.

    For ways that give the same values to the last bit: which one is taken may differ between runs.

    Args:
        ways: What to choose from.
    """

    def __init__(self, ways: Sequence[Way]) -> None:
        self._ways = ways
        self._seconds: dict[Hashable, list[float]] = {}
        """What each try took, by what the ways are tried on."""

    @contextmanager
    def of(self, case: Hashable) -> Iterator[Way]:
        """The way to take, timed while there is more to learn. Not for several threads at once.

        Args:
            case: Anything that what is fastest may depend on.
        """
        seconds = self._seconds.setdefault(case, [])
        if len(seconds) == _TRIES * len(self._ways):
            yield self._ways[self._best(seconds)]
            return
        start = perf_counter()
        yield self._ways[len(seconds) % len(self._ways)]
        seconds.append(perf_counter() - start)

    def _best(self, seconds: Sequence[float]) -> int:
        count = len(self._ways)
        least = [min(seconds[at::count]) for at in range(count)]
        return least.index(min(least))
