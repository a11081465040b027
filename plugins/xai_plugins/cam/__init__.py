"""Class activation maps: what the channels of a layer, or several, say of a class."""

from xai_plugins.cam.ablation_cam import AblationCAM
from xai_plugins.cam.eigen_cam import EigenCAM
from xai_plugins.cam.eigen_grad_cam import EigenGradCAM
from xai_plugins.cam.grad_cam import GradCAM
from xai_plugins.cam.grad_cam_plus_plus import GradCAMPlusPlus
from xai_plugins.cam.guided_grad_cam import GuidedGradCAM
from xai_plugins.cam.hires_cam import HiResCAM
from xai_plugins.cam.layer_cam import LayerCAM
from xai_plugins.cam.layer_cam_fused import FusedLayerCAM
from xai_plugins.cam.score_cam import ScoreCAM
from xai_plugins.cam.xgrad_cam import XGradCAM

CAM = (
    GradCAM(),
    GradCAMPlusPlus(),
    HiResCAM(),
    LayerCAM(),
    XGradCAM(),
    EigenCAM(),
    EigenGradCAM(),
    AblationCAM(),
    ScoreCAM(),
    FusedLayerCAM(),
    GuidedGradCAM(),
)

__all__ = [
    "CAM",
    "AblationCAM",
    "EigenCAM",
    "EigenGradCAM",
    "FusedLayerCAM",
    "GradCAM",
    "GradCAMPlusPlus",
    "GuidedGradCAM",
    "HiResCAM",
    "LayerCAM",
    "ScoreCAM",
    "XGradCAM",
]
