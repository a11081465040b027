"""A task in a process of its own, for its memory: `python -m benchmarks.apart JSON`."""

import ctypes
import gc
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from benchmarks import machine
from benchmarks.bench import Bench
from benchmarks.models import Spec
from benchmarks.settings import FULL, Conditions

Task: TypeAlias = Callable[[Bench, Spec, Mapping[str, Any]], Any]

_CALLS = 3
"""As many are enough for the most memory that a call takes."""


def main(text: str) -> None:
    """Run the task that the text says, and print what it found."""
    asked = json.loads(text)
    conditions = Conditions.read(asked["conditions"])
    machine.confine(conditions)
    bench = Bench(conditions, FULL, Path(asked["folder"]))
    found = TASKS[asked["task"]](bench, bench.spec(asked["model"]), asked)
    bench.wait()
    print(json.dumps({"peak": _peak(bench), "found": found}))


def _peak(bench: Bench) -> float:
    """The most MiB that were held: of the GPU's memory where there is one."""
    if bench.conditions.device == "gpu":
        return bench.framework.peak()
    return machine.peak()


# ---------------------------------------------------------------------------------------
# Peaks


def _save(bench: Bench, spec: Spec, _: Mapping[str, Any]) -> None:
    """Only the model's file, for those who read it."""
    _file(bench, spec)


def _file(bench: Bench, spec: Spec) -> Path:
    """The model as a file: how weights are drawn is nobody's to compare."""
    bench.hold()
    path: Path = spec.at(spec.size).source(bench.folder)["model"]
    return path


def _load(bench: Bench, spec: Spec) -> Any:
    """The model, read from its file as anyone would."""
    import keras

    return keras.saving.load_model(_file(bench, spec), compile=False)


def _forward(bench: Bench, spec: Spec, asked: Mapping[str, Any]) -> None:
    """A forward pass and nothing else."""
    _run(bench, bench.framework.forward(_load(bench, spec)), spec, asked)


def _gradient(bench: Bench, spec: Spec, asked: Mapping[str, Any]) -> None:
    """The gradient of the first logit by the input, as the framework makes it."""
    _run(bench, bench.framework.gradient(_load(bench, spec)), spec, asked)


def _run(bench: Bench, program: Any, spec: Spec, asked: Mapping[str, Any]) -> None:
    images = bench.noise(spec, asked["batch"])
    for _ in range(_CALLS):
        bench.array(program(images))


def _explain(bench: Bench, spec: Spec, asked: Mapping[str, Any]) -> None:
    """Maps, by a study."""
    own, batch, methods = spec.at(spec.size), asked["batch"], asked["methods"]
    study = bench.new_study(own, bench.conditions.engine)
    # More at once would be the peak of a small batch, other methods that of their programs.
    bench.show_enough(study, own, batch, methods)
    call = bench.explain(study, bench.pictures(spec, batch), methods)
    for _ in range(_CALLS):
        call()


# ---------------------------------------------------------------------------------------
# Growth: MiB held after each step


def _calls(bench: Bench, spec: Spec, asked: Mapping[str, Any]) -> list[float]:
    """Many maps by one study."""
    study = bench.study(spec)
    return _held(bench.explain(study, bench.pictures(spec, 1), ["grad-cam"]), asked)


def _forwards(bench: Bench, spec: Spec, asked: Mapping[str, Any]) -> list[float]:
    """As many forward passes."""
    call = bench.forward(spec, bench.noise(spec, 1))
    return _held(lambda: bench.array(call()), asked)


def _studies(bench: Bench, spec: Spec, asked: Mapping[str, Any]) -> list[float]:
    """Studies that make a map by each way back, to a layer and to the input, and are dropped."""
    own, pictures = spec.at(spec.size), bench.pictures(spec, 1)

    def make_and_drop() -> None:
        study = bench.new_study(own, bench.conditions.engine)
        bench.explain(study, pictures, ["grad-cam", "saliency"])()

    return _held(make_and_drop, asked)


def _programs(bench: Bench, spec: Spec, asked: Mapping[str, Any]) -> list[float]:
    """Models that are loaded, compiled forwards and back, run and dropped, without xai-core."""
    images = bench.noise(spec, 1)

    def make_and_drop() -> None:
        model = _load(bench, spec)
        for program in (bench.framework.forward(model), bench.framework.gradient(model)):
            bench.array(program(images))

    return _held(make_and_drop, asked)


def _held(step: Callable[[], Any], asked: Mapping[str, Any]) -> list[float]:
    found = []
    rounds, count = asked["rounds"], asked["count"]
    for number in range(rounds):
        # As many in each round as can be, and `count` in all of them.
        for _ in range(count * number // rounds, count * (number + 1) // rounds):
            step()
        gc.collect()
        _return_free_memory()
        found.append(machine.resident())
    return found


def _return_free_memory() -> None:
    """Give back what the allocator keeps for later, which is no leak."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "save": _save,
        "forward": _forward,
        "gradient": _gradient,
        "explain": _explain,
        "calls": _calls,
        "forwards": _forwards,
        "studies": _studies,
        "programs": _programs,
    }
)

if __name__ == "__main__":
    main(sys.argv[1])
