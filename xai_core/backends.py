"""The framework that Keras runs on: chosen before Keras is first imported, and then for good."""

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType

from xai_core.errors import UsageError

VARIABLE = "KERAS_BACKEND"
"""Where Keras looks for the name of its backend."""

BACKENDS: Mapping[str, str] = MappingProxyType(
    {
        "tensorflow": "pip install xai-core",
        "jax": "pip install 'xai-core[jax]'",
        "torch": "pip install 'xai-core[torch]'",
    }
)
"""The backends, and where each is had from."""


def choose(name: str) -> None:
    """Have Keras run on a backend.

    Raises:
        UsageError: there is no such backend, it is not installed, or Keras runs on another one
            already.
    """
    if name not in BACKENDS:
        raise UsageError(f"received backend {name!r}; expected one of {', '.join(BACKENDS)}")
    if find_spec(name) is None:
        raise UsageError(
            f"the backend {name!r} needs the package {name}, which is not installed; expected it "
            f"from: {BACKENDS[name]}"
        )
    running = _running()
    if running not in (None, name):
        raise UsageError(
            f"received backend {name!r}, and Keras runs on {running!r} since it was first "
            f"imported; expected it to be chosen before: set {VARIABLE}={name} and start again"
        )
    os.environ[VARIABLE] = name


def check() -> None:
    """Hold the backend that the environment asks for, if any, to be one that can be had.

    Raises:
        UsageError: it is not.
    """
    if _running() is None and VARIABLE in os.environ:
        choose(os.environ[VARIABLE])


def _running() -> str | None:
    """The backend that Keras runs on; None while it was not imported."""
    keras = sys.modules.get("keras")
    return None if keras is None else str(keras.config.backend())
