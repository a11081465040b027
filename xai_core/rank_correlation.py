"""Rank correlation."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def spearman(a: ArrayLike, b: ArrayLike) -> float | None:
    """Spearman's rho: the correlation of the ranks, where equal values share their mean rank.

    Args:
        a: Numbers of any shape, finite.
        b: As many.

    Returns:
        -1..1; None where all values of one side are the same, which have no order.
    """
    one, other = _ranks(a), _ranks(b)
    if not (one.any() and other.any()):
        return None
    # One root of the product: of the same order it is 1, and not the float beside it.
    rho = float(one @ other / np.sqrt((one @ one) * (other @ other)))
    return min(1.0, max(-1.0, rho))


_ROUNDING = 1e-6
"""What float32 leaves of values that are the same, by share of the largest."""


def is_level(values: ArrayLike) -> bool:
    """Whether all values are the same but for what rounding in float32 leaves.

    Such a map has no order of places: what stands in for one is noise.
    """
    given = np.asarray(values, np.float64)
    return float(np.ptp(given)) <= _ROUNDING * float(np.abs(given).max())


def _ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Twice the mean rank of each value, less its mean: whole numbers, of which sums are exact."""
    _, which, counts = np.unique(np.ravel(values), return_inverse=True, return_counts=True)
    after = np.cumsum(counts)
    ranks: NDArray[np.float64] = (2 * after - counts - which.size).astype(np.float64)[which]
    return ranks
