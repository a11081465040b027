"""The gradient core: maps of a few methods for some pictures, against a forward pass of them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from types import MappingProxyType
from typing import Any

from benchmarks.bench import Bench, until_compiled
from benchmarks.results import Measurement
from benchmarks.scenario import Scenario
from benchmarks.settings import Extent
from benchmarks.timing import Way
from benchmarks.work import forward_work

GROUP = "core"
FORWARD = "forward"
FIVE = ("grad-cam", "grad-cam++", "hirescam", "layercam", "xgrad-cam")
"""Class activation maps that differ only in what they make of one backward pass."""

CALLS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "Grad-CAM": {"methods": ["grad-cam"]},
        "five CAMs": {"methods": FIVE},
        "five CAMs x 5 classes": {"methods": FIVE, "top": 5},
        "saliency": {"methods": ["saliency"]},
        "five CAMs + saliency": {"methods": [*FIVE, "saliency"]},
    }
)
"""What is asked for, by what it is called."""


def scenarios(extent: Extent) -> Iterator[Scenario]:
    """One for each model and batch."""
    for model in extent.models:
        for batch in extent.batches:
            yield Scenario(
                GROUP,
                f"{model}/batch-{batch}",
                "Grad-CAM, five CAMs, five classes, saliency, against a forward pass",
                partial(measure, model=model, batch=batch),
            )


def measure(bench: Bench, model: str, batch: int) -> tuple[Measurement, ...]:
    """Time them in turns."""
    return bench.alternate(ways(bench, model, batch))


def ways(bench: Bench, model: str, batch: int) -> list[Way]:
    """The forward pass, and each call."""
    spec = bench.spec(model)
    study, pictures = bench.study(spec), bench.pictures(spec, batch)
    found = [forward(bench, model, batch)]
    for what, asked in CALLS.items():
        found.append(maps(what, bench.explain(study, pictures, **asked), batch))
    return found


def maps(
    what: str, call: Callable[[], Any], batch: int, facts: Mapping[str, Any] | None = None
) -> Way:
    """A call of ours for some pictures; what it compiles later is compiled before it counts."""
    return Way(what, call, FORWARD, batch, facts=facts or {}, more_warm_ups=until_compiled(batch))


def forward(bench: Bench, model: str, batch: int) -> Way:
    """What all is set against: one pass, and how much it has to do."""
    spec = bench.spec(model)
    call = bench.forward(spec, bench.fed(spec, batch))
    facts = asdict(forward_work(bench.model(spec), batch))
    return Way(FORWARD, call, share=batch, facts=facts)
