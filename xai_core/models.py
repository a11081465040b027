"""From what a user names, a family, a file or a model in memory, to a Keras model."""

import hashlib
import os
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import keras

from xai_core.errors import ModelError, UnknownNameError, UsageError
from xai_core.keras_globals import own_names
from xai_core.probe import backend
from xai_core.registry import Registry

ModelLike: TypeAlias = str | os.PathLike[str] | keras.Model
"""A family's name, the path of a `.keras` or `.h5` file, or a model in memory."""

IN_MEMORY = "in memory"
_SUFFIXES = (".keras", ".h5", ".hdf5")


@dataclass(frozen=True)
class LoadedModel:
    """A model and where it came from."""

    model: keras.Model
    source: str
    """The family's name, the file's path, or `in memory`."""
    weights: str
    """`imagenet`, `random`, a weights file's path, or `its own`."""

    @property
    def title(self) -> str:
        """What to call it on a figure: the family, the file's name, or the model's own."""
        return self.model.name if self.source == IN_MEMORY else self._file

    @cached_property
    def _file(self) -> str:
        return Path(self.source).name

    @property
    def is_owned(self) -> bool:
        """Whether it was loaded or built here, so that no one else holds it."""
        return self.source != IN_MEMORY

    @property
    def is_random(self) -> bool:
        """Whether its weights were drawn, not learnt."""
        return self.weights == "random"


def load_model(source: ModelLike, weights: str | None, registry: Registry) -> LoadedModel:
    """Load or build a model.

    Args:
        source: What to load.
        weights: For a family only: `imagenet` (the default), `random`, or a file.
        registry: Where families are looked up.

    Raises:
        ModelError: it cannot be loaded.
        UsageError: it does not exist, or weights were given for a model that has its own.
    """
    if isinstance(source, str) and source in registry.adapters:
        chosen = weights or "imagenet"
        with own_names():
            model = registry.adapter(source).build(chosen)
        return LoadedModel(model, source, chosen)
    if weights is not None:
        raise UsageError(
            f"weights {weights!r} were given for a model that has its own; expected them only "
            f"with a family's name: {', '.join(registry.families)}"
        )
    if isinstance(source, keras.Model):
        return LoadedModel(source, IN_MEMORY, "its own")
    if not isinstance(source, (str, os.PathLike)):
        raise UsageError(
            f"received a {type(source).__name__} as the model; expected a family's name, the path "
            "of a .keras or .h5 file, or a keras.Model"
        )
    path = Path(source)
    if path.suffix.lower() not in _SUFFIXES and not _exists(path):
        raise UnknownNameError(
            f"no model is called {os.fspath(source)!r}; expected a family, one of "
            f"{', '.join(registry.families)}, or the path of a .keras or .h5 file"
        )
    return LoadedModel(_read_file(path), str(path), "its own")


def _read_file(path: Path) -> keras.Model:
    if not _exists(path):
        raise ModelError(
            f"model file {str(path)!r} is not there; expected a file saved by "
            "model.save('name.keras')"
        )
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no regular file"
        raise ModelError(
            f"model file {str(path)!r} is {what}; expected a file saved by model.save('name.keras')"
            + (" (a SavedModel folder is not a Keras 3 model)" if path.is_dir() else "")
        )
    if path.suffix.lower() not in _SUFFIXES:
        raise ModelError(
            f"model file {str(path)!r} does not end in .keras or .h5; expected a file saved by "
            "model.save('name.keras')"
        )
    if path.suffix.lower() == ".keras" and not zipfile.is_zipfile(path):
        raise ModelError(
            f"model file {str(path)!r} is no .keras archive, or is cut short; expected a file "
            "saved by model.save('name.keras')"
        )
    try:
        with own_names():
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except OSError as error:
        raise ModelError(
            f"Keras cannot load {str(path)!r}: {_reason(error)}. It is damaged, cut short or not "
            "what its name says; expected a file saved by model.save('name.keras')"
        ) from error
    except Exception as error:
        raise ModelError(
            f"Keras cannot load {str(path)!r}: {_reason(error)}. A model with layers or "
            "functions of your own, or a Lambda, must be loaded in Python, by code you trust, "
            "and passed on: xai_core.Study(model)"
        ) from error
    if not isinstance(model, keras.Model):
        raise ModelError(f"{str(path)!r} holds a {type(model).__name__}; expected a keras.Model")
    return model


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long
        return False


def _reason(error: Exception) -> str:
    """The line that says why: Keras puts what it met last behind pages of configuration."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    met = [line for line in lines if line.startswith("Exception encountered: ")]
    reason = (met or lines or ["no reason given"])[0].removeprefix("Exception encountered: ")
    return f"{type(error).__name__}: {reason[:300].rstrip('.')}"


class WeightsRecord:
    """The hash of a model's weights, which notices when they change.

    It is taken when it is first needed: when someone else gets hold of the model, or is told.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self._model = loaded.model
        self._first: str | None = None
        if not loaded.is_owned:
            self.record()

    def record(self) -> None:
        """From now on the weights may change: what they are is held fast."""
        self._first = self._first or hash_weights(self._model)

    def sha256(self) -> str | None:
        """The hash, or None when the weights are not those of the beginning any more."""
        now = hash_weights(self._model)
        self._first = self._first or now
        return now if now == self._first else None


def hash_weights(model: keras.Model) -> str:
    """SHA-256 over every weight's name, shape, dtype and values, in the model's order.

    The paths of weights, which depend on the way a model was made or loaded, and the seeds
    of dropout and augmentation, which are drawn anew each time, do not count.
    """
    digest = hashlib.sha256()
    for variable in model.weights:
        values = backend().to_host(variable.value)
        digest.update(f"{variable.name} {values.shape} {values.dtype}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()
