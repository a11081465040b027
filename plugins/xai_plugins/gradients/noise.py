"""Gradients at a picture with noise, for the methods that pool them."""

from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from keras import ops

from xai_core import Attribution, Evidence, Explainer, Needs, Rule
from xai_core.errors import ParameterError
from xai_core.parameters import Count, Seed, Spread
from xai_core.typing import Tensor
from xai_plugins.gradients.saliency import Saliency


@dataclass(frozen=True)
class NoisyGradients(Explainer):
    """Gives a gradient method pooled gradients of noisy copies in place of the one it reads."""

    family: ClassVar[str] = "gradient"
    needs: ClassVar[Needs] = Needs.QUERIES

    samples: Count = 32
    """Noisy copies."""
    sigma: Spread = 0.15
    """Standard deviation of the noise, relative to max(x) - min(x) of each picture."""
    seed: Seed = 0
    of: Explainer = field(default_factory=Saliency)
    """The method that reads the pooled gradients: gradient-x-input makes x times them. Of a method
    that asks for its own gradients, as integrated-gradients, the maps of the copies are pooled."""

    def __post_init__(self) -> None:
        """Hold the parameters to their types, and the method to what it reads."""
        super().__post_init__()
        if self.of.needs not in (Needs.INPUT_GRADIENTS, Needs.QUERIES):
            raise ParameterError(
                f"{self.name}: received of {self.of.name!r}, which needs {self.of.needs}; "
                "expected a method that reads gradients by the input alone, such as saliency, or "
                "asks for what it needs, such as integrated-gradients"
            )

    @property
    def signed(self) -> bool:
        """As the method that reads them."""
        return self.of.signed

    @property
    def poles(self) -> tuple[str, str]:
        """Those of the method that reads them."""
        return self.of.poles

    @property
    def rule(self) -> Rule:
        """That of the method that reads them."""
        return self.of.rule

    @property
    def queries(self) -> int | None:
        """One a copy; of a method that asks itself, all that it asks about each, and its score."""
        if self.of.needs is Needs.INPUT_GRADIENTS:
            return self.samples
        return None if self.of.queries is None else self.samples * (self.of.queries + 1)

    def explain(self, evidence: Evidence) -> Tensor | Attribution:
        """Pool the gradients and hand them on, or else pool the maps of the copies."""
        inputs = evidence.inputs
        reach = ops.max(inputs, axis=(1, 2, 3), keepdims=True)
        reach = (reach - ops.min(inputs, axis=(1, 2, 3), keepdims=True))[:, None]
        # The same noise for every picture but for its scale: a map depends on no neighbour.
        generator = np.random.default_rng(self.seed)
        room = evidence.room if self.of.needs is Needs.INPUT_GRADIENTS else 1
        parts = (
            inputs[:, None] + self.sigma * reach * self._noise(generator, room, first, inputs)
            for first in range(0, self.samples, room)
        )
        if self.of.needs is Needs.INPUT_GRADIENTS:
            pooled = self.pool(
                ops.concatenate([evidence.gradients(each) for each in parts], axis=1)
            )
            return self.of.explain(evidence.reading({Needs.INPUT_GRADIENTS: pooled}))
        return self.pool(ops.stack([self._explained(evidence, each) for each in parts], axis=1))

    def _noise(self, generator: np.random.Generator, room: int, first: int, like: Tensor) -> Tensor:
        """The next copies' noise, (1, copies, H, W, C): by NumPy, so that it is every backend's."""
        shape = (1, min(room, self.samples - first), *like.shape[1:])
        return ops.convert_to_tensor(generator.standard_normal(shape), dtype=like.dtype)

    def _explained(self, evidence: Evidence, copies: Tensor) -> Tensor:
        """The maps of one noisy copy of each picture, (N, 1, H, W, C)."""
        score = evidence.scores(copies)[:, 0]
        made = self.of.explain(replace(evidence, inputs=copies[:, 0], score=score))
        return made.maps if isinstance(made, Attribution) else made

    @abstractmethod
    def pool(self, gradients: Tensor) -> Tensor:
        """From the gradients, or maps, of all copies (N, samples, ...) to one (N, ...)."""
