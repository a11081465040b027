"""Whether metrics agree on which maps are better: where they do not, no single one is proof."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from xai_core.bootstrap import LEVEL, RESAMPLES
from xai_core.rank_correlation import spearman
from xai_core.ranking import per_picture
from xai_core.sign_flips import FEWEST
from xai_core.typing import FloatArray

if TYPE_CHECKING:
    from xai_core.evaluation import Evaluation, Gauge, Row

LEAST = 3
"""Rows that have an order worth comparing."""

ENOUGH = 4
"""Methods from which on they are compared without the reference rows."""


@dataclass(frozen=True)
class Correlation:
    """How alike two metrics order some rows, by their means over the pictures that all have."""

    rho: float | None
    """Spearman's; None where one of the two has no order, or there are fewer than 3 rows."""
    low: float | None
    """Where 95 % of it lie with other pictures, by percentile bootstrap, and `rho` itself: means of
    resamples are noisier, which brings ranks nearer to chance. None below 6 pictures. It says
    nothing of other methods."""
    high: float | None
    rows: int
    pictures: int

    @property
    def is_shown(self) -> bool:
        """Whether its bootstrap interval is on one side of 0: it is no difference of pairs."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    @property
    def word(self) -> str:
        """`agree`, `disagree`, or why neither can be said."""
        if self.rho is None:
            few = f"{self.rows} rows in common, fewer than {LEAST}"
            return few if self.rows < LEAST else "one of them says the same of all rows"
        if self.rho == 0:
            return "neither agree nor disagree"
        word = "agree" if self.rho > 0 else "disagree"
        if self.low is None or self.high is None:
            return f"{word} by the means; not shown: {self.pictures} pictures, fewer than {FEWEST}"
        return word if self.is_shown else f"{word} by the means; not shown"

    def __str__(self) -> str:
        if self.rho is None:
            return "none"
        if self.low is None or self.high is None:
            return f"{self.rho:+.2f}"
        return f"{self.rho:+.2f} ({self.low:+.2f} to {self.high:+.2f})"


@dataclass(frozen=True)
class Agreement:
    """What one metric says of another. Both are turned so that better is up."""

    one: str
    other: str
    all: Correlation
    """Over methods and reference rows. That both tell maps from noise is enough for it to be
    high."""
    methods: Correlation | None
    """Over methods alone; None where there are fewer than 4."""

    @property
    def words(self) -> str:
        """Whether they agree, over all rows and over the methods alone, where that differs."""
        if self.methods is None or self.methods.word == self.all.word:
            return self.all.word
        return f"{self.all.word}; over the methods alone: {self.methods.word}"


def agreements(evaluation: "Evaluation") -> tuple[Agreement, ...]:
    """Each metric with each that comes after it, where both were asked of the same rows."""
    methods = [row for row in evaluation.rows if not row.is_reference]
    return tuple(
        Agreement(
            str(one),
            str(other),
            _correlation(evaluation, (one, other), evaluation.rows),
            _correlation(evaluation, (one, other), methods) if len(methods) >= ENOUGH else None,
        )
        for one, other in combinations(evaluation.metrics, 2)
        if one.left_out == other.left_out
    )


def _correlation(
    evaluation: "Evaluation", gauges: tuple["Gauge", "Gauge"], rows: "Iterable[Row]"
) -> Correlation:
    values = {
        row.name: each
        for row in rows
        if all(each := [evaluation.by_class(str(gauge), row.name) for gauge in gauges])
    }
    both = [each for one, other in values.values() for each in one if each in other]
    cells = [each for each in dict.fromkeys(both) if both.count(each) == len(values)]
    pictures = list(dict.fromkeys(picture for picture, _ in cells))
    if len(values) < LEAST or not pictures:
        return Correlation(None, None, None, len(values) if pictures else 0, len(pictures))
    one, other = (
        gauge.sign
        * np.asarray(
            [
                list(per_picture({cell: each[side][cell] for cell in cells}).values())
                for each in values.values()
            ]
        ).T
        for side, gauge in enumerate(gauges)
    )
    rho = spearman(one.mean(axis=0), other.mean(axis=0))
    if rho is None or len(pictures) < FEWEST:
        return Correlation(rho, None, None, len(values), len(pictures))
    low, high = _interval(one, other, evaluation.seed)
    return Correlation(rho, min(low, rho), max(high, rho), len(values), len(pictures))


def _interval(one: FloatArray, other: FloatArray, seed: int) -> tuple[float, float]:
    """Where Spearman's rho lies with other pictures: both sides (pictures, rows)."""
    count = len(one)
    drawn = np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))
    times = np.stack([np.bincount(each, minlength=count) for each in drawn]) / count
    ranks = [_centred_ranks(times @ side) for side in (one, other)]
    a, b = ranks
    spread = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    # A resample in which one of them has no order says nothing of the other: 0.
    rhos = np.divide((a * b).sum(axis=1), spread, out=np.zeros(RESAMPLES), where=spread > 0)
    low, high = np.percentile(rhos, (100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2))
    return float(low), float(high)


def _centred_ranks(values: FloatArray) -> FloatArray:
    """Of each row, twice the mean ranks less their mean: how many are below, less those above."""
    ranks: FloatArray = np.sign(values[:, :, None] - values[:, None, :]).sum(axis=2)
    return ranks
