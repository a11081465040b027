"""The curves of metrics, averaged over pictures."""

from collections.abc import Iterator
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from xai_core.errors import UsageError
from xai_core.evaluation import Evaluation, Gauge
from xai_core.metrics import Curve
from xai_core.ranking import Standing
from xai_core.typing import FloatArray

_SIZE, _SMALL = 8.5, 7.0
_DPI = 120
_DASHES = ("--", ":", "-.", (0, (1, 3)))


def curves_figure(evaluation: Evaluation) -> Figure:
    """Draw, for each metric with curves, the mean curve of each row over pictures and classes.

    Methods are in colour, best first in the legend; reference rows are grey and broken.

    Raises:
        UsageError: no metric has a curve.
    """
    drawn = [
        (gauge, curves)
        for gauge in evaluation.metrics
        if (curves := curves_of(evaluation, str(gauge)))
    ]
    if not drawn:
        raise UsageError(
            "there is no curve to draw: no metric returned one, or all failed; save the tables "
            "(.md) or everything (.json)"
        )
    figure = Figure(figsize=(1.0 + 5.4 * len(drawn), 4.4), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (gauge, curves) in zip(
        figure.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True
    ):
        _draw(axes, evaluation, gauge, curves)
    pictures = {each.picture for each in evaluation.measurements if each.score}
    figure.suptitle(
        f"{evaluation.model}: mean curves of {len(pictures)} pictures".replace("$", r"\$"),
        fontsize=_SIZE + 1,
        x=0.01,
        ha="left",
    )
    return figure


def _draw(axes: Any, evaluation: Evaluation, gauge: Gauge, curves: dict[str, list[Curve]]) -> None:
    colours = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]  # of a list of colours
    methods = [row.name for row in evaluation.rows if not row.is_reference]
    references = [row.name for row in evaluation.rows if row.is_reference]
    for standing in evaluation.ranking(str(gauge)):
        name = standing.row.name
        if name not in curves:
            continue
        x, y = mean_curve(curves[name])
        if standing.row.is_reference:
            dashes = _DASHES[references.index(name) % len(_DASHES)]
            style = {"color": "0.45", "linestyle": dashes, "linewidth": 1.1, "zorder": 1}
        else:
            colour = colours[methods.index(name) % len(colours)]
            style = {"color": colour, "linewidth": 1.8, "zorder": 2}
        axes.plot(x, y, label=_label(standing), **style)
    one = next(iter(curves.values()))[0]
    axes.set_xlabel(one.x_label, fontsize=_SIZE)
    axes.set_ylabel(one.y_label, fontsize=_SIZE)
    axes.set_title(f"{gauge}: {gauge.better} is better".replace("$", r"\$"), fontsize=_SIZE)
    axes.tick_params(labelsize=_SMALL)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.margins(x=0.01)
    axes.legend(frameon=False, fontsize=_SMALL)


def _label(standing: Standing) -> str:
    mean = "" if standing.value is None else f" {standing.value.mean:.3f}"
    return f"{standing.row.name}{mean}".replace("$", r"\$")


def curves_of(evaluation: Evaluation, metric: str) -> dict[str, list[Curve]]:
    """By row, the curves of every picture and class."""
    found: dict[str, list[Curve]] = {}
    for row, curve in _each(evaluation, metric):
        found.setdefault(row, []).append(curve)
    return found


def _each(evaluation: Evaluation, metric: str) -> Iterator[tuple[str, Curve]]:
    for each in evaluation.measurements:
        if each.metric == metric and each.score and each.score.curve:
            yield each.row, each.score.curve


def mean_curve(curves: list[Curve]) -> tuple[FloatArray, FloatArray]:
    """Over curves of the same x, of those that have a value at each; else at the x of the first.

    Where no curve has a value, there is none: nothing is put into a gap.
    """
    x = curves[0].x
    if all(np.array_equal(each.x, x) for each in curves):
        values = np.stack([each.y for each in curves])
    else:
        known = [(each, ~np.isnan(each.y)) for each in curves]
        values = np.stack([np.interp(x, each.x[has], each.y[has]) for each, has in known])
    there = ~np.isnan(values).all(axis=0)
    mean: FloatArray = np.nanmean(values[:, there], axis=0)
    return x[there], mean
