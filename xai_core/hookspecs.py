"""The hooks through which plugins offer explainers, adapters and metrics."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from xai_core.interfaces import Explainer, Metric, ModelAdapter

PROJECT = "xai_core"
"""The name of the entry-point group, and of the project to pluggy."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def xai_explainers() -> "Iterable[Explainer]":
    """Explainers, each an instance with its parameters at their defaults."""
    return ()


@hookspec
def xai_adapters() -> "Iterable[ModelAdapter]":
    """Adapters for families of models."""
    return ()


@hookspec
def xai_metrics() -> "Iterable[Metric]":
    """Metrics, each an instance with its parameters at their defaults."""
    return ()
