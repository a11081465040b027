"""A Keras model read as one flat list of layer calls, nested models included.

The graph is read from the record that Keras keeps of each symbolic call and is
run here, call by call, on the user's own layers. No symbolic call is made and
no `keras.Model` is built: a symbolic call leaves a node in each layer it passes,
for good, and the user's `model.summary()` then shows the shapes of ours.
"""

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
from keras import ops, tree
from keras.src.models.functional import Functional

from xai_core.errors import LayerError, SurgeryError
from xai_core.typing import Tensor

WHAT_CAN_BE_CUT = (
    "expected a Functional or Sequential model that is built, with one image input and one "
    "output of shape (batch, classes)"
)


@dataclass(frozen=True)
class Slot:
    """A place in a recorded call's arguments that a tensor fills at run time."""

    value: int


@dataclass(frozen=True)
class Step:
    """One call of one layer."""

    path: str
    """The layer's name under the names of the models around it: `xception/block1_conv1`."""
    operation: Callable[..., Any]
    """The user's own layer, or a Keras operation."""
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    reads: tuple[Any, ...] | None = None
    """The variables of a stand-in that reads others than its layer."""

    def __call__(self, values: Mapping[int, Tensor]) -> Iterable[tuple[int, Tensor]]:
        """Run the call on `values` and yield what it adds to them."""
        args, kwargs = tree.map_structure(
            lambda leaf: values[leaf.value] if isinstance(leaf, Slot) else leaf,
            (self.args, dict(self.kwargs)),
        )
        return zip(self.outputs, tree.flatten(self.operation(*args, **kwargs)), strict=True)

    @property
    def kind(self) -> str:
        """The class of the layer or operation, by name."""
        return type(self.operation).__name__

    @property
    def weights(self) -> tuple[Any, ...]:
        """The variables that it reads; none for an operation."""
        if self.reads is not None:
            return self.reads
        return tuple(self.operation.weights) if isinstance(self.operation, keras.Layer) else ()

    @property
    def has_kernel(self) -> bool:
        """Whether it holds a weight of rank two or more: a convolution, a dense layer."""
        return any(len(weight.shape) >= 2 for weight in self.weights)


@dataclass(frozen=True)
class Cast:
    """What a nested model does to its input: convert it to its declared dtype."""

    dtype: str

    def __call__(self, tensor: Tensor) -> Tensor:
        """Convert a tensor."""
        return ops.cast(tensor, self.dtype)


@dataclass(frozen=True)
class Graph:
    """A model's steps in an order in which they can run.

    Values are numbered; `input` and `output` are two of them. `shapes` holds the
    static shape of each, with None where the model leaves it open.
    """

    name: str
    steps: tuple[Step, ...]
    input: int
    output: int
    input_dtype: str
    shapes: Mapping[int, tuple[int | None, ...]]

    @cached_property
    def relevant(self) -> tuple[Step, ...]:
        """The steps on some path from the input to the output."""
        reached = {self.input}
        for step in self.steps:
            if reached & set(step.inputs):
                reached |= set(step.outputs)
        needed = {self.output}
        for step in reversed(self.steps):
            if needed & set(step.outputs):
                needed |= set(step.inputs)
        both = reached & needed
        return tuple(step for step in self.steps if both & set(step.outputs))

    @cached_property
    def cuts(self) -> frozenset[str]:
        """Paths of the steps that every path from input to output crosses.

        A step is one exactly when no value made before it is read after it.
        """
        steps = self.relevant
        relevant_values = {self.input}.union(*(step.outputs for step in steps))
        last_read = {self.output: len(steps)}
        for position, step in enumerate(steps):
            for value in step.inputs:
                last_read[value] = max(position, last_read.get(value, -1))
        found = set()
        alive_until = last_read.get(self.input, -1)
        for position, step in enumerate(steps):
            if alive_until <= position and len(step.outputs) == 1:
                found.add(step.path)
            mine = [v for v in step.outputs if v in relevant_values]
            alive_until = max([alive_until, *(last_read.get(v, -1) for v in mine)])
        return frozenset(found)

    def step(self, name: str) -> Step:
        """Find a step by its path, or by its layer's name where that is unambiguous."""
        exact = [step for step in self.steps if step.path == name]
        named = exact or [step for step in self.steps if step.path.endswith("/" + name)]
        if len(named) == 1:
            return named[0]
        if named:
            raise LayerError(
                f"layer {name!r} occurs {len(named)} times in {self.name!r}; say which: "
                + ", ".join(step.path for step in named)
            )
        paths = [step.path for step in self.steps]
        near = difflib.get_close_matches(name, paths, n=3, cutoff=0.4)
        raise LayerError(
            f"{self.name!r} has no layer {name!r}"
            + (f"; near it: {', '.join(near)}" if near else "")
            + ". `xai layers` lists them all."
        )

    def run(
        self,
        known: Mapping[int, Tensor],
        wanted: Collection[int],
        weights: Sequence[tuple[Any, Tensor]] = (),
    ) -> dict[int, Tensor]:
        """Compute the `wanted` values from the `known` ones, running only what that takes.

        Args:
            known: Tensors by the number of the value.
            wanted: Numbers of values.
            weights: Variables, and what stands in the place of each.
        """
        values = dict(known)
        # Without the scope, activity regularizers would leave the losses of this run, symbols
        # of a compiled program, in the user's layers.
        with keras.StatelessScope(weights, collect_losses=True, initialize_variables=False):
            for step in self._needed(frozenset(known), frozenset(wanted)):
                values.update(step(values))
        return {value: values[value] for value in wanted}

    def between(self, known: int, wanted: int) -> tuple[Step, ...]:
        """The steps by which one value follows from another, in order."""
        return tuple(self._needed(frozenset({known}), frozenset({wanted})))

    def _needed(self, known: frozenset[int], wanted: frozenset[int]) -> Iterator[Step]:
        """The steps by which the `wanted` values follow from the `known` ones, in order."""
        missing = set(wanted - known)
        chosen = []
        for step in reversed(self.steps):
            if missing & set(step.outputs):
                chosen.append(step)
                missing -= set(step.outputs)
                missing |= set(step.inputs) - known
        if missing:
            raise SurgeryError(
                f"{self.name!r}: part of the graph does not follow from the values given"
            )
        return reversed(chosen)

    def enter(self, images: Tensor) -> Tensor:
        """Pictures in the dtype that the model wants.

        Whole numbers have no gradient; float32 holds those of a picture exactly.
        """
        return ops.cast(images, self.input_dtype if "float" in self.input_dtype else "float32")

    def maker(self, value: int) -> Step:
        """The step that computes a value."""
        return next(step for step in self.steps if value in step.outputs)

    def shape(self, step: Step) -> tuple[int | None, ...]:
        """The static shape of a step's first output."""
        return self.shapes[step.outputs[0]]


def variables_of(graph: Graph) -> Sequence[Any]:
    """Every variable that the steps of a graph hold, each once."""
    return list({id(each): each for step in graph.steps for each in step.weights}.values())


def read_graph(model: keras.Model) -> Graph:
    """Read a model as one flat graph on its own layers.

    Raises:
        SurgeryError: the model is subclassed, not built, or has several inputs or outputs.
    """
    if not _is_graph(model):
        raise SurgeryError(
            f"{model.name!r} is a {type(model).__name__} whose `call` is code of its own, "
            f"or is not built, so its graph cannot be read; {WHAT_CAN_BE_CUT}. Give a Sequential "
            "a keras.Input as its first layer; rebuild another as keras.Model(inputs, outputs), or "
            "pass the Functional model inside it."
        )
    inputs, outputs = list(model.inputs), list(model.outputs)
    if len(inputs) != 1 or len(outputs) != 1:
        raise SurgeryError(
            f"{model.name!r} has {len(inputs)} inputs and {len(outputs)} outputs; "
            f"{WHAT_CAN_BE_CUT}. Make one with keras.Model(model.inputs[i], model.outputs[j]) "
            "or, for more inputs, fix the others to constants."
        )
    return _Reader().read(model)


def _is_graph(operation: object) -> bool:
    """Whether calling this model is running its recorded graph and nothing else."""
    if isinstance(operation, keras.Sequential):
        return operation.built and type(operation).call is keras.Sequential.call
    return isinstance(operation, Functional) and type(operation).call is Functional.call


class _Reader:
    """Numbers the values and collects the steps of one model."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._shapes: dict[int, tuple[int | None, ...]] = {}
        self._paths: dict[str, int] = {}

    def read(self, model: keras.Model) -> Graph:
        (source,) = model.inputs
        start = self._number(source)
        (end,) = self._expand(model, {id(source): start}, prefix="")
        return Graph(
            name=model.name,
            steps=tuple(self._steps),
            input=start,
            output=end,
            input_dtype=str(source.dtype),
            shapes=self._shapes,
        )

    def _number(self, tensor: Any) -> int:
        value = len(self._shapes)
        self._shapes[value] = tuple(tensor.shape)
        return value

    def _unique(self, path: str) -> str:
        """A layer that is called again gets `:2`, `:3` behind its path."""
        self._paths[path] = count = self._paths.get(path, 0) + 1
        return path if count == 1 else f"{path}:{count}"

    def _expand(self, model: keras.Model, scope: dict[int, int], prefix: str) -> tuple[int, ...]:
        """Add a model's calls; `scope` maps its symbolic tensors to values."""
        for node in _calls(model):
            if all(id(tensor) in scope for tensor in node.output_tensors):
                continue
            operation = node.operation
            given = _given(node)
            if _is_graph(operation) and len(given) == len(operation.inputs):
                path = f"{prefix}{operation.name}"
                inner = {
                    id(declared): self._enter(path, scope[id(tensor)], tensor, declared)
                    for declared, tensor in zip(operation.inputs, given, strict=True)
                }
                outputs = self._expand(operation, inner, f"{path}/")
            else:
                values = [scope[id(tensor)] for tensor in node.input_tensors]
                outputs = self._record(node, scope, values, prefix)
            scope.update(
                (id(tensor), value)
                for tensor, value in zip(node.output_tensors, outputs, strict=True)
            )
        return tuple(scope[id(tensor)] for tensor in model.outputs)

    def _enter(self, path: str, value: int, given: Any, declared: Any) -> int:
        """A nested model converts its input to the dtype that it declares."""
        if given.dtype == declared.dtype:
            return value
        entered = self._number(given)
        self._steps.append(
            Step(
                path=self._unique(f"{path}/input"),
                operation=Cast(str(declared.dtype)),
                args=(Slot(value),),
                kwargs={},
                inputs=(value,),
                outputs=(entered,),
            )
        )
        return entered

    def _record(
        self, node: Any, scope: Mapping[int, int], values: list[int], prefix: str
    ) -> tuple[int, ...]:
        args, kwargs = node.arguments.convert(
            lambda leaf: Slot(scope[id(leaf)]) if isinstance(leaf, keras.KerasTensor) else leaf
        )
        if isinstance(node.operation, keras.Layer):
            # Also where its `call` does not take it: layers inside it may.
            kwargs["training"] = False
        outputs = tuple(self._number(tensor) for tensor in node.output_tensors)
        self._steps.append(
            Step(
                path=self._unique(f"{prefix}{node.operation.name}"),
                operation=node.operation,
                args=args,
                kwargs=kwargs,
                inputs=tuple(values),
                outputs=outputs,
            )
        )
        return outputs


def _given(node: Any) -> list[Any]:
    """The tensors of a call; for a model that is given a dictionary, in the order of its inputs.

    Keras matches a dictionary with a model's list of inputs by their names.
    """
    model, arguments = node.operation, node.arguments.args
    by_name = len(arguments) == 1 and isinstance(arguments[0], dict) and _is_graph(model)
    if by_name and not (isinstance(model, Functional) and isinstance(model.input, dict)):
        return [arguments[0][declared.name] for declared in model.inputs]
    return list(node.input_tensors)


def _calls(model: keras.Model) -> list[Any]:
    """The recorded calls between a model's inputs and outputs, each after those it reads.

    Iterative: a deep network would exhaust Python's stack.
    """
    known = {id(tensor) for tensor in model.inputs}
    done: set[int] = set()
    order: list[Any] = []
    pending = [(tensor, False) for tensor in reversed(model.outputs)]
    while pending:
        tensor, expanded = pending.pop()
        if id(tensor) in known:
            continue
        history = tensor._keras_history
        node = history.operation._inbound_nodes[history.node_index]
        if id(node) in done:
            continue
        if expanded:
            done.add(id(node))
            order.append(node)
        else:
            pending.append((tensor, True))
            pending.extend((source, False) for source in reversed(node.input_tensors))
    return order
