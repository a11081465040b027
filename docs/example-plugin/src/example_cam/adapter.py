"""A family of models: one convolution by hand, which tells upright edges from level ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import keras
import numpy as np
from xai_core import FeatureLayer, ModelAdapter, Preprocessing
from xai_core.errors import ModelError
from xai_core.preprocessing import SCHEMES
from xai_core.surgery import Graph, Step

CLASSES = ("upright edges", "level edges")
KERNEL = (3, 3, 3, 4)
"""Height, width, RGB, and a filter for each side that an edge may be brighter on."""


@dataclass(frozen=True)
class ExampleCamNet(ModelAdapter):
    """What xai-core must know of the family."""

    name: str = "example-cam-net"
    summary: str = "one convolution that finds edges, as an example"
    rank: int = 0
    input_size: tuple[int, int] = (32, 32)
    preprocessing: Preprocessing = SCHEMES["unit"]
    fit: Literal["crop", "stretch"] = "stretch"

    def build(self, weights: str) -> keras.Model:
        """Make the model; of weights that cannot be had, say what to pass."""
        model = architecture()
        if weights == "random":
            return model
        if weights == "by-hand":
            model.set_weights(by_hand())
            return model
        if not Path(weights).is_file():
            raise ModelError(
                f"{self.name} has no weights {weights!r}; expected 'by-hand', 'random', or the "
                "path of a .weights.h5 file"
            )
        try:
            model.load_weights(weights)
        except Exception as error:
            raise ModelError(
                f"{weights} does not hold weights of {self.name}: {error}; expected a file that "
                "model.save_weights('name.weights.h5') wrote"
            ) from error
        return model

    def matches(self, graph: Graph) -> bool:
        """By the structure, so that a backbone inside another model is recognised too."""
        return edges(graph) is not None

    def feature_layers(self, graph: Graph) -> Sequence[FeatureLayer]:
        """Shallow to deep, with their strides; the last is explained at by default."""
        found = edges(graph)
        return () if found is None else (FeatureLayer(found.path, 1),)

    def labels(self, classes: int) -> Sequence[str] | None:
        """The family's own names, not those of a model with another head."""
        return CLASSES if classes == len(CLASSES) else None


def architecture() -> keras.Model:
    """Edges, their mean over the places, and a class for either direction."""
    inputs = keras.Input((32, 32, 3), name="picture")
    x = keras.layers.Conv2D(4, 3, activation="relu", name="edges")(inputs)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    outputs = keras.layers.Dense(2, activation="softmax", name="classes")(x)
    return keras.Model(inputs, outputs, name="example-cam-net")


def by_hand() -> list[np.ndarray]:
    """Right less left, left less right, lower less upper, upper less lower; two filters a class."""
    grey = np.array([0.25, 0.5, 0.25], np.float32)
    kernel = np.zeros(KERNEL, np.float32)
    kernel[1, 2, :, 0] = kernel[1, 0, :, 1] = kernel[2, 1, :, 2] = kernel[0, 1, :, 3] = grey
    kernel[1, 0, :, 0] = kernel[1, 2, :, 1] = kernel[0, 1, :, 2] = kernel[2, 1, :, 3] = -grey
    head = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    return [kernel, np.zeros(4, np.float32), head, np.zeros(2, np.float32)]


def edges(graph: Graph) -> Step | None:
    """The convolution, wherever it is nested; None where the model is of another family."""
    for step in graph.steps:
        shapes = [tuple(weight.shape) for weight in step.weights]
        is_named = step.path.rpartition("/")[2] == "edges"
        if is_named and shapes == [KERNEL, KERNEL[-1:]] and step.path in graph.cuts:
            return step
    return None
