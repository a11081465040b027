"""How far a map is from what it would be without rounding."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from xai_core import Metric, Score, Trial
from xai_core.errors import MetricError
from xai_core.rank_correlation import spearman


@dataclass(frozen=True)
class Float64Distance(Metric):
    """Distance to float64: how far a map is from the one where all is computed in float64.

    No paper: this project's own. The greatest absolute difference between the map as the method
    made it and the map of the same model, weights, picture and class in float64, over the
    greatest absolute value of the latter; both at the resolution that the method makes. The facts
    tell the 99.9th percentile of the differences, over the same value, and Spearman's rank
    correlation, where the maps are not the same everywhere. A map that is 0 everywhere in both
    scores 0. Lower is better, 0 upwards.

    Traps. It says how exact the arithmetic is, not whether the map is right: a map that is wrong
    in both scores 0, and so do the four maps that know nothing of the model, which cannot be
    beaten. Gradients by the input have jumps: where a unit of a ReLU is 0 but for rounding, or two
    values under a pool are equal but for it, one precision takes the one side and the other the
    other, and the gradient of a few pixels changes as a whole. So the maximum tells of a few
    pixels alone; the percentile and the rank correlation tell of the rest. Measured on a CPU, on
    the pictures of `xai_core.demo`, by `xai evaluate cat.png coffee.png cat-over-coffee.png
    --metrics float64-distance --json --out t.json`: efficientnet-lite0 has 1.2e-6 at most for
    grad-cam and grad-cam++, and for saliency 2.6e-2 on the cat (99.9th percentile 5.8e-3) and
    below 1e-6 on the two others, with a rank correlation above 0.9999. With `--model vgg16
    --weights random` it is 1.6e-6 at most for the former two, and for saliency 3.1e-2, 6.7e-2 and
    0.4e-2 (percentile 3.3e-2 at most), with a rank correlation above 0.999.
    What a method draws at random must be drawn alike in both precisions, or the difference is its
    own noise. Rounding in the method is not told apart from rounding in the model.
    """

    name: ClassVar[str] = "float64-distance"
    family: ClassVar[str] = "numerical"
    summary: ClassVar[str] = "how far the map is from itself computed in float64"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, np.inf)

    @property
    def queries(self) -> int:
        """None are asked about."""
        return 0

    @property
    def maps(self) -> int:
        """The one in float64."""
        return 1

    def score(self, trial: Trial) -> Score:
        """Compare the map with that in float64."""
        precise = trial.precise()
        apart = np.abs(trial.raw.astype(np.float64) - precise)
        largest = float(np.abs(precise).max())
        if largest == 0 < apart.max():
            raise MetricError(
                "the map in float64 is 0 everywhere and the map is not; expected a value to "
                "compare with, since the distance is told in shares of the largest"
            )
        relative = apart / largest if largest else apart
        facts = {"99.9th percentile": float(np.percentile(relative, 99.9))}
        rho = spearman(trial.raw, precise)
        if rho is not None:
            facts["rank correlation"] = rho
        return Score(float(relative.max()), facts)
