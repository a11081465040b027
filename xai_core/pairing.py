"""What is measured: the rows, the metrics, and which metric is asked of which row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

from xai_core import fingerprint
from xai_core.cost import cost
from xai_core.evaluation import Gauge, Row
from xai_core.interfaces import Metric
from xai_core.parameters import parameters
from xai_core.planner import Plan
from xai_core.references import REFERENCES
from xai_core.settings import text_of

if TYPE_CHECKING:
    from xai_core.registry import Registry
    from xai_core.study import Study


@dataclass(frozen=True)
class Line:
    """A row of the tables, and what it is: its version, its code, its layers."""

    row: Row
    told: Mapping[str, Any]

    @cached_property
    def key(self) -> str:
        """What it goes by in a journal."""
        return fingerprint.digest(self.told)


@dataclass(frozen=True)
class Used:
    """A metric, what is said of it, and what it is: its version and its code."""

    metric: Metric
    gauge: Gauge
    told: Mapping[str, Any]

    @cached_property
    def key(self) -> str:
        """What it goes by in a journal."""
        return fingerprint.digest(self.told)


def make_lines(study: "Study", plan: Plan) -> tuple[Line, ...]:
    """The methods, and then the reference rows."""
    methods = (
        Line(
            Row(
                name=str(method),
                parameters=method.parameters,
                source=method.source,
                is_reference=False,
                changed=method.changed,
                cost=cost(each),
            ),
            {
                **fingerprint.of_item(each, study.registry),
                "layers": [[list(step.outputs) for step in at] for at in plan.at(each)],
            },
        )
        for each, method in zip(plan.explainers, plan.methods, strict=True)
    )
    references = (
        Line(Row(name, {}, "xai-core", is_reference=True), fingerprint.of_reference(name))
        for name in REFERENCES
    )
    return (*methods, *references)


def describe_metric(metric: Metric, registry: "Registry") -> Gauge:
    """A metric as provenance: its name, its parameters, where it comes from."""
    offered = registry.metrics.get(metric.name)
    is_offered = offered is not None and type(offered.item) is type(metric)
    usual = {e.name: e.value for e in parameters(offered.item)} if offered and is_offered else {}
    told = parameters(metric)
    return Gauge(
        name=metric.name,
        parameters={each.name: text_of(each.value) for each in told},
        changed={
            each.name: text_of(each.value)
            for each in told
            if each.value != usual.get(each.name, each.default)
        },
        higher_is_better=metric.higher_is_better,
        bounds=metric.bounds,
        summary=metric.summary,
        source=str(registry.source_of(metric)),
        queries=metric.queries,
        maps=metric.maps,
    )


def make_used(
    metrics: Sequence[Metric], plan: Plan, lines: Sequence[Line], registry: "Registry"
) -> tuple[Used, ...]:
    """The metrics, and of which methods each has nothing to say."""
    # The plan's methods are the first of the lines.
    methods = list(zip(plan.explainers, lines, strict=False))

    def used(metric: Metric) -> Used:
        left_out = [line.row.name for each, line in methods if metric.presumes & ~each.laws]
        gauge = replace(describe_metric(metric, registry), left_out=tuple(left_out))
        return Used(metric, gauge, fingerprint.of_item(metric, registry))

    return tuple(map(used, metrics))


def every_pair(lines: Sequence[Line], used: Sequence[Used]) -> tuple[tuple[Line, Used], ...]:
    """Each row with each metric that says something of it, in the order of measuring."""
    return tuple(
        (line, each)
        for line, each in product(lines, used)
        if line.row.name not in each.gauge.left_out
    )
