"""SmoothGrad."""

from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from xai_core import Law
from xai_core.typing import Tensor
from xai_plugins.gradients.noise import NoisyGradients
from xai_plugins.gradients.saliency import Saliency


@dataclass(frozen=True)
class SmoothGrad(NoisyGradients):
    """SmoothGrad: a gradient method on the mean of the gradients of noisy copies.

    Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017, section 3: the mean of
    the gradients at x + noise, not of their magnitudes. With sigma 0 it is the gradient.
    Maps are those of the method it is given, by default saliency: float (N, H, W), 0 or
    above.
    """

    name: ClassVar[str] = "smoothgrad"

    @property
    def laws(self) -> Law:
        """What is pooled is said of saliency, which shows it as it is."""
        laws = Law.CONSTANT | Law.LINEAR | (Law.SEEDED if self.sigma else Law.NOTHING)
        return laws | Law.POOLS_MEAN if self.of == Saliency() else laws

    def pool(self, gradients: Tensor) -> Tensor:
        """Take the mean."""
        return ops.mean(gradients, axis=1)
