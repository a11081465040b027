"""Rankings that say what they show: a difference is shown where chance hardly makes one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xai_core.bootstrap import Interval, interval
from xai_core.sign_flips import FEWEST, LEVEL, chance

if TYPE_CHECKING:
    from xai_core.evaluation import Evaluation, Gauge, Row

BEATS = "beats"
WORSE = "is worse than"
NOT_SHOWN = "no difference shown"

_ROUNDING = 1e-6
"""Of a value: what it may differ by where two maps are the same but for the order of adding."""


@dataclass(frozen=True)
class Contest:
    """One row against another, on the pictures that both were measured on."""

    against: str
    gain: Interval | None
    """By how much it is better: above 0 is better, whichever way the metric points. None where
    nothing was measured on both."""
    chance: float | None = None
    """How often signs drawn by chance make a mean gain as large, either way: see `sign_flips`."""
    is_defined: bool = True
    """Whether the other has a value by this metric: not where it failed on every picture."""

    @property
    def word(self) -> str:
        """`beats`, `is worse than`, or why neither can be said."""
        if not self.is_defined:
            return f"{self.against} has no value"
        if self.gain is None or self.chance is None:
            return "no picture in common"
        if self.gain.low is None:
            return "one picture: no interval"
        if self.gain.count < FEWEST:
            return f"{NOT_SHOWN}: {self.gain.count} pictures, fewer than {FEWEST}"
        if self.chance > LEVEL:
            return NOT_SHOWN
        return BEATS if self.gain.mean > 0 else WORSE

    def __str__(self) -> str:
        word, _, _ = self.word.partition(": ")
        return {
            NOT_SHOWN: f"{word} to {self.against}",
            BEATS: f"{word} {self.against}",
            WORSE: f"{word} {self.against}",
        }.get(word, word)


@dataclass(frozen=True)
class Standing:
    """One row of a ranking."""

    row: "Row"
    value: Interval | None
    """Of the metric, over the pictures; None where it failed on every one."""
    contests: tuple[Contest, ...]
    """Against each reference row but itself."""
    next: Contest | None
    """Against the row below; None for the last."""
    failures: int

    @property
    def words(self) -> str:
        """What is shown against the reference rows, in words."""
        if self.value is None:
            return "failed on every picture"
        by_word: dict[str, list[str]] = {}
        for each in self.contests:
            by_word.setdefault(each.word, []).append(each.against)
        shown = {word: by_word.pop(word) for word in (BEATS, WORSE) if word in by_word}
        told = [f"{word} {and_(names)}" for word, names in shown.items()]
        unclear = by_word.pop(NOT_SHOWN, [])
        if unclear:
            told.append(f"{NOT_SHOWN} to {and_(unclear)}")
        told += by_word
        return "; ".join(told)

    @property
    def beats_all(self) -> bool:
        """Whether it is shown to be better than every reference row that has a value."""
        words = [each.word for each in self.contests if each.is_defined]
        return bool(words) and all(word == BEATS for word in words)


def per_picture(values: Mapping[tuple[str, int], float]) -> dict[str, float]:
    """The mean over the classes of each picture, of values by picture and class."""
    found: dict[str, list[float]] = {}
    for (picture, _), value in values.items():
        found.setdefault(picture, []).append(value)
    return {picture: float(np.mean(each)) for picture, each in found.items()}


def contest(evaluation: "Evaluation", gauge: "Gauge", one: str, other: str) -> Contest:
    """One row against another by a metric, paired by picture and class.

    The gains of a picture's classes are averaged: the pictures are what could have been others.
    """
    mine, theirs = (evaluation.by_class(str(gauge), row) for row in (one, other))
    gains = per_picture(
        {each: gauge.sign * _gain(mine[each], theirs[each]) for each in mine if each in theirs}
    )
    if not gains:
        return Contest(other, None, is_defined=not evaluation.fails(str(gauge), other))
    found = np.asarray(list(gains.values()))
    return Contest(other, interval(found, evaluation.seed), chance(found, evaluation.seed))


def _gain(mine: float, theirs: float) -> float:
    """The difference of two values; none where it is what float32 rounds."""
    gain = mine - theirs
    return gain if abs(gain) > _ROUNDING * max(abs(mine), abs(theirs)) else 0.0


def rank(evaluation: "Evaluation", gauge: "Gauge") -> tuple[Standing, ...]:
    """The rows that it was asked of by their mean, best first; those that failed last."""
    metric = str(gauge)
    rows = [row for row in evaluation.rows if row.name not in gauge.left_out]
    means = {
        row.name: interval(np.asarray(list(values.values())), evaluation.seed)
        for row in rows
        if (values := evaluation.values(metric, row.name))
    }
    worst = float("-inf")
    order = sorted(
        rows,
        key=lambda row: -(gauge.sign * means[row.name].mean if row.name in means else worst),
    )
    references = [row.name for row in rows if row.is_reference]
    failed = [each.row for each in evaluation.failures if each.metric == metric]
    below: Sequence[Row | None] = [*order[1:], None]
    return tuple(
        Standing(
            row=row,
            value=means.get(row.name),
            contests=tuple(
                contest(evaluation, gauge, row.name, each)
                for each in references
                if each != row.name
            ),
            next=contest(evaluation, gauge, row.name, after.name) if after else None,
            failures=failed.count(row.name),
        )
        for row, after in zip(order, below, strict=True)
    )


def and_(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
