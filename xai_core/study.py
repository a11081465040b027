"""A model under study: the planner that runs the fewest passes, and the state it keeps."""

import os
import platform
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import NoneType
from typing import Any, TypeAlias

import keras
import numpy as np
from PIL import Image

from xai_core.disagreement import Disagreement
from xai_core.engines import Engine, Policy
from xai_core.errors import LayerError, UsageError
from xai_core.evaluating import run_evaluation
from xai_core.evaluation import Evaluation
from xai_core.explaining import Task, Traced
from xai_core.histogram import GradientHistogram
from xai_core.images import Fit, Picture
from xai_core.inputs import Input, PreprocessLike, choose_input
from xai_core.interfaces import Explainer, Metric, ModelAdapter
from xai_core.ladder import LadderMaps, descend
from xai_core.masks import Box, MaskLike
from xai_core.models import LoadedModel, ModelLike, WeightsRecord, load_model
from xai_core.needs import Needs
from xai_core.pairing import describe_metric
from xai_core.placement import choose_device
from xai_core.planner import (
    PictureLike,
    Plan,
    describe_explainer,
    predict_one,
    read_gradients,
    run_plan,
)
from xai_core.probe import Reading, backend
from xai_core.programs import Programs
from xai_core.progress import Progress, silent
from xai_core.references import REFERENCES
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
from xai_core.surgery.rewire import Rule, rewire
from xai_core.targets import Classes, TargetLike, Wanted, make_classes
from xai_core.trust import Trust
from xai_core.trusting import check_trust, run_trust
from xai_core.twins import Ladder, in_float64
from xai_core.types import Comparison, Explanation, Failure, MapWarning, Prediction
from xai_core.typing import ScoreKind, Tensor
from xai_core.unsound import sound

EMBEDDED = "efficientnet-lite0"
"""The model that comes with the install."""

DEFAULT_METHODS = ("grad-cam", "grad-cam++", "saliency")

DEFAULT_METRICS = ("deletion", "insertion")

MetricLike: TypeAlias = str | Metric
"""A metric's name, or one of your own making."""

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
        engine: How passes are run: `auto`, `eager`, `compiled`, `frozen`, `openvino` or
            `openvino-bf16`; see `xai_core.engines`.
        device: One of `xai_core.devices()`; by default the first GPU, where there is one. The
            engines of OpenVINO are for the CPU, which is their default.
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
        engine: Engine = "auto",
        device: str | None = None,
        registry: Registry | None = None,
    ) -> None:
        if score not in ("logit", "probability"):
            raise UsageError(f"received score {score!r}; expected 'logit' or 'probability'")
        self.registry = Registry.discover() if registry is None else registry
        self.device: str = choose_device(device, engine)
        with backend().on(self.device):
            self._loaded: LoadedModel = load_model(model, weights, self.registry)
        graph = read_graph(self._loaded.model)
        self.adapter = _choose_adapter(adapter, graph, self.registry)
        self.input: Input = choose_input(
            graph, self.adapter, size=size, fit=fit, preprocess=preprocess
        )
        graph = measure(graph, self.input.size, self.input.channels)
        self._readout: Readout = read_out(graph)
        self.score: ScoreKind = score
        self._has_own_labels = labels is not None
        units = self._readout.classes
        self.classes: Classes = make_classes(
            units, self.adapter.labels(units) if labels is None else labels
        )
        self._layer: Step | None = None if layer is None else resolve_layer(graph, layer)
        self.warnings: tuple[MapWarning, ...] = tuple(
            _study_warnings(self._loaded, self._readout, self.input)
        )
        self._weights = WeightsRecord(self._loaded)
        self.engine: Engine = engine
        self._policy = Policy(self._loaded.model, engine, owned=self._loaded.is_owned)
        self._programs = Programs(self._readout, score, self._policy)

    @cached_property
    def black(self) -> Tensor:
        """What the model is fed for a black picture, (1, H, W, C)."""
        return backend().to_device(self.input.black())

    @property
    def model(self) -> keras.Model:
        """The model as it was given or loaded.

        From when it is asked for its weights may change: they are not built into programs any more.
        Where that sets the engine aside that was asked for, a warning tells which one takes its
        place.
        """
        self._hand_out()
        return self._loaded.model

    @property
    def name(self) -> str:
        """What to call the model: the family's name, the file's, or the model's own."""
        return self._loaded.title

    @property
    def graph(self) -> Graph:
        """The model as a flat graph whose output is its logits.

        Its layers are the model's own: see `model`.
        """
        self._hand_out()
        return self._readout.graph

    def _hand_out(self) -> None:
        """Someone else holds the model from now on, and may change it."""
        before = self._policy.engine
        self._weights.record()
        self._programs.hand_out()
        if self._policy.engine != before:
            warnings.warn(
                f"the model of {self.name!r} was handed out, and its weights may change from now "
                f"on: maps are made by the engine {self._policy.engine!r} in the place of "
                f"{before!r}, which would not heed that. Make a new Study to have it again",
                stacklevel=3,
            )

    @property
    def layer(self) -> str:
        """The path of the target layer.

        Raises:
            LayerError: none was chosen and the model has no layer with a spatial extent.
        """
        return self._target_layer.path

    @cached_property
    def feature_layers(self) -> tuple[FeatureLayer, ...]:
        """What the family says can be explained at, shallow to deep."""
        return tuple(self.adapter.feature_layers(self._readout.graph))

    def layers(self) -> tuple[LayerRow, ...]:
        """Every layer: its shape, its stride, whether it is a cut, which is the default."""
        return describe(self._readout.graph, tuple(layer.name for layer in self.feature_layers))

    def predict(self, picture: PictureLike, *, top: int = 5) -> Prediction:
        """The classes of highest score.

        Args:
            picture: A path, a PIL image or an array of RGB 0..255.
            top: How many; a model with fewer classes shows them all.
        """
        if top < 1:
            raise UsageError(f"received top {top}; expected at least 1")
        return predict_one(self, picture, top)

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
            raise cell.error
        return cell

    def compare(
        self,
        pictures: PictureLike | Sequence[PictureLike],
        methods: MethodLike | Sequence[MethodLike] = DEFAULT_METHODS,
        targets: TargetLike | Sequence[TargetLike] = (None,),
        *,
        top: int | None = None,
        bottom: int | None = None,
        layers: str | Sequence[str] = (),
        batch: int = 8,
        trust: Trust | None = None,
        progress: Progress = silent,
    ) -> Comparison:
        """Make the maps of every method for every class, layer and picture.

        Each batch of pictures takes one pass, whatever the number of methods, classes
        and layers. What fails leaves a `Failure` in its place; the rest is made all the same.

        Args:
            pictures: One picture or a list of them: paths, PIL images, arrays of RGB 0..255.
            methods: Explainers, by name or as instances.
            targets: Classes, by index or name; None is the predicted class.
            top: The classes of highest score, in place of `targets`.
            bottom: The classes of lowest score, in place of `targets`.
            layers: Target layers, in any order; by default the study's own.
            batch: Pictures to a pass.
            trust: What may be spent to test each map, so that each has a verdict; by default
                none is tested. An interrupt while they are tested keeps all that was made.
            progress: Told what runs and how much is done.

        Raises:
            XaiError: what was asked for does not fit the model; nothing was run.
        """
        wanted = self._wanted(targets, top, bottom)
        plan = self._plan(methods, wanted, layers)
        sources = _listed("pictures", pictures)
        if trust is None:
            return run_plan(self, plan, sources, batch, progress)
        check_trust(self, plan, len(sources), trust)
        return run_trust(
            self, plan, run_plan(self, plan, sources, batch, progress), trust, progress
        )

    def evaluate(
        self,
        pictures: PictureLike | Sequence[PictureLike],
        methods: MethodLike | Sequence[MethodLike] = DEFAULT_METHODS,
        metrics: MetricLike | Sequence[MetricLike] = DEFAULT_METRICS,
        targets: TargetLike | Sequence[TargetLike] = (None,),
        *,
        masks: MaskLike | Sequence[MaskLike] = None,
        seed: int = 0,
        journal: "str | os.PathLike[str] | None" = None,
        progress: Progress = silent,
    ) -> Evaluation:
        """Measure the maps of every method, and rank the methods.

        Beside the methods stand four maps that know nothing of the model: `random`,
        `centre-gaussian`, `edges` and `uniform`. What fails leaves its reason in its place; an
        interrupt ends it, and what was measured until then is returned, with a notice.

        Args:
            pictures: Paths, PIL images, arrays of RGB 0..255. From 6 pictures on, differences
                can be shown.
            methods: Explainers, by name or as instances.
            metrics: Metrics, by name or as instances.
            targets: Classes, by index or name; None is the predicted class.
            masks: Where the object is, which metrics of localisation need: one for each picture,
                None where there is none. A mask is a path, a PIL image or an array (H, W) of the
                picture's own size, a `Box`, or several boxes, which are united. Of an array all
                but 0 is the object, of a grey picture what is at least half of its range, of one
                with colours or a palette all but black. It is cut and resampled as the picture
                is. What is wrong with one leaves its reason in place of the scores that need it.
            seed: Of all that is drawn at random here: ties, the random map, resamples.
            journal: A file that every measurement is added to as it is made. What is in it of
                the same model, as it is fed and run here, method, metric, picture, class and seed
                is taken over, and not measured again; what failed is tried again.
            progress: Told what runs and how much is done.

        Raises:
            XaiError: what was asked for does not fit the model, or the file is no journal;
                nothing was run.
        """
        used = [self._metric(each) for each in _listed("metrics", metrics)]
        plan = self._plan(methods, self._wanted(targets, None, None), ())
        _told_apart("methods", [*map(str, plan.methods), *REFERENCES])
        _told_apart("metrics", [str(describe_metric(each, self.registry)) for each in used])
        sources = _listed("pictures", pictures)
        given = _masks(masks, len(sources))
        path = None if journal is None else Path(journal)
        return run_evaluation(self, plan, used, sources, given, _checked_seed(seed), progress, path)

    def in_float64(self) -> "Study":
        """A study of a copy of the model, on the same weights, where all is computed in float64.

        Raises:
            ModelError: the model cannot be made again from its configuration.
        """
        with backend().on(self.device), backend().precise():
            return self._of(in_float64(self._loaded.model))

    def ladder(self, seed: int = 0) -> "tuple[Study, Ladder]":
        """A study of a copy of the model that can lose what it learnt, layer by layer.

        Args:
            seed: Of the weights in the place of those that were learnt.

        Returns:
            The study, and what sets its weights. It begins where nothing is learnt.

        Raises:
            ModelError: the model cannot be made again from its configuration.
        """
        with backend().on(self.device), backend().precise():
            ladder = Ladder(self._loaded.model, seed)
            return self._of(ladder.model), ladder

    def ladder_maps(
        self,
        picture: PictureLike,
        methods: MethodLike | Sequence[MethodLike] = DEFAULT_METHODS,
        *,
        rungs: int = 6,
        target: TargetLike = None,
        seed: int = 0,
        progress: Progress = silent,
    ) -> LadderMaps:
        """Make the maps of one picture as the model loses what it learnt, to be looked at.

        See `ladder`. The class is that of the model as it is, on every rung.

        Args:
            picture: A path, a PIL image or an array of RGB 0..255.
            methods: Explainers, by name or as instances.
            rungs: At how many places on the way down maps are made.
            target: A class index, a class name, or None for the predicted class.
            seed: Of the weights in the place of those that were learnt.
            progress: Told what runs and how much is done.

        Raises:
            XaiError: what was asked for does not fit the model, it cannot be made again, or no
                method has a map of it as it is.
        """
        if type(rungs) is not int or rungs < 1:
            raise UsageError(f"received rungs {rungs!r}; expected a whole number, at least 1")
        explainers = [self._explainer(each) for each in _listed("methods", methods)]
        return descend(self, picture, explainers, rungs, target, _checked_seed(seed), progress)

    def _of(self, model: keras.Model) -> "Study":
        """The same study of another model like it."""
        return Study(
            model,
            layer=None if self._layer is None else self._layer.path,
            adapter=self.adapter,
            preprocess=self.input.preprocessing,
            labels=self.classes.names,
            score=self.score,
            size=self.input.size,
            fit=self.input.fit,
            engine="eager" if self.engine == "eager" else "compiled",
            device=self.device,
            registry=self.registry,
        )

    def _plan(
        self,
        methods: MethodLike | Sequence[MethodLike],
        wanted: tuple[Wanted, ...],
        layers: str | Sequence[str],
    ) -> Plan:
        """What is made of each picture."""
        asked = (self._explainer(each) for each in _listed("methods", methods))
        explainers = tuple(sound(each, self.registry) for each in asked)
        wants_layer = [bool(explainer.needs & Needs.LAYER) for explainer in explainers]
        steps: tuple[Step, ...] = ()
        no_layer = None
        try:
            steps = self._layers(layers) if any(wants_layer) else ()
        except LayerError as error:
            if layers or all(wants_layer):
                raise
            no_layer = error
        is_staged = any(Needs.STAGES in explainer.needs for explainer in explainers)
        stages = self._stages(layers) if steps and is_staged else ()
        told = tuple(describe_explainer(each, self.registry) for each in explainers)
        return Plan(explainers, told, steps, stages, wanted, no_layer)

    def read(
        self,
        images: Tensor,
        wanted: Tensor,
        needs: Needs,
        layers: Sequence[Step],
        *,
        rule: Rule = Rule.PLAIN,
        start: Step | None = None,
        filled: int = 0,
    ) -> Reading:
        """Run the one pass that serves `needs`, compiling it where it is new.

        Args:
            images: Preprocessed pictures (N, H, W, C).
            wanted: Class indices or, where negative, ranks, int32 (N, T).
            needs: What is read; queries are passes of their own.
            layers: Where it is read, shallow to deep.
            rule: How rectifiers carry gradients back.
            start: The layer whose activations are given in the place of pictures.
            filled: As many rows at least are read, those beyond the pictures of zeros, so that
                one program serves passes of fewer.

        Raises:
            ExplainerError: the rule is not the plain one, and the model has no rectifier.
        """
        return self._programs.read(
            images, wanted, needs, layers, rule=rule, start=start, filled=filled
        )

    def traced(self, tasks: Sequence[Task], pictures: int) -> Traced | None:
        """Explainers as one program, compiling it where it is new.

        Args:
            tasks: Explainers that are traceable, and the layers of each.
            pictures: How many go through it now.

        Returns:
            None where the engine, or how few pictures there were, speaks against it.
        """
        return self._programs.traced(tasks, pictures)

    def bias_terms(self, images: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        """What each bias adds to the scores, to first order: see `Evidence.bias_terms`.

        Args:
            images: Preprocessed pictures (N, H, W, C).
            targets: Class indices, int32 (N,).
        """
        return self._programs.bias_terms(images, targets)

    def rectifiers(self, rule: Rule) -> int:
        """How many rectifiers of the model a rule replaces."""
        return rewire(self._readout.graph, rule)[1]

    def expect(
        self, picture: PictureLike, expected: TargetLike, method: MethodLike = "grad-cam"
    ) -> Disagreement:
        """Set what the model predicts against what was expected.

        Args:
            picture: A path, a PIL image or an array of RGB 0..255.
            expected: The class that should have been predicted, by index or name.
            method: An explainer's name, or an explainer.
        """
        both = self.compare(picture, [method], [None, expected])
        for failure in both.failures:
            raise failure.error
        predicted, other = both
        return Disagreement(predicted, other, both.predictions, both.passes)

    def gradients(
        self, picture: PictureLike, target: TargetLike = None, *, layer: str | None = None
    ) -> tuple[GradientHistogram, GradientHistogram]:
        """How large the gradients of a score are, at a layer and at the input.

        Args:
            picture: A path, a PIL image or an array of RGB 0..255.
            target: A class, by index or name; None is the predicted class.
            layer: By default the study's own.
        """
        at = self._layers(layer or ())
        wanted = self.classes.find(target)
        return read_gradients(self, picture, wanted, at[0])

    def _wanted(
        self, targets: TargetLike | Sequence[TargetLike], top: int | None, bottom: int | None
    ) -> tuple[Wanted, ...]:
        named = _listed("targets", targets)
        given = {"targets": named != [None], f"top {top}": top, f"bottom {bottom}": bottom}
        several = [name for name, value in given.items() if value not in (None, False)]
        if len(several) > 1:
            raise UsageError(f"received {' and '.join(several)}; expected one of them")
        if top is not None:
            return self.classes.ranked(top)
        if bottom is not None:
            return self.classes.lowest(bottom)
        return tuple(self.classes.find(each) for each in named)

    def _explainer(self, method: object) -> Explainer:
        if isinstance(method, str):
            return self.registry.explainer(method)
        if not isinstance(method, Explainer) or not is_dataclass(method):
            raise UsageError(
                f"received {method!r} as a method; expected a name, or an instance of an Explainer "
                "that is a frozen dataclass, such as GradCAM()"
            )
        return method

    def _metric(self, metric: object) -> Metric:
        if isinstance(metric, str):
            return self.registry.metric(metric)
        if not isinstance(metric, Metric) or not is_dataclass(metric):
            raise UsageError(
                f"received {metric!r} as a metric; expected a name, or an instance of a Metric "
                "that is a frozen dataclass, such as Deletion()"
            )
        return metric

    def _layers(self, names: str | Sequence[str]) -> tuple[Step, ...]:
        """The layers asked for, in the order in which they run, each once."""
        if not names:
            return (self._target_layer,)
        asked = {resolve_layer(self._readout.graph, name).path for name in _listed("layers", names)}
        return tuple(step for step in self._readout.graph.steps if step.path in asked)

    def _stages(self, names: str | Sequence[str]) -> tuple[Step, ...]:
        """The layers asked for where they are several, or else the family's feature layers."""
        asked = self._layers(names)
        if len(asked) > 1:
            return asked
        paths = {feature.name for feature in self.feature_layers}
        return tuple(step for step in self._readout.graph.steps if step.path in paths)

    @cached_property
    def _target_layer(self) -> Step:
        if self._layer is not None:
            return self._layer
        features = self.feature_layers
        if not features:
            raise LayerError(
                f"{self._loaded.model.name!r} has no layer with a spatial extent that every path "
                "from input to output crosses, so there is nothing for a class activation map to "
                "show; expected a convolutional feature map (batch, height, width, channels). "
                "Use a method that needs no layer, such as saliency."
            )
        return self._readout.graph.step(features[-1].name)

    @property
    def origin(self) -> "Origin":
        """Tells model, weights, preprocessing and versions when called, as plain data for JSON.

        The engine is the one in use when this is asked for, and so that of what was just made.
        """
        return Origin(self, self._policy.engine)

    def _origin(self, engine: Engine) -> dict[str, Any]:
        weights = self._weights.sha256()
        return {
            "model": self._loaded.model.name,
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
            "engine": engine,
            "engine_asked": self.engine,
            "backend": keras.backend.backend(),
            "device": self.device,
            "labels": list(self.classes.names or ()) if self._has_own_labels else None,
            "versions": _versions(),
        }


@dataclass(frozen=True)
class Origin:
    """Where something comes from: told when called, by the engine that made it.

    A study may be handed out between the two, and another engine be in use. Those of one study
    and engine are equal, so that the weights are hashed once for many maps.
    """

    study: Study
    engine: Engine

    def __call__(self) -> dict[str, Any]:
        """Model, weights, engine, preprocessing and versions, as plain data for JSON."""
        return self.study._origin(self.engine)


_ONE = (
    str,
    os.PathLike,
    int,
    np.integer,
    Image.Image,
    Picture,
    Explainer,
    Metric,
    type,
    NoneType,
)
"""What stands for one, even where it could be gone through."""


def _listed(what: str, values: Any) -> list[Any]:
    """A list of one where one was given; nothing at all is an error."""
    listed = [values] if _is_one(values) else list(values)
    if not listed:
        raise UsageError(f"received no {what}; expected at least one")
    return listed


def _is_one(value: Any) -> bool:
    if type(value) in (list, tuple):  # at once: to be told from an Explainer takes far longer
        return False
    return isinstance(value, _ONE) or (isinstance(value, np.ndarray) and value.ndim in (2, 3))


def _masks(masks: Any, pictures: int) -> list[MaskLike]:
    """One for each picture."""
    if masks is None:
        return [None] * pictures
    given = [masks] if isinstance(masks, Box) else _listed("masks", masks)
    if len(given) != pictures:
        raise UsageError(
            f"received {len(given)} masks for {pictures} pictures; expected one for each, and None "
            "where there is none. Put several boxes of one picture into a tuple of their own"
        )
    return given


def _checked_seed(seed: object) -> int:
    if type(seed) is not int or not 0 <= seed < 2**31:
        raise UsageError(f"received seed {seed!r}; expected a whole number, 0 to 2**31 - 1")
    return seed


def _told_apart(what: str, names: Sequence[str]) -> None:
    """Rows of a ranking go by their names."""
    for name in names:
        if names.count(name) > 1:
            of = " (a reference row has that name)" if name in REFERENCES else ""
            raise UsageError(f"received {what} with {name!r} twice{of}; expected each once")


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


def _study_warnings(loaded: LoadedModel, readout: Readout, made: Input) -> list[MapWarning]:
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
