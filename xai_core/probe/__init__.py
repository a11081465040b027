"""One compiled pass over the model, for exactly what is needed.

The pass is written once on `keras.ops`; what differs between backends, how to
compile and how to differentiate, is in the module named for the backend.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import keras
from keras import ops

from xai_core.errors import XaiError
from xai_core.needs import Needs
from xai_core.surgery import Readout, Step, widen
from xai_core.typing import ScoreKind, Tensor

BACKENDS = ("tensorflow",)
"""The backends that have a module here."""

_HALF_PRECISION_SEED = 1024.0
"""Gradients in float16 are carried back from this instead of 1 and divided by it after,
which is exact and keeps small ones from being flushed to zero."""


def backend() -> ModuleType:
    """The module for the backend that Keras runs on."""
    name = keras.backend.backend()
    if name not in BACKENDS:
        raise XaiError(
            f"Keras runs on the backend {name!r}; expected one of {', '.join(BACKENDS)}: "
            "set KERAS_BACKEND to it before Keras is first imported"
        )
    return importlib.import_module(f"xai_core.probe.{name}")


@dataclass(frozen=True)
class Reading:
    """What one pass found for N pictures and T targets each.

    All are tensors of the backend, still on its device.
    """

    logits: Tensor
    """(N, classes)."""
    probabilities: Tensor
    """(N, classes)."""
    targets: Tensor
    """The class indices that were asked for or ranked there, int32 (N, T)."""
    score: Tensor
    """The explained score, (N, T)."""
    shared: Mapping[Needs, Tensor]
    """What does not depend on the target: the activations."""
    per_target: tuple[Mapping[Needs, Tensor], ...]
    """For each of the T targets, its gradients."""
    peaks: tuple[Mapping[Needs, Tensor], ...]
    """For each of the T targets, the largest magnitude in each of its gradients, (N,)."""


class Probe:
    """A compiled pass for one model, one target layer and one union of needs.

    Args:
        readout: The graph, with its logits as output.
        layer: Where to cut; None when no need has to do with a layer.
        needs: The union over the explainers that will be served.
        score: Which score is differentiated.
    """

    def __init__(
        self, readout: Readout, layer: Step | None, needs: Needs, score: ScoreKind
    ) -> None:
        self._backend = backend()
        self._readout = readout
        self._graph = readout.graph
        self._layer = layer
        self._needs = needs
        self._score = score
        self._seed = _HALF_PRECISION_SEED if _computes_in_float16(readout) else 1.0
        self._pass: Callable[..., Any] = self._backend.compiled(self._trace)

    def __call__(self, images: Tensor, wanted: Tensor) -> Reading:
        """Run the pass.

        Args:
            images: Preprocessed pictures (N, H, W, C).
            wanted: int32 (N, T). A class index, or, when negative, a rank from the
                top: -1 is the predicted class, -2 the second.
        """
        found = self._pass(images, wanted)
        return Reading(
            logits=found["logits"],
            probabilities=found["probabilities"],
            targets=found["targets"],
            score=found["score"],
            shared=_by_need(found["shared"]),
            per_target=tuple(map(_by_need, found["per_target"])),
            peaks=tuple(map(_by_need, found["peaks"])),
        )

    def _trace(self, images: Tensor, wanted: Tensor) -> dict[str, Any]:
        images = ops.cast(images, self._graph.input_dtype)
        into_trunk = Needs.INPUT_GRADIENTS in self._needs
        if self._layer is None:
            at, carry = images, None
        elif into_trunk:
            at, carry = self._backend.pullback(self._trunk, images)
        else:
            at, carry = self._trunk(images), None
        if self._needs & (Needs.ACTIVATION_GRADIENTS | Needs.INPUT_GRADIENTS):
            (logits, probabilities), back = self._scored(at)
        else:
            logits = self._head(at)
            probabilities, back = self._readout.probabilities(logits), None
        targets = _resolve(wanted, logits)
        scores = logits if self._score == "logit" else probabilities
        per_target = tuple(
            {} if back is None else self._gradients(back, carry, targets[:, t], scores)
            for t in range(wanted.shape[1])
        )
        return {
            "logits": logits,
            "probabilities": probabilities,
            "targets": targets,
            "score": ops.take_along_axis(scores, targets, axis=1),
            "shared": {"ACTIVATIONS": widen(at)} if Needs.ACTIVATIONS in self._needs else {},
            "per_target": per_target,
            "peaks": tuple(
                {need: ops.max(ops.abs(g), axis=(1, 2, 3)) for need, g in gradients.items()}
                for gradients in per_target
            ),
        }

    def _trunk(self, images: Tensor) -> Tensor:
        assert self._layer is not None  # noqa: S101 - asked only with a layer
        value = self._layer.outputs[0]
        return self._graph.run({self._graph.input: images}, [value])[value]

    def _head(self, at: Tensor) -> Tensor:
        start = self._graph.input if self._layer is None else self._layer.outputs[0]
        output = self._graph.run({start: at}, [self._graph.output])[self._graph.output]
        return self._readout.logits(output)

    def _scored(self, at: Tensor) -> tuple[tuple[Tensor, Tensor], Callable[[Tensor], Tensor]]:
        """Logits and probabilities, and what carries a gradient of the score back to `at`."""
        if self._score == "logit":
            logits, back = self._backend.pullback(self._head, at)
            return (logits, self._readout.probabilities(logits)), back
        probabilities, back = self._backend.pullback(
            lambda tensor: self._readout.probabilities(self._head(tensor)), at
        )
        return (self._head(at), probabilities), back

    def _gradients(
        self,
        back: Callable[[Tensor], Tensor],
        carry: Callable[[Tensor], Tensor] | None,
        targets: Tensor,
        scores: Tensor,
    ) -> dict[str, Tensor]:
        seed = self._seed * ops.one_hot(targets, scores.shape[1], dtype=scores.dtype)
        at_cut = back(seed)
        found = {}
        if Needs.ACTIVATION_GRADIENTS in self._needs:
            found["ACTIVATION_GRADIENTS"] = widen(at_cut) / self._seed
        if Needs.INPUT_GRADIENTS in self._needs:
            at_input = at_cut if carry is None else carry(at_cut)
            found["INPUT_GRADIENTS"] = widen(at_input) / self._seed
        return found


def _by_need(found: Mapping[str, Tensor]) -> Mapping[Needs, Tensor]:
    """A compiled program can return only structures keyed by text."""
    return {Needs[name]: tensor for name, tensor in found.items()}


def _resolve(wanted: Tensor, logits: Tensor) -> Tensor:
    """Class indices from indices and, where negative, ranks."""
    ranked = ops.cast(ops.argsort(-logits, axis=-1), "int32")
    rank = ops.maximum(-wanted - 1, 0)
    return ops.where(wanted < 0, ops.take_along_axis(ranked, rank, axis=1), wanted)


def _computes_in_float16(readout: Readout) -> bool:
    return any(
        isinstance(step.operation, keras.Layer) and step.operation.compute_dtype == "float16"
        for step in readout.graph.steps
    )
