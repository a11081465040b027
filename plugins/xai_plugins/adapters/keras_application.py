"""Families that come with Keras."""

import contextlib
import os
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras

from xai_core.errors import ModelError
from xai_plugins.adapters.family import Family

_ORIGIN = "https://storage.googleapis.com/tensorflow/keras-applications"
_PATIENCE = 10
"""Seconds to wait for the server's first answer; the download itself has no limit."""


@dataclass(frozen=True, kw_only=True)
class KerasApplication(Family):
    """A model of `keras.applications`, with Keras' own ImageNet weights."""

    application: Callable[..., keras.Model]
    folder: str
    """Where under Keras' address its weights are."""
    file: str
    md5: str

    def architecture(self) -> keras.Model:
        """The model with its classifier, as Keras makes it."""
        return self.application(weights=None)

    def pretrained(self) -> keras.Model:
        """The model with Keras' weights, downloaded once."""
        return self.load(self.download())

    def download(self) -> Path:
        """The file of Keras' weights, from Keras' cache or the network.

        Raises:
            ModelError: it cannot be had; says what to do without network.
        """
        url = f"{_ORIGIN}/{self.folder}/{self.file}"
        home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
        cached = home / "models" / self.file
        try:
            if not cached.exists():
                _reach(url)
            # Keras reports progress on stdout, which belongs to the results.
            with contextlib.redirect_stdout(sys.stderr):
                path = keras.utils.get_file(
                    self.file, url, cache_subdir="models", file_hash=self.md5
                )
        except Exception as error:  # noqa: BLE001 - Keras raises plain Exception
            raise ModelError(
                f"cannot download the ImageNet weights of {self.name} ({error}). Either put "
                f"{url} at {cached}, pass the path of a weights file, or ask for 'random' weights"
            ) from None
        return Path(path)


def _reach(url: str) -> None:
    """Fail soon where there is no network: Keras' download would wait for minutes."""
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - the address is ours
    with urllib.request.urlopen(request, timeout=_PATIENCE):  # noqa: S310
        pass
