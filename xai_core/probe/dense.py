"""Large dense layers in pieces, for several pictures at once."""

from dataclasses import replace
from math import gcd, prod
from typing import Any

import keras
from keras import ops

from xai_core.surgery import Graph, Step
from xai_core.surgery.folding import computes_in_full, reads_its_kernel
from xai_core.typing import Tensor

WEIGHTS = 2**25
"""From which on a kernel is taken in pieces: 128 MiB, which no cache holds."""
PICTURES = 4
"""From which on that is faster: for four, 48 ms forwards and back through VGG16's first where the
whole takes 55; for one, 50 where it takes 34."""
_ROWS = 512
"""Of a kernel to a piece."""
_SMALLEST = 64
"""And where they do not go into the kernel's, at least as many."""


def in_pieces(graph: Graph) -> Graph:
    """The graph with a stand-in for each of Keras' own dense layers that is large.

    A product of few pictures with a large kernel takes its time to move the kernel. TensorFlow
    moves it more than once, most of all on the way back.
    """
    return replace(graph, steps=tuple(_stand_in(s) if _fits(s) else s for s in graph.steps))


def is_dense(step: Step, weights: int) -> bool:
    """Whether a step is a dense layer of Keras' own, with a kernel of at least so many weights."""
    dense: Any = step.operation
    return (
        type(dense) is keras.layers.Dense
        and reads_its_kernel(dense)
        and computes_in_full(dense)
        and prod(dense.kernel.shape) >= weights
    )


def _fits(step: Step) -> bool:
    dense: Any = step.operation
    return is_dense(step, WEIGHTS) and gcd(dense.kernel.shape[0], _ROWS) >= _SMALLEST


def _stand_in(step: Step) -> Step:
    dense: Any = step.operation
    channels, units = dense.kernel.shape
    rows = gcd(channels, _ROWS)

    def in_pieces(inputs: Tensor, **_: Any) -> Tensor:
        if len(inputs.shape) != 2 or (inputs.shape[0] or 0) < PICTURES:
            return dense(inputs)
        kernel = ops.reshape(dense.kernel, (-1, rows, units))
        each = ops.transpose(ops.reshape(inputs, (inputs.shape[0], -1, rows)), (1, 0, 2))
        found = ops.sum(ops.matmul(each, kernel), axis=0)
        return dense.activation(found + dense.bias if dense.use_bias else found)

    return replace(step, operation=in_pieces, reads=step.weights)
