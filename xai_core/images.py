"""Reading pictures safely, and fitting them to a model's input.

A picture comes from anyone and anywhere, so its size is checked before its pixels
are decoded, it is decoded to the end, and whatever goes wrong is a `PictureError`.
Whatever was done to it that changes what the model sees is told in its notes.
"""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from xai_core.errors import PictureError, UsageError

MAX_PIXELS = 89_478_485  # width x height; Pillow's own bound, which others may have lifted
MAX_BYTES = 512 * 2**20

Fit = Literal["crop", "stretch"]
Pixels = NDArray[np.uint8] | NDArray[np.float32]  # 8 bits where the source has no more
Size = tuple[int, int]

OVER_WHITE = "transparency shown over white"
"""The note of a picture that is not opaque everywhere."""

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_GREY_MODES = {"1", "L", "LA", "La"}
_DRAWINGS = {"EPS", "WMF"}  # Pillow hands these to another program, to be run rather than read
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as it was meant to be looked at; equal to another by its name and its source."""

    pixels: Pixels = field(repr=False)  # (H, W, 3 or 1), 0..255, read-only
    name: str
    file_sha256: str | None  # None where there was no file
    notes: tuple[str, ...] = ()

    @cached_property
    def sha256(self) -> str:
        """Of the file, or else of the pixels: their dtype, shape and values."""
        return self.file_sha256 or _array_hash(self.pixels)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Picture) and self._source == other._source

    def __hash__(self) -> int:
        return hash(self._source)

    @property
    def _source(self) -> tuple[str, str, tuple[str, ...]]:
        return self.name, self.sha256, self.notes


@dataclass(frozen=True)
class Region:
    """The part of the picture that the model saw, in whole picture pixels."""

    left: int
    top: int
    width: int
    height: int


def as_picture(source: Any) -> "Picture":
    """Read what is not a `Picture` yet."""
    return source if isinstance(source, Picture) else read_picture(source)


def read_picture(source: str | os.PathLike[str] | Image.Image | NDArray[Any]) -> Picture:
    """Read a file, a PIL image or an RGB or grey array with values 0..255."""
    if isinstance(source, np.ndarray):
        pixels, notes = _check_array(source)
        return _seal(pixels, "array", None, notes)
    if isinstance(source, Image.Image):
        with _as_picture_errors("The image"):
            pixels, notes = _decode(source, "The image")
        return _seal(pixels, "image", None, notes)
    if isinstance(source, (str, os.PathLike)):
        path = Path(os.fsdecode(source))
        what = repr(str(path))
        content = _read_file(path, what)  # once: the hash and the pixels are of the same content
        with _as_picture_errors(what), Image.open(BytesIO(content)) as image:
            pixels, notes = _decode(image, what)
        name = os.fsencode(path.name).decode(errors="replace")  # printable, whatever the disk says
        return _seal(pixels, name, hashlib.sha256(content).hexdigest(), notes)
    raise PictureError(
        f"A picture was given as {type(source).__name__}; expected a path, a PIL image or a "
        "NumPy array (H, W, 3) of RGB 0..255. Turn a tensor or a list into an array first."
    )


def source_name(source: object) -> str:
    """What to call a source before it is read: its file's name, or what kind of thing it is."""
    if isinstance(source, Picture):
        return Path(source.name).name
    if isinstance(source, (str, os.PathLike)):
        return Path(source).name
    return "array" if isinstance(source, np.ndarray) else "image"


def fit_picture(
    picture: Picture, size: Size, channels: int, fit: Fit
) -> tuple[NDArray[np.float32], Region]:
    """The picture as (height, width, channels) float32 0..255, and the part of it that shows.

    "crop" takes the largest centred part of the model's shape, "stretch" the whole picture.
    A part that already has the model's size is passed on as it is.
    """
    if channels not in (1, 3):
        raise PictureError(
            f"The model takes {channels} channels; pictures are fitted to 3 (RGB) or 1 (grey). "
            "Give a model with such an input."
        )
    if min(size) < 1:
        raise PictureError(f"The model's input size is {size}; expected (height, width) above 0.")
    region = region_seen(picture.pixels.shape[:2], size, fit)
    rows = slice(region.top, region.top + region.height)
    columns = slice(region.left, region.left + region.width)
    part = picture.pixels[rows, columns].astype(np.float32)
    if part.shape[2] > channels:
        part = np.clip((part @ _LUMA)[..., None], 0, 255)
    if part.shape[:2] != size:
        resampled = [_resample(part[..., c], size) for c in range(part.shape[2])]
        part = np.clip(np.stack(resampled, axis=-1), 0, 255)  # bicubic overshoots at edges
    return np.repeat(part, channels, axis=2) if part.shape[2] < channels else part, region


def display_pixels(picture: Picture) -> NDArray[np.uint8]:
    """The picture as (H, W, 3) for drawing."""
    pixels = picture.pixels
    rounded = pixels if pixels.dtype == np.uint8 else np.rint(pixels).astype(np.uint8)
    return np.repeat(rounded, 3 // rounded.shape[2], axis=2)


def region_seen(shape: tuple[int, ...], size: Size, fit: Fit) -> Region:
    """What is seen of a picture (H, W): the largest centred part of the model's shape, or all."""
    height, width = shape
    if fit == "stretch":
        return Region(0, 0, width, height)
    if fit != "crop":
        raise UsageError(f"fit={fit!r}; expected 'crop' or 'stretch'.")
    cut_height = min(height, max(1, round(width * size[0] / size[1])))
    cut_width = min(width, max(1, round(height * size[1] / size[0])))
    left, top = (width - cut_width) // 2, (height - cut_height) // 2
    return Region(left, top, cut_width, cut_height)


def _resample(plane: NDArray[np.float32], size: Size) -> NDArray[np.float32]:
    image = Image.fromarray(np.ascontiguousarray(plane))  # mode F: nothing is rounded on the way
    return np.asarray(image.resize(size[::-1], Image.Resampling.BICUBIC))


def _read_file(path: Path, what: str) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise PictureError(f"{what} is a folder; expected a picture file. Name one inside it.")
        if not stat.S_ISREG(status.st_mode):  # reading a FIFO would wait for ever
            raise PictureError(
                f"{what} is a pipe or a device; expected a regular file. Save the picture to one."
            )
        if status.st_size > MAX_BYTES:
            raise PictureError(
                f"{what} has {status.st_size} bytes; expected at most {MAX_BYTES}. Save it smaller."
            )
        with path.open("rb") as file:
            content = file.read(MAX_BYTES)
    except FileNotFoundError as error:
        raise PictureError(
            f"There is no file {what}; expected the path of a picture. Check the name and the "
            "folder."
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a path that holds a null character
        raise PictureError(
            f"{what} cannot be opened ({error}); expected a file that you may read. Check the "
            "path and its permissions."
        ) from error
    if not content:
        raise PictureError(f"{what} is empty (0 bytes); expected a picture. Copy it again.")
    return content


@contextmanager
def _as_picture_errors(what: str) -> Iterator[None]:
    try:
        yield
    except (PictureError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(f"{what} is too large: {error} Make it smaller first.") from error
    except UnidentifiedImageError as error:
        raise PictureError(
            f"{what} is not a picture that Pillow can read, or is cut short at its start; expected "
            "JPEG, PNG, WebP, GIF, TIFF or the like. Copy it again, or convert it to one of them."
        ) from error
    except Exception as error:  # on broken bytes, decoders raise anything at all
        raise PictureError(
            f"{what} is damaged or cut short ({error or type(error).__name__}); expected a picture "
            "that can be decoded to its end. Copy or save it again."
        ) from error


def _decode(image: Image.Image, what: str) -> tuple[Pixels, list[str]]:
    _check_size(*image.size, what)
    if image.format in _DRAWINGS:
        raise PictureError(
            f"{what} is {image.format}, drawing instructions; expected pixels. Save it as PNG."
        )
    notes = []
    if image.tell() == 0 and (frames := getattr(image, "n_frames", 1)) > 1:
        notes.append(f"first of {frames} frames")
    turned = image.format == "TIFF" and _orientation(image) in _UPRIGHT  # loading turns these
    image.load()  # before any other's EXIF is asked for: PNG would load there, and errors be lost
    if (orientation := _orientation(image)) in _UPRIGHT:
        image, turned = image.transpose(_UPRIGHT[orientation]), True
    if turned:
        notes.append("turned upright by its EXIF orientation")
    if image.mode == "F":
        raise PictureError(
            f"{what} has floating-point pixels (mode F), whose range is unknown; expected 8 or 16 "
            "bits. Pass a float RGB array with values 0..255 instead."
        )
    if image.mode.startswith("I"):
        return _scale_16_bit(image, what, notes), notes
    grey = image.mode in _GREY_MODES
    if image.has_transparency_data:
        image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        if np.asarray(image)[..., 3].min() < 255:
            notes.append(OVER_WHITE)
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    pixels = np.array(image.convert("L" if grey else "RGB"), np.uint8)
    return pixels.reshape(image.height, image.width, -1), notes


def _scale_16_bit(image: Image.Image, what: str, notes: list[str]) -> NDArray[np.float32]:
    levels = np.asarray(image)
    low, high = int(levels.min()), int(levels.max())
    if low < 0 or high > 65535:
        raise PictureError(
            f"{what} has grey levels {low}..{high}; expected 0..65535 at most. Scale it first."
        )
    notes.append("16-bit scaled to 0..255")
    clear = image.info.get("transparency")
    if isinstance(clear, int) and (levels == clear).any():
        notes.append(OVER_WHITE)
        levels = np.where(levels == clear, 65535, levels)
    return (levels.astype(np.float32) / np.float32(257))[..., None]


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001  # broken EXIF is no reason to refuse the pixels
        return 1


def _check_array(array: NDArray[Any]) -> tuple[Pixels, list[str]]:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3)):
        raise PictureError(
            f"An array of shape {array.shape} is not a picture; expected (H, W, 3), (H, W, 1) or "
            "(H, W). Give one picture without a batch axis, channels last, without alpha."
        )
    _check_size(array.shape[1], array.shape[0], "The array")
    if array.dtype.kind not in "uif":
        raise PictureError(
            f"An array of {array.dtype} is not a picture; expected integers or floats in 0..255. "
            "Convert it first."
        )
    shape = (*array.shape[:2], -1)
    if array.dtype == np.uint8:  # nothing else fits into it
        return np.array(array).reshape(shape), []
    low, high = array.min(), array.max()
    if not (np.isfinite(low) and np.isfinite(high)):  # NaN wins both min and max
        raise PictureError(
            "The array holds NaN or infinity; expected finite values in 0..255. Clean it first."
        )
    if low < 0 or high > 255:
        raise PictureError(
            f"The array's values lie in {low}..{high}; expected 0..255. Pass RGB as it was before "
            "any preprocessing."
        )
    ambiguous = array.dtype.kind == "f" and 0 < high <= 1
    notes = ["values lie in 0..1; expected 0..255"] if ambiguous else []
    return np.array(array, np.float32).reshape(shape), notes


def _check_size(width: int, height: int, what: str) -> None:
    if width < 1 or height < 1:
        raise PictureError(
            f"{what} is {width} x {height} pixels; expected at least 1 x 1. Check how it was made."
        )
    if width * height > MAX_PIXELS:
        raise PictureError(
            f"{what} is too large: {width} x {height} pixels; expected at most {MAX_PIXELS} in "
            "all. Make it smaller first."
        )


def _seal(pixels: Pixels, name: str, sha256: str | None, notes: list[str]) -> Picture:
    pixels.flags.writeable = False
    return Picture(pixels, name, sha256, tuple(notes))


def _array_hash(array: NDArray[Any]) -> str:
    made = hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode())
    made.update(np.ascontiguousarray(array).data)
    return made.hexdigest()
