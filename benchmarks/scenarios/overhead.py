"""What a call takes beyond the compiled program: reading, preparing, checking, keeping records."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from benchmarks.bench import Bench
from benchmarks.results import Measurement
from benchmarks.scenario import Scenario
from benchmarks.settings import Extent
from benchmarks.timing import Wait, Way

GROUP = "overhead"
OWN = "own time"
PROGRAM = "compiled program"


def scenarios(extent: Extent) -> Iterator[Scenario]:
    """One for each model."""
    for model in extent.models:
        yield Scenario(
            GROUP,
            model,
            "the time of a call of Grad-CAM that is not spent in the compiled program",
            partial(measure, model=model),
        )


def measure(bench: Bench, model: str) -> tuple[Measurement, ...]:
    """A whole call less what was spent in compiled programs, by a clock around each."""
    spec = bench.spec(model)
    with stopwatch(bench.wait) as watch:
        study = bench.new_study(spec, bench.conditions.engine)
        bench.show_enough(study, spec)
        explain = bench.explain(study, bench.pictures(spec, 1), ["grad-cam"])

        def call() -> float:
            watch.seconds = 0.0
            explain()
            return watch.seconds

        def program() -> float:
            """What is left when all but the program is taken off."""
            started = time.perf_counter()
            inside = call()
            return time.perf_counter() - started - inside

        return bench.alternate([Way(OWN, call, less=float), Way(PROGRAM, program, less=float)])


class Watch:
    """How long compiled programs ran."""

    def __init__(self) -> None:
        self.seconds = 0.0


@contextmanager
def stopwatch(wait: Wait) -> Iterator[Watch]:
    """Put a clock around every program that is compiled meanwhile.

    What it makes is waited for: else a caller would wait on his own time.
    """
    from xai_core.probe import backend

    module, watch = backend(), Watch()
    compiled = module.compiled

    def timed(function: Callable[..., Any], variables: Sequence[Any] = ()) -> Callable[..., Any]:
        program = compiled(function, variables)

        def run(*arguments: Any) -> Any:
            started = time.perf_counter()
            try:
                made = program(*arguments)
                wait(made)
                return made
            finally:
                watch.seconds += time.perf_counter() - started

        return run

    module.compiled = timed  # type: ignore[attr-defined]
    try:
        yield watch
    finally:
        module.compiled = compiled  # type: ignore[attr-defined]
