"""Whether a mean difference is more than chance: the sign-flip test of paired differences."""

from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from xai_core.typing import FloatArray

LEVEL = 0.05
"""A difference is shown where chance would make one as large this often, or more rarely."""

FEWEST = 6
"""Pairs from which on one can be shown: of five that all point one way, the chance of that is
2 / 2^5, above 5 %."""

_EXACT = 12
"""Up to so many pairs all patterns of signs are tried, 4,096 of them."""
_DRAWN = 9999
"""Patterns that are drawn beyond that."""
_ROUNDING = 1e-9
"""What two sums of the same magnitudes may differ by, of the sum of the magnitudes."""


def chance(differences: FloatArray, seed: int) -> float:
    """How often a mean would be as far from 0, were the sign of each difference a coin's.

    Fisher, "The Design of Experiments", 1935, section 21. Two-sided. Up to 12 pairs all patterns
    of signs are tried; for more, 9,999 of them, beside the one that was found (Phipson and Smyth,
    "Permutation P-values Should Never Be Zero", 2010). Differences of 0 say nothing either way.

    Args:
        differences: (N,), at least one.
        seed: Of the patterns; with the same one, as many pairs have the same ones.
    """
    values = np.asarray(differences, np.float64)
    signs, is_whole = _signs(len(values), seed)
    least = abs(values.sum()) - _ROUNDING * np.abs(values).sum()
    found = int(np.count_nonzero(np.abs(signs @ values) >= least))
    return found / len(signs) if is_whole else (1 + found) / (1 + len(signs))


@lru_cache(maxsize=8)
def _signs(count: int, seed: int) -> tuple[NDArray[np.int8], bool]:
    """Patterns of signs (P, N), and whether they are all that there are."""
    if count <= _EXACT:
        return np.asarray(list(product((-1, 1), repeat=count)), np.int8), True
    drawn = np.random.default_rng((seed, count)).integers(2, size=(_DRAWN, count), dtype=np.int8)
    return 2 * drawn - 1, False
