"""What a scenario is: declared data, and a function that measures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from benchmarks.results import Measurement

if TYPE_CHECKING:
    from benchmarks.bench import Bench

Place: TypeAlias = Literal["warm", "lean"]
"""Warm: a process in which a model stays loaded from one scenario to the next. Lean: one that never
imports TensorFlow and only starts others, whose peak of memory would begin at its own."""


@dataclass(frozen=True)
class Scenario:
    """Something to measure."""

    group: str
    case: str
    summary: str
    measure: Callable[["Bench"], Sequence[Measurement]]
    place: Place = "warm"
    peer: str | None = None
    """The other library, which may need an interpreter of its own."""

    @property
    def name(self) -> str:
        """What it is called in results and on the command line."""
        return f"{self.group}/{self.case}"
