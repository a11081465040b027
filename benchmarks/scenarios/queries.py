"""Methods that ask: what one question costs, of a picture's share of a large forward pass."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from benchmarks.bench import Bench
from benchmarks.models import Spec
from benchmarks.results import Measurement, failed
from benchmarks.scenario import Scenario, left_out
from benchmarks.scenarios import openvino
from benchmarks.scenarios.core import FORWARD
from benchmarks.settings import Extent
from benchmarks.timing import Way

GROUP = "queries"
PICTURES = 32
"""To the forward pass that a query is a share of."""
METHODS = ("RISE", "Occlusion", "Score-CAM")
CHANNELS = 64
"""Score-CAM asks about each, and about a black picture. With the thousands of channels of a last
layer it would take minutes a call; with a few, more of its passes is filled up."""


def by_openvino(method: str) -> str:
    """A method whose questions OpenVINO answers."""
    return f"{method}, openvino"


def scenarios(extent: Extent) -> Iterator[Scenario]:
    """One for each model."""
    for model in extent.models:
        yield Scenario(
            GROUP,
            model,
            f"a query of {', '.join(METHODS)}, of a forward pass of {PICTURES} pictures",
            partial(measure, model=model),
        )


def measure(bench: Bench, model: str) -> tuple[Measurement, ...]:
    """Time them in turns."""
    spec = bench.spec(model)
    call = bench.forward(spec, bench.fed(spec, PICTURES))
    ways = [Way(FORWARD, call, share=PICTURES), *_ways(bench, spec)]
    skipped: tuple[Measurement, ...] = ()
    if left_out(openvino.ONLY, bench.conditions):
        pass
    elif why := openvino.missing():
        skipped = failed(map(by_openvino, METHODS), why)
    else:
        ways += [
            replace(each, what=by_openvino(each.what)) for each in _ways(bench, spec, "openvino")
        ]
    # A call is several passes, or at least one that is full, so that one is warm-up enough.
    return (*bench.alternate(ways, warm_ups=1), *skipped)


def _ways(bench: Bench, spec: Spec, engine: str | None = None) -> Iterator[Way]:
    """Each method, by the questions that it asks."""
    from xai_core import explainer
    from xai_core.room import QUERY_BATCH

    study, picture = bench.study(spec, engine), bench.pictures(spec, 1)
    asked: tuple[tuple[Any, dict[str, Any], int], ...] = (
        (explainer("rise", masks=QUERY_BATCH), {}, QUERY_BATCH),
        (explainer("occlusion"), {}, _windows(spec.size)),
        (explainer("score-cam"), {"layers": [spec.thin]}, CHANNELS + 1),
    )
    for what, (method, options, queries) in zip(METHODS, asked, strict=True):
        facts = {"queries": queries, "to a pass": QUERY_BATCH}
        yield _way(what, bench.explain(study, picture, [method], **options), queries, facts)


def _windows(size: int) -> int:
    """As many as Occlusion lays over a square picture by itself."""
    side = max(1, round(size / 7))
    along = 1 - (side - size) // max(1, side // 2)  # the last one lies against the end
    return along**2


def _way(what: str, explain: Callable[[], Any], queries: int, facts: dict[str, Any]) -> Way:
    """A call, less the pass that every method has, which is no query."""

    def call() -> Any:
        made = explain()
        (one,) = made
        if one.facts["queries"] != queries:
            raise RuntimeError(f"{what} made {one.facts['queries']} queries; expected {queries}")
        return made

    return Way(what, call, FORWARD, queries, less=shared_pass, facts=facts)


def shared_pass(comparison: Any) -> float:
    """Seconds of a comparison that its first pass took."""
    return float(sum(each.seconds for each in comparison.passes))
