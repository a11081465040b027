"""Maps that know nothing of a model: what a method must beat before its map is believed."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from xai_core.typing import FloatArray

Reference: TypeAlias = Callable[[FloatArray, np.random.Generator], FloatArray]
"""Of pixels (H, W, C) and a generator, a map (H, W), float64."""


def _random(pixels: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Uniform noise, 0..1, each pixel by itself."""
    return generator.random(pixels.shape[:2])


def _centre(pixels: FloatArray, _: np.random.Generator) -> FloatArray:
    """A Gaussian about the centre, a quarter of each side wide: photographers centre things."""
    rows, columns = (
        np.exp(-8 * ((np.arange(side) + 0.5) / side - 0.5) ** 2) for side in pixels.shape[:2]
    )
    blob: FloatArray = np.outer(rows, columns)
    return blob


def _edges(pixels: FloatArray, _: np.random.Generator) -> FloatArray:
    """The size of Sobel's gradient of the mean over the channels, the edges repeated."""
    grey = np.pad(pixels.astype(np.float64).mean(axis=2), 1, mode="edge")
    smooth_down = grey[:-2] + 2 * grey[1:-1] + grey[2:]
    smooth_across = grey[:, :-2] + 2 * grey[:, 1:-1] + grey[:, 2:]
    found: FloatArray = np.hypot(
        smooth_down[:, 2:] - smooth_down[:, :-2], smooth_across[2:] - smooth_across[:-2]
    )
    return found


def _uniform(pixels: FloatArray, _: np.random.Generator) -> FloatArray:
    """The same everywhere."""
    return np.ones(pixels.shape[:2])


REFERENCES: Mapping[str, Reference] = MappingProxyType(
    {"random": _random, "centre-gaussian": _centre, "edges": _edges, "uniform": _uniform}
)
"""By the name of their row in every table."""
