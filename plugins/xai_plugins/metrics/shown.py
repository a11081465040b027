"""Average drop and increase in confidence."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from xai_core import Metric, Score, Trial


@dataclass(frozen=True)
class _Shown(Metric):
    """What becomes of the probability where only what the map shows is left of the picture."""

    family: ClassVar[str] = "faithfulness"
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    @property
    def queries(self) -> int:
        """The picture times the map."""
        return 1

    @abstractmethod
    def _value(self, before: float, after: float) -> float:
        """Of the probability for the picture, and for what is left."""

    def score(self, trial: Trial) -> Score:
        """Multiply and ask."""
        shown = np.maximum(trial.attribution, 0).astype(np.float64)
        shown = shown / (shown.max() or 1.0)
        left = (trial.pixels * shown[..., None]).astype(trial.pixels.dtype)
        after = float(trial.probabilities(left[None])[0])
        return Score(
            self._value(trial.probability, after),
            {"probability of the picture": trial.probability, "probability of what is left": after},
        )


@dataclass(frozen=True)
class AverageDrop(_Shown):
    """Average drop: the share of the class's probability that goes with what the map hides.

    Chattopadhay, Sarkar, Howlader and Balasubramanian, "Grad-CAM++: Generalized Gradient-Based
    Visual Explanations for Deep Convolutional Networks", WACV 2018:
    max(0, p - o) / p, p the probability of the class for the picture and o that for the picture
    times the map. Of the map what is below 0 is cut off, and it is divided by its largest value;
    where nothing is above 0, nothing is left of the picture. The average is that over pictures.
    Lower is better, 0 to 1; the paper's numbers are 100 times as large.

    Traps. A uniform map hides nothing, so its drop is 0, and no method can beat it: the larger a
    map is spread, the better it scores. Read it beside `average-increase`, and a metric of
    complexity. Of signed maps only what speaks for the class is shown, and their noise shows most
    of the picture. Half the brightness is not half the evidence, and a picture that is dark but
    for a patch is one that the model may never have seen. Colours 0..255 are multiplied, so that
    what is hidden is black; where what the model is fed is multiplied, as in pytorch-grad-cam, it
    is what preprocessing makes 0, often the mean colour of the training set.
    """

    name: ClassVar[str] = "average-drop"
    summary: ClassVar[str] = "share of the class lost when the picture is multiplied by the map"
    higher_is_better: ClassVar[bool] = False

    def _value(self, before: float, after: float) -> float:
        return max(0.0, before - after) / before if before > 0 else 0.0


@dataclass(frozen=True)
class AverageIncrease(_Shown):
    """Average increase: in how many pictures the class gains by what the map hides.

    Chattopadhay et al., WACV 2018, "% increase in confidence": 1 where o > p, else 0,
    with p and o as for `average-drop`, where the map is what it is there. The mean over pictures is
    their share; the paper's numbers are 100 times as large. Higher is better, 0 to 1.

    Traps. One picture says yes or no: it takes many to tell two methods apart. It counts an
    increase of 1e-6 as one of 0.5. Where p is near 1, none can rise, so a sure model scores low
    whatever the map. A uniform map scores 0, as nothing changes. A map that brings out something
    that misleads the model gains as well as one that hides what distracts it.
    """

    name: ClassVar[str] = "average-increase"
    summary: ClassVar[str] = "share of pictures where the class gains when multiplied by the map"
    higher_is_better: ClassVar[bool] = True

    def _value(self, before: float, after: float) -> float:
        return float(after > before)
