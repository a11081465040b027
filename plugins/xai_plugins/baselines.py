"""Pictures that stand for nothing, to start a path from or to cover with."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np
from keras import ops

from xai_core import Evidence
from xai_core.typing import Tensor

Baseline: TypeAlias = Literal["black", "mean", "blurred", "random"]
"""A black picture, the picture's mean colour, the picture blurred, or noise."""


def baseline(kind: Baseline, evidence: Evidence, seed: int = 0) -> Tensor:
    """One for each input, (N, H, W, C), as the model is fed it."""
    return ops.broadcast_to(_BASELINES[kind](evidence, seed), evidence.inputs.shape)


def _blurred(evidence: Evidence, _: int) -> Tensor:
    """The picture through a box of a quarter of its sides, its edges repeated."""
    inputs = evidence.inputs
    height, width = inputs.shape[1] // 8 + 1, inputs.shape[2] // 8 + 1
    padded = ops.pad(inputs, [(0, 0), (height, height), (width, width), (0, 0)], mode="symmetric")
    return ops.average_pool(padded, (2 * height + 1, 2 * width + 1), 1, "valid")


def _random(evidence: Evidence, seed: int) -> Tensor:
    """Uniform noise over the picture's range, the same for every picture but for that."""
    inputs = evidence.inputs
    drawn = np.random.default_rng(seed).uniform(size=(1, *inputs.shape[1:]))
    noise = ops.convert_to_tensor(drawn, dtype=inputs.dtype)
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
