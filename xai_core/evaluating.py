"""Runs metrics on maps, picture by picture: what fails, or is interrupted, loses nothing else."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_core.errors import MetricError, XaiError, let_go
from xai_core.evaluation import Evaluation, Measurement
from xai_core.images import Picture, as_picture
from xai_core.interfaces import Explainer, Metric
from xai_core.journal import Key, NoJournal
from xai_core.ladder import LadderSample
from xai_core.masks import Mask, MaskLike, told_mask
from xai_core.metrics import Score, Trial
from xai_core.pairing import Line, Used, every_pair, make_lines, make_used
from xai_core.planner import PictureLike, Plan, by_rule, run_plan, tell_apart, where_it_runs
from xai_core.progress import Progress
from xai_core.references import REFERENCES
from xai_core.resuming import Column, Wish, left_of, look_up, open_journal
from xai_core.room import Room
from xai_core.targets import Wanted
from xai_core.types import Comparison, Explanation, Failure, Pass, Target
from xai_core.typing import FloatArray
from xai_core.witness import (
    SLACK,
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


@where_it_runs
def run_evaluation(
    study: "Study",
    plan: Plan,
    metrics: Sequence[Metric],
    sources: Sequence[PictureLike],
    masks: Sequence[MaskLike],
    seed: int,
    progress: Progress,
    path: Path | None = None,
) -> Evaluation:
    """Measure every map of the plan, and the reference maps, with every metric.

    There are as many masks as sources, None where there is none. With a path,
    what is in the journal there is taken over, and what is measured is added to it.
    """
    lines = make_lines(study, plan)
    used = make_used(metrics, plan, lines, study.registry)
    names = tell_apart(sources)
    measured: list[Measurement] = []
    notices = _unmasked(names, masks)
    pairs, room = every_pair(lines, used), Room()
    total = len(pairs) * len(plan.wanted) * len(sources)
    is_interrupted = False
    with open_journal(study, path, seed, (*lines, *used)) as journal:
        gallery, copies = Gallery(study, sources), Copies(study, seed)
        sample = LadderSample(
            study, plan.explainers, metrics, dict(zip(names, sources, strict=True)), seed
        )
        shared = _Shared(study, plan, pairs, gallery, copies, masks, seed, journal, sample, room)
        for number, (source, name) in enumerate(zip(sources, names, strict=True)):
            try:
                tell = partial(_tell, progress, measured, total)
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
        notices += dict.fromkeys(room.notices)
        notices += (
            f"{name} is the same picture as {first}, and counts once: it is left out"
            for name, first in shared.doubles.items()
        )
        notices += journal.notices()
    progress(len(measured), total if is_interrupted else len(measured), "")
    return Evaluation(
        model=study.name,
        rows=tuple(each.row for each in lines),
        metrics=tuple(each.gauge for each in used),
        measurements=tuple(measured),
        pictures=tuple(name for name in names if name not in shared.doubles),
        seed=seed,
        warnings=tuple(map(str, study.warnings)),
        notices=tuple(notices),
        is_interrupted=is_interrupted,
        origin=study.origin,
        score_kind=study.score,
        layers=tuple(step.path for step in plan.layers),
        ladder=sample if sample.rungs else None,
        masks=tuple(
            told_mask(name, mask)
            for name, mask in zip(names, masks, strict=True)
            if name not in shared.doubles
        ),
    )


def _tell(progress: Progress, measured: Sequence[Any], total: int, what: str) -> None:
    """Say what runs now."""
    progress(len(measured), total, what)


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
    pairs: Sequence[tuple[Line, Used]]
    gallery: Gallery
    copies: Copies
    masks: Sequence[MaskLike]
    seed: int
    journal: NoJournal
    sample: LadderSample
    room: Room
    measured: dict[str, str] = field(default_factory=dict)
    """The names of the pictures so far, by their hashes."""
    doubles: dict[str, str] = field(default_factory=dict)
    """By the name of a picture that was there before, under which name."""


@dataclass(frozen=True)
class _Candidate:
    """One map that is to be scored."""

    made: Explanation | Failure | FloatArray
    witness: Counting
    pass_seconds: float = 0.0


def _measure(
    shared: _Shared,
    number: int,
    source: PictureLike,
    name: str,
    tell: Callable[[str], None],
) -> Iterator[Measurement]:
    """Every score of one picture: those of the journal, and what is measured now."""
    study, journal = shared.study, shared.journal
    tell(f"{name}: the maps")

    def making(done: int, total: int, what: str) -> None:
        tell(what or f"{name}: the maps")

    try:
        picture = replace(as_picture(source), name=name)
        mask = _mask(study, shared.masks[number], picture)
        first = shared.measured.setdefault(picture.sha256, name)
        if first != name:
            shared.doubles[name] = first
            return
        columns = [_column(shared, picture, mask, wanted) for wanted in shared.plan.wanted]
        part = left_of(shared.plan, columns)
        made = run_plan(study, part, [picture], 1, making) if part.explainers else Comparison(())
        shared.room.notices += made.notices
    except XaiError as error:
        yield from _nothing(shared, name, error)
        return
    pixels = sealed(study.input.fitted([picture])[0][0])
    seeds = (shared.seed, int(picture.sha256[:16], 16))
    running = [""]
    answers = Answers(study, lambda count: tell(f"{running[0]}, {count:,} queries"), shared.room)
    rows = tuple(map(str, part.methods))
    maps = Maps(study, shared.copies, part.explainers, rows, shared.room)
    shares = [_share(each, made.passes, len(part.wanted)) for each in part.explainers]
    cells = iter(made.cells)
    for column in columns:
        if not column.missing:
            yield from (each.known for each in column.wishes if each.known)
            continue
        mine = list(islice(cells, len(rows)))
        target = mine[0].target if mine else column.target
        seen = Seen(study, pixels, number, target.index, seeds, answers, shared.gallery, mask)
        candidates = {
            row: _Candidate(cell, MethodWitness(seen, maps, row), share)
            for row, cell, share in zip(rows, mine, shares, strict=True)
        }
        for row in REFERENCES:
            witness = ReferenceWitness(seen, row, shared.copies)
            candidates[row] = _Candidate(witness.make(pixels), witness)
        for wish in column.wishes:
            if wish.known is not None:
                yield wish.known
                continue
            candidate = candidates[wish.line.row.name]
            running[0] = f"{name}: {wish.used.gauge} of {wish.line.row.name}"
            tell(f"{running[0]}, {answers.run:,} queries")
            met = candidate.witness.met
            measured = _one(study, seen, picture.name, target, wish, candidate)
            if isinstance(measured.outcome, XaiError):
                let_go(measured.outcome)
            key = Key(picture.sha256, _sha256(mask), target.index, wish.line.key, wish.used.key)
            others = shared.gallery.sha256 if candidate.witness.met > met else None
            journal.add(key, column.wanted.code, others, measured)
            yield measured
        shared.sample.keep(picture, mine, maps)


def _column(
    shared: _Shared, picture: Picture, mask: Mask | XaiError | None, wanted: Wanted
) -> Column:
    """What the journal has of one picture and class."""
    index = wanted.code
    if index < 0:
        known = shared.journal.target(picture.sha256, index)
        index = index if known is None else known
    label = shared.study.classes.label(index) if index >= 0 else None
    target = Target(index, label, wanted.asked)
    found = (
        (
            line,
            used,
            shared.journal.find(
                Key(picture.sha256, _sha256(mask), target.index, line.key, used.key),
                lambda: shared.gallery.sha256,
            ),
        )
        for line, used in shared.pairs
    )
    return look_up(picture, target, wanted, found)


def _sha256(mask: Mask | XaiError | None) -> str | None:
    """Of the mask as metrics see it; None where they see none."""
    if mask is None or isinstance(mask, XaiError):
        return None
    return hashlib.sha256(f"{mask.shape}".encode() + mask.tobytes()).hexdigest()


def _share(explainer: Explainer, passes: Sequence[Pass], targets: int) -> float:
    """The seconds of the passes that a method reads, by class: it shares them with others."""
    rules = {rule.value for rule in by_rule(explainer)}
    return sum(each.seconds for each in passes if each.rule in rules) / targets


def _one(
    study: "Study", seen: Seen, picture: str, target: Target, wish: Wish, candidate: _Candidate
) -> Measurement:
    """One metric on one map."""
    used, answers, made, witness = wish.used, seen.answers, candidate.made, candidate.witness
    started, asked, run, maps = time.perf_counter(), answers.asked, witness.run, witness.made
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
            classes=study.classes.count,
            probability=float(answers.probabilities(seen.pixels[None], seen.target)[0]),
            seed=seen.seed,
            witness=witness,
            mask=None if isinstance(seen.mask, XaiError) else seen.mask,
            no_mask=str(seen.mask) if isinstance(seen.mask, XaiError) else None,
        )
        asked = answers.asked  # from here on it is the metric that asks
        outcome = scored(used.metric, used.gauge.source, trial)
    except XaiError as error:
        outcome = error
    explanation = made if isinstance(made, Explanation) else None
    return Measurement(
        picture=picture,
        target=target,
        row=wish.line.row.name,
        metric=str(used.gauge),
        outcome=outcome,
        asked=answers.asked - asked,
        queries=witness.run - run,
        seconds=time.perf_counter() - started,
        seed=seen.seed,
        maps=witness.made - maps,
        map_queries=int(explanation.facts.get("queries", 0)) if explanation else 0,
        map_seconds=explanation.seconds if explanation else 0.0,
        pass_seconds=candidate.pass_seconds if explanation else 0.0,
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
    if not (np.isfinite(score.value) and low - SLACK <= score.value <= high + SLACK):
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
        target = Target(wanted.code, None, wanted.asked)
        for line, used in shared.pairs:
            row, metric = line.row.name, str(used.gauge)
            failed = Measurement(name, target, row, metric, error, 0, 0, 0.0, ())
            key = Key(None, None, wanted.code, line.key, used.key)
            shared.journal.add(key, wanted.code, None, failed)
            yield failed
