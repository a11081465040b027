"""HiResCAM."""

from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from xai_core import Evidence, Explainer, Law, Needs
from xai_core.typing import Tensor


@dataclass(frozen=True)
class HiResCAM(Explainer):
    """HiResCAM: sum_k g_k A_k, with g = dS/dA, place by place.

    Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of
    convolutional neural networks", 2020, eq. 5. Where the head is linear in A, the map
    sums to the score less its bias. Maps are float (N, h, w) at the target layer's
    resolution, signed, in units of the score.
    """

    name: ClassVar[str] = "hirescam"
    family: ClassVar[str] = "cam"
    needs: ClassVar[Needs] = Needs.ACTIVATIONS | Needs.ACTIVATION_GRADIENTS
    traceable: ClassVar[bool] = True
    signed: ClassVar[bool] = True
    laws: ClassVar[Law] = Law.CONSTANT | Law.SHIFT | Law.LINEAR | Law.GAP_DENSE

    def explain(self, evidence: Evidence) -> Tensor:
        """Multiply each activation by its own gradient; there is no ReLU."""
        return ops.sum(evidence.activation_gradients * evidence.activations, axis=-1)
