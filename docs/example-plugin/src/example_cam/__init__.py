"""What this plugin offers to xai-core, which finds it by the entry point in pyproject.toml."""

from collections.abc import Iterable

from xai_core import Explainer, ModelAdapter, hookimpl

from example_cam.adapter import ExampleCamNet
from example_cam.explainer import ExampleCam


@hookimpl
def xai_explainers() -> Iterable[Explainer]:
    """The methods, with the parameters that they come with."""
    return (ExampleCam(),)


@hookimpl
def xai_adapters() -> Iterable[ModelAdapter]:
    """The families of models."""
    return (ExampleCamNet(),)
