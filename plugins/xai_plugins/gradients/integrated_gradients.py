"""Integrated Gradients."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from keras import ops

from xai_core import Attribution, Evidence, Explainer, Law, Needs
from xai_core.errors import ParameterError
from xai_core.parameters import Count, Seed, Within
from xai_core.typing import Tensor
from xai_plugins.baselines import Baseline, baseline

_INCOMPLETE = 0.05
"""The gap, as a share of the change of the score, that the paper would have smaller."""


@dataclass(frozen=True)
class IntegratedGradients(Explainer):
    """Integrated Gradients: (x - x') times the mean of dS/dx on the straight path from x' to x.

    Sundararajan et al., "Axiomatic Attribution for Deep Networks", ICML 2017, eq. 1. The
    mean is taken by Gauss-Legendre quadrature. The map sums to S(x) - S(x'); by how much it
    does not, is told. Maps are float (N, H, W) at the input's resolution, signed, in units
    of the score: the sum over the channels.
    """

    name: ClassVar[str] = "integrated-gradients"
    family: ClassVar[str] = "gradient"
    needs: ClassVar[Needs] = Needs.QUERIES
    signed: ClassVar[bool] = True

    steps: Count = 32
    """Points on the path."""
    tolerance: Annotated[float | None, Within(0)] = None
    """Largest completeness gap, as a share of the change of the score: where it is larger, the
    points are doubled, up to `most_steps`. None: `steps` it is."""
    most_steps: Count = 512
    baseline: Baseline = "black"
    """x': a black picture, the picture's mean colour, the picture blurred, or noise."""
    seed: Seed = 0
    """Of the random baseline."""

    def __post_init__(self) -> None:
        """Hold the parameters to their types, and the points to their bound."""
        super().__post_init__()
        if self.tolerance is not None and self.most_steps < self.steps:
            raise ParameterError(
                f"{self.name}: received most_steps {self.most_steps} and steps {self.steps}; "
                "expected most_steps of at least steps, from which the doubling begins"
            )

    @property
    def laws(self) -> Law:
        """Complete is said of the black baseline."""
        laws = Law.CONSTANT | Law.LINEAR
        return laws | Law.COMPLETE | Law.LINEAR_MODEL if self.baseline == "black" else laws

    @property
    def queries(self) -> int | None:
        """The points, and the baseline."""
        return self.steps + 1 if self.tolerance is None else None

    def explain(self, evidence: Evidence) -> Attribution:
        """Sum the gradients on the path, for each picture with as many points as it takes."""
        start = baseline(self.baseline, evidence, self.seed)
        change = evidence.score - evidence.scores(start[:, None])[:, 0]
        steps, most = self.steps, self.most_steps if self.tolerance is not None else 0
        maps = self._maps(evidence, start, steps)
        taken = steps * ops.ones_like(change)
        while True:
            gap = ops.abs(ops.sum(maps, axis=(1, 2)) - change)
            wide = gap > (self.tolerance or 0) * ops.abs(change)
            if steps >= most or not bool(ops.any(wide)):
                break
            steps = min(2 * steps, most)
            maps = ops.where(wide[:, None, None], self._maps(evidence, start, steps), maps)
            taken = ops.where(wide, steps, taken)
        allowed = _INCOMPLETE if self.tolerance is None else self.tolerance
        message = (
            f"the values miss the change of the score by more than {allowed:.3g} of it: raise "
            "steps, or most_steps where there is a tolerance"
        )
        return Attribution(
            maps,
            facts={"completeness gap": gap, "change of the score": change, "steps": taken},
            warnings={"incomplete": (message, gap > allowed * ops.abs(change))},
        )

    def _maps(self, evidence: Evidence, start: Tensor, steps: int) -> Tensor:
        way = (evidence.inputs - start)[:, None]
        nodes, weights = (
            ops.convert_to_tensor(each.reshape(1, -1, 1, 1, 1), way.dtype)
            for each in np.polynomial.legendre.leggauss(steps)
        )
        mean = ops.zeros_like(start)
        for first in range(0, steps, evidence.room):
            part = slice(first, first + evidence.room)
            points = start[:, None] + (nodes[:, part] + 1) / 2 * way
            mean = mean + ops.sum(weights[:, part] / 2 * evidence.gradients(points), axis=1)
        return ops.sum(way[:, 0] * mean, axis=-1)
