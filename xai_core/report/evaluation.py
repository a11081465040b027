"""The page of an evaluation: what is shown first, then every number that it rests on."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from xai_core.agreement import Correlation
from xai_core.bootstrap import LEVEL, RESAMPLES
from xai_core.errors import XaiError
from xai_core.evaluation import Evaluation, Gauge, Measurement
from xai_core.masks import ToldMask
from xai_core.pareto import Offer
from xai_core.progress import Progress, silent
from xai_core.ranking import BEATS, WORSE, Standing, and_
from xai_core.report import charts
from xai_core.report.descent import Descent
from xai_core.report.evaluation_recipe import evaluation_recipe
from xai_core.report.page import counted, environment, joined, policy, raw
from xai_core.report.text import to_json
from xai_core.sign_flips import FEWEST
from xai_core.tables import LIMITS_OF_COST, notes

_PAIRS = 4
"""Of metrics that disagree, as many as are read: those shown first, the furthest apart first."""
_STYLES = ("report.css", "evaluation.css")
_COLOURS = 10
_BINS = 4
"""Shades of agreement, from none to all."""


def render_evaluation(evaluation: Evaluation, progress: Progress = silent) -> str:
    """The whole page as text."""
    style = joined(_STYLES)
    page = Page(evaluation)
    descent, no_descent = _descent(evaluation, progress)
    return (
        environment()
        .get_template("evaluation.html")
        .render(
            policy=policy(style, None),
            style=raw(style),
            page=page,
            evaluation=evaluation,
            charts=charts,
            descent=descent,
            no_descent=no_descent,
            recipe=evaluation_recipe(evaluation, page.origin),
            limits_of_cost=LIMITS_OF_COST,
            level=f"{LEVEL:.0%}".replace("%", " %"),
            resamples=f"{RESAMPLES:,}",
            fewest=FEWEST,
        )
    )


def _descent(evaluation: Evaluation, progress: Progress) -> tuple[Descent | None, str | None]:
    """The maps of one picture as the weights are drawn anew, or why there are none to show."""
    if evaluation.ladder_metric is None:
        return None, None
    try:
        found = evaluation.ladder_maps(progress=progress)
    except XaiError as error:
        return None, f"they could not be made again: {error}"
    if found is not None:
        return Descent(found), None
    if evaluation.is_interrupted:
        return None, "the evaluation was interrupted"
    return None, None


@dataclass(frozen=True)
class Section:
    """One metric."""

    gauge: Gauge
    ranking: tuple[Standing, ...]
    notes: Sequence[str]
    """Of what it was not asked, and where maps say nothing."""
    spans: charts.Spans
    curves: charts.Curves | None
    costs: charts.Costs | None
    offers: Mapping[str, Offer]


@dataclass(frozen=True)
class Verdict:
    """What is shown of a method by a metric, in the overview."""

    word: str
    kind: str
    """`beats`, `part`, `none` or `failed`."""
    told: str


@dataclass(frozen=True)
class Asked:
    """What a metric took."""

    metric: str
    budget: str
    """The most that it asks about for each map, as it declares."""
    asked: int
    run: int
    maps: int
    seconds: float


class Page:
    """All that the template shows.

    Args:
        evaluation: What came of measuring.
    """

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self.origin: Mapping[str, Any] = dict(evaluation.origin())

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """By metric."""
        return tuple(map(self._section, self._evaluation.metrics))

    def _section(self, gauge: Gauge) -> Section:
        ranking = self._evaluation.ranking(str(gauge))
        offers = self._evaluation.pareto(str(gauge))
        return Section(
            gauge=gauge,
            notes=notes(self._evaluation, gauge),
            ranking=ranking,
            spans=charts.spans(gauge, ranking),
            curves=charts.curves(self._evaluation, gauge, ranking),
            costs=charts.costs(gauge, offers),
            offers={each.price.row.name: each for each in offers},
        )

    @property
    def methods(self) -> list[str]:
        """The rows that are no reference rows."""
        return [row.name for row in self._evaluation.rows if not row.is_reference]

    def look(self, row: str) -> str:
        """The class of a row in a drawing: a colour for a method, dashes for a reference row."""
        if row in self.methods:
            return f"hue-{self.methods.index(row) % _COLOURS}"
        references = [each.name for each in self._evaluation.rows if each.is_reference]
        return f"dash-{references.index(row) % 4}"

    @property
    def facts(self) -> list[str]:
        """How much of everything there is."""
        found = self._evaluation
        measured = {each.picture for each in found.measurements if each.score is not None}
        of = "" if len(measured) == len(found.pictures) else f" of {len(found.pictures)}"
        return [
            f"{counted(len(measured), 'picture')}{of}",
            counted(len(self.methods), "method"),
            counted(len(found.metrics), "metric"),
            f"{len(found.measurements):,} measurements",
            f"{found.queries:,} questions to the model",
        ]

    def verdict(self, section: Section, row: str) -> Verdict:
        """What is shown of a method against the maps that know nothing."""
        if row in section.gauge.left_out:
            return Verdict("not asked", "none", "it does not promise what this is about")
        (standing,) = [each for each in section.ranking if each.row.name == row]
        if standing.value is None:
            return Verdict("failed", "failed", standing.words)
        words = [each.word for each in standing.contests if each.is_defined]
        ahead, behind = words.count(BEATS), words.count(WORSE)
        if standing.beats_all:
            return Verdict(f"beats all {len(words)}", "beats", standing.words)
        if ahead:
            told = f"beats {ahead} of {len(words)}" + (f", worse than {behind}" if behind else "")
            return Verdict(told, "part", standing.words)
        if behind:
            return Verdict(f"worse than {behind} of {len(words)}", "worse", standing.words)
        return Verdict("nothing shown", "none", standing.words)

    @property
    def sentences(self) -> Iterator[str]:
        """What is shown, in words."""
        by_metrics: dict[tuple[str, ...], list[str]] = {}
        for row in self.methods:
            beaten = (e for e in self.sections if self.verdict(e, row).kind == "beats")
            by_metrics.setdefault(tuple(str(e.gauge) for e in beaten), []).append(row)
        lost = by_metrics.pop((), [])
        for metrics, rows in sorted(by_metrics.items(), key=lambda each: -len(each[0])):
            verb = "beats" if len(rows) == 1 else "beat"
            only = "" if len(metrics) == len(self.sections) else " only"
            has = " and has a value" if self._lacking(metrics) else ""
            told = (
                f"{verb} every map that knows nothing of the model{has}, by {and_(metrics)}{only}."
            )
            yield f"{and_(rows)} {told}"
        if lost:
            verb = "is" if len(lost) == 1 else "are"
            yield f"{and_(lost)} {verb} not shown to beat them all by any metric."
        for alone, where in ((False, "all rows"), (True, "the methods alone")):
            apart = sorted(
                (not found.is_shown, found.rho, f"{pair.one} and {pair.other}, {found}")
                for pair in self._evaluation.agreement()
                for found in [pair.methods if alone else pair.all]
                if found is not None and found.rho is not None and found.rho < 0
            )
            pairs = [f"{pair}{', not shown' if is_open else ''}" for is_open, _, pair in apart]
            if len(pairs) > _PAIRS:
                pairs[_PAIRS:] = [f"and {len(pairs) - _PAIRS} pairs more, in the matrix below"]
            if pairs:
                yield f"Metrics that disagree on {where}: {'; '.join(pairs)}."
        if len(self._evaluation.pictures) < FEWEST:
            yield f"With fewer than {FEWEST} pictures no difference can be shown."

    def _lacking(self, metrics: Sequence[str]) -> bool:
        """Whether a reference row has no value by one of some metrics."""
        references = [each.name for each in self._evaluation.rows if each.is_reference]
        return any(self._evaluation.fails(metric, row) for metric in metrics for row in references)

    def correlation(self, one: str, other: str, *, alone: bool) -> Correlation | None:
        """What is in one place of the matrix of agreement."""
        for each in self._evaluation.agreement():
            if {each.one, each.other} == {one, other}:
                return each.methods if alone else each.all
        return None

    @property
    def matrices(self) -> list[tuple[str, bool]]:
        """What each matrix is over, and whether it is over the methods alone."""
        pairs = self._evaluation.agreement()
        found = [("All rows", False)] if pairs else []
        return found + [("Methods alone", True)] * any(each.methods for each in pairs)

    def shade(self, found: Correlation | None) -> str:
        """The class of a place in the matrix."""
        if found is None or found.rho is None:
            return "shade"
        side = "minus" if found.rho < 0 else "plus"
        return f"shade {side}-{min(_BINS, int(abs(found.rho) * _BINS + 0.5))}"

    @property
    def faults(self) -> Mapping[str, list[Measurement]]:
        """What failed, by why."""
        found: dict[str, list[Measurement]] = {}
        for each in self._evaluation.failures:
            found.setdefault(str(each.message), []).append(each)
        return found

    @property
    def asked(self) -> tuple[Asked, ...]:
        """What each metric took."""
        of = self._evaluation.measurements
        return tuple(
            Asked(
                str(gauge),
                "it depends" if gauge.queries is None else f"{gauge.queries:,}",
                *(
                    sum(getattr(each, name) for each in of if each.metric == str(gauge))
                    for name in ("asked", "queries", "maps", "seconds")
                ),
            )
            for gauge in self._evaluation.metrics
        )

    @property
    def settings(self) -> Iterator[tuple[str, str]]:
        """How it was made."""
        origin, found = self.origin, self._evaluation
        asked = dict.fromkeys(each.target.asked for each in found.measurements)
        yield "model", found.model
        yield "explained", f"the {found.score_kind}"
        yield "classes", ", ".join(asked)
        yield "layers", ", ".join(found.layers) or "none"
        yield "seed", str(found.seed)
        for name in ("preprocessing", "weights", "weights_sha256", "input_size", "fit", "engine",
                     "backend", "device"):  # fmt: skip
            if origin.get(name) is not None:
                value = origin[name]
                told = "x".join(map(str, value)) if isinstance(value, list) else str(value)
                yield name.replace("_", " ").replace(" sha256", ", SHA-256"), told
        versions = origin.get("versions", {})
        yield "versions", ", ".join(f"{name} {each}" for name, each in versions.items())

    @property
    def seeds(self) -> Mapping[str, tuple[int, ...]]:
        """By picture, what all that is drawn at random for it is drawn from."""
        return {each.picture: each.seed for each in self._evaluation.measurements if each.seed}

    @property
    def masks(self) -> Mapping[str, ToldMask | None]:
        """By picture, how it was said where the object is; empty where nothing was said."""
        told = self._evaluation.masks
        return dict(zip(self._evaluation.pictures, told, strict=True)) if any(told) else {}

    @property
    def provenance(self) -> str:
        """Model, weights, preprocessing and versions, as JSON."""
        return json.dumps(json.loads(to_json(self.origin)), indent=1)
