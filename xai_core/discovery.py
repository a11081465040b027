"""What is installed, as plain lists."""

from xai_core.registry import Registry


def list_explainers() -> list[str]:
    """The names of the explainers of every installed plugin."""
    return list(Registry.discover().explainers)


def list_adapters() -> list[str]:
    """The names of the adapters of every installed plugin."""
    return list(Registry.discover().adapters)
