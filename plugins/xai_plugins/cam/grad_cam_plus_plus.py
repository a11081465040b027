"""Grad-CAM++."""

from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from xai_core import Evidence, Explainer, Law, Needs
from xai_core.typing import Tensor


@dataclass(frozen=True)
class GradCAMPlusPlus(Explainer):
    """Grad-CAM++: ReLU(sum_k w_k A_k), w_k = sum_ij alpha ReLU(g).

    Chattopadhay et al., "Grad-CAM++: Generalized Gradient-based Visual Explanations
    for Deep Convolutional Networks", WACV 2018, eq. 11 and 19. With S a logit, the
    higher derivatives of exp(S) are exp(S) times powers of g = dS/dA, and exp(S)
    cancels: alpha = g^2 / (2 g^2 + (sum_ab A_ab) g^3), and 0 where that is 0 / 0.
    Dividing both by g^2 leaves 1 / (2 + (sum_ab A_ab) g), which no small g underflows.
    Maps are float (N, h, w) at the target layer's resolution, 0 or above.
    """

    name: ClassVar[str] = "grad-cam++"
    family: ClassVar[str] = "cam"
    needs: ClassVar[Needs] = Needs.ACTIVATIONS | Needs.ACTIVATION_GRADIENTS
    traceable: ClassVar[bool] = True
    laws: ClassVar[Law] = Law.CONSTANT | Law.SHIFT | Law.GAP_DENSE_ALPHA

    def explain(self, evidence: Evidence) -> Tensor:
        """Weigh each channel by its positive gradients, each by its own alpha."""
        activations, gradients = evidence.activations, evidence.activation_gradients
        total = ops.sum(activations, axis=(1, 2), keepdims=True)
        denominator = 2 + total * gradients
        defined = ops.logical_and(gradients != 0, denominator != 0)
        alpha = ops.where(defined, 1 / ops.where(defined, denominator, 1), 0)
        weights = ops.sum(alpha * ops.relu(gradients), axis=(1, 2), keepdims=True)
        return ops.relu(ops.sum(weights * activations, axis=-1))
