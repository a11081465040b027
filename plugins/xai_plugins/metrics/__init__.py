"""Metrics: numbers that say how good a map is, each with its traps."""

from xai_plugins.metrics.cascading import CascadingRandomisation
from xai_plugins.metrics.pixels import Deletion, Insertion
from xai_plugins.metrics.random_logit import RandomLogit

METRICS = (
    CascadingRandomisation(),
    Deletion(),
    Insertion(),
    RandomLogit(),
)

__all__ = [
    "METRICS",
    "CascadingRandomisation",
    "Deletion",
    "Insertion",
    "RandomLogit",
]
