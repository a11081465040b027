"""Guided Grad-CAM."""

from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from xai_core import Evidence, Explainer, Law, Needs, Rule
from xai_core.typing import Tensor
from xai_plugins.cam.grad_cam import GradCAM
from xai_plugins.upsampling import upsample


@dataclass(frozen=True)
class GuidedGradCAM(Explainer):
    """Guided Grad-CAM: the guided gradient times Grad-CAM at the input's resolution.

    Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization", ICCV 2017, section 3.2. Grad-CAM is that of the plain gradient. Its detail
    comes from Guided Backpropagation, which depends little on the class. Maps are float
    (N, H, W), signed: the sum over the channels.
    """

    name: ClassVar[str] = "guided-grad-cam"
    family: ClassVar[str] = "cam"
    needs: ClassVar[Needs] = GradCAM.needs | Needs.INPUT_GRADIENTS
    traceable: ClassVar[bool] = True
    rule: ClassVar[Rule] = Rule.GUIDED
    signed: ClassVar[bool] = True
    poles: ClassVar[tuple[str, str]] = ("above 0", "below 0")
    laws: ClassVar[Law] = Law.CONSTANT | Law.QUADRATIC

    def explain(self, evidence: Evidence) -> Tensor:
        """Multiply the two."""
        guided = ops.sum(evidence.input_gradients, axis=-1)
        coarse = GradCAM().explain(evidence)[..., None]
        fine = upsample(coarse, guided.shape[1:3])
        # The input may be in another precision than the layer.
        return ops.cast(guided, fine.dtype) * fine[..., 0]
