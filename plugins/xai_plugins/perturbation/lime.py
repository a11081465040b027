"""LIME."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from xai_core import Law
from xai_core.parameters import Count, Spread, Within
from xai_plugins.perturbation.superpixels import (
    Cover,
    Game,
    OnSuperpixels,
    Weights,
    effective_number,
    least_squares,
    subsets,
)


@dataclass(frozen=True)
class LIME(OnSuperpixels):
    """LIME: the w of min sum_z pi_z (S(z) - w_0 - w z)^2 + ridge |w|^2, z superpixels on or off.

    Ribeiro, Singh and Guestrin, "Why Should I Trust You? Explaining the Predictions of Any
    Classifier", KDD 2016, eq. 1-2 and sections 3.3-3.4. As there, how many superpixels show is
    drawn uniformly, then which; the proximity is pi_z = exp(-D^2 / width^2), with D the cosine
    distance of z from all on. Unlike there, no few superpixels are chosen beforehand: all have a
    weight. The authors' code differs: it shows each superpixel by the toss of a coin, takes the
    root of the proximity (here: a width sqrt(2) times as large), and covers with each
    superpixel's own mean colour (here: `baseline="superpixels"`).

    Covered and shown are blended in what the model is fed. Maps are float (N, H, W) at the
    input's resolution, signed, in units of the score: each pixel has the weight of its
    superpixel. Its error is told, and as `r2` how much of S the linear model explains.
    """

    name: ClassVar[str] = "lime"
    laws: ClassVar[Law] = Law.CONSTANT | Law.LINEAR | Law.STANDARD_ERROR | Law.SEEDED

    samples: Count = 1000
    """Coalitions of superpixels to ask about."""
    baseline: Cover = "mean"
    """What covers: by default the picture's mean colour, where the paper has grey."""
    width: Annotated[float, Within(0.01)] = 0.25
    """Of the proximity, as a cosine distance: half of the superpixels are at 0.29."""
    ridge: Spread = 1.0
    """Of the penalty, beside proximities that are at most 1: one such sample's weight."""

    @property
    def queries(self) -> int:
        """One a sample."""
        return self.samples

    def weigh(self, players: int, score: float, game: Game) -> Weights:
        """Draw samples and fit the linear model to their scores."""
        generator = np.random.default_rng(self.seed)
        sizes = generator.integers(0, players, size=self.samples, endpoint=True)
        shown = subsets(generator, sizes, players)
        # The cosine of z with all on is |z| / (sqrt(|z|) sqrt(P)), for P superpixels.
        distance = 1 - np.sqrt(sizes / players)
        proximity = np.exp(-((distance / self.width) ** 2))
        fit = least_squares(
            np.column_stack([np.ones(self.samples), shown]),
            game(shown) - score,
            proximity,
            np.asarray([0.0] + [self.ridge] * players),
        )
        return Weights(
            fit.coefficients[1:],
            fit.variances[1:],
            facts={"r2": fit.r2},
            few=effective_number(proximity) < players + 2,
        )
