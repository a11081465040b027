"""What each bias of a model adds to a score, to first order."""

from collections.abc import Mapping
from typing import Any

from keras import ops

from xai_core.probe import Constants, backend, seed_of
from xai_core.surgery import Readout, variables_of, widen
from xai_core.surgery.biases import bias_of, biased_steps, with_offsets
from xai_core.typing import ScoreKind, Tensor


class BiasTerms:
    """A compiled pass that reads b dS/db for every bias b, at every place.

    The gradient by a bias at one place is that by what the layer computes there before its
    activation; it is read as the gradient by zeros added there.

    Args:
        readout: The graph, with its logits as output.
        score: Which score is differentiated.
    """

    def __init__(self, readout: Readout, score: ScoreKind) -> None:
        self._readout = readout
        self._score = score
        self._pass = backend().compiled(self._trace, variables_of(readout.graph))

    def __call__(self, images: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        """By layer, b dS/db (N, ..., K), at images (N, H, W, C) for targets (N,)."""
        found: Mapping[str, Tensor] = self._pass(images, targets)
        return found

    def _trace(self, weights: Constants, images: Tensor, targets: Tensor) -> dict[str, Tensor]:
        graph = self._readout.graph
        steps = {step.path: step for step in biased_steps(graph)}
        count = images.shape[0]
        nothing = {
            path: ops.zeros((count, *graph.shape(step)[1:]), images.dtype)
            for path, step in steps.items()
        }

        def score_of(offsets: Any) -> Tensor:
            shifted = with_offsets(graph, offsets)
            output = shifted.run({graph.input: images}, [graph.output], weights)[graph.output]
            scores = self._readout.logits(output)
            if self._score == "probability":
                scores = self._readout.probabilities(scores)
            return ops.take_along_axis(scores, targets[:, None], axis=1)[:, 0]

        scores, back, _ = backend().pullback(score_of, nothing)
        seed = seed_of(self._readout)
        gradients = back(seed * ops.ones_like(scores))
        biases = {path: widen(bias_of(graph, step, weights)) for path, step in steps.items()}
        # The offsets are in the precision of the pictures, which may be another one.
        return {
            path: ops.cast(widen(gradients[path]), bias.dtype) / seed * bias
            for path, bias in biases.items()
        }
