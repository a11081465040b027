"""FullGrad."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from keras import ops

from xai_core import Attribution, Evidence, Explainer, Law, Needs
from xai_core.typing import Tensor
from xai_plugins.upsampling import upsample

_SPATIAL = 4
_INCOMPLETE = 0.05
"""The gap, as a share of the score, that is more than rounding."""


@dataclass(frozen=True)
class FullGrad(Explainer):
    """FullGrad: psi(x dS/dx) + sum over layers and channels of psi(b dS/db).

    Srinivas and Fleuret, "Full-Gradient Representation for Neural Network Visualization",
    NeurIPS 2019, eq. 4 and section 4.1: psi takes the magnitude, scales it to 0..1 and brings it
    to the input's size. The biases are those of the layers with places; what a normalisation
    subtracts and adds is one too. The paper scales each channel, the authors' code each layer.
    Before psi, and with the biases of layers without places, all terms sum to S where the model is
    linear but for ReLUs and pooling; by how much they do not, is told. Maps are float (N, H, W)
    at the input's resolution, 0 or above, in no unit.
    """

    name: ClassVar[str] = "full-grad"
    family: ClassVar[str] = "gradient"
    needs: ClassVar[Needs] = Needs.INPUT_GRADIENTS | Needs.BIAS_TERMS
    laws: ClassVar[Law] = Law.CONSTANT | Law.SCALE_FREE

    scaled: Literal["channel", "layer"] = "channel"
    """What is scaled to 0..1 on its own."""

    @property
    def queries(self) -> int:
        """One pass of its own, for the biases."""
        return 1

    def explain(self, evidence: Evidence) -> Attribution:
        """Add up the gradients by the input and by every bias."""
        inputs = evidence.inputs
        found = [inputs * evidence.input_gradients, *evidence.bias_terms().values()]
        # The input may be in another precision than the layers.
        terms = [ops.cast(term, evidence.score.dtype) for term in found]
        size = inputs.shape[1:3]
        maps = sum(self._psi(term, size) for term in terms if len(term.shape) == _SPATIAL)
        total = sum(ops.sum(term, axis=tuple(range(1, len(term.shape)))) for term in terms)
        gap = ops.abs(total - evidence.score)
        message = (
            f"the terms miss the score by more than {_INCOMPLETE:.0%} of it: the model has parts "
            "that are neither linear nor a ReLU, and what they add is not shown"
        )
        return Attribution(
            maps,
            facts={"completeness gap": gap},
            warnings={"incomplete": (message, gap > _INCOMPLETE * ops.abs(evidence.score))},
        )

    def _psi(self, term: Tensor, size: tuple[int, int]) -> Tensor:
        """Summed over the channels before it is resized, which is the same and cheaper."""
        magnitude = ops.abs(term)
        alone = (1, 2) if self.scaled == "channel" else (1, 2, 3)
        low = ops.min(magnitude, axis=alone, keepdims=True)
        reach = ops.max(magnitude, axis=alone, keepdims=True) - low
        scaled = ops.where(reach > 0, (magnitude - low) / ops.where(reach > 0, reach, 1), 0)
        summed = ops.sum(scaled, axis=-1, keepdims=True)
        return upsample(summed, size)[..., 0]
