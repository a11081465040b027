"""The models that are measured: random weights, of the architectures that everyone knows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from xai_core.errors import UsageError


@dataclass(frozen=True)
class Spec:
    """A model, how a study loads it, and how the same architecture is built without xai-core."""

    name: str
    size: int
    """Side of the pictures it is fed, in pixels."""
    layer: str
    """The target layer of class activation maps."""
    thin: str
    """A layer of 64 channels: Score-CAM asks one question a channel."""
    build: Callable[[int], Any]
    """The Keras model with logits, for pictures of a size, whose weights are random."""
    scheme: str
    weights: str | None = "random"
    """What a study takes for a family; a model that is none is saved and read from a file."""

    def at(self, size: int) -> "Spec":
        """The same for pictures of another size, which no family's name stands for."""
        return replace(self, size=size, weights=None)

    def source(self, folder: Path) -> dict[str, Any]:
        """The arguments with which a study loads the model itself."""
        if self.weights is not None:
            return {"model": self.name, "weights": self.weights}
        path = folder / f"{self.name}-{self.size}.keras"
        if not path.exists():
            self.build(self.size).save(path)
        return {"model": path, "preprocess": self.scheme, "layer": self.layer}


def _application(name: str) -> Callable[[int], Any]:
    def build(size: int) -> Any:
        import keras

        application = getattr(keras.applications, name)
        return application(weights=None, classifier_activation=None, input_shape=(size, size, 3))

    return build


def _embedded(_: int) -> Any:
    from xai_core import Registry

    return Registry.discover().adapter("efficientnet-lite0").build("random")


def _tiny(size: int) -> Any:
    import keras
    from keras import layers

    inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(8, 3, 2, activation="relu")(inputs)
    x = layers.Conv2D(64, 3, activation="relu", name="features")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10, name="head")(x), name="tiny")


MODELS: Mapping[str, Spec] = MappingProxyType(
    {
        each.name: each
        for each in (
            Spec("vgg16", 224, "block5_conv3", "block1_conv2", _application("VGG16"), "caffe"),
            Spec(
                "resnet50",
                224,
                "conv5_block3_out",
                "conv1_relu",
                _application("ResNet50"),
                "caffe",
            ),
            Spec(
                "xception",
                299,
                "block14_sepconv2_act",
                "block1_conv2_act",
                _application("Xception"),
                "tf",
            ),
            Spec(
                "efficientnet-lite0",
                224,
                "top_activation",
                "block1a_activation",
                _embedded,
                "none",
                "imagenet",
            ),
            Spec("tiny", 32, "features", "features", _tiny, "unit", None),
        )
    }
)


def spec(name: str) -> Spec:
    """A model by its name."""
    if name not in MODELS:
        raise UsageError(f"received model {name!r}; expected one of {', '.join(MODELS)}")
    return MODELS[name]
