"""Kernel SHAP."""

from dataclasses import dataclass
from math import comb
from typing import ClassVar

import numpy as np

from xai_core import Law
from xai_core.parameters import Count
from xai_core.typing import FloatArray
from xai_plugins.perturbation.superpixels import (
    Game,
    OnSuperpixels,
    Weights,
    least_squares,
    subsets,
)

_ENOUGH = 2
"""Pairs for each superpixel. With about as many as there are unknowns the fit runs through all of
them: nothing is left to tell the error by, and the values may be anything."""


@dataclass(frozen=True)
class KernelSHAP(OnSuperpixels):
    """Kernel SHAP: the Shapley values of the superpixels, by weighted least squares.

    Lundberg and Lee, "A Unified Approach to Interpreting Model Predictions", NeurIPS 2017,
    theorem 2: phi minimises sum_z pi(z) (S(z) - S(x') - phi z)^2 with
    pi(z) = (P - 1) / (C(P, |z|) |z| (P - |z|)) for P superpixels of which |z| show. That phi sums
    to S(x) - S(x') is kept exactly. Where there are no more coalitions than samples, all are
    asked about, and the values are exact. Otherwise their sizes are drawn by the mass that pi
    gives them, and each goes with its complement: Covert and Lee, "Improving KernelSHAP",
    AISTATS 2021, section 4.

    Covered and shown are blended in what the model is fed. Maps are float (N, H, W) at the
    input's resolution, signed, in units of the score: each pixel has the value of its superpixel.
    """

    name: ClassVar[str] = "kernel-shap"
    laws: ClassVar[Law] = Law.CONSTANT | Law.LINEAR | Law.STANDARD_ERROR | Law.SEEDED

    samples: Count = 2048
    """Coalitions of superpixels to ask about, in pairs, beside the empty one."""

    def weigh(self, players: int, score: float, game: Game) -> Weights:
        """Solve for the Shapley values, from every coalition or from a sample."""
        is_exact = 2**players - 2 <= self.samples
        shown, weights = _every_pair(players) if is_exact else self._draw(players)
        pairs = len(shown)
        scores = game(np.concatenate([shown, 1 - shown, np.zeros((1, players))]))
        change = score - float(scores[-1])
        # Of phi = change / P + c, the c sums to 0, so only where z differs from its own mean
        # counts, and the shortest c is the one that sums to 0. There, what is not shown is the
        # negative of what is: the two rows of a pair are one, with half their difference.
        share = shown.mean(axis=1)
        fit = least_squares(
            shown - share[:, None],
            (scores[:pairs] - scores[pairs:-1]) / 2 - change * (share - 0.5),
            weights,
            np.zeros(players),
        )
        return Weights(
            change / players + fit.coefficients,
            0 * fit.variances if is_exact else fit.variances,
            facts={"change of the score": change},
            few=not is_exact and pairs < _ENOUGH * players,
        )

    def _draw(self, players: int) -> tuple[FloatArray, FloatArray]:
        """Of each pair one coalition, (n, P), and its weight, 1: pi is in how they are drawn."""
        generator = np.random.default_rng(self.seed)
        sizes = np.arange(1, players)
        mass = 1 / (sizes * (players - sizes))
        drawn = generator.choice(sizes, size=max(1, self.samples // 2), p=mass / mass.sum())
        return subsets(generator, drawn, players), np.ones(len(drawn))


def _every_pair(players: int) -> tuple[FloatArray, FloatArray]:
    """Of each pair the coalition with the first superpixel, (n, P), and pi(z) / (P - 1)."""
    others = np.arange(2 ** (players - 1) - 1)[:, None] >> np.arange(players - 1) & 1
    shown = np.concatenate([np.ones((len(others), 1)), others], axis=1)
    sizes = [int(size) for size in shown.sum(axis=1)]
    weights = [1 / (comb(players, size) * size * (players - size)) for size in sizes]
    return shown, np.asarray(weights)
