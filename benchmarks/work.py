"""How much a forward pass has to do: operations, and bytes that cannot stay in the cache."""

from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Any

_BYTES = MappingProxyType({"float32": 4, "bfloat16": 2, "float16": 2})


@dataclass(frozen=True)
class Work:
    """Of one forward pass."""

    operations: int
    """Multiplications and additions of convolutions and dense layers, two for each pair."""
    bytes: int
    """Their weights once, and what they read and write once for each picture, in their
    dtypes: what a program moves that merges all other layers into them."""


def forward_work(model: Any, batch: int) -> Work:
    """Add up the layers of a flat Keras model."""
    operations = moved = 0
    for layer in model.layers:
        kernels = [each for each in layer.weights if "kernel" in each.name]
        if not kernels:
            continue
        read, written = (_size(each.shape) for each in (layer.input, layer.output))
        places = prod(layer.output.shape[1:-1])
        operations += batch * sum(2 * prod(each.shape) * places for each in kernels)
        moved += sum(_BYTES[each.dtype] * prod(each.shape) for each in layer.weights)
        moved += _BYTES[layer.compute_dtype] * batch * (read + written)
    return Work(operations, moved)


def _size(shape: tuple[int | None, ...]) -> int:
    return prod(int(each or 1) for each in shape[1:])
