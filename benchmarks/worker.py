"""A process that measures: it reads a task on stdin, and says on stdout what happens, in JSON."""

import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.bench import Bench
from benchmarks.results import Measurement, Result
from benchmarks.scenarios import scenarios
from benchmarks.settings import Conditions, Extent
from benchmarks.timing import reason
from xai_core.errors import XaiError


def main() -> None:
    """Do what the task says."""
    say = _speaker()
    task = json.load(sys.stdin)
    conditions = Conditions.read(task["conditions"])
    try:
        machine.confine(conditions)
        if "scenarios" in task:
            _measure(conditions, task, say)
        else:
            say({"environment": machine.environment(conditions)})
    except XaiError as error:
        say({"refused": str(error)})


def _measure(conditions: Conditions, task: dict[str, Any], say: Callable[[Any], None]) -> None:
    """Measure one scenario after the other."""
    extent = Extent.read(task["extent"])
    known = {each.name: each for each in scenarios(extent)}

    def tell(done: int, total: int, what: str) -> None:
        say({"done": done, "total": total, "what": what})

    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(conditions, extent, Path(folder), tell)
        for name in task["scenarios"]:
            say({"begun": name})
            load, started = machine.load(), time.perf_counter()
            failure: str | None = None
            measurements: tuple[Measurement, ...] = ()
            try:
                measurements = tuple(known[name].measure(bench))
            except Exception as error:  # noqa: BLE001 - a scenario that fails is a result
                traceback.print_exc()
                failure = reason(error)
            result = Result(
                name,
                task["environment"],
                measurements,
                datetime.now(UTC).isoformat(timespec="seconds"),
                round(time.perf_counter() - started, 1),
                load,
                failure,
            )
            say({"result": asdict(result)})


def _speaker() -> Callable[[Any], None]:
    """Keep stdout for ourselves: what libraries print goes to stderr."""
    mine = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(message: Any) -> None:
        print(json.dumps(message, allow_nan=False), file=mine, flush=True)

    return say


if __name__ == "__main__":
    main()
