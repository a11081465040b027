"""Records where the time of warm calls goes."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import machine
from benchmarks.bench import Bench
from benchmarks.models import Spec
from benchmarks.scenarios import core
from benchmarks.settings import FULL, Conditions
from xai_core.errors import UsageError

_WARM_UPS = 2
_CALLS = 3


def trace(conditions: Conditions, spec: Spec, batch: int, what: str, out: Path) -> Iterator[Path]:
    """Run the calls under the framework's own profiler; the files that it wrote.

    Raises:
        UsageError: there is no such call, or the conditions cannot be met.
    """
    known = (core.FORWARD, *core.CALLS)
    if what not in known:
        raise UsageError(f"received call {what!r}; expected one of {', '.join(known)}")
    machine.confine(conditions)
    folder = out / f"{conditions.backend}-{spec.name}-batch-{batch}-{what.replace(' ', '-')}"
    folder.mkdir(parents=True, exist_ok=True)
    before = _files(folder)
    with tempfile.TemporaryDirectory() as files:
        bench = Bench(conditions, FULL, Path(files))
        ways = {each.what: each for each in core.ways(bench, spec.name, batch)}
        call = ways[what].call
        for _ in range(_WARM_UPS + ways[what].more_warm_ups):
            call()
        bench.wait()
        with bench.framework.trace(folder):
            for _ in range(_CALLS):
                bench.wait(call())
    yield from sorted(_files(folder) - before)


def _files(folder: Path) -> set[Path]:
    return {each for each in folder.rglob("*") if each.is_file()}
