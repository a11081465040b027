"""Maps made visible: the only place that resizes, normalises, colours and draws.

Nothing here touches Matplotlib's global state, so that it draws without a display
and from any thread.
"""

from dataclasses import dataclass
from textwrap import fill
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from xai_core.errors import UsageError
from xai_core.images import Picture, display_pixels
from xai_core.types import Comparison, Explanation, Failure
from xai_core.typing import FloatArray

SEQUENTIAL = "inferno"
DIVERGING = "RdBu_r"
OPACITY = 0.75


def resize(raw: FloatArray, height: int, width: int) -> FloatArray:
    """Resample a map bilinearly, with the centres of corner places aligned to those of pixels.

    Where the map is larger than the target it is averaged, not sampled.
    """
    image = Image.fromarray(np.ascontiguousarray(raw, dtype=np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))


def on_picture(explanation: Explanation) -> FloatArray:
    """The raw map at the picture's own size (H, W), NaN where the model did not look."""
    region = explanation.region
    canvas = np.full(explanation.picture.pixels.shape[:2], np.nan, np.float32)
    canvas[
        region.top : region.top + region.height, region.left : region.left + region.width
    ] = resize(explanation.map, region.height, region.width)
    return canvas


def normalise(values: FloatArray, *, signed: bool) -> FloatArray:
    """For display alone: to 0..1 by the extremes, or, signed, to 0..1 with 0 at 0.5.

    Non-finite places stay NaN. A map without contrast becomes 0 (0.5 where signed).
    """
    finite = np.where(np.isfinite(values), values, np.nan)
    if not np.isfinite(finite).any():
        return np.full_like(finite, np.nan)
    if signed:
        peak = float(np.nanmax(np.abs(finite)))
        return 0.5 + finite / (2 * peak) if peak > 0 else finite * 0 + 0.5
    low, high = float(np.nanmin(finite)), float(np.nanmax(finite))
    return (finite - low) / (high - low) if high > low else finite * 0


def overlay(
    explanation: Explanation, *, colour_map: str | None = None, opacity: float | None = None
) -> Image.Image:
    """The map over its picture, pixel for pixel. See `Explanation.overlay`."""
    strength = OPACITY if opacity is None else opacity
    if not 0 <= strength <= 1:
        raise UsageError(f"received opacity {opacity}; expected 0 (picture) to 1 (map)")
    signed = explanation.method.signed
    heat = normalise(on_picture(explanation), signed=signed)
    colours = _colour(heat, colour_map or (DIVERGING if signed else SEQUENTIAL))
    picture = display_pixels(explanation.picture).astype(np.float32)
    # Little heat, little colour: the picture stays readable where there is nothing to say.
    amount = np.abs(2 * heat - 1) if signed else heat
    alpha = strength * np.sqrt(np.nan_to_num(amount))[..., None]
    blended = (1 - alpha) * picture + alpha * colours
    return Image.fromarray(np.rint(blended).astype(np.uint8))


def _colour(heat: FloatArray, name: str) -> FloatArray:
    try:
        table = matplotlib.colormaps[name]
    except KeyError:
        raise UsageError(
            f"no colour map is called {name!r}; expected one of Matplotlib's, such as inferno, "
            "viridis, cividis, jet, or RdBu_r for signed maps"
        ) from None
    rgba: FloatArray = np.asarray(table(np.nan_to_num(heat)))
    return 255 * rgba[..., :3]


@dataclass(frozen=True)
class _Panel:
    """What stands in one place of a figure."""

    pixels: NDArray[np.uint8] | None
    title: str
    below: str


_PANEL_INCHES = 2.7
_TITLE_CHARACTERS = 34


def comparison_figure(comparison: Comparison) -> Figure:
    """A row for each target, a column for each method, the picture at the left."""
    rows = _rows(comparison)
    picture = _picture_of(comparison)
    columns = max(len(row) for row in rows)
    height, width = (1, 1) if picture is None else picture.pixels.shape[:2]
    aspect = float(np.clip(height / width, 0.4, 2.5))
    figure = Figure(
        figsize=(_PANEL_INCHES * columns, (_PANEL_INCHES * aspect + 0.75) * len(rows) + 0.3),
        dpi=120,
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for line, row in zip(axes, rows, strict=True):
        for place, panel in zip(line, [*row, *[None] * (columns - len(row))], strict=True):
            _draw(place, panel)
    figure.supxlabel(_caption(comparison), fontsize=7, color="0.35")
    return figure


def _draw(place: Any, panel: _Panel | None) -> None:
    place.set_xticks([])
    place.set_yticks([])
    for side in place.spines.values():
        side.set_visible(False)
    if panel is None:
        return
    place.set_title(fill(panel.title, _TITLE_CHARACTERS), fontsize=9)
    place.set_xlabel(fill(panel.below, 46), fontsize=7, color="firebrick")
    if panel.pixels is None:
        place.text(0.5, 0.5, "failed", ha="center", va="center", transform=place.transAxes)
    else:
        place.imshow(panel.pixels, interpolation="nearest")


def _rows(comparison: Comparison) -> list[list[_Panel]]:
    by_target: dict[tuple[int, str], list[Explanation | Failure]] = {}
    for cell in comparison.cells:
        by_target.setdefault((cell.target.index, cell.target.asked), []).append(cell)
    return [[_picture_panel(cells), *map(_panel, cells)] for cells in by_target.values()]


def _picture_panel(cells: list[Explanation | Failure]) -> _Panel:
    for cell in cells:
        if isinstance(cell, Explanation):
            title = f"{cell.target}\np = {cell.probability:.3f}, logit {cell.score:.2f}"
            if cell.score_kind == "probability":
                title = f"{cell.target}\np = {cell.probability:.3f}"
            return _Panel(display_pixels(cell.picture), title, "; ".join(cell.picture.notes))
    return _Panel(None, str(cells[0].target), "")


def _panel(cell: Explanation | Failure) -> _Panel:
    title = str(cell.method) + (f"\n{cell.layer}" if cell.layer else "")
    if isinstance(cell, Failure):
        return _Panel(None, title, cell.message)
    kinds = ", ".join(warning.kind for warning in cell.warnings)
    return _Panel(np.asarray(overlay(cell)), title, kinds)


def _picture_of(comparison: Comparison) -> Picture | None:
    return next((cell.picture for cell in comparison), None)


def _caption(comparison: Comparison) -> str:
    first = next(iter(comparison), None)
    if first is None:
        return ""
    return (
        f"{first.picture.name}: each map normalised by its own extremes; "
        f"score explained: {first.score_kind}"
    )
