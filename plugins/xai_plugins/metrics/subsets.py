"""Random subsets of a picture's pixels or cells: what is taken away, and by how much that tells."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xai_core import Trial
from xai_core.rank_correlation import is_level
from xai_core.typing import FloatArray
from xai_plugins.metrics.canvas import Canvas, canvas

_TOGETHER = 128
"""Pictures made in one go: a matter of memory."""


@dataclass(frozen=True, eq=False)
class Cells:
    """A picture divided into cells."""

    labels: NDArray[np.intp]
    """The number of the cell of each pixel, (H, W)."""

    @classmethod
    def of(cls, size: tuple[int, ...], grid: int | None) -> "Cells":
        """So many rows and columns, as even as the sides allow; None: each pixel is a cell."""
        height, width = size
        rows, columns = (side if grid is None else min(grid, side) for side in (height, width))
        down = np.arange(height) * rows // height
        across = np.arange(width) * columns // width
        return cls(down[:, None] * columns + across)

    @cached_property
    def count(self) -> int:
        """How many there are."""
        return int(self.labels.max()) + 1

    def sums(self, attribution: FloatArray) -> FloatArray:
        """The sum of a map (H, W) over each cell."""
        found: FloatArray = np.zeros(self.count)
        np.add.at(found, self.labels.ravel(), attribution.ravel())
        return found

    def draw(self, generator: np.random.Generator, subsets: int, size: int) -> NDArray[np.bool_]:
        """Subsets of that size, each as likely as any other, (subsets, count)."""
        drawn = np.zeros((subsets, self.count), bool)
        for each in drawn:
            each[generator.choice(self.count, size, replace=False, shuffle=False)] = True
        return drawn

    def drops(self, trial: Trial, taken: NDArray[np.bool_], baseline: Canvas) -> FloatArray:
        """By how much the explained score falls when the cells of each subset are taken away."""
        covered = canvas(baseline, trial.pixels)
        asked = [trial.scores(trial.pixels[None])]
        for first in range(0, len(taken), _TOGETHER):
            gone = taken[first : first + _TOGETHER][:, self.labels]
            asked.append(trial.scores(np.where(gone[..., None], covered, trial.pixels)))
        scores = np.concatenate(asked)
        if is_level(scores):  # or what rounding leaves of a score that does not change would count
            return np.zeros(len(taken))
        found: FloatArray = scores[0] - scores[1:]
        return found


@dataclass(frozen=True)
class Correlation:
    """How what a map says of subsets goes with what they are worth to the score."""

    value: float
    """Pearson's; 0 where a side is the same for all subsets, which has none."""
    spread_of_sums: float
    """Standard deviation of the sums of the map over the subsets; 0 where all are the same."""
    spread_of_drops: float
    """That of the drops."""


def correlation(cells: FloatArray, taken: NDArray[np.bool_], drops: FloatArray) -> Correlation:
    """Of the sums of a map's cells over subsets (Q, count) with the drops (Q,)."""
    largest = float(np.abs(cells).max()) or 1.0  # so that no square of a tiny value is 0
    sums = taken @ (cells / largest)
    a, b = _spread(sums), _spread(drops)
    value = float(np.mean((sums - sums.mean()) * (drops - drops.mean()))) / (a * b) if a * b else 0
    return Correlation(float(np.clip(value, -1, 1)), a * largest, b)


def _spread(values: FloatArray) -> float:
    """The standard deviation; 0 where what they differ by is rounding."""
    return 0.0 if is_level(values) else float(values.std())
