"""Input gradients: one forward, one backward through the whole model."""

from xai_plugins.gradients.saliency import Saliency

GRADIENTS = (Saliency(),)

__all__ = ["GRADIENTS", "Saliency"]
