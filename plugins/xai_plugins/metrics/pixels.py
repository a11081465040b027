"""Deletion and insertion."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from xai_core import Curve, Metric, Score, Trial
from xai_core.parameters import Count
from xai_core.typing import FloatArray
from xai_plugins.metrics.canvas import Canvas, canvas

_TOGETHER = 128
"""Pictures made in one go: a matter of memory."""


@dataclass(frozen=True)
class _ByPixels(Metric):
    """The area under the probability as pixels change, those of the highest values first."""

    family: ClassVar[str] = "faithfulness"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    @property
    def queries(self) -> int:
        """One a step, and one for where it begins."""
        return self.steps + 1

    steps: Count = 100
    """Into how many equal shares the pixels are divided; the last step changes the last of them."""
    baseline: Canvas = "black"
    """What a pixel is where it is not seen: black, the picture's mean colour, the picture
    blurred."""

    @abstractmethod
    def _ends(self, trial: Trial) -> tuple[FloatArray, FloatArray]:
        """What the curve begins with and what it ends with, (H, W, C) each."""

    def score(self, trial: Trial) -> Score:
        """Change the pixels step by step, and ask for the probability after each."""
        before, after = self._ends(trial)
        rank = ranks(trial.attribution, trial.generator())
        counts = np.rint(np.linspace(0, rank.size, self.steps + 1))
        asked = []
        for first in range(0, len(counts), _TOGETHER):
            changed = rank < counts[first : first + _TOGETHER, None, None]
            asked.append(trial.probabilities(np.where(changed[..., None], after, before)))
        y = np.concatenate(asked)
        x = counts / rank.size
        area = float(np.sum((x[1:] - x[:-1]) * (y[1:] + y[:-1]) / 2))
        return Score(
            area,
            {"probability at the start": float(y[0]), "probability at the end": float(y[-1])},
            Curve(x, y, f"share of pixels {self._done}", "probability of the class"),
        )

    _done: ClassVar[str]
    """What happens to pixels, in a word."""


@dataclass(frozen=True)
class Deletion(_ByPixels):
    """Deletion: the area under the probability of the class as pixels are taken away.

    Petsiuk, Das and Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box
    Models", BMVC 2018, section 4.1 and algorithm 1. The pixels of the highest values go first,
    in steps of equal share; the area is that of the trapezoids over the share of pixels taken
    away, 0 to 1. A good map finds the pixels that the class hangs on: the probability falls
    early and the area is small. Lower is better, 0 to 1.

    Traps. A picture full of holes is like none that the model was trained on: the probability
    falls for that as well as for what is missing, and a map that scatters its pixels, as
    gradients do, breaks a picture up sooner than one that covers an object. What fills the holes
    is a picture too: black is evidence for some classes, and another baseline may turn the order
    of two methods round. Pixels of equal value, as all that a ReLU left at 0, go in a random
    order that is the same for every method, not by their position: by position, a map that says
    nothing would be credited with where things usually lie. An area is not comparable between
    pictures or models: it grows with the probability that the picture began with.
    """

    name: ClassVar[str] = "deletion"
    summary: ClassVar[str] = "how soon the class is lost when the highest pixels go first"
    higher_is_better: ClassVar[bool] = False
    _done: ClassVar[str] = "taken away"

    def _ends(self, trial: Trial) -> tuple[FloatArray, FloatArray]:
        return trial.pixels, canvas(self.baseline, trial.pixels)


@dataclass(frozen=True)
class Insertion(_ByPixels):
    """Insertion: the area under the probability of the class as pixels are put in.

    Petsiuk, Das and Saenko, BMVC 2018, section 4.1: the opposite of deletion. It begins with the
    baseline, by default the picture blurred as in the paper, and pixels of the highest values
    are put in first, in steps of equal share. A good map finds the pixels that suffice: the
    probability rises early and the area is large. Higher is better, 0 to 1.

    Traps. A model may know the class from the blurred picture already: then every map scores
    high. The blur is a Gaussian of 5 pixels in 224, as wide as in the authors' code, which cuts
    it off at 11 x 11 pixels, and of 2 pixels at least. On a black canvas the edges of what was
    put in are evidence of their own, and smooth maps, which put in whole pieces, gain by that.
    Pixels of equal value are put in in a random order that is the same for every method, not by
    their position. Insertion of a map is deletion of the inverted map on the same baseline, read
    backwards: the two are not independent witnesses. An area is not comparable between pictures
    or models.
    """

    name: ClassVar[str] = "insertion"
    summary: ClassVar[str] = "how soon the class is found when the highest pixels come first"
    higher_is_better: ClassVar[bool] = True
    _done: ClassVar[str] = "put in"

    baseline: Canvas = "blur"
    """What a pixel is where it is not seen: black, the picture's mean colour, the picture
    blurred."""

    def _ends(self, trial: Trial) -> tuple[FloatArray, FloatArray]:
        return canvas(self.baseline, trial.pixels), trial.pixels


def ranks(attribution: FloatArray, generator: np.random.Generator) -> NDArray[np.intp]:
    """The place of each pixel from the highest value down, 0 first, (H, W).

    Equal values stand in a random order.
    """
    values = attribution.ravel()
    order = np.lexsort((generator.random(values.size), -values))
    places = np.empty_like(order)
    places[order] = np.arange(values.size)
    return places.reshape(attribution.shape)
