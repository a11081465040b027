"""A model under study: the planner that runs the fewest passes, and the state it keeps."""

import platform
import threading
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import reduce
from importlib.metadata import PackageNotFoundError, version
from operator import or_
from typing import Any, TypeAlias

import keras
import numpy as np

from xai_core.checks import check_map
from xai_core.errors import ExplainerError, LayerError, UsageError, XaiError
from xai_core.evidence import Evidence
from xai_core.images import Fit, Picture, Region, read_picture
from xai_core.inputs import Input, PreprocessLike, choose_input
from xai_core.interfaces import Explainer, ModelAdapter
from xai_core.models import LoadedModel, ModelLike, WeightsRecord, load_model
from xai_core.needs import Needs
from xai_core.probe import Probe, Reading, backend
from xai_core.queries import Queries
from xai_core.registry import Registry
from xai_core.surgery import (
    FeatureLayer,
    Graph,
    LayerRow,
    Readout,
    Step,
    describe,
    measure,
    read_graph,
    read_out,
    resolve_layer,
)
from xai_core.targets import Classes, TargetLike, Wanted, make_classes
from xai_core.types import (
    ClassScore,
    Comparison,
    Explanation,
    Failure,
    MapWarning,
    Method,
    Prediction,
    Target,
)
from xai_core.typing import FloatArray, ScoreKind, Tensor

EMBEDDED = "efficientnet-lite0"
"""The model that comes with the install."""

PictureLike: TypeAlias = Any
"""A path, a PIL image, an array of RGB or grey 0..255, or a `Picture`."""

MethodLike: TypeAlias = str | Explainer
"""An explainer's name, or one of your own making."""


class Study:
    """A model, and everything needed to explain it.

    What was compiled is kept here, by need and layer, and goes with the study. The
    model is never changed. Threads may share a study.

    Args:
        model: A family's name (`xai list adapters`), the path of a `.keras` or `.h5`
            file, or a `keras.Model`.
        layer: The target layer; by default the family's, or the deepest feature map
            that every path through the model crosses.
        adapter: The family, where it should not be recognised by structure.
        preprocess: A scheme's name, or a callable on float RGB 0..255 (N, h, w, c).
        labels: The names of the classes, or a file of them.
        score: `logit`, or `probability`; the two give different maps.
        weights: For a family: `imagenet`, `random`, or a weights file.
        size: Height and width to feed a model that leaves them open.
        fit: `crop` or `stretch`, for pictures of another shape; by default the family's.
        registry: The plugins; by default all that are installed.

    Raises:
        XaiError: the model cannot be loaded or cut, or an argument does not fit it.
    """

    def __init__(
        self,
        model: ModelLike = EMBEDDED,
        *,
        layer: str | None = None,
        adapter: str | ModelAdapter | None = None,
        preprocess: PreprocessLike = None,
        labels: Any = None,
        score: ScoreKind = "logit",
        weights: str | None = None,
        size: tuple[int, int] | None = None,
        fit: Fit | None = None,
        registry: Registry | None = None,
    ) -> None:
        if score not in ("logit", "probability"):
            raise UsageError(f"received score {score!r}; expected 'logit' or 'probability'")
        self.registry = Registry.discover() if registry is None else registry
        self._loaded: LoadedModel = load_model(model, weights, self.registry)
        graph = read_graph(self._loaded.model)
        self.adapter = _choose_adapter(adapter, graph, self.registry)
        self.input: Input = choose_input(
            graph, self.adapter, size=size, fit=fit, preprocess=preprocess
        )
        graph = measure(graph, self.input.size, self.input.channels)
        self._readout: Readout = read_out(graph)
        self.score: ScoreKind = score
        units = self._readout.classes
        self.classes: Classes = make_classes(
            units, self.adapter.labels(units) if labels is None else labels
        )
        self._layer: Step | None = None if layer is None else resolve_layer(graph, layer)
        self._warnings = tuple(
            _study_warnings(self._loaded, self._readout, self.input)
        )
        self._weights = WeightsRecord(self._loaded.model)
        self._probes: dict[tuple[Needs, str | None], Probe] = {}
        self._lock = threading.Lock()

    @property
    def model(self) -> keras.Model:
        """The model as it was given or loaded."""
        return self._loaded.model

    @property
    def graph(self) -> Graph:
        """The model as a flat graph whose output is its logits."""
        return self._readout.graph

    @property
    def layer(self) -> str:
        """The path of the target layer.

        Raises:
            LayerError: none was chosen and the model has no layer with a spatial extent.
        """
        return self._target_layer().path

    @property
    def feature_layers(self) -> tuple[FeatureLayer, ...]:
        """What the family says can be explained at, shallow to deep."""
        return tuple(self.adapter.feature_layers(self.graph))

    def layers(self) -> tuple[LayerRow, ...]:
        """Every layer: its shape, its stride, whether it is a cut, which is the default."""
        return describe(self.graph, tuple(layer.name for layer in self.feature_layers))

    def predict(self, picture: PictureLike, *, top: int = 5) -> Prediction:
        """The classes of highest score.

        Args:
            picture: A path, a PIL image or an array of RGB 0..255.
            top: How many; a model with fewer classes shows them all.
        """
        source = _as_picture(picture)
        images, _ = self._prepare([source])
        reading = self._read(images, np.full((1, 1), -1, np.int32), Needs.NOTHING, None)
        return self._prediction(source, reading, 0, top)

    def explain(
        self, picture: PictureLike, method: MethodLike = "grad-cam", *, target: TargetLike = None
    ) -> Explanation:
        """Make one map.

        Args:
            picture: A path, a PIL image or an array of RGB 0..255.
            method: An explainer's name, or an explainer.
            target: A class index, a class name, or None for the predicted class.

        Raises:
            XaiError: the picture, the target or the layer does not fit, or the explainer failed.
        """
        (cell,) = self.compare(picture, [method], [target]).cells
        if isinstance(cell, Failure):
            raise ExplainerError(cell.message)
        return cell

    def compare(
        self,
        picture: PictureLike,
        methods: Sequence[MethodLike] = ("grad-cam", "grad-cam++", "saliency"),
        targets: Sequence[TargetLike] = (None,),
        *,
        top: int | None = None,
    ) -> Comparison:
        """Make the maps of several methods for several classes of one picture.

        One pass is run for all of them. A method that fails leaves a `Failure` in its
        cells; the others are made all the same.

        Args:
            picture: A path, a PIL image or an array of RGB 0..255.
            methods: Explainers, by name or as instances.
            targets: Classes, by index or name; None is the predicted class.
            top: The classes of highest score, in place of `targets`.
        """
        explainers = [self._explainer(method) for method in _as_list("methods", methods)]
        if top is None:
            wanted = tuple(self.classes.find(each) for each in _as_list("targets", targets))
        else:
            wanted = self.classes.ranked(top)
        source = _as_picture(picture)
        images, regions = self._prepare([source])
        needs = reduce(or_, (explainer.needs for explainer in explainers), Needs.NOTHING)
        layer = self._target_layer() if needs & Needs.LAYER else None
        codes = np.asarray([[each.code for each in wanted]], np.int32)
        reading = self._read(images, codes, needs, layer)
        cells = [
            cell
            for column, each in enumerate(wanted)
            for explainer in explainers
            for cell in self._explain(
                explainer, layer, each, column, images, reading, [source], regions
            )
        ]
        return Comparison(tuple(cells), self._prediction(source, reading, 0, top=5))

    def _explain(
        self,
        explainer: Explainer,
        layer: Step | None,
        wanted: Wanted,
        column: int,
        images: Tensor,
        reading: Reading,
        pictures: Sequence[Picture],
        regions: Sequence[Region],
    ) -> list[Explanation | Failure]:
        """One method and target, for every picture of the batch."""
        host = backend().to_host
        indices = host(reading.targets[:, column])
        targets = [
            Target(int(index), self.classes.label(int(index)), wanted.asked) for index in indices
        ]
        method = _describe(explainer, self.registry)
        at = layer.path if layer is not None and explainer.needs & Needs.LAYER else None
        try:
            maps = _run(explainer, method, self._evidence(explainer, images, reading, column))
        except XaiError as error:
            return [Failure(method, at, target, str(error)) for target in targets]
        scores = host(reading.score[:, column])
        probabilities = host(reading.probabilities)
        peaks = {
            need: host(peak)
            for need, peak in reading.peaks[column].items()
            if need in explainer.needs
        }
        return [
            Explanation(
                map=maps[number],
                picture=pictures[number],
                region=regions[number],
                method=method,
                layer=at,
                target=target,
                score=float(scores[number]),
                score_kind=self.score,
                probability=float(probabilities[number, target.index]),
                warnings=self._warnings
                + check_map(
                    maps[number],
                    signed=explainer.signed,
                    peaks={need: float(peak[number]) for need, peak in peaks.items()},
                    score_kind=self.score,
                    probability=float(probabilities[number, target.index]),
                ),
                origin=self._origin,
            )
            for number, target in enumerate(targets)
        ]

    def _evidence(
        self, explainer: Explainer, images: Tensor, reading: Reading, column: int
    ) -> Evidence:
        readings = {**reading.shared, **reading.per_target[column]}
        return Evidence(
            explainer=explainer.name,
            declared=explainer.needs,
            inputs=images,
            targets=reading.targets[:, column],
            score=reading.score[:, column],
            readings={need: value for need, value in readings.items() if need in explainer.needs},
            oracle=Queries(self._read),
        )

    def _read(self, images: Tensor, wanted: Any, needs: Needs, layer: Step | None) -> Reading:
        """Run the one pass that serves `needs`, compiling it where it is new."""
        passed = needs & ~Needs.QUERIES
        key = (passed, None if layer is None else layer.path)
        with self._lock:
            if key not in self._probes:
                self._probes[key] = Probe(self._readout, layer, passed, self.score)
            probe = self._probes[key]
        return probe(images, wanted)

    def _prepare(self, pictures: Sequence[Picture]) -> tuple[Tensor, list[Region]]:
        """Fit and preprocess pictures into one batch."""
        batch, regions = self.input.prepare(pictures)
        return keras.ops.convert_to_tensor(batch), regions

    def _prediction(
        self, picture: Picture, reading: Reading, number: int, top: int
    ) -> Prediction:
        logits = backend().to_host(reading.logits)[number]
        probabilities = backend().to_host(reading.probabilities)[number]
        order = np.argsort(-logits, kind="stable")[: max(top, 1)]
        return Prediction(
            picture=picture,
            classes=tuple(
                ClassScore(
                    int(i), self.classes.label(int(i)), float(probabilities[i]), float(logits[i])
                )
                for i in order
            ),
            warnings=self._warnings,
            preprocessing=self.input.preprocessing.name,
        )

    def _explainer(self, method: MethodLike) -> Explainer:
        if isinstance(method, Explainer):
            return method
        return self.registry.explainer(method)

    def _target_layer(self) -> Step:
        if self._layer is not None:
            return self._layer
        features = self.feature_layers
        if not features:
            raise LayerError(
                f"{self.graph.name!r} has no layer with a spatial extent that every path from "
                "input to output crosses, so there is nothing for a class activation map to "
                "show; expected a convolutional feature map (batch, height, width, channels). "
                "Use a method that needs no layer, such as saliency."
            )
        return self.graph.step(features[-1].name)

    def _origin(self) -> dict[str, Any]:
        weights = self._weights.sha256()
        return {
            "model": self.model.name,
            "model_source": self._loaded.source,
            "weights": self._loaded.weights,
            "weights_sha256": weights,
            "weights_changed": weights is None,
            "adapter": self.adapter.name,
            "preprocessing": self.input.preprocessing.name,
            "preprocessing_reason": self.input.reason,
            "input_size": list(self.input.size),
            "channels": self.input.channels,
            "fit": self.input.fit,
            "input_dtype": self.input.dtype,
            "versions": _versions(),
        }


def _run(explainer: Explainer, method: Method, evidence: Evidence) -> FloatArray:
    """Run an explainer, and hold what it returns to be maps (N, h, w)."""
    count = evidence.targets.shape[0]
    try:
        maps = backend().to_host(explainer.explain(evidence))
    except XaiError:
        raise
    except Exception as error:
        raise ExplainerError(
            f"explainer {explainer.name!r} of {method.source} raised "
            f"{type(error).__name__}: {error}"
        ) from error
    if maps.ndim != 3 or maps.shape[0] != count or maps.size == 0 or maps.dtype.kind not in "fV":
        raise ExplainerError(
            f"explainer {explainer.name!r} of {method.source} returned {maps.dtype} of shape "
            f"{maps.shape}; expected floating maps of shape ({count}, h, w)"
        )
    maps = maps.astype(np.float64 if maps.dtype == np.float64 else np.float32)
    maps.flags.writeable = False
    return maps


def _describe(explainer: Explainer, registry: Registry) -> Method:
    return Method(
        name=explainer.name,
        parameters={
            each.name: getattr(explainer, each.name)
            for each in fields(explainer)  # type: ignore[arg-type]
        },
        signed=explainer.signed,
        source=str(registry.source_of(explainer)),
    )


def _as_picture(source: PictureLike) -> Picture:
    return source if isinstance(source, Picture) else read_picture(source)


def _as_list(what: str, values: Any) -> list[Any]:
    """A list of one where one was given; nothing at all is an error."""
    listed = [values] if isinstance(values, (str, int, Explainer)) else list(values)
    if not listed:
        raise UsageError(f"received no {what}; expected at least one")
    return listed


def _choose_adapter(
    asked: str | ModelAdapter | None, graph: Graph, registry: Registry
) -> ModelAdapter:
    if asked is None:
        return registry.adapter_for(graph)
    adapter = registry.adapter(asked) if isinstance(asked, str) else asked
    if not adapter.matches(graph):
        raise UsageError(
            f"adapter {adapter.name!r} does not recognise {graph.name!r}; expected a model of its "
            "family. Leave the adapter out to have the family found by structure."
        )
    return adapter


def _study_warnings(
    loaded: LoadedModel, readout: Readout, made: Input
) -> list[MapWarning]:
    found = []
    if loaded.is_random:
        found.append(
            MapWarning("random-weights", "the weights are random: the maps explain nothing")
        )
    if made.preprocessing_is_guessed:
        found.append(
            MapWarning(
                "guessed-preprocessing",
                f"the model does not say how it wants its input; {made.preprocessing.name} "
                f"({made.preprocessing.summary}) is a guess. Say it with preprocess "
                "(--preprocess).",
            )
        )
    if made.size_is_guessed:
        found.append(
            MapWarning(
                "guessed-size",
                f"the model leaves its input size open; {made.size[0]}x{made.size[1]} is a guess. "
                "Say it with size (--size).",
            )
        )
    if readout.link == "unknown":
        found.append(
            MapWarning(
                "unknown-output",
                "the last activation is neither softmax nor sigmoid nor absent, so the output "
                "itself is explained, and shown as it is in place of a probability",
            )
        )
    return found


def _versions() -> Mapping[str, str]:
    names = ("xai-core", "keras", keras.backend.backend(), "numpy", "pillow")
    return {"python": platform.python_version(), **{name: _version(name) for name in names}}


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"
