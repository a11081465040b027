"""LayerCAM."""

from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from xai_core import Evidence, Explainer, Law, Needs
from xai_core.typing import Tensor


@dataclass(frozen=True)
class LayerCAM(Explainer):
    """LayerCAM: ReLU(sum_k ReLU(g_k) A_k), with g = dS/dA, place by place.

    Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for
    Localization", IEEE Transactions on Image Processing 30, 2021, eq. 6-8. Maps are
    float (N, h, w) at the target layer's resolution, 0 or above, in units of the score.
    """

    name: ClassVar[str] = "layercam"
    family: ClassVar[str] = "cam"
    needs: ClassVar[Needs] = Needs.ACTIVATIONS | Needs.ACTIVATION_GRADIENTS
    traceable: ClassVar[bool] = True
    laws: ClassVar[Law] = Law.CONSTANT | Law.SHIFT | Law.LINEAR | Law.GAP_DENSE_POSITIVE

    def explain(self, evidence: Evidence) -> Tensor:
        """Weigh each activation by its own gradient where that is positive."""
        weights = ops.relu(evidence.activation_gradients)
        return ops.relu(ops.sum(weights * evidence.activations, axis=-1))
