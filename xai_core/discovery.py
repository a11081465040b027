"""What is installed: plain lists, and explainers by name."""

from typing import Any

from xai_core.interfaces import Explainer, Metric
from xai_core.registry import Registry


def list_explainers() -> list[str]:
    """The names of the explainers of every installed plugin."""
    return list(Registry.discover().explainers)


def list_adapters() -> list[str]:
    """The names of the adapters of every installed plugin."""
    return list(Registry.discover().adapters)


def list_metrics() -> list[str]:
    """The names of the metrics of every installed plugin."""
    return list(Registry.discover().metrics)


def explainer(name: str, /, **parameters: Any) -> Explainer:
    """An installed explainer, set up: `explainer("rise", masks=4000)`.

    Args:
        name: What `xai list explainers` calls it.
        **parameters: Values in place of those it comes with.

    Raises:
        UnknownNameError: there is none of that name; it says which are near.
        ParameterError: it has no such parameter, or one that does not take the value.
    """
    return Registry.discover().explainer(name, **parameters)


def metric(name: str, /, **parameters: Any) -> Metric:
    """An installed metric, set up: `metric("deletion", steps=50)`.

    Args:
        name: What `xai list metrics` calls it.
        **parameters: Values in place of those it comes with.

    Raises:
        UnknownNameError: there is none of that name; it says which are near.
        ParameterError: it has no such parameter, or one that does not take the value.
    """
    return Registry.discover().metric(name, **parameters)
