"""Methods that ask: what one question costs, of a picture's share of a large forward pass."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from benchmarks.bench import Bench
from benchmarks.models import Spec
from benchmarks.results import Measurement
from benchmarks.scenario import Scenario, left_out
from benchmarks.scenarios import openvino
from benchmarks.scenarios.core import FORWARD
from benchmarks.settings import Extent
from benchmarks.timing import Way

GROUP = "queries"
PICTURES = 32
"""To a pass of queries, and to the forward pass that they are set against."""
SCORE_CAM = "Score-CAM, a place in its passes"
WINDOWS = 64
CHANNELS = 64
"""Score-CAM asks about each, and about a black picture, in a pass of its own that is mostly empty:
with the thousands of channels of a last layer that is nothing, with a few of them it is much. So
its time is divided by the places in its passes."""


def scenarios(extent: Extent) -> Iterator[Scenario]:
    """One for each model."""
    for model in extent.query_models:
        yield Scenario(
            GROUP,
            model,
            f"a query of RISE, Occlusion and Score-CAM, of a forward pass of {PICTURES} pictures",
            partial(measure, model=model),
        )


def measure(bench: Bench, model: str) -> tuple[Measurement, ...]:
    """Time them in turns."""
    spec = bench.spec(model)
    call = bench.forward(spec, bench.fed(spec, PICTURES))
    ways = [Way(FORWARD, call, share=PICTURES)]
    asked = _asked(spec)
    study, picture = bench.study(spec), bench.pictures(spec, 1)
    for what, (method, options, queries) in asked.items():
        explain = bench.explain(study, picture, [method], **options)
        ways.append(_way(what, explain, queries, -(-queries // PICTURES) * PICTURES))
    skipped: tuple[Measurement, ...] = ()
    what = "RISE, openvino"
    if left_out(openvino.ONLY, bench.conditions):
        pass
    elif why := openvino.missing():
        skipped = (Measurement(what, failure=why),)
    else:
        method, options, queries = asked["RISE"]
        explain = bench.explain(bench.study(spec, "openvino"), picture, [method], **options)
        ways.append(_way(what, explain, queries, queries))
    # A call is several passes, so that one is warm-up enough.
    return (*bench.alternate(ways, warm_ups=1), *skipped)


def _asked(spec: Spec) -> dict[str, tuple[Any, dict[str, Any], int]]:
    """By name, the method, the options of the call, and how many queries it makes."""
    from xai_core import explainer

    side = -(-spec.size // 8)  # eight windows fit into each side, the last against its end
    return {
        "RISE": (explainer("rise", masks=PICTURES), {}, PICTURES),
        "Occlusion": (explainer("occlusion", window=side, stride=side), {}, WINDOWS),
        SCORE_CAM: (explainer("score-cam"), {"layers": [spec.thin]}, CHANNELS + 1),
    }


def _way(what: str, explain: Any, queries: int, places: int) -> Way:
    """A call, less the pass that every method has, which is no query."""

    def call() -> Any:
        made = explain()
        (one,) = made
        if one.facts["queries"] != queries:
            raise RuntimeError(f"{what} made {one.facts['queries']} queries; expected {queries}")
        return made

    return Way(what, call, FORWARD, places, less=shared_pass)


def shared_pass(comparison: Any) -> float:
    """Seconds of a comparison that its first pass took."""
    return float(sum(each.seconds for each in comparison.passes))
