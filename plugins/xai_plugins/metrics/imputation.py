"""Removed pixels made up from those that are left: the linear imputation of ROAD."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xai_core.errors import MetricError
from xai_core.typing import FloatArray

_NEAR = 1e-5
"""In grey levels: the largest step that is left. The error is some times that, below 1e-4; ROAD's
noise is 2.55."""
_GAIN = 1e-4
"""What float32 is good for: by how much smaller what is missing becomes in one go."""
_ROUNDS = 200
"""About twenty-five are enough."""


def imputed(pixels: FloatArray, removed: NDArray[np.bool_]) -> FloatArray:
    """A picture whose removed pixels are the weighted mean of their eight neighbours each.

    Neighbours beside a pixel count 1/6, those across a corner 1/12; at the border those that
    exist count, in proportion. All removed pixels of a picture are one sparse linear system, which
    is solved by conjugate gradients, preconditioned by a multigrid cycle in float32.

    Args:
        pixels: (H, W, C).
        removed: (H, W); one pixel at least must be left.

    Returns:
        float64 (H, W, C); what is not removed is as it was.

    Raises:
        MetricError: no pixel is left to begin from.
    """
    if removed.all():
        raise MetricError(
            "no pixel is left to make up the removed ones from; expected one at least"
        )
    known = np.where(removed, 0, np.moveaxis(np.asarray(pixels, np.float64), -1, 0))
    grids = _grids(removed)
    found = known + _solved(grids, removed * _around(known)) if grids else known
    return np.ascontiguousarray(np.moveaxis(found, 0, -1))


@dataclass(frozen=True, eq=False)
class _Grid:
    """The system of one resolution, twelve times as large: its weights are whole numbers."""

    removed: FloatArray
    """1 or 0, float32 (H, W)."""
    total: FloatArray
    """The weights of the neighbours that exist, (H, W): 12, but at the border; 0 where nothing
    is removed."""
    inverse: FloatArray
    """Of the total, float32 (H, W); 0 where nothing is removed."""

    def apply(self, values: FloatArray) -> FloatArray:
        """What the system makes of values (C, H, W) that are 0 where nothing is removed."""
        made = _around(values)
        made *= -self.removed
        made += self.total * values
        return made


def _solved(grids: list[_Grid], wanted: FloatArray) -> FloatArray:
    """The values (C, H, W) of which the system makes what is wanted.

    What is missing is found in float32, and what is then still missing again: it takes a third of
    the time, and nothing of float64's precision.
    """
    values = np.zeros_like(wanted)
    for _ in range(_ROUNDS):
        missing = _descended(grids, (wanted - grids[0].apply(values)).astype(np.float32))
        values += missing
        if float(np.abs(missing).max()) <= _NEAR / _GAIN:  # the next would be below _NEAR
            break
    return values


def _descended(grids: list[_Grid], rest: FloatArray) -> FloatArray:
    """Conjugate gradients, until what is missing is a small part of what was."""
    values = np.zeros_like(rest)
    ahead, before, enough = np.zeros_like(rest), 1.0, 0.0
    for _ in range(_ROUNDS):
        step = _corrected(grids, rest)  # nearly what is missing
        largest = float(np.abs(step).max())
        enough = enough or max(_NEAR, _GAIN * largest)
        if largest <= enough:
            break
        size = float(np.vdot(rest, step))
        ahead *= size / before
        ahead += step
        before = size
        made = grids[0].apply(ahead)
        share = size / float(np.vdot(ahead, made))
        values += share * ahead
        rest -= share * made
    return values


def _corrected(grids: list[_Grid], rest: FloatArray) -> FloatArray:
    """One V-cycle from 0: roughly the values of which the system makes the rest."""
    grid, *coarser = grids
    values: FloatArray = rest * grid.inverse
    if coarser:
        still = rest - grid.apply(values)
        below = _corrected(coarser, coarser[0].removed * _fours(still).sum(axis=(2, 4)))
        height, width = rest.shape[1:]
        wide = below.repeat(2, axis=1).repeat(2, axis=2)[:, :height, :width]
        values += grid.removed * wide
        values += grid.inverse * (rest - grid.apply(values))
    return values


def _grids(removed: NDArray[np.bool_]) -> list[_Grid]:
    """From the picture's own to the coarsest, each of half the sides, while a place is removed.

    A place of a coarser grid is removed where all four of the finer one are.
    """
    grids: list[_Grid] = []
    while removed.any():
        total = (removed * _around(np.ones((1, *removed.shape), np.float32)))[0]
        inverse = np.divide(1, total, out=np.zeros_like(total), where=removed)
        grids.append(_Grid(removed.astype(np.float32), total, inverse))
        removed = _fours(removed[None], beyond=True)[0].all(axis=(1, 3))
    return grids


def _fours(values: NDArray[Any], beyond: float = 0) -> NDArray[Any]:
    """(C, H, W) as (C, h, 2, w, 2), sides that are odd filled up."""
    channels, height, width = values.shape
    odd = ((0, 0), (0, height % 2), (0, width % 2))
    even = np.pad(values, odd, constant_values=beyond) if height % 2 or width % 2 else values
    return even.reshape(channels, (height + 1) // 2, 2, (width + 1) // 2, 2)


def _around(values: FloatArray) -> FloatArray:
    """Twice what is beside each place of (C, H, W) and once what is across its corners.

    Beyond the border there is 0.
    """
    # 1 2 1 down, then across, is that and four times the place itself.
    down = 2 * values
    down[:, 1:] += values[:, :-1]
    down[:, :-1] += values[:, 1:]
    found: FloatArray = 2 * down
    found[..., 1:] += down[..., :-1]
    found[..., :-1] += down[..., 1:]
    found -= 4 * values
    return found
