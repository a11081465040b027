"""The built-in plugins, found through the same entry points as anyone's."""

from collections.abc import Iterable

from xai_core import hookimpl
from xai_core.interfaces import Explainer, Metric, ModelAdapter
from xai_plugins.adapters import ADAPTERS
from xai_plugins.cam import CAM
from xai_plugins.gradients import GRADIENTS
from xai_plugins.metrics import METRICS
from xai_plugins.perturbation import PERTURBATION


@hookimpl
def xai_explainers() -> Iterable[Explainer]:
    """Every built-in explainer, with its defaults."""
    return (*CAM, *GRADIENTS, *PERTURBATION)


@hookimpl
def xai_adapters() -> Iterable[ModelAdapter]:
    """Every built-in adapter."""
    return ADAPTERS


@hookimpl
def xai_metrics() -> Iterable[Metric]:
    """Every built-in metric, with its defaults."""
    return METRICS
