"""Large dense layers multiplied by OpenVINO, forwards and back.

A product of few pictures with a large kernel takes its time to read the kernel. OpenVINO reads it
once for all of them, and half as much in bfloat16, which TensorFlow gains nothing by.
"""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xai_core.probe import backend
from xai_core.probe.dense import is_dense
from xai_core.probe.fastest import Fastest
from xai_core.probe.openvino import by_vectors, compiled, openvino
from xai_core.probe.way_back import with_way_back
from xai_core.surgery import Graph, Step
from xai_core.typing import FloatArray, Tensor

WEIGHTS = 2**21
"""From which on a kernel is OpenVINO's to multiply by: 8 MiB, half of VGG16's smallest. To go there
and back takes a tenth of a millisecond, and to read that much as long."""

_ONE, _FIVE = 1, 5


def _fewest(precision: str) -> Sequence[int]:
    """Rows, to choose from, that fewer are filled up to.

    OpenVINO multiplies a single row in bfloat16 slower than it reads the kernel on some processors:
    five take less time there. Where it multiplies by vectors no value depends on their number.
    """
    if precision == "f32":
        return (_ONE,)
    return (_ONE, _FIVE) if by_vectors(precision) else (_FIVE,)


class LargeDense:
    """Stand-ins for the large dense layers of one model, for programs of TensorFlow's.

    The values are those that the weights have then: it is for models that no one changes.
    """

    def __init__(self) -> None:
        self._products: dict[tuple[int, str, bool], tuple[Any, Product]] = {}
        """By the `id` of a variable, the precision, and whether it is transposed: itself, to keep
        the `id`."""

    def __call__(self, graph: Graph, precision: str) -> Graph:
        """The graph, with stand-ins. Gradients go back through them one by one, not together.

        Args:
            graph: The model.
            precision: `f32` or `bf16`, in which they multiply.
        """
        return replace(
            graph,
            steps=tuple(
                self._stand_in(step, precision) if _fits(step, graph) else step
                for step in graph.steps
            ),
        )

    def _stand_in(self, step: Step, precision: str) -> Step:
        dense: Any = step.operation
        channels, units = dense.kernel.shape
        values = backend().to_host(dense.kernel.value)

        def product(*, transposed: bool) -> Product:
            # Made when it is first traced: what only goes forwards needs no other.
            key = (id(dense.kernel), precision, transposed)
            if key not in self._products:
                made = Product(values, precision, transposed=transposed)
                self._products[key] = (dense.kernel, made)
            return self._products[key][1]

        def forwards(inputs: Tensor) -> Tensor:
            return backend().outside(product(transposed=False), inputs, units)

        def back(upstream: Tensor, _: Tensor) -> Tensor:
            return backend().outside(product(transposed=True), upstream, channels)

        linear = with_way_back(forwards, back)

        def multiplied(inputs: Tensor, **_: Any) -> Tensor:
            found = linear(inputs)
            return dense.activation(found + dense.bias if dense.use_bias else found)

        read = (dense.bias,) if dense.use_bias else ()
        return replace(step, operation=multiplied, reads=read)


class Product:
    """Rows times a matrix, compiled once for any number of rows. Threads may share it.

    Args:
        matrix: (a, b).
        precision: `f32` or `bf16`, in which it is multiplied; sums are float32.
        transposed: Whether rows of b are multiplied by the transpose.
    """

    def __init__(self, matrix: FloatArray, precision: str, *, transposed: bool) -> None:
        package = openvino()
        opset = package.opset13
        given = opset.parameter([-1, matrix.shape[int(transposed)]], np.float32)
        kept = opset.constant(matrix, shared_memory=True)
        product = opset.result(opset.matmul(given, kept, False, transposed))
        self._request = compiled(
            package.Model([product], [given]), precision
        ).create_infer_request()
        self._fewest = Fastest(_fewest(precision))
        self._lock = threading.Lock()

    def __call__(self, rows: FloatArray) -> FloatArray:
        """(N, a) as (N, b), or the other way round; a copy, since the request holds its answer."""
        with self._lock, self._fewest.of(len(rows)) as fewest:
            fed = np.pad(rows, [(0, max(fewest - len(rows), 0)), (0, 0)])
            found = next(iter(self._request.infer([fed]).values()))
            return np.array(found[: len(rows)])


def _fits(step: Step, graph: Graph) -> bool:
    flat = len(graph.shapes[step.inputs[0]]) == 2
    dense: Any = step.operation
    return is_dense(step, WEIGHTS) and flat and dense.compute_dtype == "float32"
