"""What a metric is given, and what it returns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from xai_core.typing import FloatArray


@dataclass(frozen=True, eq=False)
class Curve:
    """What a value is the area under, or the course of."""

    x: FloatArray
    """float64 (P,), rising."""
    y: FloatArray
    """float64 (P,)."""
    x_label: str
    y_label: str


@dataclass(frozen=True)
class Score:
    """What a metric says of one map."""

    value: float
    """Finite, within the metric's `bounds`."""
    facts: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Other numbers, by what they are."""
    curve: Curve | None = None


@dataclass(frozen=True, eq=False)
class Trial:
    """One map of one picture for one class, and who answers questions about the picture."""

    pixels: FloatArray
    """What the model sees, before preprocessing: RGB or grey 0..255, (H, W, C), float32 or
    float64, read-only."""
    attribution: FloatArray
    """The raw map at the input's size, (H, W), finite, read-only. Higher is more evidence for
    the class; a signed map has values below 0."""
    target: int
    """The index of the class."""
    score: float
    """The probability of the class for the picture."""
    seed: tuple[int, ...]
    """Of all that is drawn at random for this picture; the same for every method and metric, and
    whatever other pictures there are."""
    ask: Callable[[FloatArray], FloatArray] = field(repr=False)
    """Answers `scores`."""

    def generator(self) -> np.random.Generator:
        """A new random generator, the same with every call."""
        return np.random.default_rng(self.seed)

    def scores(self, pixels: FloatArray) -> FloatArray:
        """Ask for the probability of the class for other pictures.

        They are preprocessed as the picture was, and run in batches of one compiled shape. A
        picture that any method or metric has asked about is not run again.

        Args:
            pixels: RGB or grey 0..255, (Q, H, W, C), of the size of `pixels`.

        Returns:
            float64 (Q,), in 0..1; the output itself, where the model's last activation is
            none that can be undone (the warning `unknown-output`).

        Raises:
            MetricError: they have another shape, or are not finite.
        """
        return self.ask(pixels)
