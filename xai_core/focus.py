"""How much of the picture a map points at, in numbers and in words."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from xai_core.typing import FloatArray

_ROWS = ("upper", "middle", "lower")
_COLUMNS = ("left", "centre", "right")


@dataclass(frozen=True)
class Focus:
    """Where the evidence of one map lies. Areas are shares of the picture, 0..1.

    The evidence of a signed map is its magnitude.
    """

    above_half: float
    """The area where the map is above half of its largest value."""
    half_mass: float
    """The smallest area that holds half of the evidence."""
    centre: tuple[float, float]
    """The centre of mass: down and across, 0..1."""
    entropy: float
    """0 when one place has all the evidence, 1 when every place has the same."""

    @property
    def short(self) -> str:
        """For a table: the area that holds half, and where."""
        return f"half in {share(self.half_mass)}, {place(self.centre)}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "centre": list(self.centre)}

    def __str__(self) -> str:
        return (
            f"half of the evidence lies in {share(self.half_mass)} of the picture, "
            f"around the {place(self.centre)}"
        )


def measure_focus(raw: FloatArray, covered: float = 1.0) -> Focus | None:
    """Measure a map; None where it is empty or not finite.

    Args:
        raw: The map (h, w).
        covered: The share of the picture that the map covers.
    """
    if not np.isfinite(raw).all():
        return None
    mass = np.abs(raw).astype(np.float64)
    total = mass.sum()
    if total == 0:
        return None
    height, width = mass.shape
    weights = mass / total
    down = float(weights.sum(axis=1) @ (np.arange(height) + 0.5)) / height
    across = float(weights.sum(axis=0) @ (np.arange(width) + 0.5)) / width
    present = weights[weights > 0]
    disorder = float(-(present * np.log(present)).sum())
    return Focus(
        above_half=covered * float((mass > mass.max() / 2).mean()),
        half_mass=covered * _area_of_half(weights) / weights.size,
        centre=(down, across),
        entropy=disorder / float(np.log(weights.size)) if weights.size > 1 else 0.0,
    )


def _area_of_half(weights: FloatArray) -> float:
    """How many places, greatest first, hold half; the last one counts in part."""
    ranked = np.sort(weights, axis=None)[::-1]
    held = np.cumsum(ranked)
    last = int(np.searchsorted(held, 0.5))
    before = held[last - 1] if last else 0.0
    return last + float((0.5 - before) / ranked[last])


def place(centre: tuple[float, float]) -> str:
    """A point, down and across in 0..1, as words: `upper left`, `centre`."""
    row, column = (min(2, int(3 * each)) for each in centre)
    if (row, column) == (1, 1):
        return "centre"
    return f"{_ROWS[row]} {_COLUMNS[column]}"


def share(part: float) -> str:
    """A share as a person says it: `6%`, `0.4%`."""
    return f"{part:.0%}" if part >= 0.01 else f"{part:.1%}"
