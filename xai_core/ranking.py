"""Rankings that say what they show: a difference is one where its interval is on one side of 0."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xai_core.bootstrap import Interval, interval

if TYPE_CHECKING:
    from xai_core.evaluation import Evaluation, Gauge, Row

FEWEST = 6
"""Pictures from which on a difference can be shown: were there none, all of five would still
point one way with a chance of 2 / 2^5, above 5 %."""


@dataclass(frozen=True)
class Contest:
    """One row against another, on the pictures that both were measured on."""

    against: str
    gain: Interval | None
    """By how much it is better: above 0 is better, whichever way the metric points. None where
    no picture was measured on both."""

    @property
    def word(self) -> str:
        """`beats`, `does not beat` (it is worse), or why neither can be said."""
        if self.gain is None:
            return "no picture in common"
        if self.gain.low is None or self.gain.high is None:
            return "one picture: no interval"
        if self.gain.count < FEWEST:
            return f"no difference shown: {self.gain.count} pictures, fewer than {FEWEST}"
        if self.gain.low > 0:
            return "beats"
        return "does not beat" if self.gain.high < 0 else "no difference shown"

    def __str__(self) -> str:
        word, _, _ = self.word.partition(": ")
        return {
            "no difference shown": f"{word} to {self.against}",
            "beats": f"beats {self.against}",
            "does not beat": f"does not beat {self.against}",
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
        shown = {word: by_word.pop(word) for word in ("beats", "does not beat") if word in by_word}
        told = [f"{word} {and_(names)}" for word, names in shown.items()]
        unclear = by_word.pop("no difference shown", [])
        if unclear:
            told.append(f"no difference shown to {and_(unclear)}")
        told += by_word
        return "; ".join(told)

    @property
    def beats_all(self) -> bool:
        """Whether it is shown to be better than every reference row."""
        return bool(self.contests) and all(each.word == "beats" for each in self.contests)


def contest(evaluation: "Evaluation", gauge: "Gauge", one: str, other: str) -> Contest:
    """One row against another by a metric, paired by picture."""
    values = [evaluation.values(str(gauge), row) for row in (one, other)]
    both = [picture for picture in values[0] if picture in values[1]]
    if not both:
        return Contest(other, None)
    gains = [gauge.sign * (values[0][each] - values[1][each]) for each in both]
    return Contest(other, interval(np.asarray(gains), evaluation.seed))


def rank(evaluation: "Evaluation", gauge: "Gauge") -> tuple[Standing, ...]:
    """The rows by their mean, best first; those that failed on every picture last."""
    metric, rows = str(gauge), evaluation.rows
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
