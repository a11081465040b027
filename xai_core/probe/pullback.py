"""What each backend makes of a function: its value, and the way back."""

from collections.abc import Callable
from typing import NamedTuple

from xai_core.typing import Tensor


class Pullback(NamedTuple):
    """A function's value, and what carries gradients by the value back to the argument.

    The value is computed once however many gradients are carried back.
    """

    value: Tensor
    back: Callable[[Tensor], Tensor]
    """Takes dS/d(value), and returns dS/d(argument)."""
    together: Callable[[Tensor], Tensor]
    """The same for T scores at once, (T, ...): the weights on the way are read once."""
