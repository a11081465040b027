"""All that takes the place of layers in the passes of one model."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from xai_core.probe import backend
from xai_core.probe.dense import in_pieces
from xai_core.probe.gains import Gain
from xai_core.probe.separable import Products
from xai_core.probe.sums import sums_apart
from xai_core.probe.turned import Turned
from xai_core.probe.winograd import Minimal
from xai_core.surgery import Graph, Step
from xai_core.surgery.folding import Folding
from xai_core.surgery.weights import Weights
from xai_core.typing import Tensor


@dataclass(frozen=True)
class Passage:
    """What a pass does with the steps of a graph."""

    kept: Collection[int]
    """The values that are read: what makes them stays as it is."""
    filtered: Sequence[Step]
    """The steps whose convolutions are to take fewer multiplications."""
    back: Sequence[Step]
    """The steps that gradients go back through."""


class StandIns:
    """Makes graphs of one model that compute the same numbers faster, and keeps their weights.

    The values are those that the weights have then: it is for models that no one changes.
    """

    def __init__(self) -> None:
        weights = Weights(backend().to_host, backend().keep)
        self._folding = Folding(weights)
        self._minimal = Minimal(weights, backend().joined)
        self._products = Products(weights)
        self._turned = Turned(weights)

    def __call__(self, graph: Graph, passage: Passage, images: Tensor) -> Graph:
        """The graph, with what is faster for such a pass of such pictures where they are."""

        def gains_by(gain: Gain) -> bool:
            return bool(backend().gains_by(gain, images))

        back = {step.path for step in passage.back}
        both_ways = [step for step in passage.filtered if step.path in back]
        forwards = [step for step in passage.filtered if step.path not in back]
        turned = passage.back if gains_by(Gain.TURNED_KERNELS) else ()
        graph = self._folding(graph, passage.kept)
        graph = self._minimal.both_ways(self._minimal.forwards(graph, forwards), both_ways)
        graph = self._products(graph, turned) if gains_by(Gain.PRODUCTS) else graph
        graph = self._turned(graph, turned)
        graph = sums_apart(graph) if gains_by(Gain.SUMS_APART) else graph
        return in_pieces(graph) if gains_by(Gain.PIECES) else graph
