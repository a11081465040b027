"""Integrated Gradients."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np
from keras import ops, random

from xai_core import Attribution, Evidence, Explainer, Needs
from xai_core.typing import Tensor

Baseline = Literal["black", "mean", "blurred", "random"]


@dataclass(frozen=True)
class IntegratedGradients(Explainer):
    """Integrated Gradients: (x - x') times the mean of dS/dx on the straight path from x' to x.

    Sundararajan et al., "Axiomatic Attribution for Deep Networks", ICML 2017, eq. 1. The
    mean is taken by Gauss-Legendre quadrature. The map sums to S(x) - S(x'); by how much it
    does not, is told. Maps are float (N, H, W) at the input's resolution, signed, in units
    of the score: the sum over the channels.
    """

    name: ClassVar[str] = "integrated-gradients"
    needs: ClassVar[Needs] = Needs.QUERIES
    signed: ClassVar[bool] = True

    steps: int = 32
    """Points on the path."""
    baseline: Baseline = "black"
    """x': a black picture, the picture's mean colour, the picture blurred, or noise."""
    seed: int = 0
    """Of the random baseline."""

    def explain(self, evidence: Evidence) -> Attribution:
        """Sum the gradients on the path."""
        inputs = evidence.inputs
        start = ops.broadcast_to(_BASELINES[self.baseline](evidence, self.seed), inputs.shape)
        way = (inputs - start)[:, None]
        nodes, weights = (
            ops.convert_to_tensor(each.reshape(1, -1, 1, 1, 1), inputs.dtype)
            for each in np.polynomial.legendre.leggauss(self.steps)
        )
        room = evidence.room
        mean = ops.zeros_like(inputs)
        for first in range(0, self.steps, room):
            part = slice(first, first + room)
            points = start[:, None] + (nodes[:, part] + 1) / 2 * way
            mean = mean + ops.sum(weights[:, part] / 2 * evidence.gradients(points), axis=1)
        maps = ops.sum((inputs - start) * mean, axis=-1)
        change = evidence.score - evidence.scores(start[:, None])[:, 0]
        gap = ops.abs(ops.sum(maps, axis=(1, 2)) - change)
        return Attribution(maps, facts={"completeness gap": gap, "change of the score": change})


def _blurred(evidence: Evidence, _: int) -> Tensor:
    """The picture through a box of a quarter of its sides, its edges repeated."""
    inputs = evidence.inputs
    height, width = inputs.shape[1] // 8 + 1, inputs.shape[2] // 8 + 1
    padded = ops.pad(inputs, [(0, 0), (height, height), (width, width), (0, 0)], mode="symmetric")
    return ops.average_pool(padded, (2 * height + 1, 2 * width + 1), 1, "valid")


def _random(evidence: Evidence, seed: int) -> Tensor:
    """Uniform noise over the picture's range, the same for every picture but for that."""
    inputs = evidence.inputs
    noise = random.uniform((1, *inputs.shape[1:]), seed=seed, dtype=inputs.dtype)
    low = ops.min(inputs, axis=(1, 2, 3), keepdims=True)
    return low + noise * (ops.max(inputs, axis=(1, 2, 3), keepdims=True) - low)


_BASELINES: Mapping[str, Callable[[Evidence, int], Tensor]] = MappingProxyType(
    {
        "black": lambda evidence, _: evidence.black,
        "mean": lambda evidence, _: ops.mean(evidence.inputs, axis=(1, 2), keepdims=True),
        "blurred": _blurred,
        "random": _random,
    }
)
