"""What maps take beside how good they are."""

from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from xai_core.errors import UsageError
from xai_core.evaluation import Evaluation, Gauge
from xai_core.pareto import Offer

_SIZE, _SMALL = 8.5, 7.0
_DPI = 120
_DASHES = ("--", ":", "-.", (0, (1, 3)))


def pareto_figure(evaluation: Evaluation) -> Figure:
    """Draw, for each metric, the mean of each method against the seconds that a map takes.

    Better is up. Filled: nothing is better that takes no more, by the means. Maps that know
    nothing of the model take no pass: they are lines, and what lies below one is beaten by it.

    Raises:
        UsageError: no method was measured by any metric.
    """
    drawn = [
        (gauge, known)
        for gauge in evaluation.metrics
        if (known := [each for each in evaluation.pareto(str(gauge)) if is_drawn(each)])
    ]
    if not drawn:
        raise UsageError(
            "there is no cost to draw: no method was measured; save the tables (.md) or "
            "everything (.json)"
        )
    figure = Figure(figsize=(1.0 + 4.6 * len(drawn), 4.2), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(drawn), squeeze=False)[0]
    for axes, (gauge, known) in zip(panels, drawn, strict=True):
        _draw(axes, evaluation, gauge, known)
    title = f"{evaluation.model}: what a map takes, and what it is worth"
    figure.suptitle(title.replace("$", r"\$"), fontsize=_SIZE + 1, x=0.01, ha="left")
    return figure


def is_drawn(offer: Offer) -> bool:
    """Whether it is a method that was measured."""
    return bool(offer.value and offer.price.seconds)


def _draw(axes: Any, evaluation: Evaluation, gauge: Gauge, known: list[Offer]) -> None:
    colours = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]  # of a list of colours
    methods = [row.name for row in evaluation.rows if not row.is_reference]
    references = [each for each in evaluation.pareto(str(gauge)) if each.price.row.is_reference]
    names = [row.name for row in evaluation.rows if row.is_reference]
    levels = sorted((each.value.mean, each.price.row.name) for each in references if each.value)
    for mean, name in levels:
        dashes = _DASHES[names.index(name) % len(_DASHES)]
        axes.axhline(mean, color="0.45", linestyle=dashes, linewidth=1.0, zorder=1)
    for mean, told in _together(levels, known):
        axes.annotate(
            told, (1.01, mean), xycoords=("axes fraction", "data"), fontsize=_SMALL,
            color="0.35", ha="left", va="center",
        )  # fmt: skip
    seconds = [each.price.seconds or 0.0 for each in known]
    middle = (min(seconds) * max(seconds)) ** 0.5
    for offer in known:
        name, value = offer.price.row.name, offer.value
        colour = colours[methods.index(name) % len(colours)]
        is_right = (offer.price.seconds or 0.0) > middle
        assert value is not None  # noqa: S101  # it is drawn
        low, high = (value.mean if end is None else end for end in (value.low, value.high))
        axes.errorbar(
            [offer.price.seconds], [value.mean], [[value.mean - low], [high - value.mean]],
            fmt="o", color=colour, markersize=7, markeredgewidth=1.6, elinewidth=1.2,
            markerfacecolor=colour if offer.is_on_front else "white", zorder=3,
        )  # fmt: skip
        axes.annotate(
            name.replace("$", r"\$"), (offer.price.seconds, value.mean),
            xytext=(-8 if is_right else 8, 5 if offer.is_on_front else -10),
            textcoords="offset points", fontsize=_SMALL, zorder=4,
            ha="right" if is_right else "left",
        )  # fmt: skip
    front = [each for each in known if each.is_on_front]
    axes.step(
        [each.price.seconds for each in front], [each.value.mean for each in front if each.value],
        where="post", color="0.7", linewidth=1.2, zorder=2,
    )  # fmt: skip
    axes.set_xscale("log")
    axes.margins(x=0.25, y=0.12)
    if not gauge.higher_is_better:
        axes.invert_yaxis()
    axes.set_xlabel("seconds a map", fontsize=_SIZE)
    axes.set_ylabel(f"mean {gauge}, better is up".replace("$", r"\$"), fontsize=_SIZE)
    axes.tick_params(labelsize=_SMALL)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _together(levels: list[tuple[float, str]], known: list[Offer]) -> list[tuple[float, str]]:
    """Names at their heights; of those that are too near to be told apart, in one."""
    means = [each.value.mean for each in known if each.value] + [mean for mean, _ in levels]
    near = 0.04 * (max(means) - min(means))
    found: list[tuple[float, list[str]]] = []
    for mean, name in levels:
        if found and mean - found[-1][0] <= near:
            found[-1][1].append(name)
        else:
            found.append((mean, [name]))
    return [(mean, ", ".join(names)) for mean, names in found]
