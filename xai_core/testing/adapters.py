"""The laws that hold for every adapter."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar

import keras
import numpy as np
from keras import layers, ops

from xai_core.errors import LayerError, ModelError
from xai_core.evidence import Evidence
from xai_core.interfaces import Explainer, ModelAdapter
from xai_core.needs import Needs
from xai_core.preprocessing import Preprocessing
from xai_core.registry import Registry
from xai_core.study import Study
from xai_core.surgery import Graph, is_spatial, measure, read_graph, read_out, stride
from xai_core.testing.laws import Check
from xai_core.testing.models import EVERYDAY, same_chance
from xai_core.testing.subject import Benches, draw
from xai_core.typing import FloatArray, Tensor

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_READ = "ModelAdapter, on the reference's page of plugins"
_OWN = "its own model"
_TUNED = "its own backbone in a fine-tune"
_SOMEWHERE = (64, 96)
"""The size of pictures for an adapter that has none."""


@dataclass
class Candidate:
    """An adapter that is being tried."""

    adapter: ModelAdapter
    benches: Benches
    used: dict[str, None] = field(default_factory=dict)
    note: str = ""

    @property
    def is_fallback(self) -> bool:
        """Whether it describes models and builds none."""
        return self.adapter.rank < 0

    @cached_property
    def own(self) -> keras.Model:
        """Its own model, with random weights."""
        with same_chance():
            return self.adapter.build("random")

    @cached_property
    def tuned(self) -> keras.Model | None:
        """A new head on its own model up to its default layer; None where that is no layer."""
        outer = {layer.name: layer for layer in self.own.layers}
        try:
            *_, default = self.adapter.feature_layers(self.measured(self.own))
            found = outer[default.name].output
        except Exception:  # noqa: BLE001 - what is wrong with its layers, their own law tells
            return None
        if len(found.shape) != 4:
            return None
        with same_chance():
            backbone = keras.Model(self.own.inputs[0], found, name="backbone")
            if not self.adapter.matches(read_graph(backbone)):
                return None
            inputs = keras.Input(self.own.inputs[0].shape[1:])
            x = layers.GlobalAveragePooling2D()(backbone(inputs))
            return keras.Model(inputs, layers.Dense(3, "softmax")(x), name="fine-tune")

    def measured(self, model: keras.Model) -> Graph:
        """A model's graph, with every shape known."""
        graph = read_graph(model)
        shape = graph.shapes[graph.input]
        size = self.adapter.input_size or _SOMEWHERE
        return measure(graph, (shape[1] or size[0], shape[2] or size[1]), shape[3] or 3)

    def described(self) -> Iterator[tuple[str, Graph]]:
        """What it must be able to describe: its family, or all that a fall-back recognises."""
        if self.is_fallback:
            for name in EVERYDAY:
                self.used[name] = None
                graph = self.benches[name].study.graph
                if self.adapter.matches(graph):
                    yield name, graph
            return
        for name, model in ((_OWN, self.own), (_TUNED, self.tuned)):
            if model is not None:
                self.used[name] = None
                yield name, self.measured(model)


def interface(candidate: Candidate) -> Iterator[str]:
    """What an adapter says of itself."""
    adapter = candidate.adapter
    kind = type(adapter)
    frozen = getattr(vars(kind).get("__dataclass_params__"), "frozen", False)
    if not is_dataclass(adapter) or not frozen:
        yield f"{kind.__name__} is no frozen dataclass; expected @dataclass(frozen=True)"
    for name, fits in _FIELDS.items():
        value = getattr(adapter, name, "nothing")
        if not fits(value):
            yield f"{name} is {value!r}; expected what xai_core.ModelAdapter says of it"


_FIELDS: Mapping[str, Callable[[Any], bool]] = MappingProxyType(
    {
        "name": lambda value: isinstance(value, str) and bool(_NAME.fullmatch(value)),
        "summary": lambda value: (
            isinstance(value, str) and bool(value.strip()) and "\n" not in value
        ),
        "rank": lambda value: isinstance(value, int),
        "input_size": lambda value: (
            value is None
            or (
                isinstance(value, tuple)
                and len(value) == 2
                and all(isinstance(side, int) and side >= 1 for side in value)
            )
        ),
        "preprocessing": lambda value: value is None or isinstance(value, Preprocessing),
        "fit": lambda value: value in ("crop", "stretch"),
    }
)


def builds(candidate: Candidate) -> Iterator[str]:
    """It builds a classifier of pictures, and says what it cannot build."""
    adapter = candidate.adapter
    wrong = "no-such-weights" if not candidate.is_fallback else "random"
    try:
        adapter.build(wrong)
    except ModelError:
        pass
    except Exception as error:  # noqa: BLE001 - whatever it raises is what is told
        yield (
            f"build({wrong!r}) raised {type(error).__name__}: {error}; expected a ModelError that "
            "says what to pass"
        )
    else:
        yield f"build({wrong!r}) made a model; expected a ModelError that says what to pass"
    if candidate.is_fallback:
        return
    candidate.used[_OWN] = None
    model = candidate.own
    if not isinstance(model, keras.Model):
        yield f"build('random') made a {type(model).__name__}; expected a keras.Model"
        return
    graph = candidate.measured(model)
    read_out(graph)
    shape = read_graph(model).shapes[graph.input]
    size = adapter.input_size or shape[1:3]
    if len(shape) != 4 or any(
        mine not in (None, said) for mine, said in zip(shape[1:3], size, strict=True)
    ):
        yield f"build('random') takes {shape}; expected pictures of input_size {size}"
    if shape[3] not in (1, 3):
        yield f"build('random') takes {shape}; expected 1 or 3 channels, channels last"


def recognises(candidate: Candidate) -> Iterator[str]:
    """It matches what it built."""
    if candidate.is_fallback:
        return
    adapter = candidate.adapter
    candidate.used[_OWN] = None
    if not adapter.matches(read_graph(candidate.own)):
        yield "matches() does not recognise the model that build('random') made"
        return
    if candidate.tuned is not None:
        candidate.used[_TUNED] = None
        if not adapter.matches(read_graph(candidate.tuned)):
            yield (
                "matches() recognises its backbone alone, and not as one layer of a fine-tune: "
                "backbone, global average pooling, dense"
            )


def no_other(candidate: Candidate) -> Iterator[str]:
    """It matches nothing else, and never raises."""
    graphs = {name: candidate.benches[name].study.graph for name in EVERYDAY}
    with same_chance():
        graphs["no-picture"] = read_graph(
            keras.Sequential([keras.Input((8,)), layers.Dense(2)], name="no-picture")
        )
    for name, graph in graphs.items():
        candidate.used[name] = None
        try:
            found = candidate.adapter.matches(graph)
        except Exception as error:  # noqa: BLE001 - whatever it raises is what is told
            yield f"on {name} matches() raised {type(error).__name__}: {error}"
            continue
        if found and not candidate.is_fallback:
            yield f"on {name}, which has {len(graph.steps)} layers, matches() says yes"


def layers_are_cuts(candidate: Candidate) -> Iterator[str]:
    """Its feature layers can be explained at."""
    for name, graph in candidate.described():
        found = candidate.adapter.feature_layers(graph)
        if not found:
            yield f"on {name} there is no feature layer; expected one at least"
            continue
        order = {step.path: position for position, step in enumerate(graph.steps)}
        positions = []
        for feature in found:
            try:
                step = graph.step(feature.name)
            except LayerError as error:
                yield f"on {name}: {error}"
                continue
            positions.append(order[step.path])
            if step.path not in graph.cuts:
                yield f"on {name} there are paths around {step.path!r}; expected a cut of the graph"
            if not is_spatial(graph.shape(step)):
                yield (
                    f"on {name} {step.path!r} has shape {graph.shape(step)}; expected (batch, "
                    "height, width, channels)"
                )
                continue
            shown = stride(graph, step)
            # Odd sides, and convolutions without padding, take something off.
            if shown is not None and abs(shown - feature.stride) > 0.25 * feature.stride:
                yield (
                    f"on {name} {step.path!r} has the stride {feature.stride}; expected {shown:g}, "
                    "the input's height over the layer's"
                )
        if positions != sorted(set(positions)):
            paths = ", ".join(feature.name for feature in found)
            yield f"on {name} the feature layers are {paths}; expected each once, shallow to deep"


def preprocessing(candidate: Candidate) -> Iterator[str]:
    """What it does to pictures."""
    scheme = candidate.adapter.preprocessing
    if scheme is None:
        return
    size = candidate.adapter.input_size or _SOMEWHERE
    channels = 3 if candidate.is_fallback else candidate.own.inputs[0].shape[3]
    pictures = np.stack([draw(size, channels, number) for number in range(2)])
    for dtype in (np.float32, np.float64):
        given: FloatArray = pictures.astype(dtype)
        made = np.asarray(scheme.apply(given))
        if not np.array_equal(given, pictures):
            yield f"{scheme.name} writes into the pictures that it is given; expected a new array"
            return
        if made.shape != given.shape or made.dtype != given.dtype:
            yield (
                f"{scheme.name} makes {made.dtype} {made.shape} of {given.dtype} {given.shape}; "
                "expected the same"
            )
            return
        if not np.isfinite(made).all():
            yield f"{scheme.name} makes values that are not finite"
        if not np.array_equal(made, np.asarray(scheme.apply(given.copy()))):
            yield f"{scheme.name} makes something else the second time"
        if not np.allclose(made[1:], np.asarray(scheme.apply(given[1:])), atol=1e-6):
            yield f"{scheme.name} makes something else of a picture when there is another beside it"


def labels(candidate: Candidate) -> Iterator[str]:
    """As many names as classes, or none."""
    counts = [1, 2, 7]
    if not candidate.is_fallback:
        candidate.used[_OWN] = None
        counts.append(read_out(candidate.measured(candidate.own)).classes)
    for count in counts:
        names = candidate.adapter.labels(count)
        if names is not None and (
            len(names) != count or not all(isinstance(each, str) for each in names)
        ):
            yield f"labels({count}) has {len(names)} entries; expected {count} names, or None"


@dataclass(frozen=True)
class _Weighed(Explainer):
    """sum_k mean_ij(g_k) A_k: what a class activation map reads, and no more."""

    name: ClassVar[str] = "weighed"
    needs: ClassVar[Needs] = Needs.ACTIVATIONS | Needs.ACTIVATION_GRADIENTS

    def explain(self, evidence: Evidence) -> Tensor:
        """Weigh each channel by its mean gradient."""
        weights = ops.mean(evidence.activation_gradients, axis=(1, 2), keepdims=True)
        return ops.sum(weights * evidence.activations, axis=-1)


def explains(candidate: Candidate) -> Iterator[str]:
    """Its model can be explained at its default layer."""
    if candidate.is_fallback:
        models = {name: candidate.benches[name].model for name in EVERYDAY}
    else:
        models = {_OWN: candidate.own}
    for name, model in models.items():
        candidate.used[name] = None
        # Not by its own preprocessing, which has a law of its own.
        study = Study(model, adapter=candidate.adapter, preprocess="unit", registry=Registry([]))
        picture = draw(study.input.size, study.input.channels, 0)
        one = study.explain(picture, _Weighed(), target=0)
        step = study.graph.step(study.feature_layers[-1].name)
        expected = study.graph.shape(step)[1:3]
        if one.layer != step.path or one.map.shape != expected:
            yield (
                f"on {name} the map is of {one.layer!r} and has shape {one.map.shape}; expected "
                f"{step.path!r} and {expected}"
            )
        if not np.isfinite(one.map).all() or not one.map.any():
            yield f"on {name} the map is {one.map.min():g} to {one.map.max():g}; expected numbers"


ADAPTERS = (
    Check(
        "interface",
        "An adapter is a frozen dataclass with a name, a one-line summary, a rank, and the rest "
        "that `xai_core.ModelAdapter` asks for.",
        "an `input_size` that is a list or (channels, height, width), a summary of several lines, "
        "or a preprocessing that is a bare function: wrap it in `Preprocessing`.",
        _READ,
        interface,
    ),
    Check(
        "builds",
        "`build('random')` makes a classifier of pictures of `input_size`; weights that cannot be "
        "had are a `ModelError`; a fall-back, of a rank below 0, builds none.",
        "`weights=None` of a `keras.applications` model with another `input_shape`, or whatever a "
        "file raises passed on as it is.",
        _READ,
        builds,
    ),
    Check(
        "recognises",
        "`matches()` recognises the model that it built, and its backbone inside a fine-tune.",
        "layers looked up by names at the top of the model, or on the Keras model: a Graph is flat "
        "and its paths carry the names of the models around them.",
        _READ,
        recognises,
    ),
    Check(
        "no-other",
        "`matches()` never raises, and says no to models of other families unless it is a "
        "fall-back.",
        "too little is compared, such as the number of layers or the input's shape; or a layer "
        "that a model does not have is looked up without catching `LayerError`.",
        _READ,
        no_other,
    ),
    Check(
        "preprocessing",
        "The preprocessing keeps shape and dtype, makes finite numbers, the same every time, of "
        "each picture by itself, and leaves what it is given as it was.",
        "an operation in place, as `preprocess_input` of `keras.applications` does: copy first; "
        "constants of another dtype; a mean over the batch.",
        "Preprocessing, on the reference's page of plugins",
        preprocessing,
    ),
    Check(
        "labels",
        "`labels(n)` has n names, or is `None`.",
        "the family's own names returned for any number of classes, as those of a fine-tune.",
        _READ,
        labels,
    ),
    Check(
        "layers",
        "The feature layers exist, are cuts of the graph with places, each once, shallow to deep, "
        "and their strides are what the shapes say.",
        "a layer inside a residual branch, a stride that was copied from a relative, or the order "
        "turned round: the last is the default.",
        _READ,
        layers_are_cuts,
    ),
    Check(
        "explains",
        "Its model can be explained at its default layer: a map of that layer's places, finite and "
        "not 0.",
        "a default layer behind which the score no longer depends on it, or weights that overflow.",
        _READ,
        explains,
    ),
)
"""In the order in which they are tried."""
