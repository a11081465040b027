"""Deconvnet."""

from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from xai_core import Evidence, Explainer, Law, Needs, Rule
from xai_core.typing import Tensor


@dataclass(frozen=True)
class Deconvnet(Explainer):
    """Deconvnet: the input gradient, with ReLUs that pass 1[dy > 0] dy, whatever x was.

    Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014,
    section 2.1. Like Guided Backpropagation it depends little on the class. Maps are
    float (N, H, W) at the input's resolution, signed: the sum over the channels.
    """

    name: ClassVar[str] = "deconvnet"
    family: ClassVar[str] = "gradient"
    needs: ClassVar[Needs] = Needs.INPUT_GRADIENTS
    traceable: ClassVar[bool] = True
    rule: ClassVar[Rule] = Rule.DECONVNET
    signed: ClassVar[bool] = True
    poles: ClassVar[tuple[str, str]] = ("above 0", "below 0")
    laws: ClassVar[Law] = Law.CONSTANT | Law.LINEAR | Law.DECONVNET

    def explain(self, evidence: Evidence) -> Tensor:
        """Sum the gradient over the channels."""
        return ops.sum(evidence.input_gradients, axis=-1)
