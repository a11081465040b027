"""Metrics: numbers that say how good a map is, each with its traps."""

from xai_plugins.metrics.pixels import Deletion, Insertion

METRICS = (
    Deletion(),
    Insertion(),
)

__all__ = [
    "METRICS",
    "Deletion",
    "Insertion",
]
