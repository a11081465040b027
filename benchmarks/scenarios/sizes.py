"""How cost goes with the pictures of a batch and with their size."""

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial

from benchmarks.bench import SWEEP, Bench
from benchmarks.results import Measurement
from benchmarks.scenario import Scenario
from benchmarks.scenarios.core import FORWARD, forward, maps
from benchmarks.settings import Extent
from benchmarks.timing import Way
from benchmarks.work import forward_work

BATCH = "batch"
SIZE = "size"
METHODS = {"Grad-CAM": "grad-cam", "saliency": "saliency"}


def scenarios(extent: Extent) -> Iterator[Scenario]:
    """A scenario for each batch and for each size, so that one can go on where another stopped."""
    model = extent.sweep_model
    for batch in extent.sweep_batches:
        yield Scenario(
            BATCH,
            f"{model}/{batch}",
            f"Grad-CAM and saliency for {batch} picture{'s' if batch > 1 else ''} to a call",
            partial(measure_batch, model=model, batch=batch),
        )
    for size in extent.sizes:
        yield Scenario(
            SIZE,
            f"{model}/{size}",
            f"Grad-CAM and saliency for a picture of {size} x {size}",
            partial(measure_size, model=model, size=size),
        )


def measure_batch(bench: Bench, model: str, batch: int) -> tuple[Measurement, ...]:
    """At the model's own size."""
    spec = bench.spec(model)
    study, pictures = bench.study(spec), bench.pictures(spec, batch)
    ways = [forward(bench, model, batch)]
    for what, method in METHODS.items():
        ways.append(maps(what, bench.explain(study, pictures, [method]), batch, {"at": batch}))
    return bench.alternate(ways, SWEEP, warm_ups=1)


def measure_size(bench: Bench, model: str, size: int) -> tuple[Measurement, ...]:
    """The same architecture, built for pictures of that size."""
    spec = bench.spec(model).at(size)
    study, pictures = bench.study(spec), bench.pictures(spec, 1)
    call = bench.forward(spec, bench.fed(spec, 1))
    ways = [Way(FORWARD, call, facts=asdict(forward_work(bench.model(spec), 1)))]
    for what, method in METHODS.items():
        ways.append(maps(what, bench.explain(study, pictures, [method]), 1, {"at": size}))
    return bench.alternate(ways, SWEEP, warm_ups=1)
