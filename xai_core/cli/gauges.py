"""`xai list metrics`: what each metric measures, which way is better, and its traps."""

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from xai_core.cli import output

if TYPE_CHECKING:
    from xai_core.interfaces import Metric
    from xai_core.registry import Registry

Row = dict[str, Any]


def rows(registry: "Registry") -> list[Row]:
    """All that is known of each metric."""
    from xai_core.parameters import parameters
    from xai_core.settings import text_of

    return [
        {
            "name": name,
            "family": entry.item.family,
            "higher_is_better": entry.item.higher_is_better,
            "range": list(entry.item.bounds),
            "queries": entry.item.queries,
            "maps": entry.item.maps,
            "parameters": [
                {"name": each.name, "default": text_of(each.value), "expected": each.expected}
                for each in parameters(entry.item)
            ],
            "source": str(entry.source),
            "summary": entry.item.summary,
        }
        for name, entry in registry.metrics.items()
    ]


def show(found: Sequence[Row]) -> None:
    """The metrics as a table, those of a family together."""
    output.show_table(
        ("family", "name", "better", "range", "queries", "maps", "parameters", "source", "summary"),
        (
            (
                row["family"],
                row["name"],
                _better(row),
                _range(row),
                _most(row["queries"]),
                _most(row["maps"]),
                " ".join(f"{each['name']}={each['default']}" for each in row["parameters"]),
                row["source"],
                row["summary"],
            )
            for row in sorted(found, key=lambda row: (row["family"], row["name"]))
        ),
        numbers=("queries", "maps"),
    )


def show_one(row: Row, metric: "Metric") -> None:
    """All of one: its definition with its traps, its range, and its parameters."""
    output.say(row["name"], "bold")
    for paragraph in (inspect.getdoc(type(metric)) or "").split("\n\n"):
        output.show_facts([("", " ".join(paragraph.split()))])
    output.say("")
    output.show_facts(
        [
            ("family", row["family"]),
            ("better", _better(row)),
            ("range", _range(row)),
            ("queries", output.cell(row["queries"]) or "depends on the picture"),
            ("maps", output.cell(row["maps"]) or "depends on the model or the picture"),
            ("source", row["source"]),
        ]
    )
    if row["parameters"]:
        output.say("")
        output.show_table(
            ("parameter", "default", "expected"),
            ((each["name"], each["default"], each["expected"]) for each in row["parameters"]),
        )


def _most(count: int | None) -> str:
    """How many at most, for each map."""
    return "some" if count is None else f"{count:,}"


def _better(row: Row) -> str:
    return "higher" if row["higher_is_better"] else "lower"


def _range(row: Row) -> str:
    low, high = row["range"]
    return f"{low:g} to {high:g}"
