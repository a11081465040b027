"""What a model adds where its input is nothing: its biases, each at the layer that has it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import ops

from xai_core.surgery.graph import Graph, Step
from xai_core.surgery.readout import without_activation
from xai_core.typing import Tensor

_AFFINE = frozenset(
    {
        "BatchNormalization",
        "Conv1D",
        "Conv2D",
        "Conv2DTranspose",
        "Dense",
        "DepthwiseConv2D",
        "EinsumDense",
        "Normalization",
        "Rescaling",
        "SeparableConv2D",
    }
)
"""Layers that are a linear map plus a bias, but for an activation they may end with."""


@dataclass(frozen=True)
class _Shifted:
    """An affine layer that adds `offset` before its activation."""

    layer: Any
    offset: Tensor

    def __call__(self, tensor: Tensor, **kwargs: Any) -> Tensor:
        linear, activation = _taken_apart(self.layer)
        return activation(linear(tensor, **kwargs) + ops.cast(self.offset, linear.compute_dtype))


def biased_steps(graph: Graph) -> Iterator[Step]:
    """The steps on a path from input to output that add a bias."""
    for step in graph.relevant:
        layer = step.operation
        if step.kind in _AFFINE and isinstance(layer, keras.Layer) and len(step.inputs) == 1:
            yield step


def bias_of(graph: Graph, step: Step, weights: Sequence[tuple[Any, Tensor]] = ()) -> Tensor:
    """What a step makes of nothing, before its activation: (1, ..., K).

    Args:
        graph: The model.
        step: One of its steps.
        weights: Variables, and what stands in the place of each.
    """
    linear, _ = _taken_apart(step.operation)
    nothing = ops.zeros((1, *graph.shapes[step.inputs[0]][1:]), linear.compute_dtype)
    with keras.StatelessScope(weights, collect_losses=True, initialize_variables=False):
        return linear(nothing, training=False)


def with_offsets(graph: Graph, offsets: Mapping[str, Tensor]) -> Graph:
    """The graph with something added to what each of some affine steps computes."""
    steps = tuple(
        replace(step, operation=_Shifted(step.operation, offsets[step.path]))
        if step.path in offsets
        else step
        for step in graph.steps
    )
    return replace(graph, steps=steps)


def _taken_apart(layer: Any) -> tuple[Any, Any]:
    """A layer without its activation, and the activation."""
    activation = vars(layer).get("activation")
    if activation is None:
        return layer, keras.activations.linear
    return without_activation(layer), activation
