"""Which layers a model can be cut at, and which of them to explain by default."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from keras import ops

from xai_core.errors import LayerError
from xai_core.surgery.graph import Graph, Step

_RESAMPLES = frozenset(
    {
        "MaxPooling2D",
        "AveragePooling2D",
        "ZeroPadding2D",
        "Cropping2D",
        "UpSampling2D",
        "Resizing",
        "CenterCrop",
        "Dropout",
        "SpatialDropout2D",
        "AlphaDropout",
        "GaussianDropout",
        "GaussianNoise",
        "ActivityRegularization",
        "Identity",
        "Cast",
    }
)
"""Layers whose output is the map before it, resampled or passed on: no target of their own."""


@dataclass(frozen=True)
class FeatureLayer:
    """A layer that can be explained at, as its owner declares it."""

    name: str
    stride: int
    """Input pixels to one place of the layer, along each side."""


@dataclass(frozen=True)
class LayerRow:
    """What `xai layers` says of one layer."""

    name: str
    kind: str
    shape: tuple[int | None, ...]
    stride: float | None
    """Input height over the layer's; None where it has no spatial extent."""
    is_cut: bool
    is_feature: bool
    is_default: bool


def measure(graph: Graph, size: tuple[int, int], channels: int) -> Graph:
    """The graph with every shape known, for pictures of `size` (height, width).

    Where the model leaves its size open, one forward pass on a blank picture
    tells the shapes: Keras could infer them only by symbolic calls, which leave
    traces in the user's layers.
    """
    relevant = {value for step in graph.relevant for value in step.outputs}
    if all(None not in graph.shapes[value][1:] for value in relevant):
        return graph
    blank = ops.zeros((1, *size, channels), dtype=graph.input_dtype)
    values = graph.run({graph.input: blank}, sorted(relevant))
    shapes: Mapping[int, tuple[int | None, ...]] = {
        **graph.shapes,
        graph.input: (None, *size, channels),
        **{value: (None, *tensor.shape[1:]) for value, tensor in values.items()},
    }
    return Graph(
        name=graph.name,
        steps=graph.steps,
        input=graph.input,
        output=graph.output,
        input_dtype=graph.input_dtype,
        shapes=shapes,
    )


def is_spatial(shape: tuple[int | None, ...]) -> bool:
    """Whether (N, h, w, K) with more than one place."""
    return len(shape) == 4 and (shape[1], shape[2]) != (1, 1)


def candidates(graph: Graph) -> tuple[Step, ...]:
    """The cuts with a spatial extent that hold features, shallow to deep.

    Features begin with the first layer that has a kernel; a layer that only
    resamples what is before it is left out.
    """
    found = []
    has_features = False
    for step in graph.relevant:
        has_features = has_features or step.has_kernel
        if (
            has_features
            and step.path in graph.cuts
            and is_spatial(graph.shape(step))
            and step.kind not in _RESAMPLES
        ):
            found.append(step)
    return tuple(found)


def deepest_per_resolution(graph: Graph) -> tuple[str, ...]:
    """The deepest candidate of each spatial resolution, shallow to deep."""
    by_resolution = {graph.shape(step)[1:3]: step.path for step in candidates(graph)}
    order = {step.path: position for position, step in enumerate(graph.steps)}
    return tuple(sorted(by_resolution.values(), key=order.__getitem__))


def resolve_layer(graph: Graph, name: str) -> Step:
    """The step that a user names as a target layer.

    Raises:
        LayerError: it does not exist, is no cut of the graph, or has no spatial extent.
    """
    step = graph.step(name)
    if not is_spatial(graph.shape(step)):
        raise LayerError(
            f"layer {step.path!r} has output shape {graph.shape(step)}; expected a spatial one, "
            f"(batch, height, width, channels), such as {_examples(graph)}"
        )
    if step.path not in graph.cuts:
        raise LayerError(
            f"layer {step.path!r} is no cut of {graph.name!r}: there are paths from input to "
            f"output around it. Take one of the cuts near it: {_nearest(graph, step)}"
        )
    return step


def _examples(graph: Graph) -> str:
    return ", ".join(deepest_per_resolution(graph)[-3:]) or "none: this model has no such layer"


def _nearest(graph: Graph, step: Step) -> str:
    order = {each.path: position for position, each in enumerate(graph.steps)}
    here = order[step.path]
    paths = [each.path for each in candidates(graph)]
    before = [path for path in paths if order[path] < here][-1:]
    after = [path for path in paths if order[path] > here][:1]
    return ", ".join(before + after) or "none: this model has none"


def stride(graph: Graph, step: Step) -> float | None:
    """Input height over the layer's height, where both are known."""
    shape, whole = graph.shape(step), graph.shapes[graph.input]
    if len(shape) != 4 or not shape[1] or not whole[1]:
        return None
    return float(np.round(whole[1] / shape[1], 2))


def describe(graph: Graph, features: tuple[str, ...]) -> tuple[LayerRow, ...]:
    """One row for each layer, in the order they run; `features` ends with the default."""
    relevant = {step.path for step in graph.relevant}
    return tuple(
        LayerRow(
            name=step.path,
            kind=step.kind,
            shape=graph.shape(step),
            stride=stride(graph, step),
            is_cut=step.path in graph.cuts and is_spatial(graph.shape(step)),
            is_feature=step.path in features,
            is_default=features[-1:] == (step.path,),
        )
        for step in graph.steps
        if step.path in relevant
    )
