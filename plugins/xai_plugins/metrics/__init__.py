"""Metrics: numbers that say how good a map is, each with its traps."""

from xai_plugins.metrics.cascading import CascadingRandomisation
from xai_plugins.metrics.completeness import Completeness
from xai_plugins.metrics.complexity import EffectiveArea, Entropy, Sparseness
from xai_plugins.metrics.float64 import Float64Distance
from xai_plugins.metrics.grid import GridPointingGame
from xai_plugins.metrics.mu_fidelity import MuFidelity
from xai_plugins.metrics.pixels import Deletion, Insertion
from xai_plugins.metrics.pointing import PointingGame
from xai_plugins.metrics.random_logit import RandomLogit
from xai_plugins.metrics.relevance import RelevanceMass, RelevanceRank
from xai_plugins.metrics.road import Road
from xai_plugins.metrics.sensitivity import MaxSensitivity
from xai_plugins.metrics.sensitivity_n import SensitivityN
from xai_plugins.metrics.shown import AverageDrop, AverageIncrease
from xai_plugins.metrics.stability import Stability

METRICS = (
    AverageDrop(),
    AverageIncrease(),
    CascadingRandomisation(),
    Completeness(),
    Deletion(),
    EffectiveArea(),
    Entropy(),
    Float64Distance(),
    GridPointingGame(),
    Insertion(),
    MaxSensitivity(),
    MuFidelity(),
    PointingGame(),
    RandomLogit(),
    RelevanceMass(),
    RelevanceRank(),
    Road(),
    SensitivityN(),
    Sparseness(),
    Stability(),
)

__all__ = [
    "METRICS",
    "AverageDrop",
    "AverageIncrease",
    "CascadingRandomisation",
    "Completeness",
    "Deletion",
    "EffectiveArea",
    "Entropy",
    "Float64Distance",
    "GridPointingGame",
    "Insertion",
    "MaxSensitivity",
    "MuFidelity",
    "PointingGame",
    "RandomLogit",
    "RelevanceMass",
    "RelevanceRank",
    "Road",
    "SensitivityN",
    "Sparseness",
    "Stability",
]
