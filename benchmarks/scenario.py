"""What a scenario is: declared data, and a function that measures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from benchmarks.results import Measurement
from benchmarks.settings import Conditions

if TYPE_CHECKING:
    from benchmarks.bench import Bench

Place: TypeAlias = Literal["warm", "lean"]
"""Warm: a process in which a model stays loaded from one scenario to the next. Lean: one that never
imports a framework and only starts others, whose peak of memory would begin at its own."""

Only: TypeAlias = Mapping[str, Sequence[Any]]
"""Conditions by name, and the values under which there is something to measure; others are free."""

PLAIN: Only = MappingProxyType({"dtype": ("float32",), "tf32": (False,)})
"""What knows of float32 alone."""


def left_out(only: Only, conditions: Conditions) -> str | None:
    """Why there is nothing to measure under some conditions."""
    found = (
        f"only with {name} {' or '.join(map(str, known))}"
        for name, known in only.items()
        if getattr(conditions, name) not in known
    )
    return next(found, None)


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

    only: Only = field(default_factory=dict)

    def left_out(self, conditions: Conditions) -> str | None:
        """Why it is not measured under some conditions."""
        return left_out(self.only, conditions)

    @property
    def name(self) -> str:
        """What it is called in results and on the command line."""
        return f"{self.group}/{self.case}"
