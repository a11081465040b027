"""How much of a map lies on the object: by its values, and by their order."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from xai_core import Metric, Score, Trial
from xai_core.typing import FloatArray


@dataclass(frozen=True)
class RelevanceMass(Metric):
    """Relevance mass accuracy: the share of the positive values that lies on the object.

    Arras, Osman and Samek, "CLEVR-XAI: A benchmark dataset for the ground truth evaluation of
    neural network explanations", Information Fusion 2022 (mass accuracy): the sum of the relevance
    within the mask over the sum of all. The sums are of what is above 0, which speaks for the
    class; what is below counts nothing. A map with no value above 0 scores 0, as it finds no
    evidence anywhere, and the facts tell how many values are above 0. A map that is the same
    everywhere scores the mask's share of the picture, which is the fact `chance`. Higher is
    better, 0 to 1.

    Traps. It needs a mask, and asks whether the map agrees with a person about where the object
    is: a model that reads the background, and a map that says so, lose. It rewards sparse maps:
    one pixel on the object scores 1. Every small value far from the object counts, so a faint
    veil over the background, as of gradients, costs more than it shows in a picture. Values are
    compared by their size, so that a power of a map scores otherwise than the map. A map that was
    shifted to be above 0 everywhere has the score of a veil. Maps from coarse layers run over the
    object's edge, by half a cell and more. The paper sums the relevance of the colour channels in
    several ways; here a map has one value a pixel, as the method makes it.
    """

    name: ClassVar[str] = "relevance-mass"
    family: ClassVar[str] = "localisation"
    summary: ClassVar[str] = "the share of the positive values that is on the object"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    @property
    def queries(self) -> int:
        """None are asked about."""
        return 0

    def score(self, trial: Trial) -> Score:
        """Sum what is above 0, in the mask and everywhere."""
        mask = trial.needed_mask()
        return Score(
            positive_share(trial.attribution, mask),
            {
                "chance": float(mask.mean()),
                "values above 0": float(np.count_nonzero(trial.attribution > 0)),
            },
        )


@dataclass(frozen=True)
class RelevanceRank(Metric):
    """Relevance rank accuracy: the share of the highest values that lies on the object.

    Arras, Osman and Samek, Information Fusion 2022 (rank accuracy): of the K highest pixels, where
    K is the size of the mask, the share that lies in it. Where values are equal to the lowest of
    those, it is the share to be expected when which of them are among the K is drawn at random. A
    map that is the same everywhere scores the mask's share of the picture, which is the fact
    `chance`; `cut` is the lowest of the K values. Higher is better, 0 to 1.

    Traps. It needs a mask, and asks whether the map agrees with a person about where the object
    is: a model that reads the background, and a map that says so, lose. Only the order counts:
    a faint map of the whole object scores as a strong one, and one strong spot on it scores
    little. Where `cut` is 0 or below, fewer pixels speak for the class than the object has, and
    the rest of the K say nothing or speak against it: a map that is 0 in most places is in part a
    random map. A large object is easy, so that pictures of large objects raise every row.
    """

    name: ClassVar[str] = "relevance-rank"
    family: ClassVar[str] = "localisation"
    summary: ClassVar[str] = "the share of the highest pixels that is on the object"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    @property
    def queries(self) -> int:
        """None are asked about."""
        return 0

    def score(self, trial: Trial) -> Score:
        """Count those of the highest that are in the mask."""
        mask, values = trial.needed_mask(), trial.attribution
        size = int(mask.sum())
        cut = np.sort(values, axis=None)[-size]
        above, level = values > cut, values == cut
        wanted = size - above.sum()
        inside = (above & mask).sum() + wanted * (level & mask).sum() / level.sum()
        return Score(float(inside / size), {"chance": float(mask.mean()), "cut": float(cut)})


def positive_share(values: FloatArray, mask: NDArray[np.bool_]) -> float:
    """The share of the sum of what is above 0 that is in a mask (H, W); 0 where nothing is."""
    highest = float(values.max())
    if highest <= 0:
        return 0.0
    positive = np.maximum(values.astype(np.float64), 0) / highest  # no sum of it is infinite
    return float(positive[mask].sum() / positive.sum())
