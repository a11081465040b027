"""Runs metrics on maps, picture by picture: what fails, or is interrupted, loses nothing else."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_core.errors import MetricError, XaiError
from xai_core.evaluation import Evaluation, Gauge, Measurement, Row
from xai_core.evidence import QUERY_BATCH
from xai_core.images import Picture, as_picture
from xai_core.interfaces import Metric
from xai_core.metrics import Score, Trial
from xai_core.parameters import parameters
from xai_core.planner import PictureLike, Plan, run_plan, tell_apart, where_it_runs
from xai_core.probe import backend
from xai_core.progress import Progress, silent
from xai_core.queries import Queries
from xai_core.references import REFERENCES
from xai_core.registry import Registry
from xai_core.settings import text_of
from xai_core.types import Explanation, Failure, Target
from xai_core.typing import FloatArray

if TYPE_CHECKING:
    from xai_core.study import Study

_SLACK = 1e-6
"""How far beyond its bounds rounding may carry a value."""


class Answers:
    """Probabilities of every class for variants of one picture, each run once.

    Args:
        study: Who is asked.
        told: Called with the number of pictures that were run so far.
    """

    def __init__(self, study: "Study", told: Callable[[int], None] = lambda count: None) -> None:
        self._study = study
        self._queries = Queries(study, None, told=told)
        self._known: dict[bytes, FloatArray] = {}
        self.asked = 0
        """Pictures that were asked about."""

    @property
    def run(self) -> int:
        """Pictures that the model was run on."""
        return self._queries.count

    def __call__(self, pixels: FloatArray, target: int) -> FloatArray:
        """See `Trial.scores`."""
        given = self._checked(pixels)
        self.asked += len(given)
        # Identical pictures have identical bytes, once they have one dtype and one layout.
        keys = [hashlib.blake2b(each.tobytes(), digest_size=16).digest() for each in given]
        new = {key: number for number, key in enumerate(keys) if key not in self._known}
        places = list(new.values())
        for first in range(0, len(places), QUERY_BATCH):
            part = places[first : first + QUERY_BATCH]
            images = backend().to_device(self._study.input.feed(given[part]))
            found = backend().to_host(self._queries.probabilities(images))
            for place, probabilities in zip(part, found, strict=True):
                self._known[keys[place]] = probabilities
        return np.asarray([self._known[key][target] for key in keys], np.float64)

    def _checked(self, pixels: FloatArray) -> FloatArray:
        made = self._study.input
        expected = (*made.size, made.channels)
        given: FloatArray = np.asarray(pixels)
        if given.ndim != 4 or given.shape[1:] != expected or given.dtype.kind not in "uif":
            raise MetricError(
                f"received pictures as {given.dtype} of shape {given.shape}; expected numbers of "
                f"shape (Q, {', '.join(map(str, expected))}), like the pixels of the trial"
            )
        if not np.isfinite(given).all():
            raise MetricError(
                "received pictures that hold NaN or infinity; expected finite values in 0..255"
            )
        wide = np.float64 if made.dtype == "float64" else np.float32
        return np.ascontiguousarray(given, dtype=wide)


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
    seed: int,
    progress: Progress,
) -> Evaluation:
    """Measure every map of the plan, and the reference maps, with every metric."""
    used = [_Used(each, describe_metric(each, study.registry)) for each in metrics]
    rows = (
        *(Row(str(m), m.parameters, m.source, is_reference=False) for m in plan.methods),
        *(Row(name, {}, "xai-core", is_reference=True) for name in REFERENCES),
    )
    names = tell_apart(sources)
    measured: list[Measurement] = []
    notices: list[str] = []
    each_picture = len(rows) * len(plan.wanted) * len(used)
    total = each_picture * len(sources)
    for number, (source, name) in enumerate(zip(sources, names, strict=True)):
        try:
            tell = partial(_tell, progress, measured, total, name)
            for each in _measure(study, plan, used, source, name, seed, tell):
                # One by one: what is made stays, whatever comes next, and progress counts it.
                measured.append(each)  # noqa: PERF402
        except KeyboardInterrupt:
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
        is_interrupted=bool(notices),
        origin=study.origin,
    )


def _tell(
    progress: Progress, measured: Sequence[Any], total: int, picture: str, what: str, queries: int
) -> None:
    """Say what runs now, and how many pictures the model was run on for this one."""
    progress(len(measured), total, f"{picture}: {what}, {queries:,} queries")


def _measure(
    study: "Study",
    plan: Plan,
    used: Sequence[_Used],
    source: PictureLike,
    name: str,
    seed: int,
    tell: Callable[[str, int], None],
) -> Iterator[Measurement]:
    """Every score of one picture."""
    tell("the maps", 0)
    try:
        picture = replace(as_picture(source), name=name)
        cells = run_plan(study, plan, [picture], 1, silent).cells
    except XaiError as error:
        yield from _nothing(plan, used, name, error)
        return
    pixels = _sealed(study.input.fitted([picture])[0][0])
    seeds = (seed, int(picture.sha256[:16], 16))
    running = [""]
    answers = Answers(study, lambda count: tell(running[0], count))
    for first in range(0, len(cells), len(plan.explainers)):
        of_target = cells[first : first + len(plan.explainers)]
        target = of_target[0].target
        maps: list[tuple[str, Explanation | Failure | FloatArray]] = [
            *((str(cell.method), cell) for cell in of_target),
            *(
                (reference, make(pixels, np.random.default_rng((*seeds, 1))))
                for reference, make in REFERENCES.items()
            ),
        ]
        for row, made in maps:
            for each in used:
                running[0] = f"{each.gauge} of {row}"
                tell(running[0], answers.run)
                yield _one(study, each, (picture, pixels, seeds), target, row, made, answers)


def _one(
    study: "Study",
    used: _Used,
    seen: tuple[Picture, FloatArray, tuple[int, ...]],
    target: Target,
    row: str,
    made: Explanation | Failure | FloatArray,
    answers: Answers,
) -> Measurement:
    """One metric on one map."""
    picture, pixels, seeds = seen
    started, asked, run = time.perf_counter(), answers.asked, answers.run
    outcome: Score | XaiError
    try:
        if isinstance(made, Failure):
            raise made.error
        raw = made.map if isinstance(made, Explanation) else made
        attribution = at_input(raw, pixels.shape[:2])
        ask = partial(answers, target=target.index)
        probability = float(ask(pixels[None])[0])
        trial = Trial(pixels, attribution, target.index, probability, seeds, ask)
        outcome = scored(used.metric, used.gauge.source, trial)
    except XaiError as error:
        outcome = error
    explanation = made if isinstance(made, Explanation) else None
    return Measurement(
        picture=picture.name,
        target=target,
        row=row,
        metric=str(used.gauge),
        outcome=outcome,
        asked=answers.asked - asked,
        queries=answers.run - run,
        seconds=time.perf_counter() - started,
        seed=seeds,
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


def at_input(raw: FloatArray, size: tuple[int, ...]) -> FloatArray:
    """A map at the input's size, as it is drawn: bilinear, its edges on the picture's.

    Raises:
        MetricError: it is not finite, so its pixels have no order.
    """
    from xai_core.render import resize

    odd = int(np.count_nonzero(~np.isfinite(raw)))
    if odd:
        raise MetricError(
            f"{odd} of {raw.size} values of the map are NaN or infinite; expected finite ones, "
            "since its pixels have no order"
        )
    height, width = size
    # As it is, where it has that size: drawing has less digits, and would make ties.
    return _sealed(raw if raw.shape == (height, width) else resize(raw, height, width))


def _sealed(array: FloatArray) -> FloatArray:
    copied = array.copy()
    copied.flags.writeable = False
    return copied


def _nothing(
    plan: Plan, used: Sequence[_Used], name: str, error: XaiError
) -> Iterator[Measurement]:
    """A failure in the place of every score of a picture."""
    rows = [*map(str, plan.methods), *REFERENCES]
    for wanted in plan.wanted:
        for row in rows:
            for each in used:
                target = Target(wanted.code, None, wanted.asked)
                yield Measurement(name, target, row, str(each.gauge), error, 0, 0, 0.0, ())
