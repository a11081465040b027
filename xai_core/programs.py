"""The compiled passes of one study, by need, layer and rule."""

import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

from keras import ops

from xai_core.engines import Policy, worth_building_in
from xai_core.errors import ExplainerError
from xai_core.explaining import Task, Traced
from xai_core.needs import Needs
from xai_core.probe import Probe, Reading, backend
from xai_core.probe.biases import BiasTerms
from xai_core.probe.gains import Gain
from xai_core.probe.openvino import Inference, worth_filtering
from xai_core.probe.openvino_dense import LargeDense
from xai_core.probe.stand_ins import Passage, StandIns
from xai_core.probe.winograd import TOGETHER, Filtering, Minimal, fits
from xai_core.surgery import Graph, Readout, Step, variables_of
from xai_core.surgery.folding import Folding
from xai_core.surgery.rewire import Rule, rewire
from xai_core.surgery.weights import Weights
from xai_core.typing import FloatArray, ScoreKind, Tensor

_KEPT = 64
"""Programs of explainers: whoever goes through a parameter's values makes one for each."""


class Kind(NamedTuple):
    """What sets one kind of pass apart from another."""

    needs: Needs
    layers: tuple[str, ...]
    rule: Rule
    start: str | None
    is_minimal: bool = False
    """Whether convolutions up to the first layer take fewer multiplications."""
    behind: str | None = None
    """In what OpenVINO computes, where that ran what comes before: large kernels are its too."""


class Programs:
    """Runs passes, compiling each kind when it is first asked for. Threads may share it.

    Args:
        readout: The model.
        score: Which score is read and differentiated.
        policy: Says how programs come by the weights, and which explainers become programs.
    """

    def __init__(self, readout: Readout, score: ScoreKind, policy: Policy) -> None:
        self._readout = readout
        self._score = score
        self._policy = policy
        self._probes: dict[Kind, Probe] = {}
        self._inferences: dict[str, tuple[Sequence[Filtering], Inference]] = {}
        """By where they end, with what convolutions in them are filtered by."""
        self._weights = policy.weights
        self._stand_ins = StandIns()
        self._large_dense = LargeDense()
        self._filterable: dict[Kind, bool] = {}
        self._traced: dict[Hashable, Traced] = {}
        """The last used comes last."""
        self._lock = threading.Lock()

    @property
    def kinds(self) -> Mapping[Kind, Probe]:
        """What was compiled so far."""
        return dict(self._probes)

    def hand_out(self) -> None:
        """Someone else holds the model from now on: its weights are read each time."""
        with self._lock:
            self._policy.hand_out()

    def read(
        self,
        images: Tensor,
        wanted: Tensor,
        needs: Needs,
        layers: Sequence[Step],
        *,
        rule: Rule,
        start: Step | None,
        filled: int,
    ) -> Reading:
        """Run the one pass that serves `needs`: see `Study.read`."""
        passed = needs & ~Needs.ASKS
        behind = None
        with self._lock:
            filters = self._policy.filters(len(images))
        if start is None and Needs.INPUT_GRADIENTS not in passed:
            inference = self._inference(layers, filters)
            if inference is not None:
                # From the last step on that needs no gradient, the pass goes on as ever.
                images, start = inference(images), inference.end
                # Gradients of several classes go back together as TensorFlow multiplies alone.
                behind = self._policy.precision if wanted.shape[1] == 1 else None
        # Only now: OpenVINO runs each picture by itself, and none that nobody asked about.
        if len(images) < filled:
            images, wanted = _filled_up(images, filled), _filled_up(wanted, filled)
        paths = tuple(layer.path for layer in layers)
        with self._lock:
            if self._weights != self._policy.weights:
                self._forget()
            at = None if start is None else start.path
            kind = Kind(passed, paths, rule, at, behind=behind)
            if filters and self._gains(kind, images, layers, start):
                self._probes.pop(kind, None)
                kind = kind._replace(is_minimal=True)
            if kind not in self._probes:
                self._probes[kind] = self._probe(kind, images, layers, start)
            probe = self._probes[kind]
        return probe(images, wanted)

    def _probe(
        self, kind: Kind, images: Tensor, layers: Sequence[Step], start: Step | None
    ) -> Probe:
        readout = self._under(kind.rule)
        frozen: Sequence[tuple[Any, FloatArray]] = ()
        if self._weights != "read":
            kept = {step.outputs[0] for step in (*layers, *([start] if start else []))}
            graph = readout.graph
            filtered = _trunk(graph, kind, layers, start) if kind.is_minimal else ()
            passage = Passage(kept, filtered, _way_back(graph, kind, layers, start))
            if kind.behind is not None:
                graph = self._large_dense(graph, kind.behind)
            graph = self._stand_ins(graph, passage, images)
            readout = replace(readout, graph=graph)
        variables = _read_by(readout.graph, start)
        if self._weights != "read":
            backend().lay_out(variables)
        if self._weights == "built in":
            frozen = worth_building_in(variables)
        way = self._policy.way
        return Probe(readout, layers, kind.needs, self._score, start, way, variables, frozen)

    def _gains(
        self, kind: Kind, images: Tensor, layers: Sequence[Step], start: Step | None
    ) -> bool:
        """Whether minimal filtering has a place in such a pass, and is faster where it runs."""
        if kind not in self._filterable:
            graph = self._under(kind.rule).graph
            trunk = _trunk(graph, kind, layers, start)
            self._filterable[kind] = fits(graph, trunk) and backend().gains_by(
                Gain.MINIMAL_FILTERING, images
            )
        return self._filterable[kind]

    def _forget(self) -> None:
        """The model was handed out: what holds values of its weights goes."""
        self._weights = self._policy.weights
        self._probes.clear()
        self._stand_ins = StandIns()
        self._large_dense = LargeDense()

    def traced(self, tasks: Sequence[Task], pictures: int) -> Traced | None:
        """Explainers as one program, where that is worth it: see `Study.traced`."""
        key = tuple(task.identity for task in tasks)
        try:
            hash(key)
        except TypeError:  # of a parameter that is a list or an array
            return None
        with self._lock:
            if not self._policy.traces(key, len(tasks) * pictures):
                return None
            program = self._traced.pop(key, None) or Traced(tasks)
            self._traced[key] = program
            if len(self._traced) > _KEPT:
                del self._traced[next(iter(self._traced))]
            return program

    def bias_terms(self, images: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        """What each bias adds to the scores, to first order: see `Evidence.bias_terms`."""
        return self._bias_terms(images, targets)

    @cached_property
    def _bias_terms(self) -> BiasTerms:
        return BiasTerms(self._readout, self._score)

    def _inference(self, layers: Sequence[Step], filters: bool) -> Inference | None:
        """What runs the part of the pass without gradients, where the engine has such a thing."""
        with self._lock:
            precision = self._policy.precision
            if precision is None:
                self._inferences.clear()
                return None
            graph = self._readout.graph
            end = layers[0] if layers else graph.maker(graph.output)
            trunk = graph.between(graph.input, end.outputs[0])
            filterings = worth_filtering(precision) if filters else ()
            if not fits(graph, trunk, filterings):
                filterings = ()
            made_with, inference = self._inferences.get(end.path, (None, None))
            if inference is None or made_with != filterings:
                inference = self._inference_to(end, trunk, precision, filterings)
                self._inferences[end.path] = (filterings, inference)
            return inference

    def _inference_to(
        self, end: Step, trunk: Sequence[Step], precision: str, filterings: Sequence[Filtering]
    ) -> Inference:
        graph, weights = self._readout.graph, Weights(backend().to_host, backend().keep)
        if filterings:
            # Folded before, since OpenVINO folds into nothing but its own convolutions.
            graph = Folding(weights)(graph, {end.outputs[0]})
            graph = Minimal(weights, _as_it_is, filterings, TOGETHER).forwards(graph, trunk)
        return Inference(graph, end, precision)

    def _under(self, rule: Rule) -> Readout:
        """The model with its rectifiers under a rule."""
        graph, replaced = rewire(self._readout.graph, rule)
        if rule is not Rule.PLAIN and not replaced:
            raise ExplainerError(
                f"{graph.name!r} has no ReLU that the {rule.value} rule could replace; expected "
                "one as a layer, as an activation or as an operation. Use a method that takes "
                "the gradient as it is, such as saliency."
            )
        return replace(self._readout, graph=graph)


def _filled_up(rows: Tensor, count: int) -> Tensor:
    """`count` rows, those beyond the given ones of zeros."""
    return ops.pad(rows, [(0, count - len(rows))] + [(0, 0)] * (len(rows.shape) - 1))


def _as_it_is(function: Callable[..., Any]) -> Callable[..., Any]:
    """OpenVINO joins operations by itself."""
    return function


def _read_by(graph: Graph, start: Step | None) -> Sequence[Any]:
    """The variables of the steps that are run."""
    given = graph.input if start is None else start.outputs[0]
    return variables_of(replace(graph, steps=graph.between(given, graph.output)))


def _trunk(graph: Graph, kind: Kind, layers: Sequence[Step], start: Step | None) -> Sequence[Step]:
    """The steps of a pass up to its first layer, where that is cut, or to its end.

    Behind a layer gradients of several classes go back together, and it is small.
    """
    given = graph.input if start is None else start.outputs[0]
    gradients = Needs.ACTIVATION_GRADIENTS | Needs.INPUT_GRADIENTS
    is_cut = bool(layers) and bool(kind.needs & gradients)
    wanted = layers[0].outputs[0] if is_cut else graph.output
    return graph.between(given, wanted)


def _way_back(
    graph: Graph, kind: Kind, layers: Sequence[Step], start: Step | None
) -> Sequence[Step]:
    """The steps that gradients go back through."""
    if Needs.INPUT_GRADIENTS in kind.needs:
        given = graph.input if start is None else start.outputs[0]
    elif Needs.ACTIVATION_GRADIENTS in kind.needs:
        given = layers[0].outputs[0]
    else:
        return ()
    return graph.between(given, graph.output)
