"""Guided Backpropagation."""

from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from xai_core import Evidence, Explainer, Law, Needs, Rule
from xai_core.typing import Tensor


@dataclass(frozen=True)
class GuidedBackprop(Explainer):
    """Guided Backpropagation: the input gradient, with ReLUs that pass 1[x > 0] 1[dy > 0] dy.

    Springenberg et al., "Striving for Simplicity: The All Convolutional Net", ICLR 2015
    workshop, section 3.4. It shows what is in the picture more than what speaks for the
    class: compare it with another class before believing it. Maps are float (N, H, W) at
    the input's resolution, signed: the sum over the channels.
    """

    name: ClassVar[str] = "guided-backprop"
    family: ClassVar[str] = "gradient"
    needs: ClassVar[Needs] = Needs.INPUT_GRADIENTS
    traceable: ClassVar[bool] = True
    rule: ClassVar[Rule] = Rule.GUIDED
    signed: ClassVar[bool] = True
    poles: ClassVar[tuple[str, str]] = ("above 0", "below 0")
    laws: ClassVar[Law] = Law.CONSTANT | Law.LINEAR | Law.GUIDED

    def explain(self, evidence: Evidence) -> Tensor:
        """Sum the guided gradient over the channels."""
        return ops.sum(evidence.input_gradients, axis=-1)
