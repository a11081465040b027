"""XGrad-CAM."""

from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from xai_core import Evidence, Explainer, Law, Needs
from xai_core.typing import Tensor


@dataclass(frozen=True)
class XGradCAM(Explainer):
    """XGrad-CAM: ReLU(sum_k w_k A_k), w_k = sum_ij g A_k / sum_ij A_k.

    Fu et al., "Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of
    CNNs", BMVC 2020, eq. 8. A channel whose activations sum to 0 has no weight. Maps are
    float (N, h, w) at the target layer's resolution, 0 or above, in units of the score.
    """

    name: ClassVar[str] = "xgrad-cam"
    family: ClassVar[str] = "cam"
    needs: ClassVar[Needs] = Needs.ACTIVATIONS | Needs.ACTIVATION_GRADIENTS
    traceable: ClassVar[bool] = True
    laws: ClassVar[Law] = Law.CONSTANT | Law.SHIFT | Law.LINEAR | Law.GAP_DENSE

    def explain(self, evidence: Evidence) -> Tensor:
        """Weigh each channel by the mean of its gradients, each counted by its activation."""
        activations, gradients = evidence.activations, evidence.activation_gradients
        total = ops.sum(activations, axis=(1, 2), keepdims=True)
        weighted = ops.sum(gradients * activations, axis=(1, 2), keepdims=True)
        weights = ops.where(total != 0, weighted / ops.where(total != 0, total, 1), 0)
        return ops.relu(ops.sum(weights * activations, axis=-1))
