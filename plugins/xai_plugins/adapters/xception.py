"""Xception."""

from collections.abc import Iterator

import keras

from xai_core.preprocessing import SCHEMES
from xai_plugins.adapters.family import Convolution, Feature, convolution, separable
from xai_plugins.adapters.keras_application import KerasApplication


def _convolutions() -> Iterator[Convolution]:
    yield convolution(32, kernel=3, stride=2)
    yield convolution(64, kernel=3)
    for filters in (128, 256, 728):
        yield from _narrowing(filters, filters)
    for _ in range(8 * 3):
        yield separable(728)
    yield from _narrowing(728, 1024)
    yield separable(1536)
    yield separable(2048)


def _narrowing(first: int, second: int) -> Iterator[Convolution]:
    """A block that halves the resolution; its shortcut runs last."""
    yield separable(first)
    yield separable(second)
    yield convolution(second, kernel=1, stride=2)


XCEPTION = KerasApplication(
    name="xception",
    summary="Xception (Chollet 2017), 23 million parameters, ImageNet",
    application=keras.applications.Xception,
    folder="xception",
    file="xception_weights_tf_dim_ordering_tf_kernels.h5",
    md5="0a58e3b7378bc2990ea3b43d5981f1f6",
    input_size=(299, 299),
    preprocessing=SCHEMES["tf"],
    fit="stretch",
    convolutions=tuple(_convolutions()),
    # Between the two ends only the sums are cuts, and their names differ from build to build.
    features=(
        Feature("block1_conv2_act", 2),
        Feature("block3_sepconv1_act", 4, before=True),
        Feature("block4_sepconv1_act", 8, before=True),
        Feature("block13_sepconv1_act", 16, before=True),
        Feature("block14_sepconv2_act", 32),
    ),
)
