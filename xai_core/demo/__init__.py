"""Photographs to try xai-core on; PICTURES.md says whose they are."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xai_core.images import Picture, display_pixels, read_picture

_HERE = Path(__file__).parent


def cat() -> Picture:
    """Chelsea the cat, 451 x 300."""
    return read_picture(_HERE / "chelsea.png")


def coffee() -> Picture:
    """A cup of espresso on a wooden table, 600 x 400."""
    return read_picture(_HERE / "coffee.png")


def cat_over_coffee() -> Picture:
    """The cat above the cup, 224 x 224: two things to tell apart in one picture."""
    stacked = np.concatenate([_half(cat(), 0.3), _half(coffee(), 0.5)])
    return replace(read_picture(stacked), name="cat-over-coffee")


def _half(picture: Picture, down: float) -> NDArray[np.uint8]:
    """A 2:1 part at full width, from `down` of the height left free, as 224 x 112."""
    image = Image.fromarray(display_pixels(picture))
    height = image.width // 2
    top = round(down * (image.height - image.width / 2))
    part = image.crop((0, top, image.width, top + height))
    return np.asarray(part.resize((224, 112), Image.Resampling.BICUBIC))
