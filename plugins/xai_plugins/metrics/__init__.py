"""Metrics: numbers that say how good a map is, each with its traps."""

from xai_plugins.metrics.float64 import Float64Distance
from xai_plugins.metrics.grid import GridPointingGame
from xai_plugins.metrics.pixels import Deletion, Insertion
from xai_plugins.metrics.pointing import PointingGame
from xai_plugins.metrics.relevance import RelevanceMass, RelevanceRank
from xai_plugins.metrics.sensitivity import MaxSensitivity
from xai_plugins.metrics.stability import Stability

METRICS = (
    Deletion(),
    Float64Distance(),
    GridPointingGame(),
    Insertion(),
    MaxSensitivity(),
    PointingGame(),
    RelevanceMass(),
    RelevanceRank(),
    Stability(),
)

__all__ = [
    "METRICS",
    "Deletion",
    "Float64Distance",
    "GridPointingGame",
    "Insertion",
    "MaxSensitivity",
    "PointingGame",
    "RelevanceMass",
    "RelevanceRank",
    "Stability",
]
