"""Whether two maps put the same places first."""

import numpy as np

from xai_core.typing import FloatArray


def spearman(a: FloatArray, b: FloatArray) -> float | None:
    """Spearman's rank correlation of two maps, -1 to 1; equal values have their mean rank.

    Args:
        a: A map, of any shape.
        b: A map of as many values.

    Returns:
        None where all values of one of them are the same: they have no order.
    """
    first, second = _ranks(a), _ranks(b)
    spread = np.sqrt(first @ first) * np.sqrt(second @ second)
    return float(np.clip(first @ second / spread, -1, 1)) if spread > 0 else None


def _ranks(values: FloatArray) -> FloatArray:
    """Ranks about their mean, flat; equal values share the mean of theirs."""
    _, places, counts = np.unique(np.ravel(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean = last - (counts + 1) / 2
    ranks: FloatArray = mean[places.ravel()] - (last[-1] - 1) / 2
    return ranks
