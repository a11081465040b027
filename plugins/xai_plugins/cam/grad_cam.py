"""Grad-CAM, the reference plugin."""

from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from xai_core import Evidence, Explainer, Law, Needs
from xai_core.typing import Tensor


@dataclass(frozen=True)
class GradCAM(Explainer):
    """Grad-CAM: ReLU(sum_k w_k A_k), w_k = mean_ij(dS/dA_k).

    Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via
    Gradient-based Localization", ICCV 2017, eq. 1-2. Maps are float (N, h, w) at
    the target layer's resolution, 0 or above, in units of the score.
    """

    name: ClassVar[str] = "grad-cam"
    family: ClassVar[str] = "cam"
    needs: ClassVar[Needs] = Needs.ACTIVATIONS | Needs.ACTIVATION_GRADIENTS
    traceable: ClassVar[bool] = True
    laws: ClassVar[Law] = Law.CONSTANT | Law.SHIFT | Law.LINEAR | Law.GAP_DENSE

    def explain(self, evidence: Evidence) -> Tensor:
        """Weigh each channel by its mean gradient and keep what speaks for the target."""
        weights = ops.mean(evidence.activation_gradients, axis=(1, 2), keepdims=True)
        return ops.relu(ops.sum(weights * evidence.activations, axis=-1))
