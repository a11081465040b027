"""A gradient by another way than the backend's own."""

from collections.abc import Callable, Sequence
from typing import Any

from keras import ops

from xai_core.typing import Tensor


def with_way_back(
    function: Callable[[Tensor], Tensor], back: Callable[[Tensor, Tensor], Tensor]
) -> Callable[[Tensor], Tensor]:
    """The function, whose gradient by its argument is carried back by `back`.

    By what else the function reads, such as weights, there is none.

    Args:
        function: Of one tensor.
        back: Takes dS/dy and y, and returns dS/dx.
    """

    def both(argument: Tensor) -> tuple[Tensor, Callable[..., Any]]:
        value = function(argument)

        def carried(
            *given: Tensor,
            upstream: Tensor | None = None,
            variables: Sequence[Any] | None = None,
        ) -> Any:
            # On torch, Keras gives the argument of the function first, and names the gradient.
            found = back(given[-1] if upstream is None else upstream, value)
            # TensorFlow asks for gradients by the weights, too, where they are variables.
            return found if variables is None else (found, [None] * len(variables))

        return value, carried

    def run(argument: Tensor) -> Tensor:
        return ops.custom_gradient(both)(argument)

    return run
