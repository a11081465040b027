"""The most memory that a process holds, each task in a process of its own."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks.bench import Bench
from benchmarks.results import Measurement
from benchmarks.scenario import Scenario
from benchmarks.scenarios.core import FORWARD
from benchmarks.settings import Extent
from benchmarks.timing import reason

GROUP = "memory"
GRADIENT = "gradient"

_TASKS: tuple[tuple[str, str, dict[str, Any], str | None], ...] = (
    (FORWARD, "forward", {}, None),
    (GRADIENT, "gradient", {}, None),
    ("Grad-CAM", "explain", {"methods": ["grad-cam"]}, FORWARD),
    ("saliency", "explain", {"methods": ["saliency"]}, GRADIENT),
)


def scenarios(extent: Extent) -> Iterator[Scenario]:
    """One for each model and batch."""
    for model in extent.models:
        for batch in extent.memory_batches:
            yield Scenario(
                GROUP,
                f"{model}/batch-{batch}",
                "the peak of a process that explains, against one that only runs the model",
                partial(measure, model=model, batch=batch),
                place="lean",
            )


def measure(bench: Bench, model: str, batch: int) -> tuple[Measurement, ...]:
    """One process for each."""
    spec = bench.spec(model)
    found = []
    bench.apart("save", spec)
    tasks = [each for each in _TASKS if each[0] in bench.extent.peaks]
    for number, (what, task, options, against) in enumerate(tasks):
        bench.tell(number, len(tasks), what)
        try:
            peak = bench.apart(task, spec, batch=batch, **options)["peak"]
        except RuntimeError as error:
            found.append(Measurement(what, "MiB", against=against, failure=reason(error)))
        else:
            found.append(Measurement(what, "MiB", (peak,), against))
    return tuple(found)
