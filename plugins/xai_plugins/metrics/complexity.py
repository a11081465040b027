"""Sparseness, entropy and effective area: how much of the picture a map is about."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from xai_core import Metric, Score, Trial
from xai_core.parameters import Share
from xai_core.typing import FloatArray

_ROUNDING = 1e-12
"""By how much a sum of shares may miss their total."""


@dataclass(frozen=True)
class _OfShares(Metric):
    """A number on how the mass of a map is spread; no question is asked."""

    family: ClassVar[str] = "complexity"

    @property
    def queries(self) -> int:
        """None."""
        return 0


@dataclass(frozen=True)
class Sparseness(_OfShares):
    """Sparseness: the Gini index of the map's magnitudes.

    Chalasani, Chen, Chowdhury, Jha and Wu, "Concise Explanations of Neural Networks using
    Adversarial Training", ICML 2020: with the magnitudes v in rising order,
    1 - 2 sum_k (v_k / sum v) (N - k + 1/2) / N. Higher is better, by the claim that few pixels
    explain better than many: 0 for a uniform map, 1 - 1/N for a single pixel. A map of zeros
    counts as uniform.

    Traps. It does not look at the model: any single pixel scores best. Maps are brought to the
    input's size first, so what a coarse layer makes, as in Grad-CAM, is smoother and scores lower
    for that alone; and a ReLU, which makes zeros, scores higher than the signed map it cuts.
    Sums over the channels, squares and thresholds are worth more here than any method.
    """

    name: ClassVar[str] = "sparseness"
    summary: ClassVar[str] = "Gini index of the map's magnitudes"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, trial: Trial) -> Score:
        """Sort and weigh."""
        rising = falling(trial.attribution)[::-1]
        many = rising.size
        return Score(max(0.0, float(rising @ (2 * np.arange(1, many + 1) - many - 1)) / many))


@dataclass(frozen=True)
class Entropy(_OfShares):
    """Entropy: how many pixels a map's magnitudes are spread over, in nats.

    Bhatt, Weller and Moura, IJCAI 2020, where it is called complexity: the entropy
    -sum_i P_i ln P_i, with P_i the share of pixel i in the sum of the magnitudes. Lower is better:
    0 for a single pixel, ln(H W) for a uniform map, 10.8 of a picture of 224 x 224. exp of it is
    as how many equal pixels it counts. A map of zeros counts as uniform. The fact `share of the
    largest` is the entropy over ln(H W), 0 to 1, which compares between sizes of pictures.

    Traps. It does not look at the model: any single pixel scores best. It is dull at the upper
    end: half of the picture has 0.69 less than all of it, and most maps lie within 2 nats.
    Resampling and ReLU count as for `sparseness`.
    """

    name: ClassVar[str] = "entropy"
    summary: ClassVar[str] = "entropy of the map's magnitudes, in nats"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)

    def score(self, trial: Trial) -> Score:
        """Weigh the logarithms."""
        shares = falling(trial.attribution)
        some = shares[shares > 0]
        found = max(0.0, -float(some @ np.log(some)))
        return Score(found, {"share of the largest": found / (math.log(shares.size) or 1.0)})


@dataclass(frozen=True)
class EffectiveArea(_OfShares):
    """Effective area: the smallest share of the pixels that holds most of the map's magnitude.

    As many pixels, the largest magnitudes first, as it takes to hold `mass` of their sum, over all
    pixels: a point of the Lorenz curve of which `sparseness` is the area. Lower is better, 0 to 1:
    1 / (H W) for a single pixel, `mass` for a uniform map. A map of zeros counts as uniform. It
    follows no one paper; Nguyen and Martinez, "On quantitative aspects of model
    interpretability", 2020, count features too, by what leaving them out costs the model.

    Traps. It does not look at the model, nor at where the pixels lie: scattered ones and a blob
    count the same. Another `mass` may turn the order of two methods round. Resampling and ReLU
    count as for `sparseness`.
    """

    name: ClassVar[str] = "effective-area"
    summary: ClassVar[str] = "share of the pixels that holds 90 % of the map's magnitude"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    mass: Share = 0.9
    """How much of the sum of the magnitudes they hold."""

    def score(self, trial: Trial) -> Score:
        """Add the largest up."""
        held = np.concatenate([[0.0], np.cumsum(falling(trial.attribution))])
        count = int(np.searchsorted(held, self.mass - _ROUNDING))
        return Score(min(count, held.size - 1) / (held.size - 1))


def falling(attribution: FloatArray) -> FloatArray:
    """The share of each pixel in the sum of the magnitudes, the largest first, (H W,).

    Of a map of zeros, all the same.
    """
    magnitudes = np.sort(np.abs(attribution.astype(np.float64)).ravel())[::-1]
    largest = magnitudes[0]
    # By the largest first: the sum of huge values is infinite, that of tiny ones may be 0.
    even: FloatArray = magnitudes / largest if largest > 0 else np.ones_like(magnitudes)
    shares: FloatArray = even / even.sum()
    return shares
