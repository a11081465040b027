"""Float64 on the backends where Keras makes float32 of it.

On JAX and torch, Keras' rules for the dtype of a result end in a table that turns float64 into
float32, so that a model in float64 computes a mean in float32. There is no setting for it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from keras.src.backend.common import dtypes


class Table:
    """Keras' table, and how many runs want it without its row for float64."""

    def __init__(self, rows: dict[str, str]) -> None:
        self._rows = rows
        self._usual = rows["float64"]
        self._wanted = 0
        self._lock = threading.Lock()

    @contextmanager
    def without_float64(self) -> Iterator[None]:
        """Float64 stays float64 until the last of those that want it is done."""
        with self._lock:
            self._wanted += 1
            self._rows["float64"] = "float64"
        try:
            yield
        finally:
            with self._lock:
                self._wanted -= 1
                if not self._wanted:
                    self._rows["float64"] = self._usual


TABLE = Table(dtypes.BIT64_TO_BIT32_DTYPE)
"""The one that Keras has."""
