"""What a peer is asked for: raw maps, before it scales, enlarges or colours them."""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Task:
    """One picture, one class, one layer."""

    model: Any
    """A Keras model with logits that no one else holds."""
    layer: str
    images: NDArray[np.float32]
    """What the model is fed, (1, H, W, C)."""
    target: int


Prepare: TypeAlias = Callable[[Task], Callable[[], Any]]
"""What a user does once, and what he calls for each map, which comes as (h, w) or (1, h, w)."""


@dataclass(frozen=True)
class Peer:
    """Another library."""

    name: str
    package: str
    """What is imported."""
    backend: str
    """On which it runs."""
    methods: Mapping[str, Prepare]
    """By what they should give the same numbers as: a method of ours."""
    variants: Mapping[str, Prepare]
    """The same, as it comes, where that is known to give other numbers."""

    @property
    def missing(self) -> str | None:
        """Why it cannot be measured."""
        found = importlib.util.find_spec(self.package)
        return None if found else f"not installed: {self.name}"
