"""From the model's output back to its logits, on the user's own weights.

The score explained is the logit: the gradient of a softmax at 1.0 is 0, and its
map mixes what speaks for a class with what speaks against the others.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

import keras
from keras import ops

from xai_core.errors import SurgeryError
from xai_core.surgery.graph import WHAT_CAN_BE_CUT, Graph, Step
from xai_core.typing import Tensor

Link = Literal["softmax", "sigmoid", "unknown"]
"""How logits become probabilities."""

_LINKS: Mapping[str, Link] = MappingProxyType(
    {
        "softmax": "softmax",
        "softmax_v2": "softmax",
        "log_softmax": "softmax",
        "logsoftmax": "softmax",
        "sigmoid": "sigmoid",
    }
)
_PASSES_ON = frozenset({"linear", "identity", "flatten", "reshape", "dropout", "cast", "squeeze"})


@dataclass(frozen=True)
class Readout:
    """Where the logits are found in a graph, and what the model makes of them."""

    graph: Graph
    """The graph with the last activation undone: its output is the logits."""
    link: Link
    binary: bool
    """One unit: class 1 is read by its logit z, class 0 by -z."""
    fused: bool
    """Whether the activation was part of the layer that computes the logits."""

    @property
    def classes(self) -> int:
        """How many classes can be asked for."""
        units = self.graph.shapes[self.graph.output][-1]
        assert units is not None  # noqa: S101 - read_out() refuses an open last axis
        return 2 if self.binary else units

    def logits(self, output: Tensor) -> Tensor:
        """Class logits (N, classes) from the graph's output, in float32 or wider."""
        logits = widen(output)
        return ops.concatenate([-logits, logits], axis=-1) if self.binary else logits

    def probabilities(self, logits: Tensor) -> Tensor:
        """Class probabilities (N, classes); the output itself where the link is unknown."""
        return _PROBABILITIES[self.link](logits)


_PROBABILITIES: MappingProxyType[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {
        "softmax": lambda logits: ops.softmax(logits, axis=-1),
        "sigmoid": ops.sigmoid,
        "unknown": lambda logits: logits,
    }
)


def widen(tensor: Tensor) -> Tensor:
    """Half-precision tensors as float32; others as they are."""
    half = keras.backend.standardize_dtype(tensor.dtype) in ("float16", "bfloat16")
    return ops.cast(tensor, "float32") if half else tensor


def read_out(graph: Graph) -> Readout:
    """Find the logits behind the output of a classifier.

    Raises:
        SurgeryError: the output is not of shape (batch, classes).
    """
    shape = graph.shapes[graph.output]
    if len(shape) != 2 or shape[-1] is None:
        raise SurgeryError(
            f"the output of {graph.name!r} has shape {shape}; {WHAT_CAN_BE_CUT}. For a model "
            "that answers at every place of the picture, add a GlobalAveragePooling2D."
        )
    last = _last_that_acts(graph)
    name = activation_name(last)
    link = _LINKS.get(name)
    # A softmax over one unit is 1 whatever the picture: one class, not two.
    binary = shape[-1] == 1 and link != "softmax"
    if link == "softmax" and graph.shape(last)[-1] != shape[-1]:
        # Taken at every place before a Flatten, not over the classes.
        return Readout(graph, "unknown", binary=False, fused=False)
    if link is not None:
        undone, fused = _undo(graph, last)
        return Readout(undone, "sigmoid" if binary else link, binary, fused)
    if name in _PASSES_ON or _is_affine(last):
        return Readout(graph, "sigmoid" if binary else "softmax", binary, fused=False)
    return Readout(graph, "unknown", binary=False, fused=False)


def without_activation(layer: keras.Layer) -> keras.Layer:
    """A stand-in for a layer, on the same variables, that leaves out its activation.

    Made by copying the instance's attributes, not through Keras, which would make
    new variables; the user's layer does not know of it.
    """
    return with_attributes(layer, activation=keras.activations.linear)


def with_attributes(layer: keras.Layer, **attributes: Any) -> keras.Layer:
    """A stand-in for a layer, on the same variables, with other attributes.

    A method that was set on the layer itself, as others' hooks leave it behind, would run the layer
    and not the stand-in: the class's own is put in its place.

    Raises:
        SurgeryError: `call` was set to something else, which would not heed the attributes.
    """
    own = {
        name: value
        for name, value in vars(layer).items()
        if getattr(value, "__self__", None) is not layer
    }
    if "call" in own:
        raise SurgeryError(
            f"layer {layer.name!r} has a `call` of its own, which was set from outside: a hook "
            "that is still there? Its activation cannot be replaced; remove the hook, or "
            "`del layer.call`."
        )
    stand_in = object.__new__(type(layer))
    vars(stand_in).update(own)
    vars(stand_in).update(attributes)
    return stand_in


def _last_that_acts(graph: Graph) -> Step:
    """The last step that does more than rename, reshape or convert the output."""
    makers = {value: step for step in graph.steps for value in step.outputs}
    step = makers.get(graph.output)
    while step is not None and activation_name(step) in _PASSES_ON and not step.weights:
        previous = makers.get(step.inputs[0]) if len(step.inputs) == 1 else None
        if previous is None:
            return step
        step = previous
    if step is None:
        raise SurgeryError(f"{graph.name!r} returns its input; {WHAT_CAN_BE_CUT}")
    return step


def activation_name(step: Step) -> str:
    """The activation that a step ends with: its layer's, or itself where it is one."""
    activation = vars(step.operation).get("activation")
    if activation is None:
        return step.kind.lower()
    return str(getattr(activation, "__name__", type(activation).__name__)).lower()


def _is_affine(step: Step) -> bool:
    """Whether a layer without an activation computes the output: its output is the logits."""
    return step.has_kernel and vars(step.operation).get("activation", None) is None


def _undo(graph: Graph, last: Step) -> tuple[Graph, bool]:
    """The graph less the activation that `last` ends with."""
    if last.weights:
        assert isinstance(last.operation, keras.Layer)  # noqa: S101 - only layers have weights
        stand_in: Any = without_activation(last.operation)
    else:
        stand_in = _first_argument
    undone = replace(last, operation=stand_in)
    steps = tuple(undone if step is last else step for step in graph.steps)
    return replace(graph, steps=steps), bool(last.weights)


def _first_argument(*args: Tensor, **kwargs: Any) -> Tensor:
    return args[0] if args else next(iter(kwargs.values()))
