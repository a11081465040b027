"""The few names for types that both packages share."""

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Tensor: TypeAlias = Any
"""A tensor of whichever backend Keras runs on, or a NumPy array."""

FloatArray: TypeAlias = NDArray[np.floating[Any]]

ScoreKind: TypeAlias = Literal["logit", "probability"]

Way: TypeAlias = Literal["compiled", "eager"]
"""How a pass is run: compiled takes longer at first and is faster from then on."""
