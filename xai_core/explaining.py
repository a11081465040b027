"""From what was read to maps: each explainer on its own share, alone or several as one program."""

import sys
import traceback
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from keras import ops

from xai_core.backends import BACKENDS
from xai_core.errors import ExplainerError, UndeclaredNeedError, XaiError
from xai_core.evidence import Attribution, Evidence, Oracle
from xai_core.interfaces import Explainer
from xai_core.needs import Needs
from xai_core.probe import AT_INPUT, Key, backend
from xai_core.typing import FloatArray, Tensor


@dataclass(frozen=True)
class Found:
    """What was read of N pictures, for one target of each."""

    inputs: Tensor
    """(N, H, W, C)."""
    targets: Tensor
    """Class indices, int32 (N,)."""
    score: Tensor
    """(N,)."""
    readings: Mapping[Key, Tensor]

    def first(self, count: int) -> "Found":
        """Without what a short batch was filled up with."""
        if self.targets.shape[0] == count:
            return self
        return Found(
            self.inputs[:count],
            self.targets[:count],
            self.score[:count],
            {key: value[:count] for key, value in self.readings.items()},
        )


_AT_LAYERS = (Needs.ACTIVATIONS, Needs.ACTIVATION_GRADIENTS)


@dataclass(frozen=True)
class Task:
    """An explainer at the layers that one map of it works on."""

    explainer: Explainer
    layers: tuple[str, ...]
    """Their paths, shallow to deep."""

    @property
    def keys(self) -> tuple[Key, ...]:
        """What is read for it, and where."""
        needs = self.explainer.needs
        at_layers = [need for need in _AT_LAYERS if need in needs]
        by_input = [need for need in (Needs.INPUT_GRADIENTS,) if need in needs]
        return (
            *((need, layer) for layer in self.layers for need in at_layers),
            *((need, AT_INPUT) for need in by_input),
        )

    @property
    def identity(self) -> Hashable:
        """Equal for explainers that make the same maps, whatever they count as their equals."""
        each = (getattr(self.explainer, field.name) for field in fields(self.explainer))  # type: ignore[arg-type]
        values = tuple((type(value), value) for value in each)
        return type(self.explainer), values, self.layers

    def evidence(self, found: Found, pixels: FloatArray, oracle: Oracle) -> Evidence:
        """What the explainer declared, at its layers."""
        needs = self.explainer.needs

        def at(*places: str) -> Evidence:
            return Evidence(
                explainer=self.explainer.name,
                declared=needs,
                inputs=found.inputs,
                pixels=pixels,
                targets=found.targets,
                score=found.score,
                readings={
                    need: value
                    for (need, place), value in found.readings.items()
                    if need in needs and place in places
                },
                oracle=oracle,
            )

        if Needs.STAGES in needs:
            stages = tuple(at(path, AT_INPUT) for path in self.layers)
            return replace(at(AT_INPUT), at_layers=stages)
        return at(*self.layers, AT_INPUT)


def explained(explainer: Explainer, evidence: Evidence) -> Attribution:
    """What the explainer makes of it, as it returned it."""
    result = explainer.explain(evidence)
    return result if isinstance(result, Attribution) else Attribution(result)


def on_host(
    explainer: Explainer, source: str, make: Callable[[], Attribution], count: int
) -> Attribution:
    """Hold what is made to be maps (N, h, w), and bring it to the host.

    Args:
        explainer: Whose maps they are.
        source: Where it is from, for errors.
        make: Makes them.
        count: N.

    Raises:
        ExplainerError: it raised, or made something else.
    """
    host = backend().to_host
    who = f"explainer {explainer.name!r} of {source}"

    def each(name: str, values: Any) -> Any:
        """One number for each picture."""
        found = host(values)
        if found.shape != (count,) or found.dtype.kind not in "biuf":
            raise ExplainerError(
                f"{who} returned {name!r} as {found.dtype} of shape {found.shape}; expected "
                f"numbers of shape ({count},)"
            )
        return found

    try:
        made = make()
        maps: FloatArray = host(made.maps)
        facts = {name: each(name, values) for name, values in made.facts.items()}
        warnings = {
            kind: (message, each(kind, about)) for kind, (message, about) in made.warnings.items()
        }
    except UndeclaredNeedError as error:
        raise UndeclaredNeedError(f"{error}. It is of {source}") from error
    except XaiError:
        raise
    except (Exception, SystemExit) as error:
        if backend().is_out_of_memory(error):
            raise
        told = ": ".join(filter(None, (type(error).__name__, str(error))))
        raise ExplainerError(f"{who} raised {told}{_place(error)}") from error
    if maps.ndim != 3 or maps.shape[0] != count or maps.size == 0 or maps.dtype.kind != "f":
        is_array = maps.dtype.kind != "O"
        found = f"{maps.dtype} of shape {maps.shape}" if is_array else type(made.maps).__name__
        raise ExplainerError(
            f"{who} returned {'None' if made.maps is None else found}; expected floating maps of "
            f"shape ({count}, h, w)"
        )
    maps = maps.astype(np.float64 if maps.dtype == np.float64 else np.float32)
    maps.flags.writeable = False
    return Attribution(maps, facts, warnings)


_NOT_THE_AUTHORS = sys.stdlib_module_names | {"xai_core", "keras", "numpy", *BACKENDS}


def _place(error: BaseException) -> str:
    """Where the author's own code raised, or called what raised; nothing where it did not run."""
    own = [
        f" ({Path(frame.f_code.co_filename).name}:{line}, in {frame.f_code.co_name})"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).partition(".")[0] not in _NOT_THE_AUTHORS
    ]
    return own[-1] if own else ""


class _OnTheHost:
    """Stands for what a program has no access to."""

    def __getattr__(self, name: str) -> NoReturn:
        raise TypeError(f"{name} was read, and an explainer that is traceable reads tensors alone")

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        self.__getattr__("pixels")


_ON_THE_HOST: Any = _OnTheHost()


class Traced:
    """Traceable explainers as one program, for one target of each picture.

    One call takes the place of dozens, one for each of their operations. An explainer
    that cannot be traced after all is left out; run by itself, it may do, or says what
    is wrong.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks
        self._keys = tuple(dict.fromkeys(key for task in tasks for key in task.keys))
        self._messages: dict[int, Mapping[str, str]] = {}
        self._program = backend().compiled(self._trace)
        self._to_host = backend().to_host

    def __call__(self, found: Found, count: int) -> Sequence[Attribution | None]:
        """The maps of each task on the host; None where it could not be traced.

        Args:
            found: What was read.
            count: How many of the pictures there are; the others filled up a short batch.
        """
        tensors = (found.readings[key] for key in self._keys)
        made = self._program(found.inputs, found.targets, found.score, *tensors)
        return [
            self._attribution(number, made[str(number)], count) if str(number) in made else None
            for number in range(len(self._tasks))
        ]

    def _attribution(self, number: int, made: Mapping[str, Any], count: int) -> Attribution:
        def cut(tensor: Tensor) -> Any:
            return self._to_host(tensor)[:count]

        messages = self._messages[number]
        return Attribution(
            cut(made["maps"]),
            {name: cut(values) for name, values in made["facts"].items()},
            {kind: (messages[kind], cut(about)) for kind, about in made["warnings"].items()},
        )

    def _trace(
        self, _: Any, inputs: Tensor, targets: Tensor, score: Tensor, *tensors: Tensor
    ) -> dict[str, Any]:
        found = Found(inputs, targets, score, dict(zip(self._keys, tensors, strict=True)))
        made = {}
        for number, task in enumerate(self._tasks):
            evidence = task.evidence(found, _ON_THE_HOST, _ON_THE_HOST)
            try:
                one = explained(task.explainer, evidence)
                made[str(number)] = {
                    "maps": ops.convert_to_tensor(one.maps),
                    "facts": _tensors(one.facts),
                    "warnings": _tensors(
                        {kind: about for kind, (_, about) in one.warnings.items()}
                    ),
                }
            except (Exception, SystemExit) as error:
                if backend().is_out_of_memory(error):
                    raise
                continue
            self._messages[number] = {kind: told for kind, (told, _) in one.warnings.items()}
        return made


def _tensors(values: Mapping[str, Any]) -> dict[str, Tensor]:
    return {name: ops.convert_to_tensor(value) for name, value in values.items()}
