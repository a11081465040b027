"""What Keras does not let one set, replaced for as long as a study runs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Replaced:
    """One value in a dict of Keras' own, and how many runs want another in its place.

    Args:
        rows: The dict: a table, or the names of a module.
        key: Whose value. Where there is no such key, in another version, nothing is replaced.
        value: What stands there meanwhile.
    """

    def __init__(self, rows: dict[str, Any], key: str, value: Any) -> None:
        self._rows = rows
        self._key = key
        self._value = value
        self._usual = rows.get(key)
        self._wanted = 0
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Until the last of those that want it is done."""
        if self._key not in self._rows:
            yield
            return
        with self._lock:
            self._wanted += 1
            self._rows[self._key] = self._value
        try:
            yield
        finally:
            with self._lock:
                self._wanted -= 1
                if not self._wanted:
                    self._rows[self._key] = self._usual
