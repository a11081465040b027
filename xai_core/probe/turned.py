"""The way back through a convolution as a convolution with its kernel turned round.

dS/dx = K' * dS/dy, where K' has the taps of K in reverse order, and filters and channels exchanged.
TensorFlow turns the kernel whenever it goes back, which takes longer than the rest where that is
larger than the picture; and where a convolution reads few channels, as a model's first one does, it
multiplies for sixteen.

With steps, or with few channels, K' makes the places of a block side by side, as channels, which
are woven together after: Shi et al., "Is the deconvolution layer the same as a convolutional
layer?", 2016.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import ceil, prod
from typing import Any

import keras
import numpy as np
from keras import activations, ops

from xai_core.probe.way_back import with_way_back
from xai_core.probe.windows import made
from xai_core.surgery import Graph, Step
from xai_core.surgery.folding import computes_in_full, is_plain
from xai_core.surgery.readout import with_attributes
from xai_core.surgery.weights import Weights
from xai_core.typing import FloatArray, Tensor

FEW = 4
"""Channels up to which they are made in blocks of places also where there are no steps: VGG16's
first convolution goes back in 4.0 ms where it took 6.3."""
_BLOCK = 2


@dataclass(frozen=True)
class Axis:
    """What the way back does along one side of a picture.

    Forwards, tap i of place j reads the place s j + i - before. A block are the places b m + r,
    with 0 <= r < b; b is a multiple of s. What is carried to them comes from the places
    (b / s) m + d.
    """

    side: int
    """Places of the picture."""
    count: int
    """Places that are made of it."""
    taps: int
    step: int
    before: int
    """Places of padding."""
    block: int

    @property
    def filled(self) -> int:
        """The places of a block that are read at all: with long steps, those behind are not."""
        return self.taps if self.taps < self.step and not self.before else self.block

    @property
    def first(self) -> int:
        """The lowest d."""
        return ceil((self.before - self.taps + 1) / self.step)

    @property
    def size(self) -> int:
        """How many d there are: taps of the turned kernel."""
        return (self.filled - 1 + self.before) // self.step - self.first + 1

    @property
    def stride(self) -> int:
        """From one block to the next."""
        return self.block // self.step

    @property
    def blocks(self) -> int:
        """How many cover the side."""
        return ceil(self.side / self.block)

    @property
    def after(self) -> int:
        """Zeros to be read behind the last place."""
        return self.stride * (self.blocks - 1) + self.first + self.size - self.count

    def tap(self, number: int, place: int) -> int | None:
        """Which tap carries from the place of the `number`-th d to a place of the block."""
        tap = place + self.before - self.step * (self.first + number)
        return tap if 0 <= tap < self.taps else None


Axes = tuple[Axis, Axis]
"""Along height and width."""


class Turned:
    """Gives the convolutions of one model a way back by kernels that are turned round once.

    The values are those that the weights have then: it is for models that no one changes.

    Args:
        weights: How to come by values of variables, and make others of them.
    """

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._kernels: dict[tuple[int, Axes], tuple[Any, Any]] = {}
        """By the `id` of a variable, and the sides: itself, to keep the `id`, and turned round."""

    def __call__(self, graph: Graph, steps: Sequence[Step]) -> Graph:
        """The graph, with stand-ins for convolutions.

        Args:
            graph: The model, with what can be folded folded.
            steps: Where gradients go back, by their paths.
        """
        paths = {step.path for step in steps}
        return replace(
            graph,
            steps=tuple(
                self._stand_in(step, graph.shapes[step.inputs[0]])
                if step.path in paths and _fits(step, graph)
                else step
                for step in graph.steps
            ),
        )

    def _stand_in(self, step: Step, pictures: Sequence[Any]) -> Step:
        conv: Any = step.operation
        axes = _axes(conv, pictures)
        kernel = self._turned(conv.kernel, axes)

        def back(upstream: Tensor, _: Tensor) -> Tensor:
            return carried_back(upstream, kernel, axes)

        linear = with_way_back(with_attributes(conv, activation=activations.linear), back)

        def convolution(inputs: Tensor, **_: Any) -> Tensor:
            return conv.activation(linear(inputs))

        return replace(step, operation=convolution, reads=(*step.weights, kernel))

    def _turned(self, kernel: Any, axes: Axes) -> Any:
        key = (id(kernel), axes)
        if key not in self._kernels:
            made_of = turned(self._weights.of(kernel), axes)
            self._kernels[key] = (kernel, self._weights.made(made_of, kernel))
        return self._kernels[key][1]


def _fits(step: Step, graph: Graph) -> bool:
    conv: Any = step.operation
    return (
        type(conv) is keras.layers.Conv2D
        and is_plain(conv)
        and computes_in_full(conv)
        and conv.dilation_rate == (1, 1)
        and conv.groups == 1
        and None not in graph.shapes[step.inputs[0]][1:]
    )


def _axes(conv: Any, pictures: Sequence[Any]) -> Axes:
    _, *sides, channels = pictures
    counts = made(sides, conv.kernel_size, conv.strides, conv.padding)

    def along(number: int) -> Axis:
        side, count = sides[number], counts[number]
        taps, step = conv.kernel_size[number], conv.strides[number]
        missing = (count - 1) * step + taps - side if conv.padding == "same" else 0
        block = _BLOCK if step == 1 and taps > 1 and channels <= FEW else step
        return Axis(side, count, taps, step, max(missing, 0) // 2, block)

    return along(0), along(1)


def turned(kernel: FloatArray, axes: Axes) -> FloatArray:
    """(h, w, channels, filters) as (h', w', filters, places of a block x channels)."""
    rows, columns = axes
    *_, channels, filters = kernel.shape
    found = np.zeros(
        (rows.size, columns.size, filters, rows.filled, columns.filled, channels), kernel.dtype
    )
    down, right = (
        [
            (number, place, tap)
            for number, place in product(range(axis.size), range(axis.filled))
            if (tap := axis.tap(number, place)) is not None
        ]
        for axis in axes
    )
    for (y, top, i), (x, left, j) in product(down, right):
        found[y, x, :, top, left] = kernel[i, j].T
    return found.reshape(*found.shape[:3], -1)


def carried_back(upstream: Tensor, kernel: Any, axes: Axes) -> Tensor:
    """dS/dx (N, H, W, channels), of dS/dy (N, h, w, filters) and the turned kernel."""
    rows, columns = axes
    around = [(-axis.first, axis.after) for axis in axes]
    read = ops.pad(upstream, [(0, 0), *around, (0, 0)])
    found = ops.conv(read, kernel, strides=(rows.stride, columns.stride), padding="valid")
    return found if rows.block == columns.block == 1 else woven(found, axes)


def woven(found: Tensor, axes: Axes) -> Tensor:
    """The places of blocks, which lie in the channels, put where they belong."""
    rows, columns = axes
    channels = found.shape[-1] // prod(axis.filled for axis in axes)
    found = ops.reshape(
        found, (-1, rows.blocks, columns.blocks, rows.filled, columns.filled, channels)
    )
    found = ops.transpose(found, (0, 1, 3, 2, 4, 5))
    down, right = ((0, axis.block - axis.filled) for axis in axes)
    found = ops.pad(found, [(0, 0), (0, 0), down, (0, 0), right, (0, 0)])
    found = ops.reshape(
        found, (-1, rows.blocks * rows.block, columns.blocks * columns.block, channels)
    )
    return found[:, : rows.side, : columns.side]
