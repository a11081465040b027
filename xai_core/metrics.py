"""What a metric is given, and what it returns."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from xai_core.errors import MetricError
from xai_core.typing import FloatArray


@dataclass(frozen=True, eq=False)
class Curve:
    """What a value is the area under, or the course of."""

    x: FloatArray
    """float64 (P,), rising."""
    y: FloatArray
    """float64 (P,); NaN where there is no value."""
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
class Rung:
    """One map on the way down a ladder of models that know less and less."""

    layers: tuple[str, ...]
    """The paths of the layers whose weights were drawn anew at this rung, the topmost first; those
    of the rungs before it stay drawn anew."""
    attribution: FloatArray | None
    """The map at the input's size, (H, W); None where there is none."""
    reason: str | None = None
    """Why it says nothing: the method failed, a value is not finite, or all are the same. None
    where it is a map like any other."""


@dataclass(frozen=True, eq=False)
class Other:
    """Another picture of the evaluation, of another class than the trial's."""

    pixels: FloatArray
    """As `Trial.pixels`."""
    target: int
    """The class that the model predicts for it."""


class Witness(ABC):
    """Who answers what a metric asks about one map: the model, the method, the other pictures.

    What stands behind `Trial`'s questions. A test of a metric may bring its own.
    """

    @abstractmethod
    def probabilities(self, pixels: FloatArray, target: int) -> FloatArray:
        """See `Trial.probabilities`."""

    @abstractmethod
    def scores(self, pixels: FloatArray, target: int) -> FloatArray:
        """See `Trial.scores`."""

    @abstractmethod
    def maps(self, pixels: FloatArray, target: int) -> FloatArray:
        """See `Trial.maps`."""

    @abstractmethod
    def randomised(self, rungs: int) -> tuple[Rung, ...]:
        """See `Trial.randomised`."""

    @abstractmethod
    def precise(self) -> FloatArray:
        """See `Trial.precise`."""

    @abstractmethod
    def others(self, count: int) -> tuple[Other, ...]:
        """See `Trial.others`."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One map of one picture for one class, and who answers questions about it."""

    pixels: FloatArray
    """What the model sees, before preprocessing: RGB or grey 0..255, (H, W, C), float32 or
    float64, read-only."""
    raw: FloatArray
    """The map as the method made it, (h, w) of any resolution, finite, read-only."""
    attribution: FloatArray
    """The map at the input's size, (H, W), finite, read-only. Higher is more evidence for
    the class; a signed map has values below 0."""
    target: int
    """The index of the class."""
    classes: int
    """How many the model has."""
    probability: float
    """The probability of the class for the picture."""
    seed: tuple[int, ...]
    """Of all that is drawn at random for this picture; the same for every method and metric, and
    whatever other pictures there are."""
    witness: Witness = field(repr=False)
    """Answers what is asked below."""
    mask: NDArray[np.bool_] | None = None
    """Where the object is, (H, W), as whoever evaluates says; None where nothing was said, or what
    was said cannot be used."""
    no_mask: str | None = None
    """Why what was said of it cannot be used."""

    def generator(self) -> np.random.Generator:
        """A new random generator, the same with every call."""
        return np.random.default_rng(self.seed)

    def needed_mask(self) -> NDArray[np.bool_]:
        """Where the object is, (H, W), for a metric that cannot do without: at least one pixel.

        Raises:
            MetricError: nothing was said of it, or what was said cannot be used.
        """
        if self.mask is None:
            raise MetricError(
                self.no_mask
                or "there is no mask of this picture; expected one that says where the object is. "
                "Give it by masks= of Study.evaluate, by --masks or by --boxes"
            )
        return self.mask

    def probabilities(self, pixels: FloatArray, target: int | None = None) -> FloatArray:
        """Ask for the probability of a class for other pictures.

        They are preprocessed as the picture was, and run in batches of one compiled shape. A
        picture that any metric has asked about, of whatever map and class, is not run again.

        Args:
            pixels: RGB or grey 0..255, (Q, H, W, C), of the size of `pixels`.
            target: The index of a class; by default the trial's own.

        Returns:
            float64 (Q,), in 0..1; the output itself, where the model's last activation is
            none that can be undone (the warning `unknown-output`).

        Raises:
            MetricError: they have another shape, or are not finite; or the output, of these or of
                the picture itself, is outside 0..1 and so no probability.
        """
        return self.witness.probabilities(pixels, self._or_own(target))

    def scores(self, pixels: FloatArray, target: int | None = None) -> FloatArray:
        """Ask for the score that the maps explain: by default the logit; else as `probabilities`.

        Returns:
            float64 (Q,).
        """
        return self.witness.scores(pixels, self._or_own(target))

    def maps(self, pixels: FloatArray, target: int | None = None) -> FloatArray:
        """Ask for the maps that the same method makes of other pictures, or for another class.

        Those of all methods are made in the same passes, and none is made again.

        Args:
            pixels: RGB or grey 0..255, (Q, H, W, C), of the size of `pixels`.
            target: The index of a class; by default the trial's own.

        Returns:
            (Q, H, W), finite: at the input's size, as `attribution`.

        Raises:
            MetricError: the pictures have another shape, or a value of a map is not finite.
            XaiError: the method failed.
        """
        return self.witness.maps(pixels, self._or_own(target))

    def randomised(self, rungs: int) -> tuple[Rung, ...]:
        """Ask for the maps of the same method on copies of the model that know less and less.

        From the logits down, one layer with weights after the other has them drawn anew by its
        own initialisers, until all are. The user's model is left alone.

        Args:
            rungs: At how many places on the way a map is made, evenly over the layers; the last
                of them is the model of which nothing is left. With more than there are layers,
                one for each layer.
        """
        return self.witness.randomised(rungs)

    def precise(self) -> FloatArray:
        """Ask for the map that the same method makes where all is computed in float64.

        Returns:
            float64 (h, w), of the resolution of `raw`, finite.

        Raises:
            MetricError: a value of it is not finite.
            XaiError: the method failed, or the model cannot be made in float64.
        """
        return self.witness.precise()

    def others(self, count: int) -> tuple[Other, ...]:
        """Ask for other pictures of the evaluation, each of a class of its own and not this one's.

        Which, is drawn at random by the trial's seed: with other pictures to choose from, others.

        Raises:
            MetricError: there are not so many classes among them.
        """
        return self.witness.others(count)

    def _or_own(self, target: int | None) -> int:
        return self.target if target is None else target
