"""Runs metrics on maps, picture by picture: what fails, or is interrupted, loses nothing else."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_core.errors import MetricError, XaiError
from xai_core.evaluation import Evaluation, Gauge, Measurement, Row
from xai_core.images import Picture, as_picture
from xai_core.interfaces import Metric
from xai_core.masks import Mask, MaskLike
from xai_core.metrics import Score, Trial
from xai_core.parameters import parameters
from xai_core.planner import PictureLike, Plan, run_plan, tell_apart, where_it_runs
from xai_core.progress import Progress, silent
from xai_core.references import REFERENCES
from xai_core.registry import Registry
from xai_core.settings import text_of
from xai_core.types import Explanation, Failure, Target
from xai_core.typing import FloatArray
from xai_core.witness import (
    Answers,
    Copies,
    Counting,
    Gallery,
    Maps,
    MethodWitness,
    ReferenceWitness,
    Seen,
    at_input,
    sealed,
)

if TYPE_CHECKING:
    from xai_core.study import Study

_SLACK = 1e-6
"""How far beyond its bounds rounding may carry a value."""


@dataclass(frozen=True)
class _Used:
    """A metric, and what is said of it."""

    metric: Metric
    gauge: Gauge


def describe_metric(metric: Metric, registry: Registry) -> Gauge:
    """A metric as provenance: its name, its parameters, where it comes from."""
    offered = registry.metrics.get(metric.name)
    is_offered = offered is not None and type(offered.item) is type(metric)
    usual = {e.name: e.value for e in parameters(offered.item)} if offered and is_offered else {}
    told = parameters(metric)
    return Gauge(
        name=metric.name,
        parameters={each.name: text_of(each.value) for each in told},
        changed={
            each.name: text_of(each.value)
            for each in told
            if each.value != usual.get(each.name, each.default)
        },
        higher_is_better=metric.higher_is_better,
        bounds=metric.bounds,
        summary=metric.summary,
        source=str(registry.source_of(metric)),
    )


@where_it_runs
def run_evaluation(
    study: "Study",
    plan: Plan,
    metrics: Sequence[Metric],
    sources: Sequence[PictureLike],
    masks: Sequence[MaskLike],
    seed: int,
    progress: Progress,
) -> Evaluation:
    """Measure every map of the plan, and the reference maps, with every metric.

    There are as many masks as sources, None where there is none.
    """
    used = [_Used(each, describe_metric(each, study.registry)) for each in metrics]
    rows = (
        *(Row(str(m), m.parameters, m.source, is_reference=False) for m in plan.methods),
        *(Row(name, {}, "xai-core", is_reference=True) for name in REFERENCES),
    )
    names = tell_apart(sources)
    measured: list[Measurement] = []
    notices = _unmasked(names, masks)
    is_interrupted = False
    each_picture = len(rows) * len(plan.wanted) * len(used)
    total = each_picture * len(sources)
    shared = _Shared(study, plan, used, Gallery(study, sources), Copies(study, seed), masks, seed)
    for number, (source, name) in enumerate(zip(sources, names, strict=True)):
        try:
            tell = partial(_tell, progress, measured, total, name)
            for each in _measure(shared, number, source, name, tell):
                # One by one: what is made stays, whatever comes next, and progress counts it.
                measured.append(each)  # noqa: PERF402
        except KeyboardInterrupt:
            is_interrupted = True
            notices.append(
                f"interrupted: {number} of {len(sources)} pictures are whole, and what was "
                "measured of the next is kept"
            )
            break
    progress(len(measured), total, "")
    return Evaluation(
        model=study.name,
        rows=rows,
        metrics=tuple(each.gauge for each in used),
        measurements=tuple(measured),
        pictures=tuple(names),
        seed=seed,
        warnings=tuple(map(str, study.warnings)),
        notices=tuple(notices),
        is_interrupted=is_interrupted,
        origin=study.origin,
    )


def _tell(
    progress: Progress, measured: Sequence[Any], total: int, picture: str, what: str, queries: int
) -> None:
    """Say what runs now, and how many pictures the model was run on for this one."""
    progress(len(measured), total, f"{picture}: {what}, {queries:,} queries")


def _unmasked(names: Sequence[str], masks: Sequence[MaskLike]) -> list[str]:
    """Which pictures have no mask, where others have one."""
    without = [name for name, mask in zip(names, masks, strict=True) if mask is None]
    if len(without) in (0, len(names)):
        return []
    return [f"no mask was given for {', '.join(without)}: metrics that need one fail there"]


def _mask(study: "Study", source: MaskLike, picture: Picture) -> Mask | XaiError | None:
    """The mask as the model sees it; or why there is none, which only some metrics mind."""
    if source is None:
        return None
    try:
        mask = study.input.fitted_mask(source, picture).copy()
    except XaiError as error:
        return error
    mask.flags.writeable = False
    return mask


@dataclass(frozen=True)
class _Shared:
    """What is the same for every picture."""

    study: "Study"
    plan: Plan
    used: Sequence[_Used]
    gallery: Gallery
    copies: Copies
    masks: Sequence[MaskLike]
    seed: int

    @property
    def rows(self) -> tuple[str, ...]:
        """What to call each method."""
        return tuple(map(str, self.plan.methods))


@dataclass(frozen=True)
class _Candidate:
    """One map that is to be scored."""

    row: str
    made: Explanation | Failure | FloatArray
    witness: Counting


def _measure(
    shared: _Shared,
    number: int,
    source: PictureLike,
    name: str,
    tell: Callable[[str, int], None],
) -> Iterator[Measurement]:
    """Every score of one picture."""
    study, plan = shared.study, shared.plan
    tell("the maps", 0)
    try:
        picture = replace(as_picture(source), name=name)
        cells = run_plan(study, plan, [picture], 1, silent).cells
    except XaiError as error:
        yield from _nothing(shared, name, error)
        return
    pixels = sealed(study.input.fitted([picture])[0][0])
    mask = _mask(study, shared.masks[number], picture)
    seeds = (shared.seed, int(picture.sha256[:16], 16))
    running = [""]
    answers = Answers(study, lambda count: tell(running[0], count))
    maps = Maps(study, shared.copies, plan.explainers, shared.rows)
    for first in range(0, len(cells), len(plan.explainers)):
        of_target = cells[first : first + len(plan.explainers)]
        target = of_target[0].target
        seen = Seen(study, pixels, number, target.index, seeds, answers, shared.gallery, mask)
        knowing_nothing = [ReferenceWitness(seen, row, shared.copies) for row in REFERENCES]
        candidates = [
            *(
                _Candidate(row, cell, MethodWitness(seen, maps, row))
                for row, cell in zip(shared.rows, of_target, strict=True)
            ),
            *(_Candidate(each.row, each.make(pixels), each) for each in knowing_nothing),
        ]
        for candidate in candidates:
            for each in shared.used:
                running[0] = f"{each.gauge} of {candidate.row}"
                tell(running[0], answers.run)
                yield _one(shared, each, seen, picture.name, target, candidate)


def _one(
    shared: _Shared,
    used: _Used,
    seen: Seen,
    picture: str,
    target: Target,
    candidate: _Candidate,
) -> Measurement:
    """One metric on one map."""
    answers, made, witness = seen.answers, candidate.made, candidate.witness
    started, asked, run, maps = time.perf_counter(), answers.asked, answers.run, witness.made
    outcome: Score | XaiError
    try:
        if isinstance(made, Failure):
            raise made.error
        raw = made.map if isinstance(made, Explanation) else made
        trial = Trial(
            pixels=seen.pixels,
            raw=sealed(raw),
            attribution=at_input(raw, seen.pixels.shape[:2]),
            target=seen.target,
            classes=shared.study.classes.count,
            probability=float(answers.probabilities(seen.pixels[None], seen.target)[0]),
            seed=seen.seed,
            witness=witness,
            mask=None if isinstance(seen.mask, XaiError) else seen.mask,
            no_mask=str(seen.mask) if isinstance(seen.mask, XaiError) else None,
        )
        outcome = scored(used.metric, used.gauge.source, trial)
    except XaiError as error:
        outcome = error
    explanation = made if isinstance(made, Explanation) else None
    return Measurement(
        picture=picture,
        target=target,
        row=candidate.row,
        metric=str(used.gauge),
        outcome=outcome,
        asked=answers.asked - asked,
        queries=answers.run - run,
        seconds=time.perf_counter() - started,
        seed=seen.seed,
        maps=witness.made - maps,
        map_queries=int(explanation.facts.get("queries", 0)) if explanation else 0,
        map_seconds=explanation.seconds if explanation else 0.0,
    )


def scored(metric: Metric, source: str, trial: Trial) -> Score:
    """What a metric says, held to be a score within its bounds.

    Raises:
        MetricError: it raised, or returned something else.
    """
    who = f"metric {metric.name!r} of {source}"
    try:
        score = metric.score(trial)
    except XaiError:
        raise
    except (Exception, SystemExit) as error:
        raise MetricError(f"{who} raised {type(error).__name__}: {error}") from error
    if not isinstance(score, Score):
        raise MetricError(f"{who} returned {type(score).__name__}; expected an xai_core.Score")
    low, high = metric.bounds
    if not (np.isfinite(score.value) and low - _SLACK <= score.value <= high + _SLACK):
        raise MetricError(
            f"{who} returned {score.value}; expected a finite value within its bounds, {low:g} to "
            f"{high:g}. Where the model's output is no probability (the warning unknown-output), a "
            "metric of probabilities does not apply"
        )
    curve = score.curve
    if curve is not None and not (np.ndim(curve.x) == 1 and np.shape(curve.x) == np.shape(curve.y)):
        raise MetricError(
            f"{who} returned a curve with x of shape {np.shape(curve.x)} and y of shape "
            f"{np.shape(curve.y)}; expected (P,) of both"
        )
    return score


def _nothing(shared: _Shared, name: str, error: XaiError) -> Iterator[Measurement]:
    """A failure in the place of every score of a picture."""
    for wanted in shared.plan.wanted:
        for row in (*shared.rows, *REFERENCES):
            for each in shared.used:
                target = Target(wanted.code, None, wanted.asked)
                yield Measurement(name, target, row, str(each.gauge), error, 0, 0, 0.0, ())
