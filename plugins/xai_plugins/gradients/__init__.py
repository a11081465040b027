"""Input gradients: one forward, one backward through the whole model, or many of them."""

from xai_plugins.gradients.deconvnet import Deconvnet
from xai_plugins.gradients.expected_gradients import ExpectedGradients
from xai_plugins.gradients.full_grad import FullGrad
from xai_plugins.gradients.gradient_x_input import GradientXInput
from xai_plugins.gradients.guided_backprop import GuidedBackprop
from xai_plugins.gradients.integrated_gradients import IntegratedGradients
from xai_plugins.gradients.saliency import Saliency
from xai_plugins.gradients.smooth_grad import SmoothGrad
from xai_plugins.gradients.square_grad import SquareGrad
from xai_plugins.gradients.var_grad import VarGrad

GRADIENTS = (
    Saliency(),
    GradientXInput(),
    IntegratedGradients(),
    ExpectedGradients(),
    FullGrad(),
    SmoothGrad(),
    VarGrad(),
    SquareGrad(),
    GuidedBackprop(),
    Deconvnet(),
)

__all__ = [
    "GRADIENTS",
    "Deconvnet",
    "ExpectedGradients",
    "FullGrad",
    "GradientXInput",
    "GuidedBackprop",
    "IntegratedGradients",
    "Saliency",
    "SmoothGrad",
    "SquareGrad",
    "VarGrad",
]
