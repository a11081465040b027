"""What the adapters of model families share: recognition, weights, labels."""

import math
import random
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np

from xai_core.errors import LayerError, ModelError
from xai_core.interfaces import ModelAdapter
from xai_core.preprocessing import Preprocessing
from xai_core.surgery import FeatureLayer, Graph, Step
from xai_plugins.adapters.imagenet import CLASSES, imagenet_names

if TYPE_CHECKING:
    from xai_core.images import Fit


class Convolution(NamedTuple):
    """What is compared of a convolution: all that does not depend on its input."""

    kind: str
    width: int
    """Filters, or for a depthwise one the depth multiplier."""
    kernel: tuple[int, int]
    strides: tuple[int, int]


def convolution(filters: int, kernel: int, stride: int = 1) -> Convolution:
    """A square Conv2D."""
    return Convolution("Conv2D", filters, (kernel, kernel), (stride, stride))


def depthwise(kernel: int, stride: int = 1) -> Convolution:
    """A square DepthwiseConv2D."""
    return Convolution("DepthwiseConv2D", 1, (kernel, kernel), (stride, stride))


def separable(filters: int) -> Convolution:
    """A SeparableConv2D of 3x3."""
    return Convolution("SeparableConv2D", filters, (3, 3), (1, 1))


_WIDTHS = {
    keras.layers.Conv2D: "filters",
    keras.layers.SeparableConv2D: "filters",
    keras.layers.DepthwiseConv2D: "depth_multiplier",
}


def convolutions(graph: Graph) -> Iterator[Convolution]:
    """The convolutions of a graph, in the order they run."""
    for step in graph.steps:
        operation: Any = step.operation
        if type(operation) in _WIDTHS:
            width = getattr(operation, _WIDTHS[type(operation)])
            yield Convolution(step.kind, width, operation.kernel_size, operation.strides)


@dataclass(frozen=True)
class Feature:
    """Where a family is explained at."""

    layer: str
    stride: int
    before: bool = False
    """Take what `layer` reads: for a sum, which Keras names by how many it made before."""

    def find(self, graph: Graph) -> Step:
        """The step of a graph; `LayerError` where it is missing or there are several."""
        step = graph.step(self.layer)
        if not self.before:
            return step
        for source in graph.steps:
            if source.outputs == step.inputs:
                return source
        raise LayerError(f"nothing runs before {step.path!r} in {graph.name!r}")


@dataclass(frozen=True, kw_only=True)
class Family(ModelAdapter):
    """A family of models with known convolutions, known layer names and ImageNet's classes."""

    name: str
    summary: str
    input_size: tuple[int, int]
    preprocessing: Preprocessing
    fit: "Fit"
    convolutions: tuple[Convolution, ...]
    """From the input to the last feature layer; heads differ."""
    features: tuple[Feature, ...]
    """Shallow to deep, the last one the default."""

    @abstractmethod
    def architecture(self) -> keras.Model:
        """The model, with whatever weights."""

    @abstractmethod
    def pretrained(self) -> keras.Model:
        """The model with the weights that `imagenet` stands for."""

    def build(self, weights: str) -> keras.Model:
        """Make the family's model with the weights asked for."""
        state = random.getstate()
        try:
            return self._build(weights)
        finally:
            # Keras takes the seeds of its initializers from here; what they draw is overwritten.
            random.setstate(state)

    def _build(self, weights: str) -> keras.Model:
        if weights == "imagenet":
            return self.pretrained()
        if weights == "random":
            return randomize(self.architecture())
        path = _file(weights)
        if path is None:
            raise ModelError(
                f"{self.name} has no weights {weights!r}, and no file is called that; expected "
                "'imagenet', 'random', or the path of a .weights.h5, .h5 or .keras file"
            )
        return self.load(path)

    def load(self, path: Path) -> keras.Model:
        """The model with the weights of a file."""
        model = self.architecture()
        try:
            # Before it fails, Keras warns of every layer that it does not find.
            with warnings.catch_warnings(action="ignore"):
                model.load_weights(path)
        except Exception as error:  # noqa: BLE001 - h5py, zipfile and Keras raise what they like
            reason = " ".join(str(error).split())[:300]
            raise ModelError(
                f"{path} does not hold the weights of {self.name} with {CLASSES} classes: "
                f"{type(error).__name__}: {reason}. Expected a .weights.h5, .h5 or .keras file "
                "saved from that model; a model of your own needs no --weights: pass its file "
                "as the model"
            ) from None
        return model

    def matches(self, graph: Graph) -> bool:
        """Whether the graph begins with the family's convolutions and can be cut as it can."""
        if tuple(convolutions(graph))[: len(self.convolutions)] != self.convolutions:
            return False
        try:
            return all(feature.find(graph).path in graph.cuts for feature in self.features)
        except LayerError:
            return False

    def feature_layers(self, graph: Graph) -> tuple[FeatureLayer, ...]:
        """The family's feature layers, under their paths in this graph."""
        return tuple(
            FeatureLayer(feature.find(graph).path, feature.stride) for feature in self.features
        )

    def labels(self, classes: int) -> Sequence[str] | None:
        """ImageNet's names where there are as many classes."""
        return imagenet_names() if classes == CLASSES else None


def _file(name: str) -> Path | None:
    """The file of that name, if there is one."""
    try:
        path = Path(name).expanduser()
        return path if path.is_file() else None
    except (OSError, RuntimeError):  # a name that is too long; the home of nobody
        return None


def randomize(model: keras.Model, seed: int = 0) -> keras.Model:
    """Give a model's kernels He-normal values that are the same every time.

    Biases and normalisations stay as Keras makes them: zeros, and the identity.
    """
    generator = np.random.default_rng(seed)
    for layer in model.layers:
        for variable in layer.trainable_variables:
            shape = tuple(variable.shape)
            if len(shape) < 2:
                continue
            depthwise = variable.name.startswith("depthwise") or isinstance(
                layer, keras.layers.DepthwiseConv2D
            )
            fan_in = math.prod(shape[:2] if depthwise else shape[:-1])
            kernel = generator.standard_normal(shape, dtype=np.float32)
            kernel *= np.float32(math.sqrt(2 / fan_in))
            variable.assign(kernel)
    return model
