"""Pictures of which nothing is to be seen, in the place of pixels that are taken away."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np

from xai_core.typing import FloatArray

Canvas: TypeAlias = Literal["black", "mean", "blur"]
"""Black, the mean colour of the picture, or the picture blurred."""

_SIGMA = 5 / 224
"""Of the blur, as a share of the shorter side: what Petsiuk's own code blurs by."""
_LEAST = 2.0
"""Of the blur in pixels: of a picture of 32 pixels, the share above would leave all to be seen."""


def canvas(kind: Canvas, pixels: FloatArray) -> FloatArray:
    """What stands in the place of a picture (H, W, C): the same shape and dtype."""
    made: FloatArray = np.broadcast_to(_CANVASES[kind](pixels), pixels.shape).astype(pixels.dtype)
    return made


def _blur(pixels: FloatArray) -> FloatArray:
    """Through a Gaussian; at the edges its weights are those within the picture."""
    sigma = max(_LEAST, _SIGMA * min(pixels.shape[:2]))
    rows, columns = (_gaussian(side, sigma) for side in pixels.shape[:2])
    blurred: FloatArray = np.einsum("yh,hwc,xw->yxc", rows, pixels, columns, optimize=True)
    return blurred


def _gaussian(side: int, sigma: float) -> FloatArray:
    """How much each place counts at each, (side, side)."""
    away = np.subtract.outer(np.arange(side), np.arange(side)) / sigma
    weights = np.exp(-0.5 * away**2)
    shares: FloatArray = weights / weights.sum(axis=1, keepdims=True)
    return shares


_CANVASES: Mapping[str, Callable[[FloatArray], FloatArray]] = MappingProxyType(
    {
        "black": np.zeros_like,
        "mean": lambda pixels: pixels.mean(axis=(0, 1), keepdims=True),
        "blur": _blur,
    }
)
