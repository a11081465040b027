"""What backends gain by, where a model's layers have stand-ins that compute the same numbers."""

from enum import Enum, auto


class Gain(Enum):
    """A kind of stand-in that is faster on some backend, on a CPU."""

    MINIMAL_FILTERING = auto()
    """Convolutions of size 3 by fewer multiplications: `winograd.py`."""
    PRODUCTS = auto()
    """The second half of separable convolutions as a product of matrices: `separable.py`."""
    TURNED_KERNELS = auto()
    """Kernels that are turned round once for the way back: `turned.py`, `separable.py`."""
    SUMS_APART = auto()
    """Sums that the compiler must not join to what reads them: `sums.py`."""
    PIECES = auto()
    """Large dense layers in pieces, for several pictures: `dense.py`."""
