"""SquareGrad."""

from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from xai_core import Law
from xai_core.typing import Tensor
from xai_plugins.gradients.noise import NoisyGradients
from xai_plugins.gradients.saliency import Saliency


@dataclass(frozen=True)
class SquareGrad(NoisyGradients):
    """SquareGrad: a gradient method on the mean of the squared gradients of noisy copies.

    Hooker et al., "A Benchmark for Interpretability Methods in Deep Neural Networks", NeurIPS
    2019, section 4.1: the mean of the squared gradients at x + noise. With sigma 0 it is
    the squared gradient.
    Maps are those of the method it is given, by default saliency: float (N, H, W), 0 or
    above.
    """

    name: ClassVar[str] = "squaregrad"

    @property
    def laws(self) -> Law:
        """What is pooled is said of saliency, which shows it as it is."""
        laws = Law.CONSTANT | Law.QUADRATIC | (Law.SEEDED if self.sigma else Law.NOTHING)
        return laws | Law.POOLS_SQUARES if self.of == Saliency() else laws

    def pool(self, gradients: Tensor) -> Tensor:
        """Take the mean of the squares."""
        return ops.mean(ops.square(gradients), axis=1)
