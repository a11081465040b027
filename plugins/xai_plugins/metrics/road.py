"""Remove and debias."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from xai_core import Curve, Metric, Score, Trial
from xai_core.parameters import Count, Share
from xai_core.typing import FloatArray
from xai_plugins.metrics.imputation import imputed
from xai_plugins.metrics.pixels import ranks

_TOGETHER = 128
"""Pictures made in one go: a matter of memory."""


@dataclass(frozen=True)
class Road(Metric):
    """ROAD: by how much more probable the class stays without the lowest pixels than the highest.

    Rong, Leemann, Borisov, Kasneci and Kasneci, "A Consistent and Efficient Evaluation Strategy
    for Attribution Methods", ICML 2022: noisy linear imputation. Each pixel that is removed
    becomes the weighted mean of its eight neighbours, 1/6 beside and 1/12 across a corner, and
    noise is added. All removed pixels of a picture are one system of equations, solved to within
    1e-4 grey levels. At the border, the neighbours that exist count in proportion. A picture's
    values are not cut off at 0 and 255.

    10, 20, ..., 90 % of the pixels are removed, the most relevant first (MoRF) and the least
    relevant first (LeRF). The paper draws both curves and ranks by either; both means are facts.
    The value is their difference, mean LeRF less mean MoRF: what the order of the pixels is worth.
    pytorch-grad-cam's `ROADCombined` is half of it. Higher is better, -1 to 1; an order that says
    nothing is worth 0 on average. The curve is the difference at each share.

    Traps. What is made up from its neighbours is not gone: an object whose outline is left is
    filled with its own colours, so maps that cover whole objects gain over maps that follow
    edges. Imputation leaves less of a trace of which pixels were removed than one colour does,
    not none: a removed blob is smooth. The noise, 1 % of the range, is what the authors' code adds
    to small pictures. Pixels of equal value go in a random order that is the same for every method,
    and in both curves: what is lowest in MoRF is first in LeRF. The paper's curves are accuracies
    over a data set, these are probabilities of one class, and compare with no published figure.
    """

    name: ClassVar[str] = "road"
    family: ClassVar[str] = "faithfulness"
    summary: ClassVar[str] = "class without the lowest pixels less without the highest, imputed"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    shares: Count = 9
    """How many shares of the pixels are removed, evenly between 0 and 1: with 9, 10 to 90 %."""
    noise: Share = 0.01
    """Standard deviation of the noise on removed pixels, as a share of 255."""

    @property
    def queries(self) -> int:
        """One for each share and order."""
        return 2 * self.shares

    def score(self, trial: Trial) -> Score:
        """Remove pixels from either end of their order, and ask for the probabilities."""
        generator = trial.generator()
        rank = ranks(trial.attribution, generator)
        noise = 255 * self.noise * generator.normal(size=trial.pixels.shape)
        x = np.arange(1, self.shares + 1) / (self.shares + 1)
        # One pixel at least is left to begin from.
        counts = np.minimum(np.rint(x * rank.size), rank.size - 1)
        most = _probabilities(trial, rank, counts, noise)
        least = _probabilities(trial, rank.size - 1 - rank, counts, noise)
        return Score(
            float(least.mean() - most.mean()),
            {
                "mean probability, most relevant first": float(most.mean()),
                "mean probability, least relevant first": float(least.mean()),
            },
            Curve(x, least - most, "share of pixels removed", "LeRF less MoRF"),
        )


def _probabilities(
    trial: Trial, order: NDArray[np.intp], counts: FloatArray, noise: FloatArray
) -> FloatArray:
    """Of the class without so many pixels, the first in that order, for each count."""
    asked = []
    for first in range(0, len(counts), _TOGETHER):
        made = []
        for count in counts[first : first + _TOGETHER]:
            removed = order < count
            made.append(imputed(trial.pixels, removed) + removed[..., None] * noise)
        asked.append(trial.probabilities(np.stack(made).astype(trial.pixels.dtype)))
    return np.concatenate(asked)
