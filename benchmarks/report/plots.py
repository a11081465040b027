"""The plots, each from the results alone."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Literal

from benchmarks.bars import BARS, Bar
from benchmarks.report.text import where
from benchmarks.results import Measurement, Result, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#a33b12", "#1f6f8b", "#5b8c3a", "#7a4fa3", "#c98a1b", "#4d4d4d")
_BAR, _GOAL = "#222222", "#8a8a8a"
_NUMBER = re.compile(r"(\d+)")
_DASHES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class Plot:
    """A file, what it belongs to, and how it is drawn."""

    file: str
    group: str
    alt: str
    draw: Callable[[Results], "Figure | None"]
    """None where there is nothing to show."""


def _figure(width: float, height: float, columns: int = 1) -> "tuple[Figure, Sequence[Axes]]":
    """A figure with some panels in a row, without Matplotlib's global state."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    panels = figure.subplots(1, columns, squeeze=False, sharey=True)[0]
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, panels


def _of(results: Results, group: str) -> list[Result]:
    found = [each for each in results.results if each.group == group]
    return sorted(found, key=lambda each: -results.conditions(each).threads)


def _by_model(results: Results, group: str) -> list[Result]:
    """The same, a model's cases one below the other, whenever they were measured."""

    def place(result: Result) -> tuple[object, ...]:
        conditions = results.conditions(result)
        return -conditions.threads, _numbered(result.case), conditions.engine

    return sorted((each for each in results.results if each.group == group), key=place)


def _numbered(case: str) -> tuple[tuple[int, str], ...]:
    """A case as what it is sorted by: numbers within it by their size."""
    return tuple((int(each), "") if each.isdigit() else (0, each) for each in _NUMBER.split(case))


def _case(results: Results, result: Result) -> str:
    """What was measured and how: a bar for each."""
    return f"{result.case}, {_where(results, result)}, {results.conditions(result).engine}"


def _where(results: Results, result: Result) -> str:
    return where(results.conditions(result))


# ---------------------------------------------------------------------------------------
# Ratios against bars


def _ratios(results: Results) -> "Figure | None":
    """A panel for each thing that is asked for, a bar for each case."""
    found = [each for each in _by_model(results, "core") if each.measurements]
    if not found:
        return None
    devices = {results.conditions(each).device for each in found}
    bars = [each for each in BARS if each.group == "core" and each.device in devices]
    figure, panels = _figure(12, 1.4 + 0.26 * len(found), len(bars))
    labels = [_case(results, each) for each in found]
    for panel, bar in zip(panels, bars, strict=True):
        values = [
            _ratio(each, bar.what) * (results.conditions(each).device == bar.device)
            for each in found
        ]
        colours = [COLOURS[1] if bar.met_by(value) else COLOURS[0] for value in values]
        panel.barh(labels, values, color=colours, height=0.7)
        _bound(panel, bar)
        panel.set_title(bar.what, fontsize=10)
        panel.set_xlim(0)
    panels[0].invert_yaxis()
    figure.supxlabel(
        "of a forward pass; the line is the bar, which red misses, the dots are the goal",
        fontsize=10,
    )
    return figure


def _bound(panel: "Axes", bar: Bar) -> None:
    panel.axvline(bar.bound, color=_BAR, linewidth=1.2)
    if bar.goal is not None:
        panel.axvline(bar.goal, color=_GOAL, linewidth=1.2, linestyle=":")


def _ratio(result: Result, what: str) -> float:
    """0 where there is none, which is drawn as no bar."""
    found = result.find(what)
    value = result.ratio(found) if found else None
    return 0.0 if value is None else value


# ---------------------------------------------------------------------------------------
# Cost against batch, size and numbers


@dataclass(frozen=True)
class _Curves:
    """Time against what is varied: a colour for each thing, a dash for each number of cores."""

    group: str
    x: str
    y: str
    scale: Literal["linear", "log"]

    def __call__(self, results: Results) -> "Figure | None":
        """Draw them."""
        lines = self._lines(results)
        if not lines:
            return None
        figure, (panel,) = _figure(7, 4)
        names, wheres = (list(dict.fromkeys(each)) for each in zip(*lines, strict=True))
        for (name, place), points in lines.items():
            panel.plot(
                *zip(*sorted(points), strict=True),
                linestyle=_DASHES[wheres.index(place) % len(_DASHES)],
                marker="o",
                color=COLOURS[names.index(name) % len(COLOURS)],
                label=f"{name}, {place}",
            )
        _scale(panel, self.scale, sorted({at for points in lines.values() for at, _ in points}))
        panel.set_xlabel(self.x)
        panel.set_ylabel(self.y)
        figure.legend(frameon=False, fontsize=9, loc="outside right center")
        return figure

    def _lines(self, results: Results) -> dict[tuple[str, str], list[tuple[float, float]]]:
        """By what was run and where, milliseconds at each place."""
        lines: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for result in _of(results, self.group):
            every = {each.facts["at"] for each in result.measurements if "at" in each.facts}
            for each in result.measurements:
                if each.value is None:
                    continue
                # Numbers of methods or classes are all Grad-CAM's like; a forward pass that
                # stands beside them has none of its own, and is level.
                name = "maps" if each.what.isdecimal() else each.what
                places = [each.facts["at"]] if "at" in each.facts else every
                points = lines.setdefault((name, _where(results, result)), [])
                points += [(at, 1e3 * each.value) for at in places]
        return lines


def _scale(panel: "Axes", scale: str, ticks: Sequence[float]) -> None:
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    if scale == "log":
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    else:
        panel.set_ylim(0)
    panel.set_xticks(ticks, [f"{each:g}" for each in ticks])
    panel.minorticks_off()
    panel.grid(axis="y", color="#dddddd", linewidth=0.6)


# ---------------------------------------------------------------------------------------
# Others


def _peers(results: Results) -> "Figure | None":
    """Ours and theirs for each method, of a forward pass."""
    rows: dict[str, list[tuple[str, float]]] = {}
    found = _of(results, "peers")
    wheres = {_where(results, each) for each in found}
    for result in found:
        for each in result.measurements:
            value = result.ratio(each)
            name, _, method = each.what.partition(", ")
            if len(wheres) > 1:
                name = f"{name}, {_where(results, result)}"
            if value is not None:
                rows.setdefault(method, []).append((name, value))
    if not rows:
        return None
    # Panels share their rows: one that has no peer's time leaves its place empty.
    names = list(dict.fromkeys(name for values in rows.values() for name, _ in values))
    figure, panels = _figure(max(9, 2.2 * len(rows)), 1.2 + 0.34 * len(names), len(rows))
    for panel, (method, values) in zip(panels, rows.items(), strict=True):
        shown = [each for each in names if any(name == each for name, _ in values)]
        means = [median(value for name, value in values if name == each) for each in shown]
        colours = [COLOURS[1] if each.startswith("xai-core") else COLOURS[5] for each in shown]
        marks = panel.barh(shown, means, color=colours, height=0.7)
        panel.bar_label(marks, fmt="%.2f", padding=3, fontsize=9)
        panel.set_xlim(0, 1.2 * max(means))
        panel.set_title(method, fontsize=10)
    panels[0].invert_yaxis()
    figure.supxlabel("of a forward pass", fontsize=10)
    return figure


def _memory(results: Results) -> "Figure | None":
    """A panel for each task, a bar for each case."""
    found = [each for each in _by_model(results, "memory") if each.measurements]
    if not found:
        return None
    tasks = list(dict.fromkeys(each.what for result in found for each in result.measurements))
    figure, panels = _figure(12, 1.4 + 0.26 * len(found), len(tasks))
    labels = [_case(results, each) for each in found]
    most = max(_peak(result, task) for result in found for task in tasks)
    for panel, task in zip(panels, tasks, strict=True):
        alone = all(each.against is None for result in found for each in _measured(result, task))
        values = [_peak(each, task) for each in found]
        panel.barh(labels, values, color=COLOURS[5 if alone else 1], height=0.7)
        panel.set_title(task, fontsize=10)
        panel.set_xlim(0, 1.05 * most or 1)
    panels[0].invert_yaxis()
    figure.supxlabel("peak of the process, MiB", fontsize=10)
    return figure


def _peak(result: Result, task: str) -> float:
    """0 where there is none."""
    return max((each.value or 0.0 for each in _measured(result, task)), default=0.0)


# ---------------------------------------------------------------------------------------
# Roofline

_PASSES = {"forward": 1, "Grad-CAM": 1, "saliency": 2}
"""About as many passes' worth of operations and bytes: a gradient by the input is another."""


def _roofline(results: Results) -> "Figure | None":
    """What was reached of what the machine can do, for each number of cores."""
    roofs = {}
    for each in _of(results, "limit"):
        if (peaks := _peaks(each, results.conditions(each).dtype)) is not None:
            roofs[_where(results, each)] = peaks
    measured = [each for each in _by_model(results, "core") if _points(each)]
    if not roofs or not measured:
        return None
    # A model has one colour in all panels.
    models = sorted({each.case.partition("/")[0] for each in measured})
    figure, panels = _figure(5.5 * len(roofs), 4.2, len(roofs))
    for panel, (place, (multiply, move)) in zip(panels, roofs.items(), strict=True):
        shown = [
            (result.case, *point)
            for result in measured
            if _where(results, result) == place
            for point in _points(result)
        ]
        _roof(panel, multiply, move, max((each[2] for each in shown), default=0.0))
        markers = dict(zip(_PASSES, "os^", strict=True))
        for case, what, intensity, speed in shown:
            colour = COLOURS[models.index(case.partition("/")[0]) % len(COLOURS)]
            panel.plot(intensity, speed / 1e9, markers[what], color=colour, markersize=6)
        for number, model in enumerate(models):
            panel.plot([], [], "-", color=COLOURS[number % len(COLOURS)], label=model, linewidth=4)
        for what, marker in markers.items():
            panel.plot([], [], marker, color=_GOAL, label=what)
        panel.set_title(place, fontsize=10)
        panel.set_xlabel("operations for each byte that must be moved")
        panel.legend(frameon=False, fontsize=9, loc="lower right")
    panels[0].set_ylabel("GFLOP/s")
    return figure


def _roof(panel: "Axes", multiply: float, move: float, intensity: float) -> None:
    """Up to where there is something below it."""
    ridge = multiply / move
    ends = (ridge / 16, ridge, max(ridge * 16, intensity * 1.5))
    heights = [min(multiply, move * each) / 1e9 for each in ends]
    panel.plot(ends, heights, "-", color=_BAR, linewidth=1.5)
    panel.set_xscale("log")
    panel.set_yscale("log")


def _peaks(result: Result, dtype: str) -> tuple[float, float] | None:
    """Operations in a dtype and bytes, a second."""
    found = [result.find(name) for name in (f"multiply, {dtype}", "move")]
    values = [each.value for each in found if each is not None and each.value is not None]
    return (values[0], values[1]) if len(values) == len(found) else None


def _points(result: Result) -> list[tuple[str, float, float]]:
    """What was run, operations for each byte, operations a second."""
    forward = result.find("forward")
    if forward is None or "operations" not in forward.facts:
        return []
    work, moved = forward.facts["operations"], forward.facts["bytes"]
    return [
        (what, work / moved, passes * work / (each.value * each.share))
        for what, passes in _PASSES.items()
        for each in _measured(result, what)
        if each.value
    ]


def _measured(result: Result, what: str) -> Iterator[Measurement]:
    found = result.find(what)
    if found is not None:
        yield found


PLOTS: Sequence[Plot] = (
    Plot(
        "ratios.png",
        "core",
        "Bars of the ratio to a forward pass, for each model, batch, number of cores and engine.",
        _ratios,
    ),
    Plot("memory.png", "memory", "The peak of memory of each task, for each model.", _memory),
    Plot(
        "methods.png",
        "methods",
        "Time against the number of methods, with the forward pass.",
        _Curves("methods", "methods", "ms", "linear"),
    ),
    Plot(
        "classes.png",
        "classes",
        "Time against the number of classes, with the forward pass.",
        _Curves("classes", "classes", "ms", "linear"),
    ),
    Plot(
        "batch.png",
        "batch",
        "Time for each picture against the pictures of a batch.",
        _Curves("batch", "pictures to a call", "ms for each picture", "log"),
    ),
    Plot(
        "size.png",
        "size",
        "Time against the side of a picture.",
        _Curves("size", "side of the picture, pixels", "ms", "log"),
    ),
    Plot("peers.png", "peers", "Each library's time, of a forward pass.", _peers),
    Plot(
        "roofline.png",
        "limit",
        "Operations a second against operations for each byte, under the machine's roof.",
        _roofline,
    ),
)
