"""Gradients at a picture with noise, for the methods that pool them."""

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

from keras import ops, random

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
    """The method that reads the pooled gradients: any that needs input gradients alone."""

    def __post_init__(self) -> None:
        """Hold the parameters to their types, and the method to what it reads."""
        super().__post_init__()
        if self.of.needs is not Needs.INPUT_GRADIENTS:
            raise ParameterError(
                f"{self.name}: received of {self.of.name!r}, which needs "
                f"{self.of.needs!r}; expected "
                "a method that needs INPUT_GRADIENTS alone, such as saliency or guided-backprop"
            )

    @property
    def signed(self) -> bool:
        """As the method that reads them."""
        return self.of.signed

    @property
    def rule(self) -> Rule:
        """That of the method that reads them."""
        return self.of.rule

    @property
    def queries(self) -> int:
        """One a copy."""
        return self.samples

    def explain(self, evidence: Evidence) -> Tensor | Attribution:
        """Pool the gradients and hand them on."""
        inputs = evidence.inputs
        reach = ops.max(inputs, axis=(1, 2, 3), keepdims=True)
        reach = reach - ops.min(inputs, axis=(1, 2, 3), keepdims=True)
        # The same noise for every picture but for its scale: a map depends on no neighbour.
        noise = random.normal((self.samples, *inputs.shape[1:]), seed=self.seed, dtype=inputs.dtype)
        room = evidence.room
        gradients = [
            evidence.gradients(
                inputs[:, None] + self.sigma * reach[:, None] * noise[None, first : first + room]
            )
            for first in range(0, self.samples, room)
        ]
        pooled = self.pool(ops.concatenate(gradients, axis=1))
        return self.of.explain(evidence.reading({Needs.INPUT_GRADIENTS: pooled}))

    @abstractmethod
    def pool(self, gradients: Tensor) -> Tensor:
        """From the gradients of all copies (N, samples, H, W, C) to one (N, H, W, C)."""
