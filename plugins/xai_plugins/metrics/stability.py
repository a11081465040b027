"""Stability: the same picture a few pixels aside, or saved as JPEG."""

from dataclasses import dataclass
from io import BytesIO
from typing import Annotated, ClassVar

import numpy as np
from PIL import Image

from xai_core import Metric, Score, Trial
from xai_core.errors import MetricError
from xai_core.parameters import Count, Within
from xai_core.rank_correlation import is_level, spearman
from xai_core.typing import FloatArray


@dataclass(frozen=True)
class Stability(Metric):
    """Stability: whether the map stays the same for a picture that looks the same.

    After the idea of Alvarez-Melis and Jaakkola, "On the Robustness of Interpretability Methods",
    WHI 2018, with changes of a picture that happen in practice; the formula is this project's.
    The picture is moved by some pixels up, down, left and right, its edge repeated behind it,
    and saved as JPEG of some quality. The map of each is compared with that of the picture by
    Spearman's rank correlation; that of a moved picture is moved back, and compared where both
    lie. The value is the mean of the five, and the facts are each of them. Maps are compared at
    the input's size and by the ranks of their values alone, ties at their mean rank: no other
    normalisation could change anything. Two maps that are the same everywhere count as 1, as
    nothing has changed, and one beside another that is not as 0. Higher is better, -1 to 1; maps
    that have nothing in common are at 0.

    Traps. A map that never changes scores 1: `uniform` cannot be beaten, so stability is worth
    something only in a map that is good by another metric. `edges` moves with the picture, and
    tells how much JPEG does by itself. Ranks ask about all pixels alike, and most of them are of
    no importance to anyone: noise far below the peak counts as much as the peak. The maps of
    coarse layers do not move with the picture but by whole cells; brought to the input's size they
    are smooth, and correlate for that. A network that samples every 32nd pixel does change its
    answer when a picture moves by 4: an honest map then changes too. JPEG is that of Pillow, with
    every second value of colour.
    """

    name: ClassVar[str] = "stability"
    family: ClassVar[str] = "robustness"
    summary: ClassVar[str] = "whether the map stays when the picture is moved or recompressed"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    @property
    def queries(self) -> int:
        """None are asked about."""
        return 0

    @property
    def maps(self) -> int:
        """Four of moved pictures, one of JPEG."""
        return len(_WAYS) + 1

    shift: Count = 4
    """By how many pixels of the model's input the picture is moved."""
    quality: Annotated[int, Within(1, 95)] = 75
    """Of the JPEG, as Pillow counts it."""

    def score(self, trial: Trial) -> Score:
        """Make the map of each changed picture, and compare."""
        height, width = trial.attribution.shape
        if self.shift >= min(height, width):
            raise MetricError(
                f"a picture of {height} x {width} moved by {self.shift} pixels has nothing left to "
                f"compare; expected a shift of {min(height, width) - 1} at most"
            )
        changed = [moved(trial.pixels, self.shift * down, self.shift * across)
                   for down, across in _WAYS.values()]  # fmt: skip
        changed.append(recompressed(trial.pixels, self.quality))
        *shifted, saved = trial.maps(np.stack(changed))
        found = {
            f"moved {name}": _likeness(
                *overlap(trial.attribution, each, self.shift * down, self.shift * across)
            )
            for (name, (down, across)), each in zip(_WAYS.items(), shifted, strict=True)
        }
        found["JPEG"] = _likeness(trial.attribution, saved)
        return Score(float(np.mean(list(found.values()))), found)


_WAYS = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}


def moved(pixels: FloatArray, down: int, across: int) -> FloatArray:
    """A picture (H, W, C) moved by some pixels; its edge is repeated where nothing is known."""
    rows, columns = (
        np.clip(np.arange(length) - by, 0, length - 1)
        for length, by in zip(pixels.shape, (down, across), strict=False)
    )
    return pixels[np.ix_(rows, columns)]


def overlap(
    one: FloatArray, other: FloatArray, down: int, across: int
) -> tuple[FloatArray, FloatArray]:
    """The parts of a map (H, W) and of that of the moved picture which show the same."""
    height, width = one.shape

    def part(values: FloatArray, down: int, across: int) -> FloatArray:
        rows = slice(max(0, down), height + min(0, down))
        return values[rows, max(0, across) : width + min(0, across)]

    return part(one, -down, -across), part(other, down, across)


def recompressed(pixels: FloatArray, quality: int) -> FloatArray:
    """A picture (H, W, C) of 1 or 3 channels after it was saved as JPEG."""
    levels = np.rint(pixels).astype(np.uint8)
    file = BytesIO()
    image = Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)
    image.save(file, "JPEG", quality=quality, subsampling="4:2:0")
    with Image.open(file) as again:
        read = np.asarray(again)
    found: FloatArray = read.reshape(pixels.shape).astype(pixels.dtype)
    return found


def _likeness(one: FloatArray, other: FloatArray) -> float:
    if is_level(one) or is_level(other):
        return 1.0 if is_level(one) and is_level(other) else 0.0
    return spearman(one, other) or 0.0
