"""A gradient by another way than the backend's own."""

from collections.abc import Callable

from xai_core.probe import backend
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

    def both(argument: Tensor) -> tuple[Tensor, Callable[..., Tensor]]:
        value = function(argument)

        def carried(*given: Tensor, upstream: Tensor | None = None) -> Tensor:
            # On torch, Keras gives the argument of the function first, and names the gradient.
            return back(given[-1] if upstream is None else upstream, value)

        return value, carried

    def run(argument: Tensor) -> Tensor:
        found: Tensor = backend().custom_gradient(both)(argument)
        return found

    return run
