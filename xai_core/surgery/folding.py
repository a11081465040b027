"""Normalisations folded into the convolutions before them: the same function, in fewer operations.

Where nothing but the normalisation reads a convolution's output, scale (W x + b) + shift is
(scale W) x + (scale b + shift). The layers of the model are not touched: the convolution gets a
stand-in on variables of its own, and the normalisation passes its input on. Where that would take a
copy of a large kernel to save next to nothing, the normalisation becomes a scale and a shift.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from types import MappingProxyType
from typing import Any

import keras
import numpy as np

from xai_core.surgery.graph import Graph, Step
from xai_core.surgery.readout import activation_name, with_attributes
from xai_core.surgery.weights import Weights
from xai_core.typing import FloatArray, Tensor


def _along_last(kernel: FloatArray, scale: FloatArray) -> FloatArray:
    """In float64, without a copy in float64: of all kernels these would be what a study holds."""
    made = np.empty_like(kernel)
    return np.multiply(kernel, scale, out=made, dtype=np.float64, casting="same_kind")


def _by_channel(kernel: FloatArray, scale: FloatArray) -> FloatArray:
    """A depthwise kernel (h, w, channels, multiplier)."""
    return _along_last(kernel, scale.reshape(kernel.shape[2:]))


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


LARGE = 3 * 2**20
"""Values of a kernel from which on it is not copied: 12 MiB. Smaller ones are: an operation more
for each takes a hundredth of the time of one picture by ResNet50, which has four of 8 to 9 MiB."""
_TIMES = 8
"""If they are as many times those that it makes of a picture, as at the end of Xception."""


@dataclass(frozen=True)
class _StandIn:
    """What takes the place of a layer."""

    operation: Callable[..., Any]
    reads: tuple[Any, ...]
    """Its variables."""


class Folding:
    """Folds the normalisations of one model. What was folded once is kept.

    The values are those that the weights have then: it is for models that no one changes.

    Args:
        weights: How to come by values of variables, and make others of them.
    """

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._made: dict[str, tuple[_StandIn | None, _StandIn]] = {}
        """For a convolution, which may stay, and the normalisation, by the latter's path."""

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
            if step.path not in self._made:
                make = _scale_and_shift if _is_large(before, graph.shapes[between]) else _fold
                self._made[step.path] = make(before.operation, step.operation, self._weights)
            for place, made in zip((before, step), self._made[step.path], strict=True):
                if made is not None:
                    changed[place.path] = replace(place, operation=made.operation, reads=made.reads)
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


def _is_large(convolution: Step, made: Sequence[int | None]) -> bool:
    conv: Any = convolution.operation
    name, _ = _KERNELS[type(conv)]
    values = prod(getattr(conv, name).shape)
    places = [each for each in made[1:] if each is not None]
    return len(places) == len(made) - 1 and values >= max(LARGE, _TIMES * prod(places))


def _fold(conv: Any, norm: Any, weights: Weights) -> tuple[_StandIn, _StandIn]:
    name, scaled = _KERNELS[type(conv)]
    kernel = getattr(conv, name)
    bias = weights.wide(conv.bias) if conv.use_bias else 0.0
    scale, shift = _read(norm, weights)
    folded = weights.made(scaled(weights.of(kernel), scale), kernel)
    shifted = weights.made(scale * bias + shift, kernel)
    stand_in = with_attributes(conv, **{name: folded, "bias": shifted, "use_bias": True})
    old = {id(kernel), id(conv.bias)}
    left = (each for each in conv.weights if id(each) not in old)
    return _StandIn(stand_in, (*left, folded, shifted)), _StandIn(_passes_on, ())


def _scale_and_shift(_: Any, norm: Any, weights: Weights) -> tuple[None, _StandIn]:
    scale, shift = (weights.made(each, norm.moving_mean) for each in _read(norm, weights))

    def scaled(tensor: Tensor, **_: Any) -> Tensor:
        return tensor * scale + shift

    return None, _StandIn(scaled, (scale, shift))


def _read(norm: Any, weights: Weights) -> tuple[FloatArray, FloatArray]:
    """What a normalisation multiplies by and adds, in float64."""
    scale = 1 / np.sqrt(weights.wide(norm.moving_variance) + norm.epsilon)
    if norm.scale:
        scale = scale * weights.wide(norm.gamma)
    shift = -weights.wide(norm.moving_mean) * scale
    return scale, shift + weights.wide(norm.beta) if norm.center else shift


def _passes_on(tensor: Tensor, **_: Any) -> Tensor:
    return tensor
