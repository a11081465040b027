"""How alike two maps of one picture are, by four measures.

They are those of Adebayo et al. 2018, section 3.2. For the structural similarity and the histograms
of gradients a map is first divided by its largest magnitude, so that 0 stays 0 and signs stay; rank
correlations do not depend on that.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np

from xai_core.errors import MetricError
from xai_core.rank_correlation import is_level, spearman
from xai_core.typing import FloatArray

Similarity: TypeAlias = Literal["spearman", "spearman-abs", "ssim", "hog"]
"""Spearman's rank correlation of the values or of their magnitudes, the structural similarity, or
the correlation of histograms of oriented gradients."""

_RADIUS, _SIGMA = 5, 1.5
"""Of the window of the structural similarity: 11 x 11 pixels, as in its paper."""
_STEADY = (0.01, 0.03)
"""K1 and K2 of its paper, which keep the quotients finite."""
_CELL, _BLOCK, _ORIENTATIONS = 16, 2, 9
"""Of the histograms: pixels of a cell, cells of a block (a side each), bins of half a turn."""
_CLIP = 0.2


def held_to_vary(attribution: FloatArray, what: str) -> None:
    """Refuse a map that is the same everywhere but for rounding.

    Raises:
        MetricError: it is, so that it is like no other map, and unlike none.
    """
    if is_level(attribution):
        raise MetricError(
            f"{what} is {attribution.flat[0]:g} everywhere; expected one with an order, to compare "
            "it with another"
        )


def ssim(one: FloatArray, other: FloatArray) -> float | None:
    """The mean of the structural similarity over the places."""
    return float(structure(one, other).mean())


def structure(one: FloatArray, other: FloatArray) -> FloatArray:
    """The structural similarity at each place: Wang et al., IEEE Trans. Image Processing 2004.

    Equations 13 to 17, with means, variances and the covariance under a Gaussian window. The window
    is cut off at the edges and its weights sum to 1 there as well. The range of values is 2, -1 to
    1, where either map is signed, and else 1.
    """
    x, y = _scaled(one), _scaled(other)
    span = 2.0 if min(x.min(), y.min()) < 0 else 1.0
    c1, c2 = ((k * span) ** 2 for k in _STEADY)
    down, across = map(_window, x.shape)

    def mean(values: FloatArray) -> FloatArray:
        found: FloatArray = down @ values @ across.T
        return found

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    found: FloatArray = (
        (2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))
    )
    return found


def hog(one: FloatArray, other: FloatArray) -> float | None:
    """Pearson's correlation of histograms of oriented gradients; None where one has no gradient."""
    return _pearson(gradients(_scaled(one)), gradients(_scaled(other)))


def gradients(values: FloatArray) -> FloatArray:
    """Histograms of oriented gradients: Dalal and Triggs, CVPR 2005.

    Central differences, 0 at the edges; 9 bins over half a turn, weighed by the gradient's size,
    without interpolation between bins; cells of 16 pixels, smaller where a side has less than two
    of them; blocks of 2 x 2 cells, one cell apart, of length 1, clipped at 0.2, and of length 1
    again. Pixels beyond the last whole cell do not count.
    """
    down, across = np.zeros((2, *values.shape))
    down[1:-1] = values[2:] - values[:-2]
    across[:, 1:-1] = values[:, 2:] - values[:, :-2]
    turn = np.degrees(np.arctan2(down, across)) % 180
    bins = np.minimum((turn * _ORIENTATIONS / 180).astype(int), _ORIENTATIONS - 1)
    votes = np.hypot(down, across)[..., None] * (bins[..., None] == np.arange(_ORIENTATIONS))
    side = max(1, min(_CELL, min(values.shape) // _BLOCK))
    rows, columns = (length // side for length in values.shape)
    cells = votes[: rows * side, : columns * side]
    cells = cells.reshape(rows, side, columns, side, _ORIENTATIONS).mean(axis=(1, 3))
    windows = np.lib.stride_tricks.sliding_window_view(
        cells, (min(_BLOCK, rows), min(_BLOCK, columns)), axis=(0, 1)
    )
    blocks = np.moveaxis(windows, 2, -1).reshape(*windows.shape[:2], -1)
    found: FloatArray = _unit(np.minimum(_unit(blocks), _CLIP))
    return found.ravel()


def by_magnitude(one: FloatArray, other: FloatArray) -> float | None:
    """Spearman's correlation of the magnitudes; None where those of one are all the same."""
    x, y = np.abs(one), np.abs(other)
    return None if is_level(x) or is_level(y) else spearman(x, y)


SIMILARITIES: Mapping[Similarity, Callable[[FloatArray, FloatArray], float | None]] = (
    MappingProxyType(
        {
            "spearman": spearman,
            "spearman-abs": by_magnitude,
            "ssim": ssim,
            "hog": hog,
        }
    )
)
"""How alike two maps (H, W) are, -1 to 1; None where that is not defined."""


def _pearson(one: FloatArray, other: FloatArray) -> float | None:
    x, y = one - one.mean(), other - other.mean()
    length = float(np.sqrt((x @ x) * (y @ y)))
    if not length > 0 or is_level(one) or is_level(other):
        return None
    return float(np.clip(x @ y / length, -1, 1))


def _scaled(values: FloatArray) -> FloatArray:
    """Divided by the largest magnitude, in float64."""
    wide = np.asarray(values, np.float64)
    largest = np.abs(wide).max(initial=0)
    return wide / largest if largest > 0 else wide


def _window(side: int) -> FloatArray:
    """How much each place counts at each, (side, side)."""
    away = np.abs(np.subtract.outer(np.arange(side), np.arange(side)))
    weights = np.where(away <= _RADIUS, np.exp(-0.5 * (away / _SIGMA) ** 2), 0)
    shares: FloatArray = weights / weights.sum(axis=1, keepdims=True)
    return shares


def _unit(blocks: FloatArray) -> FloatArray:
    """Each block of length 1; all but empty ones stay so."""
    found: FloatArray = blocks / np.sqrt((blocks**2).sum(axis=-1, keepdims=True) + 1e-10)
    return found
