"""Convolutions of size 3 by fewer multiplications, forwards and back.

Winograd's minimal filtering F(2 x 2, 3 x 3): four places beside each other take 16 products of a
channel with a channel instead of 36. Lavin and Gray, "Fast Algorithms for Convolutional Neural
Networks", CVPR 2016, section 4.1. Of overlapping tiles d of 4 x 4 and a kernel g,

    y = A' [(G g G') * (B' d B)] A,

where `*` goes place by place and sums over channels: 16 products of matrices. The sums of tiles
before and after would take as long as is saved if each were written to memory by itself, so that a
backend that joins them is needed.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial, reduce
from math import ceil, prod
from operator import add, sub
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
from keras import activations, ops

from xai_core.probe.way_back import with_way_back
from xai_core.probe.windows import windows
from xai_core.surgery import Graph, Step
from xai_core.surgery.folding import is_plain
from xai_core.surgery.weights import Weights
from xai_core.typing import FloatArray, Tensor

_G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
_DIFFERENCES = ((0, 2, -1), (1, 2, 1), (2, 1, -1), (1, 3, -1))
"""The rows of B': one place of a tile, and another, added or taken off."""
_SUMS = ((1, 1, 1, 0), (0, 1, -1, -1))
"""The rows of A'."""
_SIZE = (3, 3)
_BEFORE = MappingProxyType({"valid": 0, "same": 1})
"""Places of padding on each side; on the way back, what is left of 2."""
_TILE = (4, 4)

PAIRS = 2**15
"""Input times output channels from which on more is saved on products than spent on tiles: with 128
to 128 channels as much, with 256 to 256 a third of the convolution."""
PRODUCTS = 2**25
"""And as many again times the places of a picture. In ResNet50, where there are fewer, what kernels
of 16/9 of the size take to be read outweighs the rest."""

_RELU = activations.relu
_ACTIVATIONS = (activations.linear, _RELU)


class Minimal:
    """Puts minimal filtering in the place of the convolutions of one model.

    The values are those that the weights have then: it is for models that no one changes.

    Args:
        weights: How to come by values of variables, and make others of them.
        joined: Makes one operation of a function of tensors, for use within a program.
    """

    def __init__(
        self,
        weights: Weights,
        joined: Callable[[Callable[..., Any]], Callable[..., Any]],
    ) -> None:
        self._weights = weights
        self._join = joined
        self._kernels: dict[tuple[int, Any], tuple[Any, tuple[Any, ...]]] = {}
        """By the `id` of a variable and how it is turned: itself, to keep the `id`, and the 16."""
        self._programs: dict[tuple[Any, ...], Callable[..., Any]] = {}

    def forwards(self, graph: Graph, steps: Sequence[Step]) -> Graph:
        """The graph, with what can be put in place where no gradient goes back.

        Args:
            graph: The model, with what can be folded folded.
            steps: Steps of it, by their paths.
        """
        return _put_in_place(self._forwards, graph, steps)

    def both_ways(self, graph: Graph, steps: Sequence[Step]) -> Graph:
        """The same, where gradients go back: by minimal filtering as well."""
        return _put_in_place(self._both_ways, graph, steps)

    def _forwards(self, step: Step) -> Step:
        conv: Any = step.operation
        before = _BEFORE[conv.padding]
        kernels, bias = self._kernels_of(conv.kernel, _as_it_is), _bias_of(conv)

        def filtering(inputs: Tensor, **_: Any) -> Tensor:
            tiles = self._joined(spread_out, before)(inputs)
            return self._gathered(inputs, before, conv.activation, tiles, kernels, bias)

        return replace(step, operation=filtering, reads=(*kernels, *bias))

    def _both_ways(self, step: Step) -> Step:
        conv: Any = step.operation
        forwards = self._forwards(step)
        before = _BEFORE[conv.padding]
        turned = self._kernels_of(conv.kernel, _turned)
        spread = self._joined(
            spread_rectified if conv.activation is _RELU else spread_out, 2 - before
        )

        def back(upstream: Tensor, made_of: Tensor) -> Tensor:
            given = (upstream, made_of) if conv.activation is _RELU else (upstream,)
            tiles = spread(*given)
            return self._gathered(upstream, 2 - before, activations.linear, tiles, turned, ())

        both_ways = with_way_back(forwards.operation, back)

        def filtered(inputs: Tensor, **_: Any) -> Tensor:
            return both_ways(inputs)

        return replace(forwards, operation=filtered, reads=(*forwards.weights, *turned))

    def _gathered(
        self,
        inputs: Tensor,
        before: int,
        activation: Callable[..., Any],
        tiles: Sequence[Tensor],
        kernels: Sequence[Any],
        bias: Sequence[Any],
    ) -> Tensor:
        products = map(ops.matmul, tiles, map(ops.convert_to_tensor, kernels))
        places = tuple(side + 2 * before - 2 for side in inputs.shape[1:3])
        gather = self._joined(gathered, places, activation)
        return gather(*products, *map(ops.convert_to_tensor, bias))

    def _kernels_of(self, kernel: Any, turn: Callable[[FloatArray], FloatArray]) -> tuple[Any, ...]:
        """One variable for each product: a part of a larger one JAX would copy each time."""
        key = (id(kernel), turn)
        if key not in self._kernels:
            each = transformed(turn(self._weights.of(kernel)))
            made_of = tuple(self._weights.made(one, kernel) for one in each)
            self._kernels[key] = (kernel, made_of)
        return self._kernels[key][1]

    def _joined(self, function: Callable[..., Any], *settings: Any) -> Callable[..., Any]:
        """One program for all layers alike: they share what is compiled."""
        key = (function, *settings)
        if key not in self._programs:
            self._programs[key] = self._join(partial(function, *settings))
        return self._programs[key]


def fits(graph: Graph, steps: Sequence[Step]) -> bool:
    """Whether minimal filtering has a place among some steps."""
    return any(_fits(step, graph) for step in steps)


def _put_in_place(stand_in: Callable[[Step], Step], graph: Graph, steps: Sequence[Step]) -> Graph:
    paths = {step.path for step in steps}
    return replace(
        graph,
        steps=tuple(
            stand_in(step) if step.path in paths and _fits(step, graph) else step
            for step in graph.steps
        ),
    )


def _fits(step: Step, graph: Graph) -> bool:
    conv: Any = step.operation
    return (
        type(conv) is keras.layers.Conv2D
        and is_plain(conv)
        and conv.compute_dtype == "float32"
        and conv.kernel_size == _SIZE
        and conv.strides == conv.dilation_rate == (1, 1)
        and conv.groups == 1
        and conv.activation in _ACTIVATIONS
        and conv.padding in _BEFORE
        and None not in graph.shapes[step.inputs[0]][1:]
        and _is_worth_it(conv.kernel.shape, graph.shapes[step.inputs[0]])
    )


def _is_worth_it(kernel: Sequence[int], pictures: Sequence[Any]) -> bool:
    pairs = kernel[-2] * kernel[-1]
    return pairs >= PAIRS and pairs * prod(pictures[1:3]) >= PRODUCTS


def _bias_of(convolution: Any) -> tuple[Any, ...]:
    return (convolution.bias,) if convolution.use_bias else ()


def _as_it_is(kernel: FloatArray) -> FloatArray:
    return kernel


def _turned(kernel: FloatArray) -> FloatArray:
    """The kernel of the way back: turned round, from filters to channels."""
    return kernel[::-1, ::-1].swapaxes(2, 3)


def transformed(kernel: FloatArray) -> FloatArray:
    """G g G' of each channel with each: (3, 3, channels, filters) as (16, channels, filters)."""
    taps = kernel.astype(np.float64).reshape(9, -1)
    return (np.kron(_G, _G) @ taps).reshape(16, *kernel.shape[2:]).astype(kernel.dtype)


def spread_out(before: int, inputs: Tensor) -> list[Tensor]:
    """B' d B of each tile d: for (N, h, w, C) 16 of (tiles, C).

    Args:
        before: Places of padding on each side.
        inputs: Pictures.
    """
    sides, channels = inputs.shape[1:3], inputs.shape[-1]
    after = [before + side % 2 for side in sides]
    inputs = ops.pad(inputs, [(0, 0), *((before, each) for each in after), (0, 0)])
    read = windows(inputs, _TILE, (2, 2), "valid")
    rows = [
        [read[4 * one + at] + sign * read[4 * other + at] for at in range(4)]
        for one, other, sign in _DIFFERENCES
    ]
    found = (row[one] + sign * row[other] for row in rows for one, other, sign in _DIFFERENCES)
    return [ops.reshape(each, (-1, channels)) for each in found]


def spread_rectified(before: int, upstream: Tensor, made_of: Tensor) -> list[Tensor]:
    """The same of a gradient, by what a rectifier made: 0 where that is closed."""
    return spread_out(before, ops.where(made_of > 0, upstream, ops.zeros_like(upstream)))


def gathered(places: tuple[int, int], activation: Callable[..., Any], *given: Tensor) -> Tensor:
    """A' m A of the products m of each tile, and what a layer does after: (N, *places, filters).

    Args:
        places: Height and width.
        activation: What comes last.
        given: The 16 products, and the bias where there is one.
    """
    products, bias = given[:16], given[16:]
    height, width = (ceil(side / 2) for side in places)
    rows_and_columns = [np.outer(row, column).ravel().tolist() for row in _SUMS for column in _SUMS]
    four = [activation(sum(bias, _summed(signs, products))) for signs in rows_and_columns]
    # Side by side in memory, which OpenVINO need not copy for it, and woven together once.
    found = ops.reshape(ops.stack(four), (2, 2, -1, height, width, four[0].shape[-1]))
    found = ops.transpose(found, (2, 3, 0, 4, 1, 5))
    found = ops.reshape(found, (-1, 2 * height, 2 * width, four[0].shape[-1]))
    return found[:, : places[0], : places[1]]


def _summed(signs: Sequence[int], values: Sequence[Tensor]) -> Tensor:
    """What has a sign, added or taken off."""
    signed = list(zip(signs, values, strict=True))
    added = reduce(add, [value for sign, value in signed if sign > 0])
    return reduce(sub, [value for sign, value in signed if sign < 0], added)
