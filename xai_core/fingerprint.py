"""What a number depends on, told so that another process can see whether it is the same."""

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import tree

from xai_core.errors import UsageError
from xai_core.interfaces import Explainer, Metric
from xai_core.parameters import parameters
from xai_core.references import REFERENCES
from xai_core.surgery import Graph, Step, read_graph
from xai_core.surgery.graph import Slot

if TYPE_CHECKING:
    from xai_core.registry import Registry
    from xai_core.study import Study

_TOLD = (
    *("input_size", "channels", "fit", "input_dtype", "engine", "backend", "device"),
    *("score", "weights_sha256"),
)
"""What `Study.origin` says that a number depends on, and not what things are called."""

_VERSIONED = ("keras", "xai_core", "tensorflow", "jax", "torch", "builtins", "abc")
"""Packages whose code is told by their version, which every setting holds."""


def of_study(study: "Study") -> dict[str, Any]:
    """Model, preprocessing, score and versions, as plain data for JSON.

    Names of layers, classes and files do not count; what the preprocessing is, is told by what
    it makes of a picture.

    Raises:
        UsageError: the weights are not those of the beginning any more.
    """
    origin: Mapping[str, Any] = {**study.origin(), "score": study.score}
    if origin["weights_changed"]:
        raise UsageError(
            f"the weights of {study.name!r} have changed since the study was made, so that what is "
            "measured cannot be told apart by them; expected a study of the model as it is. Make a "
            "new Study"
        )
    versions = {name: each for name, each in origin["versions"].items() if name != "python"}
    return {
        **{name: origin[name] for name in _TOLD},
        "structure": _structure(study),
        "preprocessing": _preprocessing(study),
        "versions": versions,
    }


def _structure(study: "Study") -> str:
    """A hash of the layers, what they are set to, and how they are connected."""
    graph: Graph = read_graph(study._loaded.model)
    return digest([_step(each) for each in graph.steps])


def _step(step: Step) -> list[Any]:
    operation = step.operation
    config: Mapping[str, Any] = {}
    with suppress(Exception):  # anyone's code; an operation may have none
        config = operation.get_config()  # type: ignore[attr-defined]  # where it has one
    return [
        step.kind,
        {name: value for name, value in config.items() if name not in ("name", "trainable")},
        code(type(operation)),
        tree.map_structure(_leaf, (step.args, dict(step.kwargs))),
        list(step.outputs),
    ]


def _leaf(value: Any) -> Any:
    """A value of a call, as plain data."""
    if isinstance(value, Slot):
        return f"value {value.value}"
    if isinstance(value, (str, int, float, type(None))):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        return [str(value.dtype), list(value.shape), hashlib.sha256(value.tobytes()).hexdigest()]
    return repr(value)


def _preprocessing(study: "Study") -> str:
    """A hash of what is made of a picture of all values."""
    made = study.input
    height, width = made.size
    count = height * width * made.channels
    ramp = (np.arange(count, dtype=np.float32) * 7919 % 256).reshape(1, height, width, -1)
    fed = np.asarray(made.feed(ramp))
    return hashlib.sha256(f"{fed.dtype} {fed.shape}".encode() + fed.tobytes()).hexdigest()


def of_item(item: Explainer | Metric, registry: "Registry") -> dict[str, Any]:
    """A method or metric: its name, parameters, version and code, as plain data for JSON."""
    return {
        "name": item.name,
        "parameters": {each.name: _value(each.value, registry) for each in parameters(item)},
        "source": str(registry.source_of(item)),
        "code": code(type(item)),
    }


def _value(value: Any, registry: "Registry") -> Any:
    if isinstance(value, (Explainer, Metric)):
        return of_item(value, registry)
    if isinstance(value, (list, tuple)):
        return [_value(each, registry) for each in value]
    return _leaf(value)


def of_reference(name: str) -> dict[str, Any]:
    """A map that knows nothing of the model: its name and its code."""
    return {"name": name, "parameters": {}, "code": _hash_of_code([REFERENCES[name]])}


def code(of: type) -> str | None:
    """A hash of the code of a class and of those that it is made from.

    What these call does not count: a package is told by its version. None where the code cannot
    be read, as that of a class which was typed in.
    """
    return _hash_of_code(
        [each for each in of.__mro__ if each.__module__.partition(".")[0] not in _VERSIONED]
    )


def _hash_of_code(objects: Sequence[Any]) -> str | None:
    try:
        return digest([inspect.getsource(each) for each in objects])
    except (OSError, TypeError):
        return None


def digest(told: Any) -> str:
    """A hash of plain data."""
    text = json.dumps(told, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()
