"""From what was asked for to maps, in the fewest passes.

The planner takes the union of what the explainers need, runs one pass for each
batch of pictures, and hands every explainer its own share of what was found.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeAlias

import keras
import numpy as np

from xai_core.checks import check_map, check_picture
from xai_core.errors import ExplainerError, LayerError, PictureError, UsageError, XaiError
from xai_core.evidence import Attribution, Evidence
from xai_core.histogram import GradientHistogram, count_gradient
from xai_core.images import Picture, Region, read_picture, source_name
from xai_core.interfaces import Explainer
from xai_core.needs import Needs
from xai_core.probe import AT_INPUT, Reading, backend
from xai_core.progress import Progress
from xai_core.queries import Queries
from xai_core.registry import Registry
from xai_core.surgery import Step
from xai_core.surgery.rewire import Rule
from xai_core.targets import Wanted
from xai_core.types import (
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

if TYPE_CHECKING:
    from xai_core.study import Study

PictureLike: TypeAlias = Any
"""A path, a PIL image, an array of RGB or grey 0..255, or a `Picture`."""

TOP = 5
"""How many classes the predictions of a comparison list."""


@dataclass(frozen=True)
class Plan:
    """What is to be made of each picture: methods x layers x targets."""

    explainers: tuple[Explainer, ...]
    layers: tuple[Step, ...]
    """Shallow to deep; none when no method has to do with a layer."""
    wanted: tuple[Wanted, ...]
    no_layer: LayerError | None = None
    """Why the model has no layer, for the methods that want one; the others are run."""

    def needs(self) -> Mapping[Rule, Needs]:
        """The union over the explainers of each gradient rule: a pass each."""
        found: dict[Rule, Needs] = {}
        for explainer in self.explainers:
            if self.no_layer and explainer.needs & Needs.LAYER:
                continue
            found[explainer.rule] = found.get(explainer.rule, Needs.NOTHING) | explainer.needs
        return found

    def jobs(self) -> Iterator[tuple[int, Wanted, Explainer, Step | None]]:
        """Every map of one picture: the target's column, the target, the method, its layer."""
        for column, wanted in enumerate(self.wanted):
            for explainer in self.explainers:
                at_layers = explainer.needs & Needs.LAYER and not self.no_layer
                for layer in self.layers if at_layers else (None,):
                    yield column, wanted, explainer, layer


@dataclass(frozen=True)
class Batch:
    """Pictures that go through the model together."""

    pictures: tuple[Picture, ...]
    regions: tuple[Region, ...]
    images: Tensor


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
    size = min(batch, len(sources))
    names = tell_apart(sources)
    for start in range(0, len(sources), batch):
        progress(start, len(sources), names[start])
        part = slice(start, start + batch)
        group = _read_pictures(sources[part], names[part], lone=len(sources) == 1)
        readable = [each for each in group if not isinstance(each, Unread)]
        explained: Iterator[Sequence[Cell]] = iter(())
        if readable:
            made = _prepare(study, readable, size)
            read = _read(study, plan, made, passes)
            by_job = []
            for job in plan.jobs():
                progress(start, len(sources), f"{names[start]}: {job[2].name}")
                by_job.append(_explain(study, job, made, read))
            explained = zip(*by_job, strict=True)
            predictions.extend(predict(study, made, read.any, TOP))
        for each in group:
            if isinstance(each, Unread):
                cells.extend(_unread_cells(study, plan, each))
            else:
                cells.extend(next(explained))
    progress(len(sources), len(sources), "")
    return Comparison(tuple(cells), tuple(predictions), tuple(passes))


@dataclass(frozen=True)
class Readings:
    """What was read of a batch under each gradient rule, or why it cannot be."""

    by_rule: Mapping[Rule, Reading | XaiError]
    any: Reading
    """One of them: scores and targets are the same in all."""
    no_layer: LayerError | None


def _read(study: "Study", plan: Plan, batch: Batch, passes: list[Pass]) -> Readings:
    """One pass for each gradient rule; with the plain one alone, as nearly always, one."""
    by_rule: dict[Rule, Reading | XaiError] = {}
    for rule, needs in plan.needs().items():
        try:
            by_rule[rule] = _pass(study, plan, batch, rule, needs, passes)
        except XaiError as error:
            by_rule[rule] = error
    done = [each for each in by_rule.values() if isinstance(each, Reading)]
    return Readings(
        by_rule,
        done[0] if done else _pass(study, plan, batch, Rule.PLAIN, Needs.NOTHING, passes),
        plan.no_layer,
    )


def _pass(
    study: "Study", plan: Plan, batch: Batch, rule: Rule, needs: Needs, passes: list[Pass]
) -> Reading:
    started = time.perf_counter()
    codes = np.asarray([[each.code for each in plan.wanted]], np.int32)
    wanted = np.tile(codes, (batch.images.shape[0], 1))
    reading = study.read(batch.images, wanted, needs, plan.layers, rule=rule)
    backend().to_host(reading.score)
    passes.append(
        Pass(
            needs=tuple(str(need.name) for need in needs),
            layers=tuple(layer.path for layer in plan.layers),
            rule=rule.value,
            pictures=len(batch.pictures),
            targets=len(plan.wanted),
            seconds=time.perf_counter() - started,
        )
    )
    return reading


def predict_one(study: "Study", source: PictureLike, top: int) -> Prediction:
    """The classes of highest score for one picture."""
    made = _prepare(study, [as_picture(source)], 1)
    reading = study.read(made.images, np.full((1, 1), -1, np.int32), Needs.NOTHING, ())
    (prediction,) = predict(study, made, reading, top)
    return prediction


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


def predict(study: "Study", batch: Batch, reading: Reading, top: int) -> Iterator[Prediction]:
    """The classes of highest score for each picture of a batch, from a pass that was run."""
    logits = backend().to_host(reading.logits)
    probabilities = backend().to_host(reading.probabilities)
    for number, picture in enumerate(batch.pictures):
        order = np.argsort(-logits[number], kind="stable")[: max(top, 1)]
        yield Prediction(
            model=study.name,
            picture=picture,
            classes=tuple(
                ClassScore(
                    index=int(i),
                    label=study.classes.label(int(i)),
                    probability=float(probabilities[number, i]),
                    logit=float(logits[number, i]),
                )
                for i in order
            ),
            warnings=study.warnings + check_picture(picture),
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
        name = Path(source_name(source)).name
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


def as_picture(source: PictureLike) -> Picture:
    """Read what is not a `Picture` yet."""
    return source if isinstance(source, Picture) else read_picture(source)


def _prepare(study: "Study", group: Sequence[Picture], size: int) -> Batch:
    """Fit and preprocess; a short batch is filled up, so that one program serves them all."""
    batch, regions = study.input.prepare(group)
    missing = [(0, size - len(group))] + [(0, 0)] * 3
    images = keras.ops.convert_to_tensor(np.pad(batch, missing))
    return Batch(tuple(group), tuple(regions), images)


def _explain(
    study: "Study",
    job: tuple[int, Wanted, Explainer, Step | None],
    batch: Batch,
    read: Readings,
) -> list[Explanation | Failure]:
    """One method, target and layer, for every picture of the batch."""
    column, wanted, explainer, layer = job
    host = backend().to_host
    path = None if layer is None else layer.path
    method = describe(explainer, study.registry)
    targets = [
        Target(int(index), study.classes.label(int(index)), wanted.asked)
        for index in host(read.any.targets[:, column])[: len(batch.pictures)]
    ]
    started = time.perf_counter()
    reading = read.by_rule.get(explainer.rule, read.any)
    try:
        if read.no_layer and explainer.needs & Needs.LAYER:
            raise read.no_layer
        if isinstance(reading, XaiError):
            raise reading
        share = _share(study, explainer, layer, batch, reading, column)
        made = _run(explainer, method, share)
    except XaiError as error:
        return [
            Failure(study.name, picture.name, method, path, target, error)
            for picture, target in zip(batch.pictures, targets, strict=True)
        ]
    seconds = time.perf_counter() - started
    scores = host(reading.score[:, column])
    logits, probabilities = host(reading.logits), host(reading.probabilities)
    health = {
        need: host(numbers)
        for (need, at), numbers in reading.health[column].items()
        if need in explainer.needs and at in (path, AT_INPUT)
    }
    return [
        Explanation(
            model=study.name,
            map=made.maps[number],
            picture=picture,
            region=region,
            method=method,
            layer=path,
            target=target,
            score=float(scores[number]),
            score_kind=study.score,
            logit=float(logits[number, target.index]),
            probability=float(probabilities[number, target.index]),
            warnings=study.warnings
            + check_picture(picture)
            + check_map(
                made.maps[number],
                peaks={need: float(numbers[number, 0]) for need, numbers in health.items()},
                score_kind=study.score,
                score=float(scores[number]),
                probability=float(probabilities[number, target.index]),
            )
            + tuple(
                MapWarning(kind, message)
                for kind, (message, about) in made.warnings.items()
                if about[number]
            ),
            facts={name: float(values[number]) for name, values in made.facts.items()},
            health=tuple(
                GradientHealth(
                    gradient=str(need.name),
                    largest=float(numbers[number, 0]),
                    mean=float(numbers[number, 1]),
                    zeros=float(numbers[number, 2]),
                    saturation=_saturation(float(probabilities[number, target.index])),
                )
                for need, numbers in health.items()
            ),
            seconds=seconds / len(batch.pictures),
            origin=study.origin,
        )
        for number, (picture, region, target) in enumerate(
            zip(batch.pictures, batch.regions, targets, strict=True)
        )
    ]


def _share(
    study: "Study",
    explainer: Explainer,
    layer: Step | None,
    batch: Batch,
    reading: Reading,
    column: int,
) -> Evidence:
    """What one explainer declared, at one layer, for one target."""
    found = {**reading.shared, **reading.per_target[column]}
    path = None if layer is None else layer.path
    return Evidence(
        explainer=explainer.name,
        declared=explainer.needs,
        inputs=batch.images,
        targets=reading.targets[:, column],
        score=reading.score[:, column],
        readings={
            need: value
            for (need, at), value in found.items()
            if need in explainer.needs and at in (path, AT_INPUT)
        },
        oracle=Queries(study, layer),
    )


def _run(explainer: Explainer, method: Method, evidence: Evidence) -> Attribution:
    """Run an explainer, hold what it returns to be maps (N, h, w), and bring it to the host."""
    count = evidence.targets.shape[0]
    host = backend().to_host
    try:
        result = explainer.explain(evidence)
        made = result if isinstance(result, Attribution) else Attribution(result)
        maps: FloatArray = host(made.maps)
        facts = {name: _each(name, host(values), count) for name, values in made.facts.items()}
        warnings = {
            kind: (message, _each(kind, host(about), count))
            for kind, (message, about) in made.warnings.items()
        }
    except XaiError:
        raise
    except (Exception, SystemExit) as error:
        raise ExplainerError(
            f"explainer {explainer.name!r} of {method.source} raised "
            f"{type(error).__name__}: {error}"
        ) from error
    if maps.ndim != 3 or maps.shape[0] != count or maps.size == 0 or maps.dtype.kind != "f":
        raise ExplainerError(
            f"explainer {explainer.name!r} of {method.source} returned {maps.dtype} of shape "
            f"{maps.shape}; expected floating maps of shape ({count}, h, w)"
        )
    maps = maps.astype(np.float64 if maps.dtype == np.float64 else np.float32)
    maps.flags.writeable = False
    return Attribution(maps, facts, warnings)


def _each(name: str, values: Any, count: int) -> Any:
    """One value for each picture."""
    if values.shape != (count,):
        raise ExplainerError(f"{name!r} has shape {values.shape}; expected ({count},)")
    return values


def describe(explainer: Explainer, registry: Registry) -> Method:
    """An explainer as provenance: its name, its parameters, where it comes from."""
    return Method(
        name=explainer.name,
        parameters={
            each.name: _plain(getattr(explainer, each.name))
            for each in fields(explainer)  # type: ignore[arg-type]
        },
        signed=explainer.signed,
        source=str(registry.source_of(explainer)),
    )


def _saturation(probability: float) -> float:
    """0 where the probability moves most with the logit, at one half; 1 where it does not."""
    return 1 - 4 * probability * (1 - probability)


def _plain(value: Any) -> Any:
    """A parameter as it goes into provenance, where all is plain data for JSON."""
    if isinstance(value, Explainer):
        return value.name
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(each) for each in value]
    return value if isinstance(value, (str, int, float, bool, NoneType)) else repr(value)


def _unread_cells(study: "Study", plan: Plan, unread: Unread) -> Iterator[Failure]:
    for _, wanted, explainer, layer in plan.jobs():
        yield Failure(
            model=study.name,
            picture=unread.name,
            method=describe(explainer, study.registry),
            layer=None if layer is None else layer.path,
            target=Target(wanted.code, study.classes.label(wanted.code), wanted.asked)
            if wanted.code >= 0
            else Target(wanted.code, None, wanted.asked),
            error=unread.error,
        )
