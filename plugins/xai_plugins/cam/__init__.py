"""Class activation maps: one forward, one backward through the head."""

from xai_plugins.cam.grad_cam import GradCAM
from xai_plugins.cam.grad_cam_plus_plus import GradCAMPlusPlus
from xai_plugins.cam.hires_cam import HiResCAM
from xai_plugins.cam.layer_cam import LayerCAM
from xai_plugins.cam.xgrad_cam import XGradCAM

CAM = (GradCAM(), GradCAMPlusPlus(), HiResCAM(), LayerCAM(), XGradCAM())

__all__ = ["CAM", "GradCAM", "GradCAMPlusPlus", "HiResCAM", "LayerCAM", "XGradCAM"]
