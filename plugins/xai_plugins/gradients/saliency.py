"""Vanilla gradient saliency."""

from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from xai_core import Evidence, Explainer, Needs
from xai_core.typing import Tensor


@dataclass(frozen=True)
class Saliency(Explainer):
    """Saliency: max_c |dS/dx_c|.

    Simonyan et al., "Deep Inside Convolutional Networks: Visualising Image
    Classification Models and Saliency Maps", ICLR 2014 workshop, section 3.1. Maps are
    float (N, H, W) at the input's resolution, 0 or above, in units of the score for
    each unit of the preprocessed input.
    """

    name: ClassVar[str] = "saliency"
    needs: ClassVar[Needs] = Needs.INPUT_GRADIENTS

    def explain(self, evidence: Evidence) -> Tensor:
        """Take the largest magnitude over the channels at each place."""
        return ops.max(ops.abs(evidence.input_gradients), axis=-1)
