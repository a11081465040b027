"""Named ways to turn RGB 0..255 into what a model was trained on.

A scheme is a function on float arrays (N, h, w, c), RGB 0..255 (grey when c is
1), that returns an array of the same shape. A family that needs another one
makes its own `Preprocessing`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from xai_core.errors import UnknownNameError
from xai_core.typing import FloatArray


@dataclass(frozen=True)
class Preprocessing:
    """A named function on RGB 0..255."""

    name: str
    apply: Callable[[FloatArray], FloatArray]
    summary: str


# Channel by channel: NumPy is four times slower where it broadcasts along a last axis of three.


def _caffe(images: FloatArray) -> FloatArray:
    made = np.empty_like(images)
    for channel, mean in enumerate((103.939, 116.779, 123.68)):
        np.subtract(images[..., 2 - channel], images.dtype.type(mean), out=made[..., channel])
    return made


def _torch(images: FloatArray) -> FloatArray:
    made = images / images.dtype.type(255)
    channels = zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)
    for channel, (mean, deviation) in enumerate(channels):
        made[..., channel] -= images.dtype.type(mean)
        made[..., channel] /= images.dtype.type(deviation)
    return made


SCHEMES: Mapping[str, Preprocessing] = MappingProxyType(
    {
        scheme.name: scheme
        for scheme in (
            Preprocessing("none", lambda images: images, "RGB 0..255 as it is"),
            Preprocessing("unit", lambda images: images / images.dtype.type(255), "RGB 0..1"),
            Preprocessing("tf", lambda images: images / images.dtype.type(127.5) - 1, "RGB -1..1"),
            Preprocessing("caffe", _caffe, "BGR less the ImageNet mean, not scaled"),
            Preprocessing("torch", _torch, "RGB 0..1, less the mean, over the deviation"),
        )
    }
)


def scheme(name: str) -> Preprocessing:
    """Look a scheme up by its name; `UnknownNameError` lists those there are."""
    if name not in SCHEMES:
        raise UnknownNameError(
            f"no preprocessing scheme is called {name!r}; expected one of "
            f"{', '.join(SCHEMES)}, or, from Python, a callable on float RGB 0..255"
        )
    return SCHEMES[name]
