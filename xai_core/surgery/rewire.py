"""A graph whose rectifiers carry gradients back by another rule.

The user's layers are not touched: a layer with a rectifier in it gets a stand-in on
the same variables, a rectifier that is a layer or an operation of its own is wrapped.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum
from types import MappingProxyType
from typing import Any

import keras
from keras import ops

from xai_core.surgery.graph import Graph, Step
from xai_core.surgery.readout import activation_name, with_attributes
from xai_core.typing import Tensor


class Rule(Enum):
    """How a rectifier y = ReLU(x) carries a gradient dy back."""

    PLAIN = "plain"
    """1[x > 0] dy: the gradient as it is."""
    GUIDED = "guided"
    """1[x > 0] 1[dy > 0] dy. Springenberg et al., "Striving for Simplicity", 2015, eq. 9."""
    DECONVNET = "deconvnet"
    """1[dy > 0] dy, whatever x was. Zeiler and Fergus, 2014, section 2.1."""


_RECTIFIERS = frozenset({"relu", "relu6"})

_PASSES: Mapping[Rule, Callable[[Tensor, Tensor, Tensor], Tensor]] = MappingProxyType(
    {
        # Where a rectifier is open, it returns what it was given; ReLU6 is also closed above.
        Rule.GUIDED: lambda x, y, back: ops.where((x > 0) & (y == x), ops.relu(back), 0),
        Rule.DECONVNET: lambda x, y, back: ops.relu(back),
    }
)


def rewire(graph: Graph, rule: Rule) -> tuple[Graph, int]:
    """The graph under another rule, and how many rectifiers were replaced."""
    if rule is Rule.PLAIN:
        return graph, 0
    steps = tuple(_rewired(step, rule) for step in graph.steps)
    replaced = sum(new is not old for new, old in zip(steps, graph.steps, strict=True))
    return replace(graph, steps=steps), replaced


def _rewired(step: Step, rule: Rule) -> Step:
    operation: Any = step.operation
    if activation_name(step) not in _RECTIFIERS or _leaks(operation):
        return step
    fused = vars(operation).get("activation")
    if isinstance(operation, keras.Layer) and fused is not None:
        return replace(step, operation=with_attributes(operation, activation=_ruled(fused, rule)))
    return replace(step, operation=_Single(_ruled(operation, rule)))


def _leaks(operation: Any) -> bool:
    """Whether a ReLU layer has a slope below 0, or a threshold: no rectifier then."""
    attributes = vars(operation)
    return bool(attributes.get("negative_slope")) or bool(attributes.get("threshold"))


class _Single:
    """Calls a function of one tensor in the place of an operation, with its other arguments."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self._function = function

    def __call__(self, tensor: Tensor, **_: Any) -> Tensor:
        return self._function(tensor)


def _ruled(rectifier: Callable[[Tensor], Tensor], rule: Rule) -> Callable[[Tensor], Tensor]:
    passes = _PASSES[rule]

    def ruled(x: Tensor) -> tuple[Tensor, Callable[..., Tensor]]:
        y = rectifier(x)

        def back(*given: Tensor, upstream: Tensor | None = None) -> Tensor:
            # On torch, Keras gives the arguments of the function first, and names the gradient.
            return passes(x, y, given[-1] if upstream is None else upstream)

        return y, back

    return ops.custom_gradient(ruled)  # type: ignore[no-any-return]
