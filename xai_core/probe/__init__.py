"""One compiled pass over the model, for exactly what is needed.

The pass is written once on `keras.ops`; what differs between backends, how to
compile and how to differentiate, is in the module named for the backend.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from math import prod
from types import ModuleType
from typing import Any, TypeAlias

import keras
from keras import ops

from xai_core.backends import BACKENDS, VARIABLE
from xai_core.errors import XaiError
from xai_core.needs import Needs
from xai_core.probe.pullback import Pullback
from xai_core.surgery import Readout, Step, widen
from xai_core.typing import FloatArray, ScoreKind, Tensor, Way

_HALF_PRECISION_SEED = 32.0
"""Gradients in float16 are carried back from this instead of 1 and divided by it after,
which is exact, keeps small ones from being flushed to zero, and lets gradients of up to 2,000
through."""


_TOGETHER = 2**24
"""Values that the gradients of all targets may have at the last layer, to be carried there
together: 64 MiB."""


def backend() -> ModuleType:
    """The module for the backend that Keras runs on."""
    name = keras.backend.backend()
    if name not in BACKENDS:
        raise XaiError(
            f"Keras runs on the backend {name!r}; expected one of {', '.join(BACKENDS)}: "
            f"set {VARIABLE} to it before Keras is first imported"
        )
    return _module(name)


@cache
def _module(name: str) -> ModuleType:
    return importlib.import_module(f"xai_core.probe.{name}")


def values_of(variables: Sequence[Any]) -> Sequence[tuple[Any, FloatArray]]:
    """Variables of floating numbers, with their values."""
    held = ((each, backend().to_host(each.value)) for each in variables)
    return [(each, values) for each, values in held if values.dtype.kind == "f"]


Key: TypeAlias = tuple[Needs, str]
"""A kind of evidence and the path of the layer it was taken at; the input's is empty."""

AT_INPUT = ""

Constants: TypeAlias = Sequence[tuple[Any, Tensor]]
"""Variables, and what stands in the place of each."""


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
    each: tuple[tuple[Tensor, Tensor], ...]
    """For each of the T targets, its class index and its score, (N,) each."""
    shared: Mapping[Key, Tensor]
    """What does not depend on the target: activations (N, h, w, K)."""
    per_target: tuple[Mapping[Key, Tensor], ...]
    """For each of the T targets, its gradients."""
    health: tuple[Mapping[Key, Tensor], ...]
    """For each of the T targets, of each of its gradients, (N, 3): the largest magnitude,
    the mean magnitude, and the share of exact zeros."""


class Probe:
    """A compiled pass for one model, some target layers and one union of needs.

    The layers are cuts, so they lie behind each other on every path, and the pass is
    a chain: input, first layer, second layer, ..., logits. One forward runs along it.
    A gradient is carried back over as many links as some need asks for, and no more:
    for class activation maps alone, never into the trunk.

    Args:
        readout: The graph, with its logits as output.
        layers: Where to read, shallow to deep; none when no need has to do with a layer.
        needs: The union over the explainers that will be served.
        score: Which score is differentiated.
        start: The layer whose activations are given in place of pictures: the head alone
            is run.
        way: How the pass is run.
        variables: All that the graph reads.
        frozen: Variables, and the values to build into the program in their place; the compiler
            then merges and lays out what it could not while they may change.
    """

    def __init__(
        self,
        readout: Readout,
        layers: Sequence[Step],
        needs: Needs,
        score: ScoreKind,
        start: Step | None = None,
        way: Way = "compiled",
        variables: Sequence[Any] = (),
        frozen: Sequence[tuple[Any, FloatArray]] = (),
    ) -> None:
        self._frozen = frozen
        self._backend = backend()
        self._readout = readout
        self._graph = readout.graph
        first = readout.graph.input if start is None else start.outputs[0]
        self._stops = [(AT_INPUT, first)] + [(layer.path, layer.outputs[0]) for layer in layers]
        self._needs = needs
        self._score = score
        self._seed = seed_of(readout)
        built_in = {id(each) for each, _ in frozen}
        read = [each for each in variables if id(each) not in built_in]
        made: Mapping[Way, Callable[..., Any]] = {
            "compiled": self._backend.compiled,
            "eager": self._backend.eager,
        }
        self._pass = made[way](self._trace, read)

    @property
    def is_frozen(self) -> bool:
        """Whether weights are built into the program."""
        return bool(self._frozen)

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
            each=tuple(found["each"]),
            shared=_by_key(found["shared"]),
            per_target=tuple(map(_by_key, found["per_target"])),
            health=tuple(map(_by_key, found["health"])),
        )

    @property
    def _shallowest_gradient(self) -> int:
        """The first stop whose gradient is needed; past the last one when none is."""
        if Needs.INPUT_GRADIENTS in self._needs:
            return 0
        return 1 if Needs.ACTIVATION_GRADIENTS in self._needs else len(self._stops)

    def _trace(self, weights: Constants, images: Tensor, wanted: Tensor) -> dict[str, Any]:
        wanted = ops.cast(wanted, "int32")
        built_in = [(each, ops.convert_to_tensor(values)) for each, values in self._frozen]
        constants = [*weights, *built_in]
        at = self._enter(images)
        links: list[Pullback] = []
        activations = {}
        for number, (path, _) in enumerate(self._stops):
            if number and Needs.ACTIVATIONS in self._needs:
                activations[_text(Needs.ACTIVATIONS, path)] = widen(at)
            is_last = number == len(self._stops) - 1
            before = at
            link = partial(self._scores if is_last else self._link, number, constants)
            if number >= self._shallowest_gradient:
                links.append(self._backend.pullback(link, at))
                at = links[-1].value
            else:
                at = link(at)
        logits = at
        probabilities = self._readout.probabilities(logits)
        targets = _resolve(wanted, logits)
        score_of = self._readout.probabilities if self._score == "probability" else _itself
        scored = self._backend.pullback(score_of, logits)
        scores, per_target = (
            scored.value,
            self._gradients([*links, scored], targets, prod(before.shape)),
        )
        score = ops.take_along_axis(scores, targets, axis=1)
        return {
            "logits": logits,
            "probabilities": probabilities,
            "targets": targets,
            "score": score,
            "each": tuple((targets[:, t], score[:, t]) for t in range(wanted.shape[1])),
            "shared": activations,
            "per_target": per_target,
            "health": tuple(
                {key: _health(gradient) for key, gradient in gradients.items()}
                for gradients in per_target
            ),
        }

    def _enter(self, given: Tensor) -> Tensor:
        """What is given, in the dtype that the model wants; layers convert activations."""
        return self._graph.enter(given) if self._stops[0][1] == self._graph.input else given

    def _link(self, number: int, weights: Constants, at: Tensor) -> Tensor:
        """From one stop to the next."""
        (_, start), (_, end) = self._stops[number : number + 2]
        return self._graph.run({start: at}, [end], weights)[end]

    def _scores(self, number: int, weights: Constants, at: Tensor) -> Tensor:
        """From the last stop to the logits."""
        start, end = self._stops[number][1], self._graph.output
        return self._readout.logits(self._graph.run({start: at}, [end], weights)[end])

    def _gradients(
        self, links: Sequence[Pullback], targets: Tensor, width: int
    ) -> list[dict[str, Tensor]]:
        """Carry the gradients of all targets back along the chain, keeping what is needed.

        They go through the head together, where the weights of dense layers are what takes
        time, and one by one from there, where the size of the gradients is. `width` is that of
        each at the last layer.
        """
        *into, scored = links
        count = targets.shape[1]
        found: list[dict[str, Tensor]] = [{} for _ in range(count)]
        if not into:
            return found
        classes = scored.value.shape[1]
        seeds = self._seed * ops.one_hot(targets, classes, dtype=scored.value.dtype)
        seeds = ops.transpose(seeds, (1, 0, 2))
        starts_at_layer = len(self._stops) > 1
        if starts_at_layer and 1 < count <= _TOGETHER // width:
            gradients = ops.unstack(into[-1].together(scored.together(seeds)), count)
        else:
            gradients = [into[-1].back(scored.back(seed)) for seed in ops.unstack(seeds, count)]
        for number in range(len(self._stops) - 1, self._shallowest_gradient - 1, -1):
            if number < len(self._stops) - 1:
                link = into[number - self._shallowest_gradient]
                gradients = [link.back(gradient) for gradient in gradients]
            need = Needs.ACTIVATION_GRADIENTS if number else Needs.INPUT_GRADIENTS
            if need in self._needs:
                key = _text(need, self._stops[number][0])
                for kept, gradient in zip(found, gradients, strict=True):
                    kept[key] = widen(gradient) / self._seed
        return found


def _health(gradient: Tensor) -> Tensor:
    """Largest magnitude, mean magnitude and share of zeros, (N, 3)."""
    size = ops.abs(gradient)
    places = (1, 2, 3)
    zeros = ops.cast(ops.equal(size, 0), size.dtype)
    return ops.stack(
        [ops.max(size, places), ops.mean(size, places), ops.mean(zeros, places)], axis=1
    )


def _itself(logits: Tensor) -> Tensor:
    return logits


def _text(need: Needs, path: str) -> str:
    """A compiled program can return only structures keyed by text."""
    return f"{need.name}@{path}"


def _by_key(found: Mapping[str, Tensor]) -> Mapping[Key, Tensor]:
    named = ((*text.split("@", 1), tensor) for text, tensor in found.items())
    return {(Needs[need], path): tensor for need, path, tensor in named}


def _resolve(wanted: Tensor, logits: Tensor) -> Tensor:
    """Class indices from indices and, where negative, ranks."""
    ranked = ops.cast(ops.argsort(-logits, axis=-1), "int32")
    rank = ops.maximum(-wanted - 1, 0)
    return ops.where(wanted < 0, ops.take_along_axis(ranked, rank, axis=1), wanted)


def seed_of(readout: Readout) -> float:
    """What gradients are carried back from, and divided by after."""
    in_float16 = any(
        isinstance(step.operation, keras.Layer) and step.operation.compute_dtype == "float16"
        for step in readout.graph.steps
    )
    return _HALF_PRECISION_SEED if in_float16 else 1.0
