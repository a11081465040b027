"""Where the object is: masks and boxes, brought to what the model sees."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xai_core.errors import PictureError, UsageError
from xai_core.images import OVER_WHITE, Fit, Picture, Region, Size, read_picture, region_seen

Mask: TypeAlias = NDArray[np.bool_]
"""True where the object is."""


@dataclass(frozen=True)
class Box:
    """A box around an object, in the picture's own pixels.

    As the picture is looked at: turned upright, where its EXIF says how. `right` and `bottom` are
    the first column and row that are no longer in it, so that a box of one pixel has
    `right = left + 1`.

    Raises:
        UsageError: it holds no pixel, or its sides are no whole numbers from 0 on.
    """

    left: int
    top: int
    right: int
    bottom: int

    def __post_init__(self) -> None:
        """Hold it to have a pixel."""
        sides = [getattr(self, each.name) for each in fields(self)]
        is_whole = all(
            isinstance(side, (int, np.integer)) and not isinstance(side, bool) for side in sides
        )
        if not (is_whole and 0 <= self.left < self.right and 0 <= self.top < self.bottom):
            raise UsageError(
                f"received a box with left {self.left}, top {self.top}, right {self.right}, bottom "
                f"{self.bottom}; expected whole numbers from 0 on, left below right and top below "
                "bottom. Give it in the picture's pixels, right and bottom not included"
            )


MaskLike: TypeAlias = (
    str | os.PathLike[str] | Image.Image | NDArray[Any] | Box | Sequence[Box] | None
)
"""A mask as whoever evaluates gives it; several boxes are united; None is none."""


@dataclass(frozen=True)
class ToldMask:
    """How it was said where the object of one picture is: by boxes or a file, else in memory."""

    boxes: tuple[Box, ...] = ()
    file: str | None = None
    """The name of the mask's file, behind that of the folder that it is in."""

    def __str__(self) -> str:
        told = (f"{each.left} {each.top} {each.right} {each.bottom}" for each in self.boxes)
        return self.file or "; ".join(told) or "in memory"


def told_mask(picture: str, source: MaskLike) -> ToldMask | None:
    """What to tell of the mask of a picture that goes by that name."""
    if source is None:
        return None
    if isinstance(source, Box):
        return ToldMask((source,))
    if isinstance(source, (tuple, list)) and all(isinstance(each, Box) for each in source):
        return ToldMask(tuple(source))
    if isinstance(source, (str, os.PathLike)):
        path = Path(os.fsdecode(source))
        name = str(Path(path.parent.name) / path.name)
        # The picture itself, in a recipe that names pictures without their folders.
        return ToldMask(file=None if name == picture else name)
    return ToldMask()


def mask_seen(source: MaskLike, picture: Picture, size: Size, fit: Fit) -> Mask:
    """The mask of a picture as the model sees it: cut and resampled as `fit_picture` does.

    A pixel is the object's where at least half of what it shows of the picture is.

    Raises:
        PictureError: it cannot be read, has another size than the picture, or nothing of the
            object is seen.
    """
    given = _read(source, picture)
    region = region_seen(given.shape, size, fit)
    rows = slice(region.top, region.top + region.height)
    columns = slice(region.left, region.left + region.width)
    part = given[rows, columns]
    seen = part if part.shape == size else _resample(part, size)
    if not seen.any():
        raise PictureError(
            f"The mask of {picture.name} has {given.sum()} object pixels, of which "
            f"{part.sum()} are in the part that the model sees ({_told(region)}) and 0 are left "
            f"at its input size ({size[0]} x {size[1]}); expected at least 1. "
            f"{_advice(given, part, fit)}"
        )
    return seen


def _read(source: MaskLike, picture: Picture) -> Mask:
    """True where the object is, of the picture's own size."""
    if isinstance(source, Box):
        return _united([source], picture)
    if isinstance(source, (tuple, list)) and source and all(isinstance(e, Box) for e in source):
        return _united(source, picture)
    if isinstance(source, np.ndarray):
        mask = _of_array(source, picture)
    elif isinstance(source, (str, os.PathLike, Image.Image)):
        mask = _of_image(source, picture)
    else:
        raise PictureError(
            f"The mask of {picture.name} was given as {type(source).__name__}; expected a path, a "
            "PIL image, an array (H, W), a Box or several of them, or None"
        )
    height, width, _ = picture.pixels.shape
    if mask.shape != (height, width):
        raise PictureError(
            f"The mask of {picture.name} is {mask.shape[1]} x {mask.shape[0]} pixels; expected "
            f"{width} x {height}, the picture's own size. Give the mask of the picture as it is "
            "before any cut or change of size"
        )
    return mask


def _united(boxes: Sequence[Box], picture: Picture) -> Mask:
    height, width, _ = picture.pixels.shape
    mask = np.zeros((height, width), np.bool_)
    for box in boxes:
        if box.right > width or box.bottom > height:
            raise PictureError(
                f"The mask of {picture.name} has a box up to column {box.right} and row "
                f"{box.bottom}; expected {width} and {height} at most, as large as the picture "
                "is. Give the box in the pixels of the picture as it is"
            )
        mask[box.top : box.bottom, box.left : box.right] = True
    return mask


def _of_array(array: NDArray[Any], picture: Picture) -> Mask:
    """What is not 0; a third axis of 1 is none."""
    plane = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    is_number = plane.dtype.kind in "buif"
    if plane.ndim != 2 or not is_number or not np.isfinite(plane).all():
        raise PictureError(
            f"The mask of {picture.name} is an array of {array.dtype} of shape {array.shape}; "
            "expected (H, W) of finite numbers or bool, where all but 0 is the object"
        )
    return np.asarray(plane != 0)


def _of_image(source: "str | os.PathLike[str] | Image.Image", picture: Picture) -> Mask:
    """Grey from half of its range up; of colours, as palettes of classes have them, all but black.

    Raises:
        PictureError: it cannot be read, or is transparent somewhere.
    """
    try:
        read = read_picture(source)
    except PictureError as error:
        raise PictureError(f"The mask of {picture.name}: {error}") from error
    if OVER_WHITE in read.notes:
        raise PictureError(
            f"The mask of {picture.name} is transparent in places, which may be the object or what "
            "is around it; expected black around the object, and white or a colour on it. Save it "
            "without transparency"
        )
    is_grey = read.pixels.shape[2] == 1
    return np.asarray(read.pixels[..., 0] >= _HALF if is_grey else read.pixels.any(axis=2))


def _resample(part: Mask, size: Size) -> Mask:
    """By the share of each pixel's area: exact, and on the picture's own geometry."""
    image = Image.fromarray(np.ascontiguousarray(part, np.float32))
    shares = np.asarray(image.resize(size[::-1], Image.Resampling.BOX))
    return np.asarray(shares >= _SHARE)


def _advice(given: Mask, part: Mask, fit: Fit) -> str:
    if part.any():
        return "The object is too small for that: give a larger part of the picture"
    if given.any() and fit == "crop":
        return "Let the model see the whole picture, by the fit stretch"
    return "Grey counts from half of its range up, any other colour than black does: look at it"


def _told(region: Region) -> str:
    return (
        f"columns {region.left} to {region.left + region.width}, rows {region.top} to "
        f"{region.top + region.height}"
    )


_HALF = 127.5
_SHARE = 0.5 - 1e-6
"""Half, less what float32 may lack of it."""
