"""Convolutions of size 3 by fewer multiplications, forwards and back.

Winograd's minimal filtering F(m x m, 3 x 3): m x m places beside each other take (m + 2)^2 products
of a channel with a channel instead of 9 m^2. Lavin and Gray, "Fast Algorithms for Convolutional
Neural Networks", CVPR 2016, section 4. Of overlapping tiles d, m + 2 places a side, and a kernel g,

    y = A' [(G g G') * (B' d B)] A,

where `*` goes place by place and sums over channels: (m + 2)^2 products of matrices. The sums of
tiles before and after would take as long as is saved if each were written to memory by itself, so
that a backend that joins them is needed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from math import ceil, prod
from operator import add, sub
from types import MappingProxyType
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import activations, ops

from xai_core.probe.way_back import with_way_back
from xai_core.probe.windows import made, windows
from xai_core.surgery import Graph, Step
from xai_core.surgery.folding import is_plain
from xai_core.surgery.weights import Weights
from xai_core.typing import FloatArray, Tensor

Rows = tuple[tuple[float, ...], ...]


class Sums(NamedTuple):
    """How the sums before and after the products are made."""

    of_tiles: Callable[[Rows, int, Tensor], list[Tensor]]
    """B' d B of each tile d: of padded pictures (N, h, w, C), whose tiles lie so many places
    apart, by the places of a tile, row by row. Each is (N, tiles down, tiles across, C)."""
    of_products: Callable[[Rows, Sequence[Tensor]], list[Tensor]]
    """A' m A of products m, row by row."""


def _tiles_at_once(rows: Rows, apart: int, inputs: Tensor) -> list[Tensor]:
    size = (len(rows), len(rows))
    return _products_at_once(rows, windows(inputs, size, (apart, apart), "valid"))


def _products_at_once(rows: Rows, products: Sequence[Tensor]) -> list[Tensor]:
    return [_times(each, products) for each in np.kron(rows, rows).tolist()]


def _tiles_in_turn(rows: Rows, apart: int, inputs: Tensor) -> list[Tensor]:
    count = len(rows)
    down, across = made(inputs.shape[1:3], (count, count), (apart, apart), "valid")
    lines = [inputs[:, at : at + apart * down : apart] for at in range(count)]
    summed = ops.concatenate([_times(row, lines) for row in rows])
    columns = [summed[:, :, at : at + apart * across : apart] for at in range(count)]
    by_column = [ops.split(_times(row, columns), count) for row in rows]
    return [each for by_row in zip(*by_column, strict=True) for each in by_row]


def _products_in_turn(rows: Rows, products: Sequence[Tensor]) -> list[Tensor]:
    count = len(rows[0])
    lines = [ops.concatenate(products[at : at + count]) for at in range(0, len(products), count)]
    summed = [ops.split(_times(row, lines), count) for row in rows]
    return [_times(row, columns) for columns in summed for row in rows]


AT_ONCE = Sums(_tiles_at_once, _products_at_once)
"""Each a sum of all that it is made of: of few, rounded once."""
IN_TURN = Sums(_tiles_in_turn, _products_in_turn)
"""Along one side, and that along the other: fewer sums of many. A line of tiles is summed up as
one, which is a third of the operations that a compiler has to go through."""


class Multiplication(NamedTuple):
    """How the products in between are made."""

    kernels: Callable[[FloatArray], Sequence[FloatArray]]
    """What is kept of kernels (products, channels, filters)."""
    of_tiles: Callable[[Sequence[Tensor], Sequence[Any]], Sequence[Tensor]]
    """(tiles, filters) of each product: of its (tiles, channels), and of what is kept."""


def _each_by_itself(tiles: Sequence[Tensor], kernels: Sequence[Any]) -> Sequence[Tensor]:
    return list(map(ops.matmul, tiles, map(ops.convert_to_tensor, kernels)))


def _all_at_once(tiles: Sequence[Tensor], kernels: Sequence[Any]) -> Sequence[Tensor]:
    found: Sequence[Tensor] = ops.unstack(ops.matmul(ops.stack(tiles), *kernels))
    return found


APART = Multiplication(list, _each_by_itself)
"""One by one: a part of a larger kernel JAX would copy each time, and TensorFlow tiles."""
TOGETHER = Multiplication(lambda kernels: [kernels], _all_at_once)
"""As one operation, where tiles that lie side by side need no copy, as in OpenVINO: cores wait for
each other once."""


def _times(row: Sequence[float], values: Sequence[Tensor]) -> Tensor:
    """The values, each as often as is said, added or taken off."""
    parts = [
        (factor, value if abs(factor) == 1 else abs(factor) * value)
        for factor, value in zip(row, values, strict=True)
        if factor
    ]
    added = reduce(add, [value for factor, value in parts if factor > 0])
    return reduce(sub, [value for factor, value in parts if factor < 0], added)


@dataclass(frozen=True, eq=False)
class Filtering:
    """F(m x m, 3 x 3), and which convolutions are worth it."""

    size: int
    """m: places that are made of a tile, along a side."""
    of_tiles: Rows
    """B'."""
    of_kernels: Rows
    """G."""
    of_products: Rows
    """A'."""
    pairs: int
    """Input times output channels from which on more is saved on products than spent on tiles."""
    products: int
    """And as many again times the places of a picture."""
    sums: Sums
    """How B' d B and A' m A are made."""

    @property
    def tile(self) -> int:
        """Places of a tile, along a side."""
        return self.size + 2


TWO = Filtering(
    size=2,
    of_tiles=((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
    of_kernels=((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)),
    of_products=((1, 1, 1, 0), (0, 1, -1, -1)),
    pairs=2**15,
    products=2**25,
    sums=AT_ONCE,
)
"""16 products instead of 36, and as exact as a convolution. With 128 to 128 channels as much is
saved as spent, with 256 to 256 a third of the convolution. In ResNet50, which has fewer products,
what kernels of 16/9 of the size take to be read outweighs the rest."""

_P, _Q = 5 / 8, 3 / 2
_P2, _Q2 = _P**2, _Q**2
FOUR = Filtering(
    size=4,
    of_tiles=(
        (_P2 * _Q2, 0, -(_P2 + _Q2), 0, 1, 0),
        (0, -_P * _Q2, -_Q2, _P, 1, 0),
        (0, _P * _Q2, -_Q2, -_P, 1, 0),
        (0, -_Q * _P2, -_P2, _Q, 1, 0),
        (0, _Q * _P2, -_P2, -_Q, 1, 0),
        (0, _P2 * _Q2, 0, -(_P2 + _Q2), 0, 1),
    ),
    of_kernels=(
        (1 / (_P2 * _Q2), 0, 0),
        *(
            tuple(point**power / (2 * square * (square - other)) for power in range(3))
            for point, square, other in (
                (_P, _P2, _Q2),
                (-_P, _P2, _Q2),
                (_Q, _Q2, _P2),
                (-_Q, _Q2, _P2),
            )
        ),
        (0, 0, 1),
    ),
    of_products=(
        (1, 1, 1, 1, 1, 0),
        (0, _P, -_P, _Q, -_Q, 0),
        (0, _P2, _P2, _Q2, _Q2, 0),
        (0, _P**3, -(_P**3), _Q**3, -(_Q**3), 1),
    ),
    pairs=2**13,
    products=2**26,
    sums=IN_TURN,
)
"""36 products instead of 144, twice as far from the exact ones as a convolution: for passes that no
gradient of the input goes back through, where what is asked for is 1e-5 of the largest. It is the
interpolation at 0, 5/8, -5/8, 3/2, -3/2 and infinity, whose factors float32 holds exactly; at 0, 1,
-1, 2, -2, as in Lavin and Gray, it is five times as far off. Pictures of 14 x 14 leave tiles half
empty."""

_SIZE = (3, 3)
_BEFORE = MappingProxyType({"valid": 0, "same": 1})
"""Places of padding on each side; on the way back, what is left of 2."""
_RELU = activations.relu
_ACTIVATIONS = (activations.linear, _RELU)


class Minimal:
    """Puts minimal filtering in the place of the convolutions of one model.

    The values are those that the weights have then: it is for models that no one changes.

    Args:
        weights: How to come by values of variables, and make others of them.
        joined: Makes one operation of a function of tensors, for use within a program.
        filterings: What to choose from for each convolution: the first that is worth it.
        multiplication: How products are made.
    """

    def __init__(
        self,
        weights: Weights,
        joined: Callable[[Callable[..., Any]], Callable[..., Any]],
        filterings: Sequence[Filtering] = (TWO,),
        multiplication: Multiplication = APART,
    ) -> None:
        self._weights = weights
        self._join = joined
        self._filterings = filterings
        self._multiplication = multiplication
        self._kernels: dict[tuple[int, Any, Filtering], tuple[Any, tuple[Any, ...]]] = {}
        """By the `id` of a variable, how it is turned, and filtered: itself, to keep the `id`, and
        what is kept of its products."""
        self._programs: dict[tuple[Any, ...], Callable[..., Any]] = {}

    def forwards(self, graph: Graph, steps: Sequence[Step]) -> Graph:
        """The graph, with what can be put in place where no gradient goes back.

        Args:
            graph: The model, with what can be folded folded.
            steps: Steps of it, by their paths.
        """
        return self._put_in_place(self._forwards, graph, steps)

    def both_ways(self, graph: Graph, steps: Sequence[Step]) -> Graph:
        """The same, where gradients go back: by minimal filtering as well."""
        return self._put_in_place(self._both_ways, graph, steps)

    def _put_in_place(
        self, stand_in: Callable[[Step, Filtering], Step], graph: Graph, steps: Sequence[Step]
    ) -> Graph:
        paths = {step.path for step in steps}

        def either(step: Step) -> Step:
            found = _filtering(step, graph, self._filterings) if step.path in paths else None
            return step if found is None else stand_in(step, found)

        return replace(graph, steps=tuple(map(either, graph.steps)))

    def _forwards(self, step: Step, filtering: Filtering) -> Step:
        conv: Any = step.operation
        before = _BEFORE[conv.padding]
        kernels, bias = self._kernels_of(conv.kernel, _as_it_is, filtering), _bias_of(conv)
        spread = self._joined(spread_out, filtering, before)

        def filtered(inputs: Tensor, **_: Any) -> Tensor:
            gather = self._gather(filtering, inputs, before, conv.activation)
            products = self._multiplication.of_tiles(spread(inputs), kernels)
            return gather(*products, *map(ops.convert_to_tensor, bias))

        return replace(step, operation=filtered, reads=(*kernels, *bias))

    def _both_ways(self, step: Step, filtering: Filtering) -> Step:
        conv: Any = step.operation
        forwards = self._forwards(step, filtering)
        before = 2 - _BEFORE[conv.padding]
        turned = self._kernels_of(conv.kernel, _turned, filtering)
        rectifies = conv.activation is _RELU
        spread = self._joined(spread_rectified if rectifies else spread_out, filtering, before)

        def back(upstream: Tensor, made_of: Tensor) -> Tensor:
            tiles = spread(upstream, made_of) if rectifies else spread(upstream)
            gather = self._gather(filtering, upstream, before, activations.linear)
            return gather(*self._multiplication.of_tiles(tiles, turned))

        both_ways = with_way_back(forwards.operation, back)

        def filtered(inputs: Tensor, **_: Any) -> Tensor:
            return both_ways(inputs)

        return replace(forwards, operation=filtered, reads=(*forwards.weights, *turned))

    def _gather(
        self, filtering: Filtering, given: Tensor, before: int, activation: Callable[..., Any]
    ) -> Callable[..., Any]:
        places = tuple(side + 2 * before - 2 for side in given.shape[1:3])
        return self._joined(gathered, filtering, places, activation)

    def _kernels_of(
        self, kernel: Any, turn: Callable[[FloatArray], FloatArray], filtering: Filtering
    ) -> tuple[Any, ...]:
        key = (id(kernel), turn, filtering)
        if key not in self._kernels:
            made = transformed(filtering, turn(self._weights.of(kernel)))
            kept = self._multiplication.kernels(made)
            made_of = tuple(self._weights.made(each, kernel) for each in kept)
            self._kernels[key] = (kernel, made_of)
        return self._kernels[key][1]

    def _joined(self, function: Callable[..., Any], *settings: Any) -> Callable[..., Any]:
        """One program for all layers alike: they share what is compiled."""
        key = (function, *settings)
        if key not in self._programs:
            self._programs[key] = self._join(partial(function, *settings))
        return self._programs[key]


def fits(graph: Graph, steps: Sequence[Step], filterings: Sequence[Filtering] = (TWO,)) -> bool:
    """Whether minimal filtering has a place among some steps."""
    return any(_filtering(step, graph, filterings) is not None for step in steps)


def _filtering(step: Step, graph: Graph, filterings: Sequence[Filtering]) -> Filtering | None:
    """The first that is worth it."""
    conv: Any = step.operation
    if not (
        type(conv) is keras.layers.Conv2D
        and is_plain(conv)
        and conv.compute_dtype == "float32"
        and conv.kernel_size == _SIZE
        and conv.strides == conv.dilation_rate == (1, 1)
        and conv.groups == 1
        and conv.activation in _ACTIVATIONS
        and conv.padding in _BEFORE
        and None not in graph.shapes[step.inputs[0]][1:]
    ):
        return None
    pairs = prod(conv.kernel.shape[-2:])
    _, height, width, _ = graph.shapes[step.inputs[0]]
    products = pairs * height * width
    worth = (each for each in filterings if pairs >= each.pairs and products >= each.products)
    return next(worth, None)


def _bias_of(convolution: Any) -> tuple[Any, ...]:
    return (convolution.bias,) if convolution.use_bias else ()


def _as_it_is(kernel: FloatArray) -> FloatArray:
    return kernel


def _turned(kernel: FloatArray) -> FloatArray:
    """The kernel of the way back: turned round, from filters to channels."""
    return kernel[::-1, ::-1].swapaxes(2, 3)


def transformed(filtering: Filtering, kernel: FloatArray) -> FloatArray:
    """G g G' of each channel with each.

    (3, 3, channels, filters) as (products, channels, filters).
    """
    by = np.array(filtering.of_kernels, np.float64)
    taps = kernel.astype(np.float64).reshape(9, -1)
    return (np.kron(by, by) @ taps).reshape(-1, *kernel.shape[2:]).astype(kernel.dtype)


def spread_out(filtering: Filtering, before: int, inputs: Tensor) -> list[Tensor]:
    """B' d B of each tile d: for (N, h, w, C) as many of (tiles, C) as a tile has places.

    Args:
        filtering: Says how large a tile is.
        before: Places of padding on each side.
        inputs: Pictures.
    """
    sides, channels = inputs.shape[1:3], inputs.shape[-1]
    # As many places as whole tiles make, and the two more that those read.
    after = [before + -(side + 2 * before - 2) % filtering.size for side in sides]
    inputs = ops.pad(inputs, [(0, 0), *((before, each) for each in after), (0, 0)])
    tiles = filtering.sums.of_tiles(filtering.of_tiles, filtering.size, inputs)
    return [ops.reshape(each, (-1, channels)) for each in tiles]


def spread_rectified(
    filtering: Filtering, before: int, upstream: Tensor, made_of: Tensor
) -> list[Tensor]:
    """The same of a gradient, by what a rectifier made: 0 where that is closed."""
    opened = ops.where(made_of > 0, upstream, ops.zeros_like(upstream))
    return spread_out(filtering, before, opened)


def gathered(
    filtering: Filtering, places: tuple[int, int], activation: Callable[..., Any], *given: Tensor
) -> Tensor:
    """A' m A of the products m of each tile, and what a layer does after: (N, *places, filters).

    Args:
        filtering: Says how large a tile is.
        places: Height and width.
        activation: What comes last.
        given: The products, and the bias where there is one.
    """
    count, size = filtering.tile, filtering.size
    products, bias = given[: count**2], given[count**2 :]
    height, width = (ceil(side / size) for side in places)
    sums = filtering.sums.of_products(filtering.of_products, products)
    each = [activation(sum(bias, found)) for found in sums]
    # Side by side in memory, which OpenVINO need not copy for it, and woven together once.
    found = ops.reshape(ops.stack(each), (size, size, -1, height, width, each[0].shape[-1]))
    found = ops.transpose(found, (2, 3, 0, 4, 1, 5))
    found = ops.reshape(found, (-1, size * height, size * width, each[0].shape[-1]))
    return found[:, : places[0], : places[1]]
