"""The built-in adapters. Importing them builds no model."""

from xai_core.interfaces import ModelAdapter
from xai_plugins.adapters.efficientnet_lite0 import EFFICIENTNET_LITE0
from xai_plugins.adapters.generic import Generic
from xai_plugins.adapters.resnet50 import RESNET50
from xai_plugins.adapters.vgg16 import VGG16
from xai_plugins.adapters.xception import XCEPTION

ADAPTERS: tuple[ModelAdapter, ...] = (EFFICIENTNET_LITE0, RESNET50, VGG16, XCEPTION, Generic())
"""One of each family, and the fall-back."""
