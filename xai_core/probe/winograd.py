"""Convolutions of size 3 by fewer multiplications, where no gradient goes back through them.

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
from functools import partial
from math import ceil
from typing import Any

import keras
import numpy as np
from keras import activations, ops

from xai_core.probe.windows import made, windows
from xai_core.surgery import Graph, Step
from xai_core.surgery.folding import is_plain
from xai_core.typing import FloatArray, Tensor

_G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
_DIFFERENCES = ((0, 2, -1), (1, 2, 1), (2, 1, -1), (1, 3, -1))
"""The rows of B': one place of a tile, and another, added or taken off."""
_SIZE = (3, 3)
_TILE = (4, 4)

WORTH_IT = 2**15
"""Input times output channels from which on less is spent on tiles than saved on products: with 128
to 128 channels as much, with 128 to 256 a fifth of the convolution less."""

_ACTIVATIONS = (activations.linear, activations.relu)


class Minimal:
    """Puts minimal filtering in the place of the convolutions of one model.

    The values are those that the weights have then: it is for models that no one changes.

    Args:
        to_host: Reads a tensor.
        joined: Makes one operation of a function of tensors, for use within a program.
    """

    def __init__(
        self,
        to_host: Callable[[Tensor], FloatArray],
        joined: Callable[[Callable[..., Any]], Callable[..., Any]],
    ) -> None:
        self._to_host = to_host
        self._join = joined
        self._kernels: dict[int, tuple[Any, tuple[Any, ...]]] = {}
        """By the `id` of a variable, which is kept beside: itself, and what is made of it."""
        self._programs: dict[tuple[Any, ...], Callable[..., Any]] = {}

    def __call__(self, graph: Graph, free: Sequence[Step]) -> Graph:
        """The graph with what can be put in place.

        Args:
            graph: The model, with what can be folded folded.
            free: The steps of it, by their paths, through which no gradient goes back.
        """
        paths = {step.path for step in free}
        steps = tuple(
            self._filtering(step) if step.path in paths and _fits(step, graph) else step
            for step in graph.steps
        )
        return replace(graph, steps=steps)

    def fits(self, graph: Graph, free: Sequence[Step]) -> bool:
        """Whether there is anything to put in place."""
        return any(_fits(step, graph) for step in free)

    def _filtering(self, step: Step) -> Step:
        conv: Any = step.operation
        kernels, spread = self._kernels_of(conv.kernel), self._joined(spread_out, conv.padding)
        bias = (conv.bias,) if conv.use_bias else ()

        def filtering(inputs: Tensor, **_: Any) -> Tensor:
            products = map(ops.matmul, spread(inputs), map(ops.convert_to_tensor, kernels))
            places = tuple(made(inputs.shape[1:3], _SIZE, (1, 1), conv.padding))
            gather = self._joined(gathered, places, conv.activation)
            return gather(*products, *map(ops.convert_to_tensor, bias))

        return replace(step, operation=filtering, reads=(*kernels, *bias))

    def _kernels_of(self, kernel: Any) -> tuple[Any, ...]:
        """One variable for each product: a part of a larger one JAX would copy each time."""
        if id(kernel) not in self._kernels:
            each = transformed(self._to_host(kernel.value))
            made_of = tuple(
                keras.Variable(one, dtype=kernel.dtype, trainable=False) for one in each
            )
            self._kernels[id(kernel)] = (kernel, made_of)
        return self._kernels[id(kernel)][1]

    def _joined(self, function: Callable[..., Any], *settings: Any) -> Callable[..., Any]:
        """One program for all layers alike: they share what is compiled."""
        key = (function, *settings)
        if key not in self._programs:
            self._programs[key] = self._join(partial(function, *settings))
        return self._programs[key]


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
        and conv.kernel.shape[-2] * conv.kernel.shape[-1] >= WORTH_IT
        and None not in graph.shapes[step.inputs[0]][1:]
    )


def transformed(kernel: FloatArray) -> FloatArray:
    """G g G' of each channel with each: (3, 3, channels, filters) as (16, channels, filters)."""
    taps = kernel.astype(np.float64).reshape(9, -1)
    return (np.kron(_G, _G) @ taps).reshape(16, *kernel.shape[2:]).astype(kernel.dtype)


def spread_out(padding: str, inputs: Tensor) -> list[Tensor]:
    """B' d B of each tile d: for (N, h, w, C) 16 of (tiles, C)."""
    sides, channels = inputs.shape[1:3], inputs.shape[-1]
    before = (_SIZE[0] - 1) // 2 if padding == "same" else 0
    tiles = [ceil(places / 2) for places in made(sides, _SIZE, (1, 1), padding)]
    after = [2 * count + 2 - before - side for count, side in zip(tiles, sides, strict=True)]
    inputs = ops.pad(inputs, [(0, 0), *((before, each) for each in after), (0, 0)])
    read = windows(inputs, _TILE, (2, 2), "valid")
    rows = [
        [read[4 * one + at] + sign * read[4 * other + at] for at in range(4)]
        for one, other, sign in _DIFFERENCES
    ]
    found = (row[one] + sign * row[other] for row in rows for one, other, sign in _DIFFERENCES)
    return [ops.reshape(each, (-1, channels)) for each in found]


def gathered(places: tuple[int, int], activation: Callable[..., Any], *given: Tensor) -> Tensor:
    """A' m A of the products m of each tile, and what a layer does after: (N, *places, filters).

    Args:
        places: Height and width.
        activation: What comes last.
        given: The 16 products, and the bias where there is one.
    """
    products, bias = given[:16], given[16:]
    height, width = (ceil(side / 2) for side in places)
    shape = (-1, height, width, products[0].shape[-1])
    tiles = [ops.reshape(each, shape) for each in products]
    rows = [_pair(*tiles[at::4]) for at in range(4)]  # each four tiles of a column into two
    found = ops.stack(
        [ops.stack(_pair(*(row[half] for row in rows)), axis=3) for half in range(2)], axis=2
    )
    found = ops.reshape(found, (-1, 2 * height, 2 * width, shape[-1]))
    return activation(sum(bias, found[:, : places[0], : places[1]]))


def _pair(first: Tensor, second: Tensor, third: Tensor, fourth: Tensor) -> tuple[Tensor, Tensor]:
    """A' of four values."""
    return first + second + third, second - third - fourth
