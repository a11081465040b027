"""Eigen-CAM."""

from dataclasses import dataclass
from typing import ClassVar

from xai_core import Attribution, Evidence, Explainer, Law, Needs
from xai_plugins.cam.principal import principal_map


@dataclass(frozen=True)
class EigenCAM(Explainer):
    """Eigen-CAM: A v, with v the first right singular vector of A as a (h w, K) matrix.

    Muhammad and Yeasin, "Eigen-CAM: Class Activation Map using Principal Components",
    IJCNN 2020, section III. A is not centred. It does not depend on the class. The sign of
    a singular vector is arbitrary: it is chosen so that the map correlates positively with
    the mean activation, and the correlation is told. Maps are float (N, h, w) at the target
    layer's resolution, signed, in units of the activations.
    """

    name: ClassVar[str] = "eigen-cam"
    family: ClassVar[str] = "cam"
    needs: ClassVar[Needs] = Needs.ACTIVATIONS
    traceable: ClassVar[bool] = True
    signed: ClassVar[bool] = True
    poles: ClassVar[tuple[str, str]] = ("with the mean", "against the mean")
    laws: ClassVar[Law] = Law.SHIFT | Law.SCALE_FREE | Law.PRINCIPAL

    def explain(self, evidence: Evidence) -> Attribution:
        """Project the activations on their first principal direction."""
        return principal_map(evidence.activations, evidence.activations)
