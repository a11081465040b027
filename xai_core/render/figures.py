"""Many maps on one sheet, laid out in inches so that nothing can overlap."""

import unicodedata
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from numpy.typing import NDArray
from PIL import Image

from xai_core.errors import UsageError
from xai_core.histogram import GradientHistogram
from xai_core.images import display_pixels
from xai_core.render.maps import (
    DIVERGING,
    PERCENTILE,
    SEQUENTIAL,
    Scale,
    Sharing,
    overlay,
    scales,
)
from xai_core.types import (
    NON_FINITE,
    Cell,
    Comparison,
    Explanation,
    Failure,
    Prediction,
    short_layer,
    short_number,
)

if TYPE_CHECKING:
    from xai_core.ladder import LadderMap, LadderMaps

_SIDE = 2.5
"""The longer side of a panel, in inches."""
_GAP = 0.12
_LINE = 0.15
"""The height of a line of text."""
_TITLE_SIZE, _SMALL_SIZE = 8.5, 6.5
_PIXELS = 480
"""Pictures larger than this are shown smaller: the sheet has no room for more."""
_DPI = 120
_LONGEST_ROW = 6


@dataclass(frozen=True)
class Panel:
    """What stands in one place of a sheet."""

    pixels: NDArray[np.uint8] | None
    title: str
    below: str = ""
    instead: str = ""
    """What stands in place of pixels, where there are none."""
    verdict: str = ""
    """What tests say of it: neither it nor what is below takes the other's room."""

    def head(self, width: float) -> list[str]:
        """The lines above."""
        return _wrapped(self.title, width, _TITLE_SIZE)

    def foot(self, width: float) -> list[str]:
        """The lines below."""
        told = (self.below, self.verdict)
        return [line for text in told for line in _wrapped(text, width, _SMALL_SIZE)]


def comparison_figure(
    comparison: Comparison,
    *,
    colour_map: str | None = None,
    opacity: float | None = None,
    scale: Sharing = "map",
) -> Figure:
    """Draw a comparison.

    With two things that vary, a row for each model, picture and class and a column
    for each method and layer, the picture at the left. With one, the maps flow from
    left to right over as many rows as it takes.

    Args:
        comparison: At least one cell.
        colour_map: A Matplotlib colour map; by default inferno, RdBu_r for signed maps.
        opacity: 0 (picture alone) to 1.
        scale: Which maps share a scale: `map`, `row` or `all`.
    """
    draw = _Drawing(comparison, colour_map, opacity, scale)
    by_row = _by_row(comparison.cells)
    is_matrix = len(by_row) > 1 and max(map(len, by_row)) > 1
    return draw.sheet(draw.matrix(by_row) if is_matrix else draw.flow())


def flow_figure(
    comparison: Comparison,
    *,
    colour_map: str | None = None,
    opacity: float | None = None,
    scale: Sharing = "map",
) -> Figure:
    """Draw one picture and its maps side by side, each under its own class and method."""
    draw = _Drawing(comparison, colour_map, opacity, scale)
    return draw.sheet(draw.flow())


def _by_row(cells: Sequence[Cell]) -> list[list[Cell]]:
    """The cells of each model, picture and class."""
    rows: dict[Hashable, list[Cell]] = {}
    for cell in cells:
        rows.setdefault((cell.model, _name(cell), cell.target), []).append(cell)
    return list(rows.values())


class _Drawing:
    """Turns the cells of one comparison into panels."""

    def __init__(
        self,
        comparison: Comparison,
        colour_map: str | None,
        opacity: float | None,
        sharing: Sharing,
    ) -> None:
        if not comparison.cells:
            raise UsageError("received a comparison without maps; expected at least one to draw")
        self._cells = comparison.cells
        self._colour_map = colour_map
        self._opacity = opacity
        self._sharing = sharing
        self._scales = scales(list(comparison), sharing)
        self._caption = _caption(comparison, sharing)
        self._models = len({cell.model for cell in self._cells})
        self._pictures = len({_name(cell) for cell in self._cells})

    def sheet(self, rows: list[list[Panel | None]]) -> Figure:
        """Draw panels, with a colour bar when one scale serves all."""
        shared = next(iter(self._scales.values()), None) if self._sharing == "all" else None
        return _Sheet(rows, self._caption, shared, self._colour_map).draw()

    def matrix(self, by_row: Sequence[Sequence[Cell]]) -> list[list[Panel | None]]:
        """A row for each model, picture and class, its picture at the left."""
        return [
            [
                _picture_panel(cells, self._row_title(cells[0])),
                *(self._panel(cell, _column_title(cell)) for cell in cells),
            ]
            for cells in by_row
        ]

    def flow(self) -> list[list[Panel | None]]:
        """From left to right, over as many rows as it takes, after the picture if it is one."""
        cells = self._cells
        one_row = len(_by_row(cells)) == 1
        one_column = len({(str(cell.method), cell.layer) for cell in cells}) == 1
        panels: list[Panel | None] = []
        if self._pictures == 1:
            title = self._row_title(cells[0]) if one_row else _name(cells[0])
            panels.append(_picture_panel(cells, title))
        for cell in cells:
            lines = [] if one_row and self._pictures == 1 else [self._row_title(cell)]
            lines += [] if one_column and not one_row else [_column_title(cell)]
            panels.append(self._panel(cell, "\n".join(lines)))
        columns = len(panels) if len(panels) <= _LONGEST_ROW else ceil(sqrt(1.6 * len(panels)))
        panels += [None] * (-len(panels) % columns)
        return [panels[start : start + columns] for start in range(0, len(panels), columns)]

    def _panel(self, cell: Cell, title: str) -> Panel:
        if isinstance(cell, Failure):
            return Panel(None, title, cell.message, "failed")
        warnings = [w.message if w.kind == NON_FINITE else w.kind for w in cell.warnings]
        if cell.extent is None:
            told = dict.fromkeys([str(cell.fault), *warnings])
            verdict = f"trust: {cell.verdict}" if cell.verdict else ""
            return Panel(None, title, " · ".join(told), "no finite value", verdict)
        scale = self._scales[id(cell)]
        image = overlay(cell, colour_map=self._colour_map, opacity=self._opacity, scale=scale)
        notes = [" to ".join(map(short_number, cell.extent))] if self._sharing == "map" else []
        if cell.method.signed:
            above, below = cell.method.poles
            notes.append(
                f"red {above}, blue {below}" if self._colour_map is None else f"high {above}"
            )
        notes += [*cell.told, _milliseconds(cell.seconds), *warnings]
        verdict = f"trust: {cell.verdict}" if cell.verdict else ""
        return Panel(_thumbnail(image), title, " · ".join(notes), verdict=verdict)

    def _row_title(self, cell: Cell) -> str:
        before = [cell.model] * (self._models > 1) + [_name(cell)] * (self._pictures > 1)
        lines = [str(cell.target)]
        if isinstance(cell, Explanation):
            lines.append(f"p = {cell.probability:.3f}, logit {cell.logit:.2f}")
        return "\n".join([*before, *lines])


def _name(cell: Cell) -> str:
    return cell.picture if isinstance(cell, Failure) else cell.picture.name


def _column_title(cell: Cell) -> str:
    at = short_layer(cell.layer)
    return str(cell.method) + (f"\nat {at}" if at else "")


def _picture_panel(cells: Sequence[Cell], title: str) -> Panel:
    for cell in cells:
        if isinstance(cell, Explanation):
            image = Image.fromarray(display_pixels(cell.picture))
            return Panel(_thumbnail(image), title, " · ".join(cell.picture.notes))
    return Panel(None, title)


def _thumbnail(image: Image.Image) -> NDArray[np.uint8]:
    image = image.copy()
    image.thumbnail((_PIXELS, _PIXELS), Image.Resampling.BOX)
    return np.asarray(image)


def _caption(comparison: Comparison, sharing: Sharing) -> str:
    how = {
        "map": "each map on its own scale, the range of its values below it",
        "row": "the maps of a picture and class on one scale",
        "all": "all maps on one scale",
    }[sharing]
    explanations = list(comparison)
    parts = [
        _only({each.model for each in comparison.cells}),
        _only({_name(each) for each in comparison.cells}),
        _only({_column_title(each).replace("\n", " ") for each in comparison.cells}),
    ]
    if explanations:
        kinds = ", ".join(sorted({each.score_kind for each in explanations}))
        parts += [f"score explained: {kinds}", f"{how}, colours to the {PERCENTILE}th percentile"]
    if sharing != "map" and len({_column_title(each) for each in explanations}) > 1:
        parts.append("values of different methods and layers have different units")
    if comparison.passes:
        count = len(comparison.passes)
        spent = _milliseconds(sum(each.seconds for each in comparison.passes))
        parts.append(f"{count} shared {'pass' if count == 1 else 'passes'} of the model, {spent}")
    return " · ".join(part for part in parts if part)


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds >= 0.001 else "under 1 ms"


def _only(names: set[str]) -> str:
    """What all cells share is said once, below."""
    return next(iter(names)) if len(names) == 1 else ""


@dataclass(frozen=True)
class _Sheet:
    """A grid of panels, measured in inches from the top left."""

    rows: list[list[Panel | None]]
    caption: str
    bar: Scale | None
    colour_map: str | None

    def draw(self) -> Figure:
        width, height = self._panel_size()
        columns = max(map(len, self.rows))
        heads = [
            max((len(each.head(width)) for each in row if each), default=0) for row in self.rows
        ]
        feet = [
            max((len(each.foot(width)) for each in row if each), default=0) for row in self.rows
        ]
        margin = 0.75 if self.bar else 0.0
        total_width = max(columns * (width + _GAP) + _GAP + margin, 3.2)
        caption = _wrapped(self.caption, total_width - 2 * _GAP, _SMALL_SIZE)
        total_height = (
            sum(
                height + _LINE * (head + foot) + 2 * _GAP
                for head, foot in zip(heads, feet, strict=True)
            )
            + _LINE * len(caption)
            + _GAP
        )
        figure = Figure(figsize=(total_width, total_height), dpi=_DPI)
        FigureCanvasAgg(figure)
        top = 0.0
        for row, head, foot in zip(self.rows, heads, feet, strict=True):
            top += _GAP + _LINE * head
            for number, panel in enumerate(row):
                if panel is not None:
                    left = _GAP + number * (width + _GAP)
                    box = (
                        left / total_width,
                        1 - (top + height) / total_height,
                        width / total_width,
                        height / total_height,
                    )
                    _draw(figure.add_axes(box), panel, width)
            top += height + _LINE * foot + _GAP
        figure.text(
            _GAP / total_width,
            0.5 * _GAP / total_height,
            "\n".join(caption),
            fontsize=_SMALL_SIZE,
            color="0.35",
            va="bottom",
        )
        if self.bar is not None:
            self._draw_bar(figure, self.bar, total_width)
        return figure

    def _panel_size(self) -> tuple[float, float]:
        """Width and height in inches, of the aspect that most room is saved with."""
        shapes = [p.pixels.shape for row in self.rows for p in row if p and p.pixels is not None]
        aspects = [shape[0] / shape[1] for shape in shapes] or [1.0]
        aspect = float(np.clip(np.median(aspects), 0.4, 2.0))
        many = sum(map(len, self.rows)) > 24
        side = _SIDE * (0.75 if many else 1)
        return (side, side * aspect) if aspect <= 1 else (side / aspect**0.5, side * aspect**0.5)

    def _draw_bar(self, figure: Figure, scale: Scale, total_width: float) -> None:
        axes = figure.add_axes((1 - 0.65 / total_width, 0.25, 0.14 / total_width, 0.5))
        name = self.colour_map or (DIVERGING if scale.signed else SEQUENTIAL)
        mappable = ScalarMappable(Normalize(scale.low, scale.high), matplotlib.colormaps[name])
        bar = figure.colorbar(mappable, cax=axes)
        bar.ax.tick_params(labelsize=_SMALL_SIZE)


def _draw(axes: Any, panel: Panel, width: float) -> None:
    axes.set_axis_off()
    axes.text(
        0,
        1.0,
        "\n".join(panel.head(width)),
        fontsize=_TITLE_SIZE,
        va="bottom",
        transform=axes.transAxes,
    )
    axes.text(
        0,
        -0.01,
        "\n".join(panel.foot(width)),
        fontsize=_SMALL_SIZE,
        color="firebrick" if panel.pixels is None else "0.25",
        va="top",
        transform=axes.transAxes,
    )
    if panel.pixels is None:
        axes.text(
            0.5,
            0.5,
            panel.instead,
            ha="center",
            va="center",
            transform=axes.transAxes,
        )
    else:
        axes.imshow(panel.pixels, interpolation="nearest", aspect="equal")
        axes.set_anchor("NW")


_MOST_LINES = 6
_HINTING = 1.06
"""Glyphs set on whole pixels come out a little wider than their outlines."""


def _wrapped(text: str, width: float, size: float) -> list[str]:
    """Lines no wider than `width` inches; a text that is far too long is cut."""
    lines = []
    for paragraph in text.splitlines():
        lines += _broken(_escaped(paragraph).split(), width, size)
    if len(lines) <= _MOST_LINES:
        return lines
    last = lines[_MOST_LINES - 1]
    while last and _width(f"{last}…", size) > width:
        last = last[:-1]
    return [*lines[: _MOST_LINES - 1], f"{last}…"]


def _broken(words: Sequence[str], width: float, size: float) -> list[str]:
    """Words over as many lines as it takes; one wider than a line is broken."""
    lines = [""]
    for word in words:
        longer = f"{lines[-1]} {word}".lstrip()
        if _width(longer, size) <= width:
            lines[-1] = longer
            continue
        lines += [""] if lines[-1] else []
        for character in word:
            if lines[-1] and _width(lines[-1] + character, size) > width:
                lines.append("")
            lines[-1] += character
    return [line for line in lines if line]


@lru_cache(maxsize=4096)
def _width(text: str, size: float) -> float:
    """The width of a line in inches."""
    plain = text.replace(r"\$", "$")
    found = text_to_path.get_text_width_height_descent(plain, FontProperties(size=size), False)
    return _HINTING * float(found[0]) / 72


def histogram_figure(*histograms: GradientHistogram) -> Figure:
    """Draw magnitudes of gradients: positive values upwards, negative ones downwards."""
    figure = Figure(figsize=(6.4, 3.2 * len(histograms)), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, histogram in zip(
        figure.subplots(len(histograms), squeeze=False)[:, 0], histograms, strict=True
    ):
        _draw_histogram(axes, histogram)
    return figure


def _draw_histogram(axes: Any, histogram: GradientHistogram) -> None:
    widths = np.diff(histogram.edges)
    left = histogram.edges[:-1]
    axes.bar(left, histogram.positive, widths, align="edge", color="#b2182b", label="positive")
    axes.bar(left, -histogram.negative, widths, align="edge", color="#2166ac", label="negative")
    axes.axhline(0, color="0.2", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlim(histogram.edges[0], histogram.edges[-1])
    axes.yaxis.set_major_formatter(lambda count, _: f"{abs(count):.0f}")
    axes.set_xlabel("magnitude", fontsize=_TITLE_SIZE)
    axes.set_ylabel("values", fontsize=_TITLE_SIZE)
    axes.tick_params(labelsize=_TITLE_SIZE)
    axes.legend(frameon=False, fontsize=_TITLE_SIZE)
    title = [*_wrapped(histogram.title, 6.0, _TITLE_SIZE), histogram.summary]
    axes.set_title("\n".join(title), fontsize=_TITLE_SIZE, loc="left")


def prediction_figure(prediction: Prediction) -> Figure:
    """Draw a picture, and beside it its classes with their probabilities and logits."""
    classes = prediction.classes
    height = max(2.6, 0.34 * len(classes) + 0.9)
    figure = Figure(figsize=(7.2, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
    left.imshow(_thumbnail(Image.fromarray(display_pixels(prediction.picture))))
    left.set_axis_off()
    left.set_title(_escaped(prediction.picture.name)[:40], fontsize=_TITLE_SIZE, loc="left")
    places = np.arange(len(classes))
    shares = [np.nan_to_num(each.probability) for each in classes]
    right.barh(places, shares, color="#b5651d", height=0.62)
    right.set_yticks(places, [_escaped(each.title)[:32] for each in classes])
    right.invert_yaxis()
    right.set_xlim(min(0.0, *shares), max(1.0, *shares) * 1.45)
    right.tick_params(labelsize=_TITLE_SIZE)
    for side in ("top", "right"):
        right.spines[side].set_visible(False)
    right.set_xticks([0, 0.5, 1])
    for where, each in zip(places, classes, strict=True):
        text = f" {each.probability:.3f}   logit {each.logit:.2f}"
        right.text(max(each.probability, 0), where, text, va="center", fontsize=_SMALL_SIZE + 1)
    right.set_title(_escaped(prediction.model)[:40], fontsize=_TITLE_SIZE, loc="left")
    right.set_xlabel("probability", fontsize=_TITLE_SIZE)
    notes = " · ".join(warning.kind for warning in prediction.warnings)
    if notes:
        figure.supxlabel(notes, fontsize=_SMALL_SIZE, color="firebrick", x=0.02, ha="left")
    return figure


def _escaped(text: str) -> str:
    """Text that Matplotlib can draw as it is: no mathematics, no control characters."""
    drawn = "".join(" " if unicodedata.category(c).startswith("C") else c for c in text)
    return drawn.replace("$", r"\$")


def ladder_figure(ladder: "LadderMaps") -> Figure:
    """Draw a row for each method: the picture, its map, and the map at each rung of a ladder."""
    rows: list[list[Panel | None]] = []
    for row in ladder.rows:
        lost = [*accumulate(len(each.layers) for each in row)]
        panels = [_rung_panel(each, at, lost[-1]) for each, at in zip(row, lost, strict=True)]
        rows.append([_picture_panel([row[0].cell], str(row[0].cell.method)), *panels])
    learnt = [row[0].cell for row in ladder.rows]
    one = next(cell for cell in learnt if isinstance(cell, Explanation))
    caption = " · ".join(
        (
            ladder.model,
            one.picture.name,
            str(one.target),
            "weights drawn anew from the logits down to the layer that is named, "
            f"seed {ladder.seed}",
            "Spearman's correlation with the map at the left",
            "each map on its own scale, the range of its values below it, colours to the "
            f"{PERCENTILE}th percentile",
        )
    )
    return _Sheet(rows, caption, None, None).draw()


def _rung_panel(at: "LadderMap", lost: int, every: int) -> Panel:
    """One map of a ladder, or in words why there is none."""
    title = f"{lost} of {every} layers, to\n{at.layers[-1]}" if at.layers else "as it is"
    if at.reason is not None:
        return Panel(None, title, at.reason, "no map")
    assert isinstance(at.cell, Explanation)  # noqa: S101 - a failure has a reason
    notes = [] if at.similarity is None else [f"Spearman {at.similarity:.2f}"]
    notes += [" to ".join(map(short_number, at.cell.extent or ()))]
    return Panel(_thumbnail(overlay(at.cell)), title, " · ".join(notes))
