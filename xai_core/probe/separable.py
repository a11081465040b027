"""Separable convolutions whose second half, of size 1, is a product of matrices."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import keras
from keras import ops

from xai_core.probe.way_back import with_way_back
from xai_core.surgery import Graph, Step
from xai_core.surgery.folding import computes_in_full, is_plain
from xai_core.typing import FloatArray, Tensor


class Products:
    """Puts products in the place of the separable convolutions of one model.

    For one picture of Xception's, TensorFlow takes a tenth less than for a convolution on a CPU. On
    the way back it turns the matrix round each time: 3.0 ms from 728 channels to 728 at 19 x 19
    places where 2.7 are enough, 8.8 from 2,048 to 1,536 at 10 x 10 in place of 4.4.

    Args:
        to_host: Reads a tensor.
    """

    def __init__(self, to_host: Callable[[Tensor], FloatArray]) -> None:
        self._to_host = to_host
        self._kernels: dict[int, tuple[Any, Any]] = {}
        """By the `id` of a variable: itself, to keep the `id`, and turned round."""

    def __call__(self, graph: Graph, steps: Sequence[Step] = ()) -> Graph:
        """The graph with a stand-in for each of Keras' own separable convolutions.

        Args:
            graph: The model, with what can be folded folded.
            steps: Where gradients go back by a matrix that was turned round before, by their
                paths. It is for models that no one changes: its values stay.
        """
        paths = {step.path for step in steps}

        def stand_in(step: Step) -> Step:
            return self._with_way_back(step) if step.path in paths else _as_product(step)

        return replace(graph, steps=tuple(stand_in(s) if _fits(s) else s for s in graph.steps))

    def _with_way_back(self, step: Step) -> Step:
        conv: Any = step.operation
        kernel = self._turned(conv.pointwise_kernel)

        def back(upstream: Tensor, _: Tensor) -> Tensor:
            return ops.matmul(upstream, kernel)

        stand_in = _separable(conv, with_way_back(_product(conv), back))
        return replace(step, operation=stand_in, reads=(*step.weights, kernel))

    def _turned(self, kernel: Any) -> Any:
        if id(kernel) not in self._kernels:
            values = self._to_host(kernel.value)[0, 0].T
            turned = keras.Variable(values, dtype=kernel.dtype, trainable=False)
            self._kernels[id(kernel)] = (kernel, turned)
        return self._kernels[id(kernel)][1]


def _fits(step: Step) -> bool:
    conv: Any = step.operation
    return type(conv) is keras.layers.SeparableConv2D and is_plain(conv) and computes_in_full(conv)


def _as_product(step: Step) -> Step:
    stand_in = _separable(step.operation, _product(step.operation))
    return replace(step, operation=stand_in, reads=step.weights)


def _product(conv: Any) -> Callable[[Tensor], Tensor]:
    """The second half, of (places, channels), not yet put back into pictures.

    TensorFlow joins a bias to nothing but the product itself.
    """

    def product(places: Tensor) -> Tensor:
        kernel = ops.reshape(conv.pointwise_kernel, conv.pointwise_kernel.shape[2:])
        found = ops.matmul(places, kernel)
        return ops.add(found, conv.bias) if conv.use_bias else found

    return product


def _separable(conv: Any, product: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    def separable(inputs: Tensor, **_: Any) -> Tensor:
        found = ops.depthwise_conv(
            inputs,
            conv.depthwise_kernel,
            strides=conv.strides,
            padding=conv.padding,
            data_format=conv.data_format,
            dilation_rate=conv.dilation_rate,
        )
        _, height, width, channels = found.shape
        made = product(ops.reshape(found, (-1, channels)))
        return conv.activation(ops.reshape(made, (-1, height, width, made.shape[-1])))

    return separable
