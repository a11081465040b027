"""Where things stand in a drawing: the page's SVG has no script, and no numbers of its own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10
from typing import TYPE_CHECKING

import numpy as np

from xai_core.evaluation import Evaluation, Gauge
from xai_core.ranking import Standing
from xai_core.render.curves import curves_of, mean_curve
from xai_core.typing import FloatArray

if TYPE_CHECKING:
    from xai_core.pareto import Offer

WIDTH, HEIGHT = 440, 290
LEFT, RIGHT, TOP, BOTTOM = 46, 14, 14, 40
_NAMES = 92
"""Room for the names of the reference rows, at the right."""
_POINTS = 201
_LABEL = 13
"""The height of a line of text."""


@dataclass(frozen=True)
class Tick:
    """A number on an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Axis:
    """From values to places in a drawing."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """Where a value stands."""
        low, high, at = (
            log10(each) if self.is_log else each for each in (self.low, self.high, value)
        )
        return round(self.start + (at - low) / (high - low) * (self.end - self.start), 2)

    @property
    def ticks(self) -> tuple[Tick, ...]:
        """Round numbers along it."""
        values = list(_log_steps(self.low, self.high) if self.is_log else _steps(self))
        return tuple(Tick(self.place(each), f"{each:g}") for each in values)


def _steps(axis: Axis) -> Iterator[float]:
    from matplotlib.ticker import MaxNLocator

    for each in MaxNLocator(5).tick_values(axis.low, axis.high):
        if axis.low - 1e-12 <= each <= axis.high + 1e-12:
            yield round(float(each), 12) + 0.0


def _log_steps(low: float, high: float) -> Iterator[float]:
    steps = (1, 2, 5) if high / low < 200 else (1,)
    for power in range(floor(log10(low)), floor(log10(high)) + 1):
        for step in steps:
            if low <= step * 10.0**power <= high:
                yield step * 10.0**power


def _spread(values: Sequence[float], room: float) -> tuple[float, float]:
    """The ends of an axis that holds some values, with room beyond them."""
    low, high = min(values), max(values)
    more = (high - low) * room or abs(high) * room or 1.0
    return low - more, high + more


@dataclass(frozen=True)
class Span:
    """A mean with its interval, in percent across."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Spans:
    """The bars of a ranking, on one scale; better is at the right."""

    worst: float
    best: float
    by_row: Mapping[str, Span]
    references: tuple[float, ...]
    """Where the means of the reference rows stand."""


def spans(gauge: Gauge, ranking: Sequence[Standing]) -> Spans:
    """Where means and intervals of a ranking stand."""
    known = {each.row.name: each.value for each in ranking if each.value}
    ends = {
        name: [value.mean if end is None else end for end in (value.low, value.high)]
        for name, value in known.items()
    }
    low, high = _spread([each for pair in ends.values() for each in pair] or [0.0], 0.06)
    worst, best = (low, high) if gauge.higher_is_better else (high, low)
    axis = Axis(worst, best, 0, 100)
    return Spans(
        worst,
        best,
        {
            name: Span(axis.place(value.mean), *sorted(map(axis.place, ends[name])))
            for name, value in known.items()
        },
        tuple(
            axis.place(each.value.mean) for each in ranking if each.row.is_reference and each.value
        ),
    )


@dataclass(frozen=True)
class Line:
    """The mean curve of a row."""

    row: str
    points: str


@dataclass(frozen=True)
class Curves:
    """The mean curves of a metric."""

    across: Axis
    up: Axis
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    """The best last, so that it is drawn over the others."""


def curves(evaluation: Evaluation, gauge: Gauge, ranking: Sequence[Standing]) -> Curves | None:
    """The mean curves over pictures and classes; None where the metric has none."""
    found = curves_of(evaluation, str(gauge))
    means = {
        name: mean_curve(found[name])
        for name in (each.row.name for each in reversed(ranking))
        if name in found
    }
    values = [float(each) for _, y in means.values() for each in y if isfinite(each)]
    if not values:
        return None
    first = next(iter(found.values()))[0]
    x = [float(each) for x, _ in means.values() for each in (x[0], x[-1])]
    across = Axis(min(x), max(x) if max(x) > min(x) else min(x) + 1, LEFT, WIDTH - RIGHT)
    up = Axis(*_spread(values, 0.05), HEIGHT - BOTTOM, TOP)
    lines = tuple(
        Line(name, " ".join(f"{across.place(a)},{up.place(b)}" for a, b in _thinned(x, y)))
        for name, (x, y) in means.items()
    )
    return Curves(across, up, first.x_label, first.y_label, lines)


def _thinned(x: FloatArray, y: FloatArray) -> Iterator[tuple[float, float]]:
    if len(x) > _POINTS:
        at = np.linspace(x[0], x[-1], _POINTS)
        x, y = at, np.interp(at, x, y)
    yield from ((float(a), float(b)) for a, b in zip(x, y, strict=True) if isfinite(b))


@dataclass(frozen=True)
class Point:
    """A method: what it takes, and what it is worth."""

    row: str
    x: float
    y: float
    low: float
    high: float
    is_on_front: bool
    label: float
    """The height of its name, so that names do not lie over each other."""
    is_left: bool
    """Whether its name stands at the left of it."""


@dataclass(frozen=True)
class Level:
    """The mean of a row that takes nothing."""

    row: str
    y: float
    label: float


@dataclass(frozen=True)
class Costs:
    """What maps take, against what they are worth; better is up."""

    across: Axis
    up: Axis
    points: tuple[Point, ...]
    levels: tuple[Level, ...]
    front: str
    """The steps of the front, as an SVG path."""


def costs(gauge: Gauge, offers: "Sequence[Offer]") -> Costs | None:
    """Where methods stand; None where none was measured."""
    known = [(e, e.price.seconds, e.value) for e in offers if e.price.seconds and e.value]
    levels = [(e.price.row.name, e.value) for e in offers if e.price.row.is_reference and e.value]
    if not known:
        return None
    seconds = [each for _, each, _ in known]
    heights = [end for _, _, v in known for end in (v.mean, v.low, v.high) if end is not None]
    low, high = _spread([*heights, *(value.mean for _, value in levels)], 0.08)
    ends = (low, high) if gauge.higher_is_better else (high, low)
    up = Axis(*ends, HEIGHT - BOTTOM, TOP)
    across = Axis(min(seconds) / 1.6, max(seconds) * 1.6, LEFT, WIDTH - _NAMES, is_log=True)
    middle = (across.start + across.end) / 2
    places = [(across.place(at), up.place(value.mean)) for _, at, value in known]
    sides = [x > middle for x, _ in places]
    labels = _apart([y - 6 for _, y in places])
    level_labels = _apart([up.place(value.mean) + 4 for _, value in levels])
    points = tuple(
        Point(
            row=offer.price.row.name,
            x=x,
            y=y,
            low=up.place(value.mean if value.low is None else value.low),
            high=up.place(value.mean if value.high is None else value.high),
            is_on_front=offer.is_on_front,
            label=label,
            is_left=is_left,
        )
        for (offer, _, value), (x, y), label, is_left in zip(
            known, places, labels, sides, strict=True
        )
    )
    front = [(each.x, each.y) for each in points if each.is_on_front]
    path = "".join(f"H{x}V{y}" for x, y in front[1:])
    return Costs(
        across,
        up,
        points,
        tuple(
            Level(name, up.place(value.mean), label)
            for (name, value), label in zip(levels, level_labels, strict=True)
        ),
        f"M{front[0][0]} {front[0][1]}{path}H{across.end}" if front else "",
    )


def _apart(heights: Sequence[float]) -> list[float]:
    """Heights of lines of text, moved until none lies over another, and none out of sight."""
    order = sorted(range(len(heights)), key=heights.__getitem__)
    placed = list(heights)
    floor_of = TOP + 4.0
    for place in order:
        placed[place] = max(placed[place], floor_of)
        floor_of = placed[place] + _LABEL
    over = max(0.0, floor_of - _LABEL - (HEIGHT - BOTTOM)) if heights else 0.0
    return [round(each - over, 2) for each in placed]
