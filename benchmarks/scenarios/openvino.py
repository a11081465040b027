"""What OpenVINO makes of the passes that need no gradient, in float32 and in bfloat16."""

import importlib.util
from collections.abc import Iterator
from functools import partial

import numpy as np

from benchmarks.bench import Bench
from benchmarks.models import Spec
from benchmarks.results import Measurement, failed
from benchmarks.scenario import PLAIN, Only, Scenario
from benchmarks.scenarios.core import forward, maps
from benchmarks.settings import Extent
from benchmarks.timing import reason
from xai_core.errors import UsageError
from xai_core.rank_correlation import spearman

GROUP = "openvino"
ONLY: Only = {"backend": ("tensorflow",), "device": ("cpu",), **PLAIN}
"""It reads TensorFlow's programs."""
ENGINES = ("openvino", "openvino-bf16")
ORDER = "order of the places, bfloat16"


def called(engine: str) -> str:
    """Grad-CAM by an engine."""
    return f"Grad-CAM, {engine}"


def missing() -> str | None:
    """Why there is nothing to measure."""
    if importlib.util.find_spec("openvino") is None:
        return "not installed: openvino"
    return None


def scenarios(extent: Extent) -> Iterator[Scenario]:
    """One for each model and batch, and for models whose weights are no noise, the order."""
    for model in extent.models:
        for batch in extent.batches:
            yield Scenario(
                GROUP,
                f"{model}/batch-{batch}",
                "Grad-CAM by OpenVINO, against a forward pass by TensorFlow",
                partial(measure, model=model, batch=batch),
                only=ONLY,
            )
    for model in extent.ranked_models:
        yield Scenario(
            GROUP,
            f"{model}/order",
            "whether bfloat16 keeps the order of the places of a map",
            partial(measure_order, model=model),
            only=ONLY,
        )


def measure(bench: Bench, model: str, batch: int) -> tuple[Measurement, ...]:
    """Time them in turns; and what bfloat16 does to the maps."""
    names = [called(engine) for engine in ENGINES]
    if why := missing():
        return failed(names, why)
    spec = bench.spec(model)
    pictures = bench.pictures(spec, batch)
    ways, refused = [forward(bench, model, batch)], []
    for engine, what in zip(ENGINES, names, strict=True):
        try:
            study = bench.study(spec, engine)
        except UsageError as error:  # not every CPU computes in bfloat16
            refused.append(Measurement(what, failure=reason(error)))
        else:
            ways.append(maps(what, bench.explain(study, pictures, ["grad-cam"]), batch))
    return (*bench.alternate(ways), *refused, order(bench, spec))


def measure_order(bench: Bench, model: str) -> tuple[Measurement, ...]:
    """Of one model."""
    if why := missing():
        return failed([ORDER], why)
    return (order(bench, bench.spec(model)),)


def order(bench: Bench, spec: Spec, pictures: int = 8) -> Measurement:
    """Spearman's rank correlation of each Grad-CAM in bfloat16 with the same in float32."""
    given = bench.pictures(spec, pictures)
    try:
        fine = bench.explain(bench.study(spec, "openvino"), given, ["grad-cam"])()
        targets = [each.target.index for each in fine]
        found = []
        for picture, target, one in zip(given, targets, fine, strict=True):
            coarse = bench.study(spec, "openvino-bf16").explain(picture, target=target)
            if np.ptp(one.map):
                found.append(spearman(one.map, coarse.map) or 0.0)  # what is level has no order
    except Exception as error:  # noqa: BLE001 - a way that fails is a result
        return Measurement(ORDER, failure=reason(error))
    weights = "random" if spec.weights in (None, "random") else spec.weights
    if not found:
        return Measurement(ORDER, failure="every map is level: there is no order")
    return Measurement(ORDER, "1", tuple(found), facts={"weights": weights, "lowest": min(found)})
