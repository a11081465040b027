"""Class activation maps: one forward, one backward through the head."""

from xai_plugins.cam.grad_cam import GradCAM
from xai_plugins.cam.grad_cam_plus_plus import GradCAMPlusPlus

CAM = (GradCAM(), GradCAMPlusPlus())

__all__ = ["CAM", "GradCAM", "GradCAMPlusPlus"]
