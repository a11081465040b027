"""Vanilla gradient saliency."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from keras import ops

from xai_core import Evidence, Explainer, Law, Needs
from xai_core.typing import Tensor


@dataclass(frozen=True)
class Saliency(Explainer):
    """Saliency: max_c |dS/dx_c|, or signed sum_c dS/dx_c.

    Simonyan et al., "Deep Inside Convolutional Networks: Visualising Image
    Classification Models and Saliency Maps", ICLR 2014 workshop, section 3.1. Maps are
    float (N, H, W) at the input's resolution, 0 or above unless signed, in units of the score
    for each unit of the preprocessed input.
    """

    name: ClassVar[str] = "saliency"
    family: ClassVar[str] = "gradient"
    needs: ClassVar[Needs] = Needs.INPUT_GRADIENTS
    traceable: ClassVar[bool] = True
    poles: ClassVar[tuple[str, str]] = ("raises", "lowers")

    values: Literal["magnitude", "signed"] = "magnitude"
    """The largest magnitude over the channels, as the paper has it, or their signed sum."""

    @property
    def signed(self) -> bool:
        """Whether the signed sum was asked for."""
        return self.values == "signed"

    @property
    def laws(self) -> Law:
        """What it is called after is said of the magnitude."""
        return Law.CONSTANT | Law.LINEAR | (Law.NOTHING if self.signed else Law.SENSITIVITY)

    def explain(self, evidence: Evidence) -> Tensor:
        """Pool the gradient over the channels at each place."""
        gradients = evidence.input_gradients
        if self.signed:
            return ops.sum(gradients, axis=-1)
        return ops.max(ops.abs(gradients), axis=-1)
