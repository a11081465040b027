"""VGG16."""

from itertools import starmap

import keras

from xai_core.preprocessing import SCHEMES
from xai_plugins.adapters.family import Feature, convolution
from xai_plugins.adapters.keras_application import KerasApplication

_BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Filters and repeats."""

VGG16 = KerasApplication(
    name="vgg16",
    summary="VGG16 (Simonyan and Zisserman 2014), 138 million parameters, ImageNet",
    application=keras.applications.VGG16,
    folder="vgg16",
    file="vgg16_weights_tf_dim_ordering_tf_kernels.h5",
    md5="64373286793e3c8b2b4e3219cbf3544b",
    input_size=(224, 224),
    preprocessing=SCHEMES["caffe"],
    fit="stretch",
    convolutions=tuple(
        convolution(filters, kernel=3) for filters, repeats in _BLOCKS for _ in range(repeats)
    ),
    features=tuple(
        starmap(
            Feature,
            (
                ("block1_conv2", 1),
                ("block2_conv2", 2),
                ("block3_conv3", 4),
                ("block4_conv3", 8),
                ("block5_conv3", 16),
            ),
        )
    ),
)
