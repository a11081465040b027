"""Values of a model's variables, and variables of ours that are made of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from xai_core.typing import FloatArray, Tensor


@dataclass(frozen=True)
class Weights:
    """How stand-ins come by the weights of a model, and by their own."""

    to_host: Callable[[Tensor], FloatArray]
    """Reads a tensor."""
    keep: Callable[[FloatArray], Tensor]
    """Makes a tensor for a variable to share."""

    def of(self, variable: Any) -> FloatArray:
        """The values of a variable."""
        return self.to_host(variable.value)

    def wide(self, variable: Any) -> FloatArray:
        """The same, in float64."""
        return np.asarray(self.of(variable), np.float64)

    def made(self, values: FloatArray, like: Any) -> keras.Variable:
        """A variable of some values, in the dtype of another one, that no one trains."""
        kept = self.keep(values.astype(like.dtype, copy=False))
        # One name for all: TensorFlow keeps 35 KiB for each that it ever met.
        return keras.Variable(kept, dtype=like.dtype, trainable=False, name="made")
