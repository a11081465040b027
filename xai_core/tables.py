"""An evaluation in words and numbers: the rows of its tables, and all of it as Markdown."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from xai_core.agreement import Agreement
from xai_core.bootstrap import LEVEL, RESAMPLES, digits
from xai_core.ranking import Standing, and_

if TYPE_CHECKING:
    from xai_core.evaluation import Evaluation, Gauge, Row

HEADER = (
    "row",
    "mean",
    "95 % interval",
    "pictures",
    "against the reference rows",
    "against the next row",
)

AGREEMENT = ("metric", "and metric", "Spearman", "rows", "pictures", "over all rows",
             "methods alone")  # fmt: skip

WITHOUT = "rungs without a map"
"""The fact that tells of them."""

COST = ("row", "seconds a map", "queries", "passes")

LIMITS_OF_COST = (
    "Seconds are the lower median over the maps: the method's own, and the whole of the passes "
    "that it shares with the other methods. Alone, one that reads less of them takes less."
)


def table_rows(standings: Iterable[Standing]) -> Iterator[tuple[str, ...]]:
    """A ranking, as `HEADER` says."""
    for each in standings:
        told = "a reference row" if each.row.is_reference and each.value else each.words
        if each.value is None:
            yield called(each.row), "", "", "0", told, ""
            continue
        failed = f", {each.failures} failed" if each.failures else ""
        after = str(each.next) if each.next else ""
        yield (
            called(each.row),
            digits(each.value.mean, 4),
            str(each.value),
            f"{each.value.count}{failed}",
            told,
            after,
        )


def agreement_rows(found: Iterable[Agreement]) -> Iterator[tuple[str, ...]]:
    """Each two metrics, as `AGREEMENT` says."""
    for each in found:
        alone = f"{each.methods.word}: {each.methods}" if each.methods else "too few of them"
        of = each.all
        yield each.one, each.other, str(of), str(of.rows), str(of.pictures), of.word, alone


def cost_rows(evaluation: "Evaluation") -> Iterator[tuple[str, ...]]:
    """What a map of each method takes, as `COST` says, and what each metric makes of it."""
    told = {str(gauge): evaluation.pareto(str(gauge)) for gauge in evaluation.metrics}
    for price in evaluation.prices():
        if price.row.is_reference:
            continue
        offers = (
            next((e.words for e in each if e.price.row.name == price.row.name), "not asked of it")
            for each in told.values()
        )
        seconds = "" if price.seconds is None else f"{price.seconds:.3g}"
        yield called(price.row), seconds, f"{price.queries:,.0f}", price.passes, *offers


def notes(evaluation: "Evaluation", gauge: "Gauge") -> list[str]:
    """What is to be said below a ranking."""
    return [each for each in (left_out(gauge), gaps(evaluation, str(gauge))) if each]


def gaps(evaluation: "Evaluation", metric: str) -> str | None:
    """Where maps on weights drawn anew say nothing, so that means are over other rungs."""
    found: dict[str, tuple[float, float]] = {}
    for each in evaluation.measurements:
        if each.metric == metric and each.score and WITHOUT in each.score.facts:
            none, of = found.get(each.row, (0.0, 0.0))
            facts = each.score.facts
            found[each.row] = none + facts[WITHOUT], of + facts["rungs"]
    told = [f"{row} at {none:.0f} of {of:.0f}" for row, (none, of) in found.items() if none]
    if not told:
        return None
    return f"Rungs without a map, which have no part in a mean: {', '.join(told)}."


def left_out(gauge: "Gauge") -> str | None:
    """Of which methods a metric has nothing to say."""
    if not gauge.left_out:
        return None
    return f"Not asked of methods that do not promise it: {and_(gauge.left_out)}."


def called(row: "Row") -> str:
    """The name of a row, in brackets where it knows nothing of the model."""
    return f"({row.name})" if row.is_reference else row.name


def markdown(evaluation: "Evaluation") -> str:
    """The rankings, what the metrics say of each other, and what maps cost."""
    parts = [f"# {_escaped(evaluation.model)}", made_of(evaluation)]
    for metric in evaluation.metrics:
        parts += [
            f"## {metric}",
            f"{metric.summary}; {metric.better} is better, {metric.bounds[0]:g} to "
            f"{metric.bounds[1]:g}. From {metric.source}.",
            "\n".join(_table(HEADER, table_rows(evaluation.ranking(str(metric))))),
        ]
        parts += [_escaped(each) for each in notes(evaluation, metric)]
    agreement = evaluation.agreement()
    if agreement:
        parts += [
            "## Whether the metrics agree",
            "Spearman's rho of the rows' means, each metric turned so that better is up.",
            "\n".join(_table(AGREEMENT, agreement_rows(agreement))),
        ]
    parts += [
        "## What the maps cost",
        LIMITS_OF_COST,
        "\n".join(_table((*COST, *map(str, evaluation.metrics)), cost_rows(evaluation))),
    ]
    parts += [f"- {_escaped(each)}" for each in (*evaluation.warnings, *evaluation.notices)]
    if evaluation.failures:
        header = ("picture", "row", "metric", "why it failed")
        cells = ((e.picture, e.row, e.metric, str(e.message)) for e in evaluation.failures)
        parts += ["## What failed", "\n".join(_table(header, cells))]
    return "\n\n".join(parts) + "\n"


def made_of(evaluation: "Evaluation") -> str:
    """How many pictures, how they were asked about, and what the intervals are."""
    measured = {each.picture for each in evaluation.measurements if each.score is not None}
    return (
        f"{len(measured)} of {len(evaluation.pictures)} pictures; seed {evaluation.seed}; the "
        f"model was run on {evaluation.queries:,} pictures for the metrics. Intervals: {LEVEL:.0%},"
        f" percentile bootstrap over pictures, {RESAMPLES:,} resamples. Differences are paired by "
        "picture and class; one is shown where signs drawn by chance make one as large in 5 % of "
        "cases at most. random, centre-gaussian, edges and uniform are maps that know nothing of "
        "the model."
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(map(_escaped, header))} |"
    yield f"| {' | '.join('---' for _ in header)} |"
    for row in rows:
        yield f"| {' | '.join(map(_escaped, row))} |"


def _escaped(text: str) -> str:
    """Anyone's text on one line of Markdown, where it means nothing."""
    line = " ".join(text.split())
    return "".join(f"\\{each}" if each in "\\|<>`*_[]" else each for each in line)
