"""Perturbation methods: cover parts of a picture and ask what that does to the score."""

from xai_plugins.perturbation.kernel_shap import KernelSHAP
from xai_plugins.perturbation.lime import LIME
from xai_plugins.perturbation.occlusion import Occlusion
from xai_plugins.perturbation.rise import RISE, CentredRISE

PERTURBATION = (
    Occlusion(),
    RISE(),
    CentredRISE(),
    LIME(),
    KernelSHAP(),
)

__all__ = [
    "LIME",
    "PERTURBATION",
    "RISE",
    "CentredRISE",
    "KernelSHAP",
    "Occlusion",
]
