"""Metrics: numbers that say how good a map is, each with its traps."""

from xai_plugins.metrics.completeness import Completeness
from xai_plugins.metrics.complexity import EffectiveArea, Entropy, Sparseness
from xai_plugins.metrics.mu_fidelity import MuFidelity
from xai_plugins.metrics.pixels import Deletion, Insertion
from xai_plugins.metrics.road import Road
from xai_plugins.metrics.sensitivity_n import SensitivityN
from xai_plugins.metrics.shown import AverageDrop, AverageIncrease

METRICS = (
    Deletion(),
    Insertion(),
    Road(),
    MuFidelity(),
    SensitivityN(),
    AverageDrop(),
    AverageIncrease(),
    Completeness(),
    Sparseness(),
    Entropy(),
    EffectiveArea(),
)

__all__ = [
    "METRICS",
    "AverageDrop",
    "AverageIncrease",
    "Completeness",
    "Deletion",
    "EffectiveArea",
    "Entropy",
    "Insertion",
    "MuFidelity",
    "Road",
    "SensitivityN",
    "Sparseness",
]
