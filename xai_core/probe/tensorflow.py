"""What the probe asks of TensorFlow."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from xai_core.typing import Tensor


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of tensors, once for each shape that it is called with."""
    return tf.function(function, reduce_retracing=False, autograph=False)  # type: ignore[no-any-return]


def pullback(
    function: Callable[[Tensor], Tensor], argument: Tensor
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """A function's value, and what carries a gradient by the value back to the argument.

    The value is computed once however many gradients are carried back.
    """
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(argument)
        value = function(argument)

    def back(gradient: Tensor) -> Tensor:
        return tape.gradient(
            value,
            argument,
            output_gradients=gradient,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )

    return value, back


def to_host(tensor: Tensor) -> np.ndarray[Any, Any]:
    """The tensor as a NumPy array, waiting for it if need be."""
    return np.asarray(tensor)
