"""Eigen-Grad-CAM."""

from dataclasses import dataclass
from typing import ClassVar

from xai_core import Attribution, Evidence, Explainer, Law, Needs
from xai_plugins.cam.principal import principal_map


@dataclass(frozen=True)
class EigenGradCAM(Explainer):
    """Eigen-Grad-CAM: Eigen-CAM of g A, with g = dS/dA, place by place.

    Muhammad and Yeasin, IJCNN 2020, section III, on activations weighted by their
    gradients, so that it depends on the class. The sign is chosen as Eigen-CAM's is, by the
    mean of g A. Maps are float (N, h, w) at the target layer's resolution, signed, in units
    of the score.
    """

    name: ClassVar[str] = "eigen-grad-cam"
    family: ClassVar[str] = "cam"
    needs: ClassVar[Needs] = Needs.ACTIVATIONS | Needs.ACTIVATION_GRADIENTS
    traceable: ClassVar[bool] = True
    signed: ClassVar[bool] = True
    poles: ClassVar[tuple[str, str]] = ("with the mean", "against the mean")
    laws: ClassVar[Law] = Law.CONSTANT | Law.SHIFT | Law.LINEAR | Law.PRINCIPAL

    def explain(self, evidence: Evidence) -> Attribution:
        """Project the weighted activations on their first principal direction."""
        weighted = evidence.activation_gradients * evidence.activations
        return principal_map(weighted, weighted)
