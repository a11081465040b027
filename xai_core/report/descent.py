"""The maps of one picture on the way down a ladder, for the page of an evaluation."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from PIL import Image

from xai_core.images import display_pixels
from xai_core.ladder import LadderMap, LadderMaps
from xai_core.render import overlay
from xai_core.report.encode import PackedPicture, pack_image
from xai_core.types import Explanation

_SIDE = 288
"""Pixels along the longer side: twice as many as they are shown at."""


@dataclass(frozen=True)
class Stage:
    """One column: how much is drawn anew, and down to where."""

    lost: int
    every: int
    last: str | None
    """The layer; None for the model as it is."""

    def __str__(self) -> str:
        if self.last is None:
            return "the model as it is"
        return f"{self.lost} of {self.every} layers drawn anew, down to {self.last}"


@dataclass(frozen=True)
class Frame:
    """One map, or in words why there is none."""

    image: PackedPicture | None
    alt: str
    similarity: float | None
    reason: str | None


@dataclass(frozen=True)
class Lane:
    """One method: its map at each stage."""

    method: str
    poles: tuple[str, str] | None
    """What red and blue say; None where the map has no sign."""
    frames: tuple[Frame, ...]


class Descent:
    """All that the page shows of the ladder.

    Args:
        maps: Of one picture; at least one method has a map of the model as it is.
    """

    def __init__(self, maps: LadderMaps) -> None:
        self._maps = maps
        learnt = (row[0].cell for row in maps.rows)
        self._one = next(each for each in learnt if isinstance(each, Explanation))
        self.picture = self._one.picture.name
        self.target = str(self._one.target)
        self.seed = maps.seed

    @cached_property
    def image(self) -> PackedPicture:
        """The picture itself."""
        return pack_image(Image.fromarray(display_pixels(self._one.picture)), _SIDE)

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """The columns."""
        row = self._maps.rows[0]
        lost = [*accumulate(len(each.layers) for each in row)]
        return tuple(
            Stage(count, lost[-1], each.layers[-1] if each.layers else None)
            for each, count in zip(row, lost, strict=True)
        )

    @property
    def lanes(self) -> Iterator[Lane]:
        """The rows."""
        for row in self._maps.rows:
            method = row[0].cell.method
            frames = (self._frame(*each) for each in zip(row, self.stages, strict=True))
            yield Lane(str(method), method.poles if method.signed else None, tuple(frames))

    def _frame(self, at: LadderMap, stage: Stage) -> Frame:
        alt = f"Map of {at.cell.method} of {self.picture}, {stage}"
        if at.reason is not None or not isinstance(at.cell, Explanation):
            return Frame(None, alt, None, at.reason)
        if at.similarity is not None:
            alt += f": rank correlation {at.similarity:.2f}"
        return Frame(pack_image(overlay(at.cell), _SIDE), alt, at.similarity, None)
