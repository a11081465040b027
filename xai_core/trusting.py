"""Tests each map of a comparison within a budget; what fails, or is interrupted, loses no map."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NoReturn, TypeAlias

import numpy as np

from xai_core.errors import MetricError, UnknownNameError, UsageError, XaiError
from xai_core.evaluating import scored
from xai_core.interfaces import Metric
from xai_core.metrics import Other, Rung, Score, Trial, Witness
from xai_core.planner import Job, Plan, where_it_runs
from xai_core.progress import Progress
from xai_core.rank_correlation import is_level, spearman
from xai_core.references import REFERENCES
from xai_core.room import QUERY_BATCH, Room
from xai_core.trust import (
    DRAWS,
    LEAST,
    METRICS,
    TRIES,
    Account,
    Likeness,
    Placing,
    Trust,
    Verdict,
    choose_steps,
    elsewhere,
    most_queries,
)
from xai_core.types import Cell, Comparison, Explanation, Failure
from xai_core.typing import FloatArray
from xai_core.witness import Answers, Copies, at_input, sealed

if TYPE_CHECKING:
    from xai_core.study import Study

_Ask: TypeAlias = Callable[[FloatArray, int], FloatArray]
_New: TypeAlias = Explanation | Failure | str
"""A map with weights drawn anew, or why there is none."""


def check_trust(study: "Study", plan: Plan, pictures: int, trust: Trust) -> None:
    """Before anything is run: that the metrics are there, and that the budget allows for them.

    Raises:
        UsageError: they are not, or it does not.
    """
    _metrics(study, LEAST)
    choose_steps(trust.budget, [len(plan.jobs)] * pictures)


@where_it_runs
def run_trust(
    study: "Study", plan: Plan, made: Comparison, trust: Trust, progress: Progress
) -> Comparison:
    """The comparison, with a verdict on each of its maps.

    An interrupt ends the tests: the maps, and the verdicts that are there, are kept.
    """
    started = time.perf_counter()
    many = len(plan.jobs)
    rows = [made.cells[first : first + many] for first in range(0, len(made.cells), many)]
    maps = [sum(isinstance(each, Explanation) and not _fault(each) for each in row) for row in rows]
    again = _Again(plan, made, trust.budget - most_queries(LEAST, maps))
    steps = choose_steps(trust.budget - again.queries, maps)
    testing = _Testing(study, plan, _metrics(study, steps), again, trust.seed)
    verdicts: dict[int, Verdict] = {}
    notices: list[str] = []
    try:
        for number, row in enumerate(rows):
            tell = partial(_tell, progress, verdicts, len(made))
            for place, verdict in testing.verdicts(row, tell):
                verdicts[number * many + place] = verdict
    except KeyboardInterrupt:
        told = f"interrupted: {len(verdicts)} of {len(made)} maps are tested, and all are kept"
        notices.append(told)
    progress(len(verdicts), len(made), "")
    account = Account(
        model=study.name,
        budget=trust.budget,
        seed=trust.seed,
        steps=steps,
        tries=TRIES,
        draws=DRAWS,
        queries=testing.queries,
        passes=testing.passes,
        tested=len(verdicts),
        maps=len(made),
        seconds=time.perf_counter() - started,
        is_interrupted=len(verdicts) < len(made),
    )
    cells = (
        replace(each, verdict=verdicts.get(number)) if isinstance(each, Explanation) else each
        for number, each in enumerate(made.cells)
    )
    told_all = (*made.notices, *dict.fromkeys(testing.room.notices), *notices)
    return replace(made, cells=tuple(cells), notices=told_all, accounts=(account,))


def _tell(
    progress: Progress, verdicts: dict[int, Verdict], maps: int, what: str, queries: int
) -> None:
    """Say what runs now, and how many pictures the model was run on for this one."""
    progress(len(verdicts), maps, f"{what}, {queries:,} queries")


def _metrics(study: "Study", steps: int) -> list[Metric]:
    """The metrics, set up."""
    try:
        return [study.registry.metric(name, steps=steps) for name in METRICS]
    except UnknownNameError as error:
        raise UsageError(
            f"testing maps takes the metrics {' and '.join(METRICS)}: {error}. Install the plugin "
            "that has them, or compare without trust"
        ) from error


def _fault(explanation: Explanation) -> str | None:
    """Why a map has no order of places that could be tested."""
    if not np.isfinite(explanation.map).all():
        return "not all values of the map are finite"
    return "all values of the map are the same" if is_level(explanation.map) else None


class _Again:
    """Which methods can make their maps again with new weights.

    Those that ask much are left out where the budget does not allow for them.

    Args:
        plan: The methods.
        made: Their maps; each asks as much again.
        spare: What may be spent on that.
    """

    def __init__(self, plan: Plan, made: Comparison, spare: int) -> None:
        self._explainers = plan.explainers
        asked = [0] * len(plan.explainers)
        jobs = plan.jobs
        for number, cell in enumerate(made.cells):
            if isinstance(cell, Explanation):
                asked[self._place(jobs[number % len(jobs)])] += _queries(cell)
        self.queries = 0
        """What those that are not left out will ask."""
        self._refused: dict[int, str] = {}
        for place, each in enumerate(asked):
            if each <= spare - self.queries:
                self.queries += each
            else:
                self._refused[place] = (
                    f"that takes {each:,} queries, and the budget leaves {spare - self.queries:,}"
                )

    def refused(self, job: Job) -> str | None:
        """Why a map is not made again; None where it is."""
        return self._refused.get(self._place(job))

    def _place(self, job: Job) -> int:
        return next(n for n, each in enumerate(self._explainers) if each is job.explainer)


def _queries(cell: Explanation) -> int:
    return round(cell.facts.get("queries", 0))


class _Testing:
    """Tests the maps of one picture after the other, and counts what it takes."""

    def __init__(
        self, study: "Study", plan: Plan, metrics: Sequence[Metric], again: _Again, seed: int
    ) -> None:
        self._study = study
        self._plan = plan
        self._metrics = metrics
        self._again = again
        self._seed = seed
        self._copies = Copies(study, seed)
        self.room = Room()
        self.queries = 0
        self.passes = 0

    def verdicts(
        self, row: Sequence[Cell], tell: Callable[[str, int], None]
    ) -> Iterator[tuple[int, Verdict]]:
        """The place and the verdict of each map of one picture."""
        shown = {place: each for place, each in enumerate(row) if isinstance(each, Explanation)}
        if not shown:
            return
        picture = next(iter(shown.values())).picture
        running = [picture.name]
        answers = Answers(self._study, lambda count: tell(running[0], count), self.room)
        subject = _Subject(
            sealed(self._study.input.fitted([picture])[0][0]),
            self._study.classes.count,
            (self._seed, int(picture.sha256[:16], 16)),
            answers,
            [(each, str(self._study.registry.source_of(each))) for each in self._metrics],
        )
        try:
            tell(f"{picture.name}: weights drawn anew", 0)
            new = self._made_again(row)
            for place, cell in shown.items():
                running[0] = f"{picture.name}: testing {cell.method}"
                tell(running[0], answers.run)
                fault = _fault(cell)
                yield (
                    place,
                    Verdict(faults=(fault,)) if fault else subject.verdict(cell, new[place]),
                )
        finally:
            self.queries += answers.run

    def _made_again(self, row: Sequence[Cell]) -> dict[int, _New]:
        """The maps of one picture with weights drawn anew, or why there is none."""
        jobs = list(enumerate(self._plan.jobs))
        shown = {number: each for number, each in enumerate(row) if isinstance(each, Explanation)}
        reasons = {number: self._again.refused(job) for number, job in jobs}
        wanted = [n for n in shown if reasons[n] is None and not _fault(shown[n])]
        found: dict[int, _New] = {n: why for n, why in reasons.items() if why}
        if not wanted:
            return found
        explainers = [
            each
            for each in self._plan.explainers
            if any(jobs[number][1].explainer is each for number in wanted)
        ]
        columns = {jobs[number][1].column: each.target.index for number, each in shown.items()}
        try:
            study, _ = self._copies.ladder
            made = study.compare(
                [shown[wanted[0]].picture],
                explainers,
                list(columns.values()),
                layers=[step.path for step in self._plan.layers],
                batch=1,
            )
        except XaiError as error:
            return found | {number: str(error) for number in wanted}
        self.passes += len(made.passes)
        same = [
            number
            for number, job in jobs
            if job.column in columns and any(job.explainer is each for each in explainers)
        ]
        # As much as the first time: one that failed does not say how much it had asked.
        self.queries += sum(_queries(shown[number]) for number in same if number in shown)
        return found | dict(zip(same, made.cells, strict=True))


class _Subject:
    """One picture, of which maps are tested.

    Args:
        pixels: What the model sees, (H, W, C).
        classes: How many the model has.
        seed: Of all that is drawn at random for it.
        answers: Who answers.
        metrics: Each, and where it comes from.
    """

    def __init__(
        self,
        pixels: FloatArray,
        classes: int,
        seed: tuple[int, ...],
        answers: Answers,
        metrics: Sequence[tuple[Metric, str]],
    ) -> None:
        self._pixels = pixels
        self._classes = classes
        self._seed = seed
        self._answers = answers
        self._metrics = metrics
        self._batches = _Batches(answers)
        self._references = {
            name: [
                reference(pixels, np.random.default_rng((*seed, 1, draw)))
                for draw in range(DRAWS if name == "random" else 1)
            ]
            for name, reference in REFERENCES.items()
        }
        self._scores: dict[tuple[str, int], dict[str, list[Score]]] = {}
        """Of the references, by metric and class."""

    def verdict(self, cell: Explanation, new: _New) -> Verdict:
        """What the tests say of a map, given the same with new weights or why there is none."""
        attribution = at_input(cell.map, self._pixels.shape[:2])
        moved = elsewhere(attribution)
        target = cell.target.index
        self._rehearse([attribution, *moved, *chain(*self._references.values())], target)
        placings, faults = [], []
        for metric, source in self._metrics:
            score = partial(self._score, metric, source, target, self._answers.probabilities)
            try:
                key = (metric.name, target)
                if key not in self._scores:
                    self._scores[key] = {
                        name: list(map(score, maps)) for name, maps in self._references.items()
                    }
                own = score(attribution)
                placings.append(_placing(metric, own, list(map(score, moved)), self._scores[key]))
            except XaiError as error:
                faults.append(f"{metric.name}: {error}")
        return Verdict(tuple(placings), _likeness(attribution, new), tuple(faults))

    def _rehearse(self, maps: Sequence[FloatArray], target: int) -> None:
        """Have what will be asked about the maps answered in whole batches."""
        # Whatever fails here fails again where it is told.
        with suppress(XaiError):
            for metric, source in self._metrics:
                for each in maps:
                    self._score(metric, source, target, self._batches, each)
            self._batches.run(target)

    def _score(
        self, metric: Metric, source: str, target: int, ask: _Ask, attribution: FloatArray
    ) -> Score:
        trial = Trial(
            pixels=self._pixels,
            raw=sealed(attribution),
            attribution=sealed(attribution),
            target=target,
            classes=self._classes,
            probability=float(ask(self._pixels[None], target)[0]),
            seed=self._seed,
            witness=_AboutPictures(ask),
        )
        return scored(metric, source, trial)


def _placing(
    metric: Metric, own: Score, moved: Sequence[Score], references: dict[str, list[Score]]
) -> Placing:
    curves = [each.curve for each in (own, *moved) if each.curve is not None]
    if len(curves) <= len(moved):
        raise MetricError(f"metric {metric.name!r} returned no curve; expected one with each score")
    courses = np.stack([each.y for each in curves[1:]])
    return Placing(
        metric=metric.name,
        higher_is_better=metric.higher_is_better,
        value=own.value,
        curve=curves[0],
        elsewhere=tuple(each.value for each in moved),
        band=(courses.min(axis=0), courses.max(axis=0)),
        references={name: tuple(each.value for each in of) for name, of in references.items()},
    )


def _likeness(attribution: FloatArray, new: _New) -> Likeness:
    """A map (H, W) beside the one with new weights."""
    if isinstance(new, str):
        return Likeness(None, reason=new)
    if isinstance(new, Failure):
        return Likeness(None, reason=f"the method failed: {new.message}")
    fault = _fault(new)
    if fault:
        return Likeness(None, reason=f"then {fault}")
    was = np.abs(attribution)
    now = np.abs(at_input(new.map, attribution.shape))
    similarity = None if is_level(was) or is_level(now) else spearman(was, now)
    if similarity is None:
        return Likeness(None, reason="all values of one of them are of the same size")
    moved = (spearman(was, each) for each in elsewhere(now))
    return Likeness(similarity, tuple(each for each in moved if each is not None))


class _Batches:
    """Collects what is asked, and has it answered by passes that are full.

    A pass takes as long for few pictures as for many, and a curve is few.

    Args:
        answers: Who answers, and will know it from then on.
    """

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._seen: set[bytes] = set()
        self._waiting: list[FloatArray] = []

    def __call__(self, pixels: FloatArray, target: int) -> FloatArray:
        """Nothing is known yet of pictures (Q, H, W, C): all have the same answer."""
        for each in pixels:
            key = hashlib.blake2b(each.tobytes(), digest_size=16).digest()
            if key not in self._seen:
                self._seen.add(key)
                self._waiting.append(each)
        if len(self._waiting) >= QUERY_BATCH:
            self.run(target, len(self._waiting) // QUERY_BATCH * QUERY_BATCH)
        return np.zeros(len(pixels))

    def run(self, target: int, count: int | None = None) -> None:
        """Have the first so many answered that wait; by default all."""
        part, self._waiting = self._waiting[:count], self._waiting[len(self._waiting[:count]) :]
        if part:
            self._answers.probabilities(np.stack(part), target)


class _AboutPictures(Witness):
    """Answers what deletion and insertion ask, which is all that is asked here."""

    def __init__(self, ask: _Ask) -> None:
        self._ask = ask

    def probabilities(self, pixels: FloatArray, target: int) -> FloatArray:
        """See `Trial.probabilities`."""
        return self._ask(pixels, target)

    def scores(self, pixels: FloatArray, target: int) -> FloatArray:
        """See `Trial.scores`."""
        self._refuse("scores")

    def maps(self, pixels: FloatArray, target: int) -> FloatArray:
        """See `Trial.maps`."""
        self._refuse("maps")

    def randomised(self, rungs: int) -> tuple[Rung, ...]:
        """See `Trial.randomised`."""
        self._refuse("maps with other weights")

    def precise(self) -> FloatArray:
        """See `Trial.precise`."""
        self._refuse("a map in float64")

    def others(self, count: int) -> tuple[Other, ...]:
        """See `Trial.others`."""
        self._refuse("other pictures")

    def _refuse(self, what: str) -> NoReturn:
        raise MetricError(
            f"asked for {what}; expected questions about probabilities alone, as deletion and "
            "insertion ask them"
        )
