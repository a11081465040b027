"""How long work says how far it is."""

from typing import Protocol


class Progress(Protocol):
    """Called as work goes on."""

    def __call__(self, done: int, total: int, what: str) -> None:
        """Say that `done` of `total` is done, and what runs now."""


def silent(done: int, total: int, what: str) -> None:
    """Say nothing."""
