"""Every scenario there is, a file for each group."""

from collections.abc import Sequence

from benchmarks.scenario import Scenario
from benchmarks.scenarios import (
    core,
    evaluation,
    first_call,
    growth,
    limit,
    memory,
    methods,
    openvino,
    overhead,
    peers,
    queries,
    sizes,
    together,
)
from benchmarks.settings import Extent

# What runs in lean processes stands together, so that one process serves what follows.
_GROUPS = (
    memory.scenarios,
    first_call.start_scenarios,
    growth.scenarios,
    limit.scenarios,
    core.scenarios,
    openvino.scenarios,
    queries.scenarios,
    evaluation.scenarios,
    overhead.scenarios,
    first_call.engine_scenarios,
    together.scenarios,
    sizes.scenarios,
    methods.scenarios,
    peers.scenarios,
)


def scenarios(extent: Extent) -> Sequence[Scenario]:
    """All of them, in the order in which they are run."""
    return [each for group in _GROUPS for each in group(extent)]
