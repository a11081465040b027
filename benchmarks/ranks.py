"""Rank correlation."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def spearman(one: NDArray[Any], two: NDArray[Any]) -> float:
    """Spearman's rho: the correlation of the ranks, where equal values share their mean rank.

    0 where one of them is level, which has no order to share.
    """
    if not np.ptp(one) or not np.ptp(two):
        return 0.0
    return float(np.corrcoef(_ranks(one), _ranks(two))[0, 1])


def _ranks(values: NDArray[Any]) -> NDArray[Any]:
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    found: NDArray[Any] = (last - (counts - 1) / 2)[which.ravel()]
    return found
