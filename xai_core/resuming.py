"""What of an evaluation a journal has already, and what is left to measure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from xai_core import fingerprint
from xai_core.evaluation import Measurement
from xai_core.images import Picture
from xai_core.journal import Journal, NoJournal
from xai_core.pairing import Line, Used
from xai_core.planner import Plan
from xai_core.targets import Wanted
from xai_core.types import Target

if TYPE_CHECKING:
    from xai_core.study import Study


def open_journal(
    study: "Study", path: Path | None, seed: int, items: Iterable[Line | Used]
) -> NoJournal:
    """The journal of that path; one that keeps nothing, where there is none."""
    if path is None:
        return NoJournal()
    setting = {**fingerprint.of_study(study), "seed": seed}
    return Journal(path, setting, {each.key: each.told for each in items})


@dataclass(frozen=True)
class Wish:
    """One score of one picture: what it is of, and what is known of it."""

    line: Line
    used: Used
    known: Measurement | None


@dataclass(frozen=True)
class Column:
    """All that is asked for of one picture and class."""

    wanted: Wanted
    target: Target
    """The class; its index is negative where only a pass can tell."""
    wishes: Sequence[Wish]

    @property
    def missing(self) -> list[str]:
        """The rows of which something is to be measured."""
        return [each.line.row.name for each in self.wishes if each.known is None]


def look_up(
    picture: Picture,
    target: Target,
    wanted: Wanted,
    found: Iterable[tuple[Line, Used, Measurement | None]],
) -> Column:
    """What a journal has of one picture and class, called as it is called now.

    Args:
        picture: By its content it was found; its name may be another than it was.
        target: The class; its index is negative where it is not known.
        wanted: How it was asked for.
        found: Of each row and metric, what was measured before.
    """

    def renamed(line: Line, used: Used, known: Measurement) -> Measurement:
        names = {"picture": picture.name, "row": line.row.name, "metric": str(used.gauge)}
        return replace(known, target=target, **names)  # type: ignore[arg-type]  # all are strings

    return Column(
        wanted,
        target,
        [Wish(line, used, known and renamed(line, used, known)) for line, used, known in found],
    )


def left_of(plan: Plan, columns: Sequence[Column]) -> Plan:
    """The part of a plan of which something is to be measured."""
    missing = {row for column in columns for row in column.missing}
    kept = [
        (explainer, method)
        for explainer, method in zip(plan.explainers, plan.methods, strict=True)
        if str(method) in missing
    ]
    return replace(
        plan,
        explainers=tuple(explainer for explainer, _ in kept),
        methods=tuple(method for _, method in kept),
        wanted=tuple(column.wanted for column in columns if column.missing),
    )
