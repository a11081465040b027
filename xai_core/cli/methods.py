"""`xai list explainers`: what each method needs, costs and takes."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from xai_core.cli import output

if TYPE_CHECKING:
    from xai_core.interfaces import Explainer
    from xai_core.registry import Entry, Registry

_WIDE = 200
"""From here on, and where nothing is wrapped, a table has all columns."""

_LEGEND = (
    ("pass", "forward passes are shared by all methods, backward ones by those of a class"),
    ("query", "a pass for itself: forward, and backward where a gradient is asked for"),
    ("signed", "has values above and below 0, each with a meaning of its own"),
    ("all of one", "xai list explainers NAME"),
)

Row = dict[str, Any]


def rows(registry: "Registry") -> list[Row]:
    """All that is known of each explainer."""
    return [_row(name, entry, registry) for name, entry in registry.explainers.items()]


def _row(name: str, entry: "Entry[Explainer]", registry: "Registry") -> Row:
    """A plugin whose properties raise is told with what it raised."""
    from xai_core.cost import cost
    from xai_core.parameters import parameters
    from xai_core.planner import describe_explainer

    item = entry.item
    values = _said(lambda: describe_explainer(item, registry).parameters, {})
    return {
        "name": name,
        "family": item.family,
        "needs": _said(lambda: [_words(str(need.name)) for need in item.needs]),
        "cost": _said(lambda: cost(item)),
        "queries": _said(lambda: item.queries),
        "parameters": [
            {"name": each.name, "default": values[each.name], "expected": each.expected}
            for each in _said(lambda: parameters(item), ())
            if each.name in values
        ],
        "signed": _said(lambda: item.signed),
        "source": str(entry.source),
        "summary": (inspect.getdoc(type(item)) or "").partition("\n")[0],
    }


def _said(say: Callable[[], Any], otherwise: Any = None) -> Any:
    """What a plugin says of a method; where it raises instead, that."""
    try:
        return say()
    except Exception as error:  # noqa: BLE001 - anyone's code
        return f"{type(error).__name__}: {error}" if otherwise is None else otherwise


def _words(need: str) -> str:
    return need.lower().replace("_", "-")


def show(found: Sequence[Row]) -> None:
    """The explainers by family, or, where it is wide enough, as a table of all columns."""
    if output.width() >= _WIDE:
        columns = (*_NARROW, "source", "summary")
        told = [{**row, "parameters": _defaults(row)} for row in found]
        output.show_table(columns, ([output.cell(row[name]) for name in columns] for row in told))
        return
    lines: list[tuple[str, str]] = []
    families = []
    for family in sorted({row["family"] for row in found}):
        families.append(len(lines))
        lines.append((family, ""))
        for row in found:
            if row["family"] == family:
                lines += _lines(row)
    output.show_table(("name", "cost, and parameters with their defaults"), lines, bold=families)
    output.say("")
    output.show_facts(_LEGEND)


_NARROW = ("name", "family", "needs", "cost", "parameters", "signed")


def _lines(row: Row) -> Iterator[tuple[str, str]]:
    signed = "; signed" if row["signed"] is True else ""
    yield f"  {row['name']}", f"{row['cost']}{signed}"
    if row["parameters"]:
        yield "", _defaults(row)


def _defaults(row: Row) -> str:
    from xai_core.settings import text_of

    return " ".join(f"{each['name']}={text_of(each['default'])}" for each in row["parameters"])


def show_one(row: Row, explainer: "Explainer") -> None:
    """All of one: its definition, what it declares, its parameters, and how to set them."""
    from xai_core.settings import text_of

    output.say(row["name"], "bold")
    for paragraph in (inspect.getdoc(type(explainer)) or "").split("\n\n"):
        output.show_facts([("", " ".join(paragraph.split()))])
    output.say("")
    columns = ("family", "needs", "cost", "signed", "source")
    facts = [(name, output.cell(row[name])) for name in columns]
    if not row["parameters"]:
        output.show_facts([*facts, ("parameters", "none")])
        return
    output.show_facts(facts)
    output.say("")
    output.show_table(
        ("parameter", "default", "expected"),
        ((each["name"], text_of(each["default"]), each["expected"]) for each in row["parameters"]),
    )
    output.say("")
    first = row["parameters"][0]["name"]
    output.show_facts(
        [
            ("set it", f"xai explain PICTURE --method {row['name']} --set {first}=..."),
            ("in Python", f'xai_core.explainer("{row["name"]}", {first}=...)'),
        ]
    )
