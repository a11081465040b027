"""The machine and the code: how a process is held to some cores, and what a number depends on."""

import hashlib
import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks import frameworks
from benchmarks.frameworks import Framework
from benchmarks.settings import POLICIES, Conditions
from xai_core import backends
from xai_core.errors import UsageError

_DISTRIBUTIONS = ("xai-core", "keras", "numpy", "openvino")
"""On every backend."""
_INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "bf16", "sve")
"""Of the processor's flags, those that decide how fast it multiplies."""
_SOURCES = ("xai_core", "xai_plugins")


def available() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def variables(conditions: Conditions) -> dict[str, str]:
    """What must be in the environment before a framework is first imported, whichever it is."""
    hidden = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    return {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "KERAS_BACKEND": conditions.backend,
        "OMP_NUM_THREADS": str(conditions.threads),
        "MPLBACKEND": "Agg",
        # Else JAX takes most of the GPU at once, and the processes beside it find none left.
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        **(hidden if conditions.device == "cpu" else {}),
    }


def confine(conditions: Conditions) -> None:
    """Hold this process and those it starts to some cores and a backend; before it is imported.

    Raises:
        UsageError: there are not so many, or the backend is not installed.
    """
    backends.choose(conditions.backend)
    if conditions.threads > available():
        raise UsageError(
            f"received threads {conditions.threads}; expected at most {available()}, the cores "
            "that this process may use"
        )
    os.environ.update(variables(conditions))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: conditions.threads])


def framework(conditions: Conditions) -> Framework:
    """The backend's framework, held to the conditions; once, and before it has run anything.

    Raises:
        UsageError: there is no GPU, where one was asked for.
    """
    found = frameworks.framework(conditions.backend)
    found.hold(conditions)
    if conditions.device == "gpu" and not found.gpus():
        raise UsageError(
            f"received device 'gpu', and {found.NAME} finds none; expected one that it can use: "
            f"install {found.CUDA}, or measure with --device cpu"
        )
    if conditions.dtype != "float32":
        import keras

        keras.config.set_dtype_policy(POLICIES[conditions.dtype])
    if conditions.tf32:
        allow_tf32(found)
    return found


def allow_tf32(framework: Framework) -> None:
    """Have studies of this process multiply in TF32, which they refuse on JAX and torch."""
    from xai_core.probe import backend

    module = backend()
    precise = module.precise

    @contextmanager
    def coarse() -> Iterator[None]:
        with precise(), framework.coarse():
            yield

    module.precise = coarse  # type: ignore[attr-defined]


def environment(conditions: Conditions) -> dict[str, Any]:
    """All that a number depends on, as plain data; nothing in it names the machine or its user."""
    from xai_core.engines import ENGINES

    if conditions.engine not in ENGINES:
        raise UsageError(
            f"received engine {conditions.engine!r}; expected one of {', '.join(ENGINES)}"
        )
    held = framework(conditions)
    gpus = list(held.gpus())
    return {
        "conditions": asdict(conditions),
        "machine": {
            "system": platform.system(),
            "processor": processor(),
            "instructions": instructions(),
            "memory_gib": _memory(),
            "gpus": gpus,
            "tf32": bool(gpus) and held.tf32(),
        },
        "versions": {"python": platform.python_version(), **versions(held.DISTRIBUTIONS)},
        "source": source(),
    }


def key(environment: dict[str, Any]) -> str:
    """A short name for an environment: another one has another."""
    text = json.dumps(environment, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def processor() -> str:
    """What the processor calls itself."""
    found = dict(re.findall(r"^(.+?)\s*:\s*(.*)$", _processors(), re.MULTILINE)[::-1])
    name = found.get("model name") or platform.processor() or platform.machine()
    family = f", family {found['cpu family']}, model {found['model']}" if "model" in found else ""
    return f"{name}{family}"


def instructions() -> list[str]:
    """The instruction sets that decide how fast it multiplies."""
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", _processors(), re.MULTILINE)
    have = set(flags[1].split()) if flags else set()
    return [each for each in _INSTRUCTIONS if each in have]


def versions(more: Iterable[str] = ()) -> dict[str, str]:
    """Of what is installed, of what counts on every backend and more."""
    found = {}
    for name in (*_DISTRIBUTIONS, *more):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def source() -> str:
    """A digest of the code that is measured."""
    import importlib.util

    digest = hashlib.sha256()
    for package in _SOURCES:
        spec = importlib.util.find_spec(package)
        for folder in spec.submodule_search_locations or () if spec else ():
            for path in sorted(Path(folder).rglob("*.py")):
                digest.update(path.relative_to(folder).as_posix().encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def load() -> float:
    """How many processes wanted to run in the last minute, on average."""
    return round(os.getloadavg()[0], 2)


def resident() -> float:
    """MiB of memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def peak() -> float:
    """The most MiB of memory that this process ever held."""
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (2**20 if sys.platform == "darwin" else 2**10)


def _memory() -> int:
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30)


def _processors() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.exists() else ""
