"""The pointing game."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from xai_core import Metric, Score, Trial
from xai_core.parameters import Within


@dataclass(frozen=True)
class PointingGame(Metric):
    """The pointing game: whether the highest value of the map is on the object.

    Zhang, Bargal, Lin, Brandt, Shen and Sclaroff, "Top-down Neural Attention by Excitation
    Backprop", International Journal of Computer Vision 2018, section 4.1. A hit is a highest
    pixel that lies in the mask, or no farther from it than the tolerance, from centre to centre;
    the mean over pictures is the share of hits. Of several equal highest values one is drawn at
    random, and the value is the probability that it hits: the share of them that do. A map that
    is the same everywhere scores the share of the picture that hits, which the facts tell as
    `chance`. Higher is better, 0 to 1.

    Traps. It needs a mask, and asks whether the map agrees with a person about where the object
    is: a model that reads the background, and a map that says so, lose. One pixel decides, and
    the rest of the map may lie anywhere. The tolerance is the paper's 15 pixels, which are pixels
    of the model's input here and of the picture there; of an input of 32 x 32 it leaves little to
    miss. A large object in the middle is hit by a blob in the middle: look at that row. A map
    from a coarse layer has its peak in the middle of a cell of the grid, whatever is there. The
    paper tells the mean over classes, and this is over pictures.
    """

    name: ClassVar[str] = "pointing-game"
    family: ClassVar[str] = "localisation"
    summary: ClassVar[str] = "whether the highest value is on the object"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    @property
    def queries(self) -> int:
        """None are asked about."""
        return 0

    tolerance: Annotated[int, Within(0)] = 15
    """How far from the mask still hits, in pixels of the model's input."""

    def score(self, trial: Trial) -> Score:
        """The share of the highest pixels that hit."""
        hits = grown(trial.needed_mask(), self.tolerance)
        highest = trial.attribution == trial.attribution.max()
        return Score(
            float(hits[highest].mean()),
            {"chance": float(hits.mean()), "highest pixels": float(highest.sum())},
        )


def grown(mask: NDArray[np.bool_], tolerance: int) -> NDArray[np.bool_]:
    """All pixels that are no farther from a mask (H, W), from centre to centre."""
    height, width = mask.shape
    found = np.zeros_like(mask)
    for down in range(-min(tolerance, height - 1), min(tolerance, height - 1) + 1):
        across = min(int(np.sqrt(tolerance**2 - down**2)), width - 1)
        # In each row, how many of the mask are within reach to the left and right.
        until = np.pad(np.cumsum(mask, axis=1), ((0, 0), (1 + across, across)), mode="edge")
        until[:, : 1 + across] = 0
        near = until[:, 2 * across + 1 :] > until[:, :width]
        to, of = (slice(max(0, each), height + min(0, each)) for each in (down, -down))
        found[to] |= near[of]
    return found
