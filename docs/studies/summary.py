"""A study at a glance: which method is shown to beat maps that know nothing, by which metric."""

from itertools import product
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from xai_core.bootstrap import digits
from xai_core.evaluation import Evaluation
from xai_core.ranking import BEATS, WORSE, Standing
from xai_core.tables import COST, cost_rows

COLOURS = ("#b2182b", "#f4a582", "#eeeeee", "#d1e5f0", "#92c5de", "#4393c3", "#2166ac")
"""Worse than more than it beats, worse than some, nothing shown, beats one to four."""

_ACROSS = 4
_DASHES = (":", "--", "-", "-.")

_NOT_ASKED = (2, "")
"""A method does not promise what the metric is about."""


def verdict(standing: Standing) -> tuple[int, str]:
    """A colour's place, and what to write: reference rows beaten, and those that are better."""
    words = [each.word for each in standing.contests]
    better, worse = words.count(BEATS), words.count(WORSE)
    if standing.value is None:
        return 2, "failed"
    if worse:
        return (1 if better >= worse else 0), f"+{better} −{worse}" if better else f"−{worse}"
    return (2 + better, f"+{better}") if better else (2, "·")


def table(found: Evaluation) -> str:
    """Means as Markdown: the best in bold, * where all reference rows with a value are beaten."""
    metrics = [str(each) for each in found.metrics]
    rankings = {
        metric: {each.row.name: each for each in found.ranking(metric)} for metric in metrics
    }
    best = {metric: next(iter(ranking)) for metric, ranking in rankings.items()}
    titles = (each.name for each in found.metrics)
    lines = [f"| row | {' | '.join(titles)} |", "| --- |" + " ---: |" * len(metrics)]
    for row in found.rows:
        cells = []
        for metric in metrics:
            standing = rankings[metric].get(row.name)
            if standing is None:  # it does not promise what the metric is about
                cells.append("")
                continue
            told = digits(standing.value.mean, 3) if standing.value else "failed"
            told = f"**{told}**" if best[metric] == row.name else told
            cells.append(told + ("*" if standing.beats_all and not row.is_reference else ""))
        name = f"({row.name})" if row.is_reference else row.name
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def summarise(found: Evaluation, path: Path) -> None:
    """Draw methods by metrics: of the four reference rows, how many are beaten, how many better."""
    rankings = {str(metric): found.ranking(str(metric)) for metric in found.metrics}
    methods = [row.name for row in found.rows if not row.is_reference]
    told = {
        (each.row.name, metric): verdict(each)
        for metric, ranking in rankings.items()
        for each in ranking
        if not each.row.is_reference
    }
    cells = {pair: told.get(pair, _NOT_ASKED) for pair in product(methods, rankings)}
    places = np.array([[cells[name, metric][0] for metric in rankings] for name in methods])
    figure = Figure(
        (2.6 + 0.72 * len(rankings), 2.4 + 0.25 * len(methods)), dpi=110, layout="constrained"
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.imshow(places, cmap=ListedColormap(COLOURS), vmin=0, vmax=6, aspect="auto")
    for row, name in enumerate(methods):
        for column, metric in enumerate(rankings):
            place, text = cells[name, metric]
            ink = "white" if place in (0, 5, 6) else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=ink)
    axes.set_yticks(range(len(methods)), methods, fontsize=8)
    titles = [each.name for each in found.metrics]
    axes.set_xticks(range(len(titles)), titles, fontsize=8, rotation=45, ha="left")
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_xlabel(f"{len(found.pictures)} pictures", fontsize=8)
    figure.savefig(path)


def intervals(found: Evaluation, path: Path) -> None:
    """Draw each mean with its bootstrap interval, and the reference rows as lines."""
    methods = [row.name for row in found.rows if not row.is_reference]
    references = [row.name for row in found.rows if row.is_reference]
    place = {name: number for number, name in enumerate(methods)}
    down = -(-len(found.metrics) // _ACROSS)
    figure = Figure(
        (1.6 + 2.5 * _ACROSS, 0.7 + down * (0.6 + 0.155 * len(methods))),
        dpi=100,
        layout="constrained",
    )
    FigureCanvasAgg(figure)
    grid = figure.subplots(down, _ACROSS, sharey=True, squeeze=False).ravel()
    for axes in grid[len(found.metrics) :]:
        axes.set_visible(False)
    for axes, gauge in zip(grid, found.metrics, strict=False):
        for standing in found.ranking(str(gauge)):
            name, value = standing.row.name, standing.value
            if value is None:
                continue
            if standing.row.is_reference:
                style = _DASHES[references.index(name)]
                axes.axvline(value.mean, color="0.55", lw=1, ls=style, label=name)
                continue
            colour = "#2166ac" if standing.beats_all else "0.15"
            axes.plot(value.mean, place[name], "o", ms=3.5, color=colour)
            if value.low is not None and value.high is not None:
                axes.plot([value.low, value.high], [place[name]] * 2, lw=1.2, color=colour)
        if gauge.name in ("completeness", "float64-distance"):  # from 1e-7, or to a million
            axes.set_xscale("log")
        axes.set_title(f"{gauge.name}: {gauge.better} is better", fontsize=7.5)
        axes.set_yticks(range(len(methods)), methods, fontsize=6.5)
        axes.tick_params(axis="x", labelsize=6.5)
        axes.grid(axis="y", color="0.93", lw=0.6)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    grid[0].set_ylim(len(methods) - 0.4, -0.6)
    known = {}
    for axes in grid:
        known |= {
            label: line for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
    figure.legend(
        [known[name] for name in references if name in known],
        [name for name in references if name in known],
        loc="outside lower center", ncols=len(references), frameon=False, fontsize=7.5,
    )  # fmt: skip
    figure.savefig(path)


def costs(found: Evaluation) -> str:
    """What a map of each method takes, as Markdown."""
    lines = [f"| {' | '.join(COST)} |", "| --- | ---: | ---: | --- |"]
    lines += [f"| {' | '.join(row[: len(COST)])} |" for row in cost_rows(found)]
    return "\n".join(lines) + "\n"


def agree(found: Evaluation, path: Path) -> None:
    """Draw how alike each two metrics order the rows: Spearman's rho, with better as up."""
    titles = [each.name for each in found.metrics]
    place = {str(each): number for number, each in enumerate(found.metrics)}
    rho = np.full((len(titles), len(titles)), np.nan)
    np.fill_diagonal(rho, 1)
    for each in found.agreement():
        one, other = place[each.one], place[each.other]
        rho[one, other] = rho[other, one] = np.nan if each.all.rho is None else each.all.rho
    side = 2.2 + 0.5 * len(titles)
    figure = Figure((side, side), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.imshow(rho, cmap="RdBu", vmin=-1, vmax=1)
    for (row, column), value in np.ndenumerate(rho):
        if row != column and np.isfinite(value):
            ink = "white" if abs(value) > 0.65 else "black"
            told = f"{value:+.1f}".replace("-", "−")
            axes.text(column, row, told, ha="center", va="center", fontsize=7, color=ink)
    axes.set_yticks(range(len(titles)), titles, fontsize=8)
    axes.set_xticks(range(len(titles)), titles, fontsize=8, rotation=45, ha="left")
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.savefig(path)
