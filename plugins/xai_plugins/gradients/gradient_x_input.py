"""Gradient x Input."""

from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from xai_core import Evidence, Explainer, Law, Needs
from xai_core.typing import Tensor


@dataclass(frozen=True)
class GradientXInput(Explainer):
    """Gradient x Input: sum_c x_c dS/dx_c.

    Shrikumar et al., "Not Just a Black Box: Learning Important Features Through
    Propagating Activation Differences", 2016, section 2. On a linear model it sums to
    S(x) - S(0). x is what the model is fed, after preprocessing. Maps are float (N, H, W)
    at the input's resolution, signed, in units of the score.
    """

    name: ClassVar[str] = "gradient-x-input"
    family: ClassVar[str] = "gradient"
    needs: ClassVar[Needs] = Needs.INPUT_GRADIENTS
    traceable: ClassVar[bool] = True
    signed: ClassVar[bool] = True
    laws: ClassVar[Law] = Law.CONSTANT | Law.LINEAR | Law.LINEAR_INPUT

    def explain(self, evidence: Evidence) -> Tensor:
        """Multiply the input by its gradient and sum over the channels."""
        return ops.sum(evidence.inputs * evidence.input_gradients, axis=-1)
