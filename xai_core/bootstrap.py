"""How far a mean over pictures would move with other pictures of the same kind."""

from dataclasses import dataclass

import numpy as np

from xai_core.typing import FloatArray

RESAMPLES = 2000
LEVEL = 0.95
_LARGE = 1e6


@dataclass(frozen=True)
class Interval:
    """A mean, and the percentile bootstrap interval about it."""

    mean: float
    low: float | None
    """The lower end; None where there is one value, of which nothing can be resampled."""
    high: float | None
    count: int
    """How many values it is the mean of."""

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return "none"
        return f"{digits(self.low, 3)} to {digits(self.high, 3)}"


def digits(value: float, after: int) -> str:
    """A number with so many digits after the point; what is too small or large, by powers of ten.

    Too small is what would read as 0; too large, what would be a long row of digits that no one
    compares: the sum of a map that knows nothing, say, of the score's change.
    """
    size = abs(value)
    if size >= _LARGE:
        return f"{value:.{after - 1}e}"
    return f"{value:.1e}" if 0 < size < 0.5 * 10**-after else f"{value:.{after}f}"


def interval(values: FloatArray, seed: int) -> Interval:
    """The mean of some values, and where 95 % of the means of resamples of them lie.

    Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979: as many values are drawn
    with replacement as there are, 2,000 times; the ends are the 2.5th and the 97.5th percentile
    of the means. Of few values it is too narrow.

    Args:
        values: (N,), at least one.
        seed: Of the resamples; with the same one, as many values are resampled alike.
    """
    count = len(values)
    mean = float(np.mean(values))
    if count < 2:
        return Interval(mean, None, None, count)
    drawn = np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))
    tails = (100 * (1 - LEVEL) / 2, 100 * (1 + LEVEL) / 2)
    low, high = np.percentile(np.asarray(values)[drawn].mean(axis=1), tails)
    return Interval(mean, float(low), float(high), count)
