"""A method: Grad-CAM by the channels that add most to the score."""

from dataclasses import dataclass
from typing import Any, ClassVar

from keras import ops
from xai_core import Evidence, Explainer, Law, Needs
from xai_core.parameters import Count


@dataclass(frozen=True)
class ExampleCam(Explainer):
    """ReLU(sum_k w_k A_k) over the channels of largest w_k mean_ij(A_k), w_k = mean_ij(dS/dA_k).

    With all channels it is Grad-CAM: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep
    Networks via Gradient-based Localization", ICCV 2017, eq. 1-2. Before global average pooling
    and a dense layer, a channel adds the number of places times w_k mean_ij(A_k) to the score.
    Maps are float (N, h, w) at the target layer's resolution, 0 or above, in units of the score.
    """

    name: ClassVar[str] = "example-cam"
    family: ClassVar[str] = "cam"
    # All that `explain` reads: what is not declared cannot be read.
    needs: ClassVar[Needs] = Needs.ACTIVATIONS | Needs.ACTIVATION_GRADIENTS
    # `explain` is keras.ops on tensors alone, so it may be compiled together with others.
    traceable: ClassVar[bool] = True
    # What is claimed of the maps; check_explainer() holds the method to it.
    laws: ClassVar[Law] = Law.CONSTANT | Law.SHIFT | Law.LINEAR

    # The fields are the parameters; their types are held to, in Python and by `--set`.
    channels: Count = 16
    """How many channels; where some are alike, all of those."""

    def explain(self, evidence: Evidence) -> Any:
        """Weigh the channels that are kept: over places and channels, never over pictures."""
        weights = ops.mean(evidence.activation_gradients, axis=(1, 2))
        added = weights * ops.mean(evidence.activations, axis=(1, 2))
        largest, _ = ops.top_k(added, min(self.channels, added.shape[-1]))
        kept = ops.where(added >= largest[:, -1:], weights, 0)
        return ops.relu(ops.sum(kept[:, None, None, :] * evidence.activations, axis=-1))
