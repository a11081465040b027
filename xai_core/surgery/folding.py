"""Normalisations folded into the convolutions before them: the same function, in fewer operations.

Where nothing but the normalisation reads a convolution's output, scale (W x + b) + shift is
(scale W) x + (scale b + shift). The layers of the model are not touched: the convolution gets a
stand-in on variables of its own, and the normalisation passes its input on.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import keras
import numpy as np

from xai_core.surgery.graph import Graph, Step
from xai_core.surgery.readout import activation_name, with_attributes
from xai_core.typing import FloatArray, Tensor


def _along_last(kernel: FloatArray, scale: FloatArray) -> FloatArray:
    return kernel * scale


def _by_channel(kernel: FloatArray, scale: FloatArray) -> FloatArray:
    """A depthwise kernel (h, w, channels, multiplier)."""
    return kernel * scale.reshape(kernel.shape[2:])


_KERNELS: Mapping[type, tuple[str, Callable[[FloatArray, FloatArray], FloatArray]]] = (
    MappingProxyType(
        {
            keras.layers.Conv2D: ("_kernel", _along_last),
            keras.layers.SeparableConv2D: ("pointwise_kernel", _along_last),
            keras.layers.DepthwiseConv2D: ("kernel", _by_channel),
        }
    )
)
"""Where a convolution keeps the kernel that makes its output, and how its channels are scaled.

Exactly these classes: what one derived from them does in `call` is not known.
"""


@dataclass(frozen=True)
class _Pair:
    """A convolution with a normalisation folded into it."""

    stand_in: Any
    reads: tuple[Any, ...]
    """Its variables."""


class Folding:
    """Folds the normalisations of one model. What was folded once is kept.

    The values are those that the weights have then: it is for models that no one changes.

    Args:
        to_host: Reads a tensor.
    """

    def __init__(self, to_host: Callable[[Tensor], FloatArray]) -> None:
        self._to_host = to_host
        self._pairs: dict[str, _Pair] = {}

    def __call__(self, graph: Graph, kept: Collection[int]) -> Graph:
        """The graph with what can be folded.

        Args:
            graph: The model, under any rule for its rectifiers.
            kept: Values that are read from outside, and must stay what they are.
        """
        makers = {value: step for step in graph.steps for value in step.outputs}
        readers = Counter(value for step in graph.steps for value in step.inputs)
        changed: dict[str, Step] = {}
        for step in graph.steps:
            before = makers.get(step.inputs[0]) if len(step.inputs) == 1 else None
            if before is None or not _fits(before, step):
                continue
            (between,) = before.outputs
            if readers[between] > 1 or between in kept or between == graph.output:
                continue
            if step.path not in self._pairs:
                self._pairs[step.path] = _fold(before.operation, step.operation, self._to_host)
            pair = self._pairs[step.path]
            changed[before.path] = replace(before, operation=pair.stand_in, reads=pair.reads)
            changed[step.path] = replace(step, operation=_passes_on)
        return replace(graph, steps=tuple(changed.get(step.path, step) for step in graph.steps))


def _fits(convolution: Step, normalisation: Step) -> bool:
    """Whether the one is a plain normalisation, and the other a plain convolution."""
    conv: Any = convolution.operation
    norm: Any = normalisation.operation
    if type(norm) is not keras.layers.BatchNormalization or type(conv) not in _KERNELS:
        return False
    dtypes = {
        each for layer in (conv, norm) for each in (layer.compute_dtype, layer.variable_dtype)
    }
    is_last = norm.axis in (-1, len(conv.output.shape) - 1)
    return (
        is_last
        and is_plain(conv)
        and activation_name(convolution) == "linear"
        and len(convolution.outputs) == 1
        and len(dtypes) == 1
    )


def is_plain(convolution: Any) -> bool:
    """Whether a convolution reads its kernel as it is, with the channels last."""
    return convolution.data_format == "channels_last" and reads_its_kernel(convolution)


def reads_its_kernel(layer: Any) -> bool:
    """Whether a layer's kernel is the one that it multiplies by: neither adapted nor quantised."""
    is_adapted = bool(getattr(layer, "lora_enabled", False))
    return layer.quantization_mode is None and not is_adapted


def computes_in_full(layer: Any) -> bool:
    """Whether a layer computes in what its weights are kept in: float32 or float64."""
    dtypes = {layer.compute_dtype, layer.variable_dtype}
    return dtypes in ({"float32"}, {"float64"})


def _fold(conv: Any, norm: Any, to_host: Callable[[Tensor], FloatArray]) -> _Pair:
    name, scaled = _KERNELS[type(conv)]
    kernel = getattr(conv, name)

    def wide(variable: Any) -> FloatArray:
        return np.asarray(to_host(variable.value), np.float64)

    scale = 1 / np.sqrt(wide(norm.moving_variance) + norm.epsilon)
    shift = -wide(norm.moving_mean)
    if conv.use_bias:
        shift = shift + wide(conv.bias)
    if norm.scale:
        scale = scale * wide(norm.gamma)
    shift = shift * scale
    if norm.center:
        shift = shift + wide(norm.beta)
    folded = _variable(scaled(wide(kernel), scale), kernel)
    bias = _variable(shift, kernel)
    stand_in = with_attributes(conv, **{name: folded, "bias": bias, "use_bias": True})
    old = {id(kernel), id(conv.bias)}
    left = (each for each in conv.weights if id(each) not in old)
    return _Pair(stand_in, (*left, folded, bias))


def _variable(values: FloatArray, like: Any) -> Any:
    return keras.Variable(values.astype(like.dtype), dtype=like.dtype, trainable=False)


def _passes_on(tensor: Tensor, **_: Any) -> Tensor:
    return tensor
