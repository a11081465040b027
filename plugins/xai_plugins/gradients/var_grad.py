"""VarGrad."""

from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from xai_core import Law
from xai_core.typing import Tensor
from xai_plugins.gradients.noise import NoisyGradients
from xai_plugins.gradients.saliency import Saliency


@dataclass(frozen=True)
class VarGrad(NoisyGradients):
    """VarGrad: a gradient method on the variance of the gradients of noisy copies.

    Adebayo et al., "Local Explanation Methods for Deep Neural Networks Lack Sensitivity to
    Parameter Values", 2018, section 3: the variance of the gradients at x + noise, in two
    passes: E[g^2] - E[g]^2 cancels. With sigma 0 it is 0.
    Maps are those of the method it is given, by default saliency: float (N, H, W), 0 or
    above.
    """

    name: ClassVar[str] = "vargrad"

    @property
    def laws(self) -> Law:
        """What is pooled is said of saliency, which shows it as it is."""
        differ = self.sigma and self.samples > 1
        laws = Law.CONSTANT | Law.QUADRATIC | (Law.SEEDED if differ else Law.NOTHING)
        return laws | Law.POOLS_VARIANCE if self.of == Saliency() else laws

    def pool(self, gradients: Tensor) -> Tensor:
        """Take the variance about the mean."""
        return ops.var(gradients, axis=1)
