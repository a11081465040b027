"""Input gradients: one forward, one backward through the whole model."""

from xai_plugins.gradients.deconvnet import Deconvnet
from xai_plugins.gradients.gradient_x_input import GradientXInput
from xai_plugins.gradients.guided_backprop import GuidedBackprop
from xai_plugins.gradients.saliency import Saliency

GRADIENTS = (Saliency(), GradientXInput(), GuidedBackprop(), Deconvnet())

__all__ = ["GRADIENTS", "Deconvnet", "GradientXInput", "GuidedBackprop", "Saliency"]
