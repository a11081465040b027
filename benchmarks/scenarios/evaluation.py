"""Evaluation: deletion and insertion, of what the forward passes alone would take."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks.bench import SWEEP, Bench, until_compiled
from benchmarks.results import Measurement
from benchmarks.scenario import PLAIN, Scenario
from benchmarks.scenarios.core import FIVE, FORWARD
from benchmarks.settings import Extent
from benchmarks.timing import Way

GROUP = "evaluation"
PICTURES = 32
"""To the forward pass that questions are set against."""
BOTH = "deletion and insertion of five CAMs, a question"


def scenarios(extent: Extent) -> Iterator[Scenario]:
    """One: its calls take a minute each."""
    yield Scenario(
        GROUP,
        extent.sweep_model,
        f"five CAMs and four reference maps, deletion and insertion at {extent.steps} steps on "
        f"one picture, by what it asks: of a picture's share of a forward pass of {PICTURES}",
        partial(measure, model=extent.sweep_model, steps=extent.steps),
        only=PLAIN,
    )


def measure(bench: Bench, model: str, steps: int) -> tuple[Measurement, ...]:
    """Time a whole evaluation, and the forward pass, in turns."""
    spec = bench.spec(model)
    forward = bench.forward(spec, bench.fed(spec, PICTURES))
    study = bench.study(spec)
    both = [study.registry.metric(each, steps=steps) for each in ("deletion", "insertion")]
    (picture,) = bench.pictures(spec, 1)

    def evaluate() -> Any:
        found = study.evaluate(picture, FIVE, both)
        for failure in found.failures:
            raise RuntimeError(failure.message)
        return found

    # Its maps are compiled for here: a call of the whole takes too long to be made so often.
    explain = bench.explain(study, [picture], FIVE)
    for _ in range(1 + until_compiled(1)):
        explain()
    found = evaluate()
    facts = {
        "asked": sum(each.asked for each in found.measurements),
        "run": found.queries,
        "steps": steps,
    }
    ways = (
        Way(FORWARD, forward, share=PICTURES),
        Way(BOTH, evaluate, FORWARD, found.queries, facts=facts),
    )
    # A call is dozens of passes, so that one is warm-up enough.
    return bench.alternate(ways, SWEEP, warm_ups=1)
