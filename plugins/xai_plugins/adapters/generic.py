"""The fall-back for any Keras model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras

from xai_core.errors import ModelError
from xai_core.interfaces import ModelAdapter
from xai_core.preprocessing import Preprocessing
from xai_core.surgery import FeatureLayer, Graph, deepest_per_resolution, stride

if TYPE_CHECKING:
    from xai_core.images import Fit


@dataclass(frozen=True)
class Generic(ModelAdapter):
    """Knows of a model only what its graph says."""

    name: str = "generic"
    summary: str = "any other Keras image classifier: a .keras or .h5 file, or one in memory"
    rank: int = -1
    input_size: tuple[int, int] | None = None
    preprocessing: Preprocessing | None = None
    fit: "Fit" = "stretch"

    def build(self, weights: str) -> keras.Model:
        """There is nothing to build."""
        raise ModelError(
            f"{self.name} describes models you bring, and has no weights {weights!r}: pass the "
            "path of a .keras or .h5 file, or from Python a keras.Model"
        )

    def matches(self, graph: Graph) -> bool:
        """Every graph that could be read."""
        return True

    def feature_layers(self, graph: Graph) -> tuple[FeatureLayer, ...]:
        """The deepest layer of each resolution, as far as its stride is known."""
        found = []
        for path in deepest_per_resolution(graph):
            known = stride(graph, graph.step(path))
            if known is not None:
                found.append(FeatureLayer(path, max(1, round(known))))
        return tuple(found)

    def labels(self, classes: int) -> Sequence[str] | None:
        """Not known, however many they are."""
        return None
