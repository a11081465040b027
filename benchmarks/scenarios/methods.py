"""Every installed method that takes few passes, by itself."""

from collections.abc import Iterator
from functools import partial

from benchmarks.bench import SWEEP, Bench
from benchmarks.results import Measurement
from benchmarks.scenario import Scenario
from benchmarks.scenarios.core import FORWARD, forward
from benchmarks.settings import Extent
from benchmarks.timing import Way

GROUP = "each-method"
FEW = 1
"""Queries that a method may make."""


def scenarios(extent: Extent) -> Iterator[Scenario]:
    """One."""
    yield Scenario(
        GROUP,
        extent.sweep_model,
        f"every installed method of at most {FEW} query, against a forward pass",
        partial(measure, model=extent.sweep_model),
    )


def measure(bench: Bench, model: str) -> tuple[Measurement, ...]:
    """Time them in turns."""
    from xai_core import Registry
    from xai_core.cost import cost

    spec = bench.spec(model)
    study, pictures = bench.study(spec), bench.pictures(spec, 1)
    ways = [forward(bench, model, 1)]
    for name, entry in Registry.discover().explainers.items():
        if entry.item.queries is not None and entry.item.queries <= FEW:
            call = bench.explain(study, pictures, [name])
            ways.append(Way(name, call, FORWARD, facts={"cost": cost(entry.item)}))
    return bench.alternate(ways, SWEEP)
