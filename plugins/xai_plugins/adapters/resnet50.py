"""ResNet50, the first version, with the stride in the first convolution of a block."""

from collections.abc import Iterator

import keras

from xai_core.preprocessing import SCHEMES
from xai_plugins.adapters.family import Convolution, Feature, convolution
from xai_plugins.adapters.keras_application import KerasApplication


def _convolutions() -> Iterator[Convolution]:
    yield convolution(64, kernel=7, stride=2)
    for filters, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        yield convolution(4 * filters, kernel=1, stride=stride)  # the shortcut runs first
        for block in range(blocks):
            yield convolution(filters, kernel=1, stride=1 if block else stride)
            yield convolution(filters, kernel=3)
            yield convolution(4 * filters, kernel=1)


RESNET50 = KerasApplication(
    name="resnet50",
    summary="ResNet50 (He et al. 2015), 26 million parameters, ImageNet",
    application=keras.applications.ResNet50,
    folder="resnet",
    file="resnet50_weights_tf_dim_ordering_tf_kernels.h5",
    md5="2cb95161c43110f7111970584f804107",
    input_size=(224, 224),
    preprocessing=SCHEMES["caffe"],
    fit="stretch",
    convolutions=tuple(_convolutions()),
    features=(
        Feature("conv1_relu", 2),
        Feature("conv2_block3_out", 4),
        Feature("conv3_block4_out", 8),
        Feature("conv4_block6_out", 16),
        Feature("conv5_block3_out", 32),
    ),
)
