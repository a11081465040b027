"""Maps, pictures and colours as text that the page's script reads back."""

import base64
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from math import isfinite, prod
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xai_core.errors import UsageError
from xai_core.images import Picture, display_pixels
from xai_core.typing import FloatArray

EXACT_PLACES = 64 * 64
"""Maps of no more places than this are stored as they are."""

_BUDGET = 1_500_000
_SIZES = ((16, 2.4), (12, 1.8), (8, 1.0))
"""Bits, and the bytes that a place of a gradient map takes with them: measured on
EfficientNet-Lite0 at 224 x 224, deflated and in base64."""

_SIDE, _SIDE_OF_MANY, _MANY = 1024, 640, 12
_LOSSLESS_BYTES = 400_000
_JPEG_QUALITY = 88


def choose_bits(maps: Iterable[FloatArray]) -> int:
    """How finely the large maps of one report are stored, so that it stays light."""
    places = sum(raw.size for raw in maps if raw.size > EXACT_PLACES)
    return next((bits for bits, size in _SIZES if places * size <= _BUDGET), _SIZES[-1][0])


def pack_map(raw: FloatArray, bits: int) -> dict[str, Any]:
    """One map (h, w) for JSON.

    A small map keeps its values. A large one is stored in equal steps from its lowest
    finite value to its highest: code 0..levels is `low + code * step`, and the three codes
    above are NaN, infinity and minus infinity. The bytes of two-byte codes are split into
    a plane of high and one of low bytes, which deflate better, and then deflated.
    """
    height, width = raw.shape
    finite = raw[np.isfinite(raw)].astype(np.float64)
    spread = float(finite.max()) - float(finite.min()) if finite.size else 0.0
    if raw.size <= EXACT_PLACES or not isfinite(spread):
        kind = "f8" if raw.dtype == np.float64 else "f4"
        return {"h": height, "w": width, "kind": kind, "data": _text(raw.astype(f"<{kind}"))}
    levels = 2**bits - 4
    low = float(finite.min()) if finite.size else 0.0
    step = spread / levels
    codes = np.zeros(raw.shape, np.uint16)
    known = np.isfinite(raw)
    if step > 0:
        codes[known] = np.rint((raw[known].astype(np.float64) - low) / step)
    codes[np.isnan(raw)] = levels + 1
    codes[raw == np.inf] = levels + 2
    codes[raw == -np.inf] = levels + 3
    planes = [codes & 255] if bits == 8 else [codes >> 8, codes & 255]
    packed = zlib.compress(np.stack(planes).astype(np.uint8).tobytes(), 9)
    return {
        "h": height,
        "w": width,
        "kind": "q1" if bits == 8 else "q2",
        "levels": levels,
        "low": low,
        "step": step,
        "data": _text(packed),
    }


@dataclass(frozen=True)
class PackedPicture:
    """A picture at the size it is shown at."""

    width: int
    height: int
    source: str
    """A data URI."""


def pack_pictures(pictures: Sequence[Picture]) -> list[PackedPicture]:
    """Pictures no larger than a screen: PNG where that takes little, else JPEG."""
    side = _SIDE if len(pictures) <= _MANY else _SIDE_OF_MANY
    lossless = _LOSSLESS_BYTES // max(1, len(pictures))
    return [_pack_picture(picture, side, lossless) for picture in pictures]


def _pack_picture(picture: Picture, side: int, lossless: int) -> PackedPicture:
    pixels = display_pixels(picture)
    grey = picture.pixels.shape[2] == 1
    return pack_image(Image.fromarray(pixels[..., 0] if grey else pixels), side, lossless)


def pack_image(image: Image.Image, side: int, lossless: int = 0) -> PackedPicture:
    """An image whose longer side has at most so many pixels: PNG within those bytes, else JPEG."""
    image = image.copy()
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    kind, content = "png", b""
    if prod(image.size) <= 2 * lossless:  # more will not deflate to as little
        content = _encoded(image, "PNG", optimize=True)
    if not 0 < len(content) <= lossless:
        kind, content = "jpeg", _encoded(image, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    return PackedPicture(*image.size, f"data:image/{kind};base64,{_text(content)}")


def _encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pack_colours(names: Iterable[str]) -> dict[str, str]:
    """Each colour map as 256 RGB triples of bytes."""
    return {name: _text(_table(name)) for name in names}


def _table(name: str) -> NDArray[np.uint8]:
    try:
        table = matplotlib.colormaps[name]
    except KeyError:
        raise UsageError(
            f"no colour map is called {name!r}; expected one of Matplotlib's, such as inferno, "
            "viridis, cividis, jet, or RdBu_r for signed maps"
        ) from None
    rgb: NDArray[np.uint8] = np.rint(255 * np.asarray(table(np.linspace(0, 1, 256)))[:, :3]).astype(
        np.uint8
    )
    return rgb


def _text(content: bytes | NDArray[Any]) -> str:
    return base64.b64encode(content if isinstance(content, bytes) else content.tobytes()).decode()
