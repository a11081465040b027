"""What more methods and more classes add to a call that has one."""

from collections.abc import Iterator
from functools import partial

from benchmarks.bench import SWEEP, Bench
from benchmarks.results import Measurement
from benchmarks.scenario import Scenario
from benchmarks.scenarios.core import FIVE, forward, maps
from benchmarks.settings import Extent

METHODS = "methods"
CLASSES = "classes"


def scenarios(extent: Extent) -> Iterator[Scenario]:
    """Methods, and classes."""
    model = extent.sweep_model
    yield Scenario(
        METHODS,
        model,
        f"one to {len(FIVE)} CAMs of one pass",
        partial(measure_methods, model=model),
    )
    yield Scenario(
        CLASSES,
        model,
        f"Grad-CAM for one to {max(extent.classes)} classes",
        partial(measure_classes, model=model, counts=extent.classes),
    )


def measure_methods(bench: Bench, model: str) -> tuple[Measurement, ...]:
    """The first one, the first two, and so on."""
    spec = bench.spec(model)
    study, pictures = bench.study(spec), bench.pictures(spec, 1)
    ways = [forward(bench, model, 1)]
    for count in range(1, len(FIVE) + 1):
        call = bench.explain(study, pictures, FIVE[:count])
        ways.append(maps(f"{count}", call, 1, {"at": count}))
    return bench.alternate(ways, SWEEP)


def measure_classes(bench: Bench, model: str, counts: tuple[int, ...]) -> tuple[Measurement, ...]:
    """The classes of highest score."""
    spec = bench.spec(model)
    study, pictures = bench.study(spec), bench.pictures(spec, 1)
    ways = [forward(bench, model, 1)]
    for count in counts:
        call = bench.explain(study, pictures, ["grad-cam"], top=count)
        ways.append(maps(f"{count}", call, 1, {"at": count}))
    return bench.alternate(ways, SWEEP)
