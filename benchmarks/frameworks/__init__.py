"""What differs between backends: a module for each, as its own users would run a Keras model.

None of it goes through xai-core, which is set against it.
"""

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, cast

from benchmarks.settings import Conditions


class Framework(Protocol):
    """A module of this package; importing it imports the framework."""

    NAME: str
    """As its makers write it."""
    CUDA: str
    """Where a build for GPUs is had from."""
    DISTRIBUTIONS: tuple[str, ...]
    """What a number depends on here and on no other backend, peers with it."""

    @staticmethod
    def hold(conditions: Conditions) -> None:
        """Hold it to the conditions; before it has run anything."""

    @staticmethod
    def gpus() -> tuple[str, ...]:
        """What the GPUs that it finds call themselves."""

    @staticmethod
    def tf32() -> bool:
        """Whether it may multiply float32 in TF32, by its own word."""

    @staticmethod
    def coarse() -> AbstractContextManager[Any]:
        """Where it may, whatever is said around it."""

    @staticmethod
    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of tensors, as fast as the framework runs it."""

    @staticmethod
    def forward(model: Any) -> Callable[[Any], Any]:
        """The model as it is best run: inputs on the device to logits there."""

    @staticmethod
    def gradient(model: Any) -> Callable[[Any], Any]:
        """The gradient of the first logit by the input, likewise."""

    @staticmethod
    def tutorial(model: Any, layer: str, images: Any) -> tuple[Any, Any]:
        """A layer's activations and the highest score's gradient by them, nothing compiled."""

    @staticmethod
    def wait(made: Any = None) -> None:
        """Wait for what was made, or until the device has nothing left to do."""

    @staticmethod
    def peak() -> float:
        """The most MiB of the GPU's memory that were held."""

    @staticmethod
    def trace(folder: Path) -> AbstractContextManager[Any]:
        """Record where time goes into files of a folder."""


def framework(backend: str) -> Framework:
    """The module for a backend."""
    return cast(Framework, importlib.import_module(f"benchmarks.frameworks.{backend}"))


def halves(model: Any, layer: str) -> tuple[Any, Any]:
    """A model up to a layer, and from there on."""
    import keras

    at = model.get_layer(layer).output
    return keras.Model(model.inputs, at), keras.Model(at, model.outputs[0])
