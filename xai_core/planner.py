"""From what was asked for to maps, in the fewest passes.

The planner takes the union of what the explainers need, runs one pass for each
batch of pictures, and hands every explainer its own share of what was found.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial, wraps
from types import NoneType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from xai_core.checks import check_map, check_picture
from xai_core.errors import (
    LayerError,
    OutOfMemoryError,
    PictureError,
    UsageError,
    XaiError,
    let_go,
)
from xai_core.evidence import Attribution
from xai_core.explaining import Found, Task, explained, on_host
from xai_core.histogram import GradientHistogram, count_gradient
from xai_core.images import Picture, Region, as_picture, source_name
from xai_core.interfaces import Explainer
from xai_core.needs import Needs
from xai_core.parameters import parameters
from xai_core.probe import AT_INPUT, Reading, backend
from xai_core.progress import Progress
from xai_core.queries import Queries
from xai_core.registry import Registry
from xai_core.room import Room
from xai_core.settings import text_of
from xai_core.surgery import Step
from xai_core.surgery.rewire import Rule
from xai_core.targets import Wanted
from xai_core.types import (
    LAYERS_TOGETHER,
    Cell,
    ClassScore,
    Comparison,
    Explanation,
    Failure,
    GradientHealth,
    MapWarning,
    Method,
    Pass,
    Prediction,
    Target,
)
from xai_core.typing import FloatArray, Tensor
from xai_core.unsound import Unsound

if TYPE_CHECKING:
    from xai_core.study import Study

Given = ParamSpec("Given")
T = TypeVar("T")

PictureLike: TypeAlias = Any
"""A path, a PIL image, an array of RGB or grey 0..255, or a `Picture`."""

TOP = 5
"""How many classes the predictions of a comparison list."""


@dataclass(frozen=True)
class Plan:
    """What is to be made of each picture: methods x layers x targets."""

    explainers: tuple[Explainer, ...]
    methods: tuple[Method, ...]
    """What provenance says of each explainer."""
    layers: tuple[Step, ...]
    """Shallow to deep; none when no method has to do with a layer."""
    stages: tuple[Step, ...]
    """Shallow to deep; those that a method of several layers works on."""
    wanted: tuple[Wanted, ...]
    no_layer: LayerError | None = None
    """Why the model has no layer, for the methods that want one; the others are run."""

    @cached_property
    def passes(self) -> Mapping[Rule, tuple[Needs, tuple[Step, ...]]]:
        """For each gradient rule, a pass: the union over the explainers, and where it is read."""
        needs: dict[Rule, Needs] = {}
        layers: dict[Rule, set[str]] = {}
        for explainer in self.explainers:
            if self.no_layer and explainer.needs & Needs.LAYER:
                continue
            for rule, share in by_rule(explainer).items():
                needs[rule] = needs.get(rule, Needs.NOTHING) | share
                at = [step for at in self.at(explainer) for step in at if share & Needs.LAYER]
                layers.setdefault(rule, set()).update(step.path for step in at)
        every = {step.path: step for step in (*self.layers, *self.stages)}
        order = sorted(every.values(), key=lambda step: step.outputs)
        return {
            rule: (share, tuple(step for step in order if step.path in layers[rule]))
            for rule, share in needs.items()
        }

    @cached_property
    def jobs(self) -> tuple["Job", ...]:
        """Every map of one picture."""
        return tuple(
            Job(column, wanted, explainer, method, at)
            for column, wanted in enumerate(self.wanted)
            for explainer, method in zip(self.explainers, self.methods, strict=True)
            for at in self.at(explainer)
        )

    def at(self, explainer: Explainer) -> Iterator[tuple[Step, ...]]:
        """The layers of each map of a method: none, one, or several at once."""
        if self.no_layer or not explainer.needs & Needs.LAYER:
            yield ()
        elif Needs.STAGES in explainer.needs:
            yield self.stages
        else:
            yield from ((layer,) for layer in self.layers)


def by_rule(explainer: Explainer) -> Mapping[Rule, Needs]:
    """What is read under each rule: gradients by the activations are always plain."""
    needs, rule = explainer.needs, explainer.rule
    if rule is Rule.PLAIN or Needs.INPUT_GRADIENTS not in needs:
        return {Rule.PLAIN: needs}
    rest = needs & ~Needs.INPUT_GRADIENTS
    return {rule: Needs.INPUT_GRADIENTS, **({Rule.PLAIN: rest} if rest else {})}


@dataclass(frozen=True)
class Job:
    """One map of each picture."""

    column: int
    """Of the target, among those asked for."""
    wanted: Wanted
    explainer: Explainer
    method: Method
    at: tuple[Step, ...]
    """The layers it works on."""

    @cached_property
    def task(self) -> Task:
        """What is done, whatever the target."""
        return Task(self.explainer, tuple(step.path for step in self.at))

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The gradient rules under which it is read."""
        return tuple(by_rule(self.explainer))

    @cached_property
    def path(self) -> str | None:
        """What to call the layers; None where there is none."""
        return LAYERS_TOGETHER.join(step.path for step in self.at) or None


@dataclass(frozen=True)
class Batch:
    """Pictures that go through the model together."""

    pictures: tuple[Picture, ...]
    regions: tuple[Region, ...]
    pixels: FloatArray
    """What the model sees of each, RGB or grey 0..255, (N, H, W, C)."""
    images: Tensor
    """What it is fed; where the batch is short, filled up: (size, H, W, C)."""
    size: int
    warnings: tuple[tuple[MapWarning, ...], ...]
    """What is odd about each picture: of a large one that takes as long as a map."""


def where_it_runs(
    function: Callable[Concatenate["Study", Given], T],
) -> Callable[Concatenate["Study", Given], T]:
    """On the study's device, with float32 as float32, whatever it would rather multiply in."""

    @wraps(function)
    def run(study: "Study", *args: Given.args, **kwargs: Given.kwargs) -> T:
        module = backend()
        with module.on(study.device), module.precise():
            return function(study, *args, **kwargs)

    return run  # type: ignore[return-value]  # mypy takes the first argument's name for a part of it


@where_it_runs
def run_plan(
    study: "Study", plan: Plan, sources: Sequence[PictureLike], batch: int, progress: Progress
) -> Comparison:
    """Make every map of the plan for every picture.

    Raises:
        PictureError: the one picture that was given cannot be read; among several, an
            unreadable one is a failure in its place.
    """
    if batch < 1:
        raise UsageError(f"received batch {batch}; expected at least 1")
    cells: list[Cell] = []
    predictions: list[Prediction] = []
    passes: list[Pass] = []
    room = Room(min(batch, len(sources)))
    names = tell_apart(sources)
    start = 0
    while start < len(sources):
        progress(start, len(sources), names[start])
        part = slice(start, start + room.pictures)
        group = _read_pictures(sources[part], names[part], lone=len(sources) == 1)
        tell = partial(_tell, progress, (start, len(sources)), names[start])
        try:
            explained = _explain_batch(study, plan, group, room, passes, tell)
        except OutOfMemoryError as error:
            if room.pictures > 1:
                room.halve_pictures()
                continue
            explained = _nothing_fits(study, plan, group, error)
        if len(sources) > 1:  # of a lone picture, a debugger finds what was there
            for failure in explained.failures:
                let_go(failure.error)
        cells.extend(explained.cells)
        predictions.extend(explained.predictions)
        start += len(group)
    progress(len(sources), len(sources), "")
    return Comparison(tuple(cells), tuple(predictions), tuple(passes), tuple(room.notices))


def _explain_batch(
    study: "Study",
    plan: Plan,
    group: Sequence["Picture | Unread"],
    room: Room,
    passes: list[Pass],
    tell: Callable[[Job, Batch, int], None],
) -> Comparison:
    """Every map of some pictures, in the pictures' order.

    Raises:
        OutOfMemoryError: the device has no room for so many at a time.
    """
    readable = [each for each in group if not isinstance(each, Unread)]
    cells: list[Cell] = []
    predictions: list[Prediction] = []
    explained: Iterator[Sequence[Cell]] = iter(())
    if readable:
        with _room():
            made = _prepare(study, readable, room.pictures)
            read = _read(study, plan, made, passes)
            traced = _traced(study, plan, made, read)
        by_job = []
        for number, job in enumerate(plan.jobs):
            told = partial(tell, job, made)
            told(0)
            with _room():
                by_job.append(_explain(study, job, made, read, traced.get(number), told, room))
        explained = zip(*by_job, strict=True)
        predictions.extend(predict(study, made, read.numbers, TOP))
    for each in group:
        if isinstance(each, Unread):
            cells.extend(_unread_cells(study, plan, each.name, each.error))
        else:
            cells.extend(next(explained))
    return Comparison(tuple(cells), tuple(predictions))


@contextmanager
def _room() -> Iterator[None]:
    """Tell that the device has no memory left from all else that a framework raises."""
    try:
        yield
    except Exception as error:
        if not backend().is_out_of_memory(error):
            raise
        raise OutOfMemoryError("the device ran out of memory") from error


def _nothing_fits(
    study: "Study", plan: Plan, group: Sequence["Picture | Unread"], error: OutOfMemoryError
) -> Comparison:
    """Not even one picture: its maps failed, the others' may not."""
    told = OutOfMemoryError(
        f"{error} with a single picture; expected room for one pass over the model. Free the "
        "device, take fewer methods or classes at once, or take the device 'cpu'"
    )
    why = [each.error if isinstance(each, Unread) else told for each in group]
    cells = (
        cell
        for each, reason in zip(group, why, strict=True)
        for cell in _unread_cells(study, plan, each.name, reason)
    )
    return Comparison(tuple(cells))


def _tell(
    progress: Progress,
    done: tuple[int, int],
    picture: str,
    job: Job,
    batch: Batch,
    queries: int,
) -> None:
    """Say what runs now, and of a method that asks much, how far it is."""
    what = f"{picture}: {job.explainer.name}"
    if queries:
        all_of_them = (job.explainer.queries or 0) * len(batch.pictures)
        of = f" of {all_of_them:,}" if all_of_them >= queries else ""
        what += f", {queries:,}{of} queries"
    progress(*done, what)


@dataclass(frozen=True)
class Numbers:
    """What a pass found of each picture beside evidence, on the host."""

    logits: FloatArray
    """(N, classes)."""
    probabilities: FloatArray
    """(N, classes)."""
    targets: NDArray[np.int32]
    """The class indices that were asked for or ranked there, (N, T)."""
    score: FloatArray
    """(N, T)."""

    @classmethod
    def of(cls, reading: Reading) -> Self:
        """Brought over from the device."""
        host = backend().to_host
        return cls(
            host(reading.logits),
            host(reading.probabilities),
            host(reading.targets),
            host(reading.score),
        )


@dataclass(frozen=True)
class Readings:
    """What was read of a batch under each gradient rule, or why it cannot be."""

    by_rule: Mapping[Rule, Reading | XaiError]
    any: Reading
    """One of them: scores and targets are the same in all."""
    no_layer: LayerError | None

    @cached_property
    def numbers(self) -> Numbers:
        """Once for all methods and targets."""
        return Numbers.of(self.any)

    def under(self, rule: Rule) -> Reading:
        """What was read under a rule; raises why it cannot be."""
        found = self.by_rule[rule]
        if isinstance(found, XaiError):
            raise found
        return found


def _read(study: "Study", plan: Plan, batch: Batch, passes: list[Pass]) -> Readings:
    """One pass for each gradient rule; with the plain one alone, as nearly always, one."""
    by_rule: dict[Rule, Reading | XaiError] = {}
    for rule, (needs, layers) in plan.passes.items():
        try:
            by_rule[rule] = _pass(study, plan, batch, rule, needs, layers, passes)
        except XaiError as error:
            by_rule[rule] = error
    done = [each for each in by_rule.values() if isinstance(each, Reading)]
    return Readings(
        by_rule,
        done[0] if done else _pass(study, plan, batch, Rule.PLAIN, Needs.NOTHING, (), passes),
        plan.no_layer,
    )


def _pass(
    study: "Study",
    plan: Plan,
    batch: Batch,
    rule: Rule,
    needs: Needs,
    layers: Sequence[Step],
    passes: list[Pass],
) -> Reading:
    started = time.perf_counter()
    codes = [each.code for each in plan.wanted]
    wanted = np.asarray([codes] * batch.size, np.int32)
    reading = study.read(batch.images, wanted, needs, layers, rule=rule)
    backend().to_host(reading.score)
    passes.append(
        Pass(
            needs=tuple(str(need.name) for need in needs),
            layers=tuple(layer.path for layer in layers),
            rule=rule.value,
            pictures=len(batch.pictures),
            targets=len(plan.wanted),
            seconds=time.perf_counter() - started,
        )
    )
    return reading


@where_it_runs
def predict_one(study: "Study", source: PictureLike, top: int) -> Prediction:
    """The classes of highest score for one picture."""
    made = _prepare(study, [as_picture(source)], 1)
    reading = study.read(made.images, np.full((1, 1), -1, np.int32), Needs.NOTHING, ())
    (prediction,) = predict(study, made, Numbers.of(reading), top)
    return prediction


@where_it_runs
def read_gradients(
    study: "Study", source: PictureLike, wanted: Wanted, layer: Step
) -> tuple[GradientHistogram, GradientHistogram]:
    """The gradients of one score, at a layer and at the input, counted by magnitude."""
    made = _prepare(study, [as_picture(source)], 1)
    needs = Needs.ACTIVATION_GRADIENTS | Needs.INPUT_GRADIENTS
    reading = study.read(made.images, np.asarray([[wanted.code]], np.int32), needs, (layer,))
    host = backend().to_host
    of = f"{study.score} of {study.classes.title(int(host(reading.targets)[0, 0]))}"
    (gradients,) = reading.per_target
    at_layer = host(gradients[Needs.ACTIVATION_GRADIENTS, layer.path])
    at_input = host(gradients[Needs.INPUT_GRADIENTS, AT_INPUT])
    return (
        count_gradient(f"{of}, by {layer.path}", at_layer),
        count_gradient(f"{of}, by the input", at_input),
    )


def predict(study: "Study", batch: Batch, read: Numbers, top: int) -> Iterator[Prediction]:
    """The classes of highest score for each picture of a batch, from a pass that was run."""
    for number, picture in enumerate(batch.pictures):
        order = (-read.logits[number]).argsort(kind="stable")[: max(top, 1)].tolist()
        yield Prediction(
            model=study.name,
            picture=picture,
            classes=tuple(
                ClassScore(
                    index=i,
                    label=study.classes.label(i),
                    probability=float(read.probabilities[number, i]),
                    logit=float(read.logits[number, i]),
                )
                for i in order
            ),
            warnings=study.warnings + batch.warnings[number],
            preprocessing=study.input.preprocessing.name,
        )


@dataclass(frozen=True)
class Unread:
    """A picture that cannot be read."""

    name: str
    error: PictureError


def tell_apart(sources: Sequence[PictureLike]) -> list[str]:
    """The pictures' names, with ` (2)`, ` (3)` behind one that came before."""
    seen: Counter[str] = Counter()
    names = []
    for source in sources:
        name = source_name(source)
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def _read_pictures(
    sources: Sequence[PictureLike], names: Sequence[str], *, lone: bool
) -> list[Picture | Unread]:
    """A batch; where there is only one picture, that it cannot be read is an error."""
    group: list[Picture | Unread] = []
    for source, name in zip(sources, names, strict=True):
        try:
            picture = as_picture(source)
            group.append(picture if lone else replace(picture, name=name))
        except PictureError as error:
            if lone:
                raise
            group.append(Unread(name, error))
    return group


def _prepare(study: "Study", group: Sequence[Picture], size: int) -> Batch:
    """Fit and preprocess; a short batch is filled up, so that one program serves them all."""
    pixels, regions = study.input.fitted(group)
    batch = study.input.feed(pixels)
    missing = size - len(group)
    if missing:
        batch = np.pad(batch, [(0, missing)] + [(0, 0)] * 3)
    warnings = tuple(check_picture(picture) for picture in group)
    images = backend().to_device(batch)
    return Batch(tuple(group), tuple(regions), pixels, images, size, warnings)


@dataclass(frozen=True)
class Made:
    """What a program made for one job."""

    attribution: Attribution
    seconds: float
    """Its share of the program's time."""


def _found(batch: Batch, read: Readings, rules: Sequence[Rule], column: int) -> Found:
    """What was read under some rules, for one target of each picture."""
    readings = [read.under(rule) for rule in rules]
    classes, score = readings[0].each[column]
    parts = (part for each in readings for part in (each.shared, each.per_target[column]))
    return Found(
        batch.images, classes, score, {key: value for part in parts for key, value in part.items()}
    )


def _traced(study: "Study", plan: Plan, batch: Batch, read: Readings) -> Mapping[int, Made]:
    """By the number of its job, what explainers made that can be run together as one program."""
    together: dict[tuple[int, tuple[Rule, ...]], list[tuple[int, Task]]] = {}
    for number, job in enumerate(plan.jobs):
        has_all = all(isinstance(read.by_rule.get(rule), Reading) for rule in job.rules)
        if job.explainer.traceable and has_all and not job.explainer.needs & Needs.ASKS:
            together.setdefault((job.column, job.rules), []).append((number, job.task))
    made: dict[int, Made] = {}
    for (column, rules), numbered in together.items():
        program = study.traced([task for _, task in numbered], len(batch.pictures))
        if program is None:
            continue
        started = time.perf_counter()
        maps = program(_found(batch, read, rules, column), len(batch.pictures))
        share = (time.perf_counter() - started) / len(numbered)
        made |= {
            number: Made(attribution, share)
            for (number, _), attribution in zip(numbered, maps, strict=True)
            if attribution is not None
        }
    return made


def _explain(
    study: "Study",
    job: Job,
    batch: Batch,
    read: Readings,
    traced: Made | None,
    told: Callable[[int], None],
    room: Room,
) -> list[Explanation | Failure]:
    """One method, target and layer, for every picture of the batch."""
    explainer, column, wanted, path = job.explainer, job.column, job.wanted, job.path
    host = backend().to_host
    method = job.method
    targets = [
        Target(index, study.classes.label(index), wanted.asked)
        for index in read.numbers.targets[: len(batch.pictures), column].tolist()
    ]
    started = time.perf_counter()
    queries = Queries(study, job.at[-1] if job.at else None, explainer.rule, told, room)

    def make() -> Attribution:
        if traced is not None:
            return traced.attribution
        found = _found(batch, read, job.rules, column)
        real = found.first(len(batch.pictures))
        return explained(explainer, job.task.evidence(real, batch.pixels, queries))

    try:
        if read.no_layer and explainer.needs & Needs.LAYER:
            raise read.no_layer
        readings = [read.under(rule) for rule in job.rules]
        made = on_host(explainer, method.source, make, len(batch.pictures))
    except XaiError as error:
        return [
            Failure(study.name, picture.name, method, path, target, error)
            for picture, target in zip(batch.pictures, targets, strict=True)
        ]
    seconds = time.perf_counter() - started + (0 if traced is None else traced.seconds)
    health = {
        need: host(each)
        for reading in readings
        for (need, at), each in reading.health[column].items()
        if need in explainer.needs and at in (path, AT_INPUT)
    }
    counts = {}
    if explainer.rule is not Rule.PLAIN:
        counts["rectifiers replaced"] = float(study.rectifiers(explainer.rule))
    if queries.count:
        counts["queries"] = queries.count / len(batch.pictures)

    def explanation(number: int, target: Target) -> Explanation:
        score = float(read.numbers.score[number, column])
        probability = float(read.numbers.probabilities[number, target.index])
        sizes = {need: tuple(map(float, each[number])) for need, each in health.items()}
        return Explanation(
            model=study.name,
            map=made.maps[number],
            picture=batch.pictures[number],
            region=batch.regions[number],
            method=method,
            layer=path,
            target=target,
            score=score,
            score_kind=study.score,
            logit=float(read.numbers.logits[number, target.index]),
            probability=probability,
            warnings=study.warnings
            + batch.warnings[number]
            + check_map(
                made.maps[number],
                by=f"{method.name!r} of {method.source}",
                peaks={need: largest for need, (largest, _, _) in sizes.items()},
                score_kind=study.score,
                score=score,
                probability=probability,
            )
            + tuple(
                MapWarning(kind, message)
                for kind, (message, about) in made.warnings.items()
                if about[number]
            ),
            facts={
                **{name: float(values[number]) for name, values in made.facts.items()},
                **counts,
            },
            health=tuple(
                GradientHealth(str(need.name), largest, mean, zeros, _saturation(probability))
                for need, (largest, mean, zeros) in sizes.items()
            ),
            seconds=seconds / len(batch.pictures),
            origin=study.origin,
        )

    return [explanation(number, target) for number, target in enumerate(targets)]


def describe_explainer(explainer: Explainer, registry: Registry) -> Method:
    """An explainer as provenance: its name, its parameters, where it comes from."""
    if isinstance(explainer, Unsound):
        return Method(explainer.name, {}, signed=False, source=explainer.source)
    offered = registry.explainers.get(explainer.name)
    is_offered = offered is not None and type(offered.item) is type(explainer)
    usual = parameters(offered.item if offered and is_offered else explainer)
    return Method(
        name=explainer.name,
        parameters={each.name: _plain(each.value) for each in parameters(explainer)},
        defaults={each.name: _plain(each.value if is_offered else each.default) for each in usual},
        signed=explainer.signed,
        poles=explainer.poles,
        source=str(registry.source_of(explainer)),
    )


def _saturation(probability: float) -> float:
    """0 where the probability moves most with the logit, at one half; 1 where it does not."""
    return 1 - 4 * probability * (1 - probability)


def _plain(value: Any) -> Any:
    """A parameter as it goes into provenance, where all is plain data for JSON."""
    if isinstance(value, Explainer):
        return text_of(value)
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(each) for each in value]
    return value if isinstance(value, (str, int, float, bool, NoneType)) else repr(value)


def _unread_cells(study: "Study", plan: Plan, picture: str, error: XaiError) -> Iterator[Failure]:
    for job in plan.jobs:
        wanted = job.wanted
        yield Failure(
            model=study.name,
            picture=picture,
            method=job.method,
            layer=job.path,
            target=Target(wanted.code, study.classes.label(wanted.code), wanted.asked)
            if wanted.code >= 0
            else Target(wanted.code, None, wanted.asked),
            error=error,
        )
