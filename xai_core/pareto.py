"""Cost beside quality: which maps nothing beats that takes less."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, median_low
from typing import TYPE_CHECKING

import numpy as np

from xai_core.bootstrap import Interval, interval
from xai_core.ranking import BEATS, WORSE, Contest, contest

if TYPE_CHECKING:
    from xai_core.evaluation import Evaluation, Gauge, Measurement, Row


_DIGITS = 2
"""Of the seconds that are compared: methods that read one pass differ by less than it varies."""


@dataclass(frozen=True)
class Price:
    """What one map of a row takes."""

    row: "Row"
    seconds: float | None
    """The lower median over the maps: what the method took for itself, and the whole of the
    passes that it shares with the other methods of the evaluation, by class. Alone it takes no
    more, and less where the others had more read. 0 for a map that knows nothing of the model,
    which takes no pass; None where no map was made."""
    queries: float
    """How many pictures the method asked about, in the mean."""

    @property
    def passes(self) -> str:
        """What its declaration says, in words."""
        return self.row.cost

    def __str__(self) -> str:
        if self.seconds is None:
            return "no map was made"
        return "no pass" if self.row.is_reference else f"{self.seconds:.3g} s"


@dataclass(frozen=True)
class Offer:
    """What a row gives by a metric, for what it takes."""

    price: Price
    value: Interval | None
    """Of the metric, over the pictures."""
    beaten: Contest | None
    """Against the best row that is no worse, takes no more, to two digits of the seconds, and is
    ahead in one of both; None on the front."""
    step: Contest | None
    """On the front, against what comes before it there: the best that takes less. None where
    nothing does."""

    @property
    def is_on_front(self) -> bool:
        """Whether no row beats it in both, by the means."""
        return self.value is not None and self.price.seconds is not None and self.beaten is None

    @property
    def words(self) -> str:
        """Whether it is worth what it takes, and whether that is shown."""
        if self.value is None or self.price.seconds is None:
            return "failed on every picture"
        if self.beaten is not None:
            gain = self.beaten.gain
            if gain is not None and gain.mean == 0:
                return f"{self.beaten.against} is as good by the mean, and takes no more"
            told = f"{self.beaten.against} is better by the mean, and takes no more"
            return told if self.beaten.word == WORSE else f"{told}; not shown{_why(self.beaten)}"
        if self.step is None:
            return "on the front: nothing takes less"
        if self.step.word == BEATS:
            return f"on the front: better than {self.step.against}, which takes less"
        return (
            f"on the front by the means; that it is better than {self.step.against}, which takes "
            f"less, is not shown{_why(self.step)}"
        )


def _why(found: Contest) -> str:
    """What stands against a word, such as too few pictures; nothing where it is the test."""
    why = found.word.partition(": ")[2]
    return f" ({why})" if why else ""


def prices(evaluation: "Evaluation") -> tuple[Price, ...]:
    """What a map of each row takes, in the rows' order."""
    made: dict[str, dict[tuple[str, int], Measurement]] = {}
    for each in evaluation.measurements:
        if each.map_seconds > 0:
            made.setdefault(each.row, {})[each.picture, each.target.index] = each
    return tuple(_price(row, made.get(row.name, {})) for row in evaluation.rows)


def _price(row: "Row", made: "Mapping[tuple[str, int], Measurement]") -> Price:
    if row.is_reference:
        return Price(row, 0.0, 0.0)
    if not made:
        return Price(row, None, 0.0)
    # The first map has the compilation in it, which a mean would spread over all.
    seconds = median_low(each.map_seconds + each.pass_seconds for each in made.values())
    return Price(row, seconds, fmean(each.map_queries for each in made.values()))


def offers(evaluation: "Evaluation", gauge: "Gauge") -> tuple[Offer, ...]:
    """What each row gives and takes, those that take least first, the best of them first."""
    found = [
        (price, _value(evaluation, gauge, price))
        for price in prices(evaluation)
        if price.row.name not in gauge.left_out
    ]
    known = [
        (float(f"{price.seconds:.{_DIGITS}g}"), -gauge.sign * value.mean, price, value)
        for price, value in found
        if price.seconds is not None and value is not None
    ]
    made: list[Offer] = []
    best: tuple[float, float, str] | None = None  # the last on the front: the best of all so far
    for seconds, loss, price, value in sorted(known, key=lambda each: each[:2]):
        name = price.row.name
        against = contest(evaluation, gauge, name, best[2]) if best else None
        is_beaten = best is not None and best[1] <= loss and best[:2] != (seconds, loss)
        made.append(Offer(price, value, *((against, None) if is_beaten else (None, against))))
        if not is_beaten:
            best = seconds, loss, name
    failed = [Offer(price, value, None, None) for price, value in found]
    return (*made, *(each for each in failed if each.price.seconds is None or each.value is None))


def _value(evaluation: "Evaluation", gauge: "Gauge", price: Price) -> Interval | None:
    values = evaluation.values(str(gauge), price.row.name)
    return interval(np.asarray(list(values.values())), evaluation.seed) if values else None
