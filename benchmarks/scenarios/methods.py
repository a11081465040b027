"""Every installed method that takes few passes, by itself."""

from collections.abc import Iterator
from functools import partial

from benchmarks.bench import SWEEP, Bench
from benchmarks.results import Measurement
from benchmarks.scenario import Scenario
from benchmarks.scenarios.core import forward, maps
from benchmarks.settings import Extent

GROUP = "each-method"
FEW = 1
"""Queries that a method may make."""


def scenarios(extent: Extent) -> Iterator[Scenario]:
    """One for each model."""
    for model in extent.models:
        yield Scenario(
            GROUP,
            model,
            f"every installed method of at most {FEW} query, against a forward pass",
            partial(measure, model=model),
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
            ways.append(maps(name, call, 1, {"cost": cost(entry.item)}))
    return bench.alternate(ways, SWEEP)
