"""What is installed, and what is inside a model, as tables."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from xai_core.cli import gauges, methods, output, quiet
from xai_core.errors import UsageError

if TYPE_CHECKING:
    from xai_core.registry import Entry, Registry
    from xai_core.study import Study
    from xai_core.surgery import LayerRow

Rows = list[dict[str, Any]]


def discover() -> "Registry":
    """The installed plugins; they import Keras, so its chatter is kept back first."""
    with output.status("loading the plugins"):
        quiet.import_keras()
        from xai_core.registry import Registry

        return Registry.discover()


def show(kinds: Sequence[str], *, as_json: bool) -> None:
    """List some of `explainers`, `adapters`, `metrics`, `plugins` and `schemes`."""
    registry = discover() if set(kinds) - {"schemes"} else None
    found = {kind: _LISTS[kind](registry) for kind in kinds}
    if as_json:
        output.show_json(found)
        return
    for number, (kind, rows) in enumerate(found.items()):
        if number:
            output.say("")
        if len(found) > 1:
            output.say(kind.capitalize(), "bold")
        _VIEWS[kind](rows)


def show_one(kind: str, name: str, *, as_json: bool) -> None:
    """Tell all of one explainer or metric.

    Raises:
        UnknownNameError: there is none of that name; says which are near.
        UsageError: it is to be one of another kind.
    """
    if kind not in _TOLD:
        raise UsageError(
            f"received {name!r} after {kind}; expected a name only after explainers or metrics, as "
            "in xai list explainers grad-cam"
        )
    registry = discover()
    look_up, rows, show_all = _TOLD[kind]
    item = look_up(registry, name)
    (row,) = (each for each in rows(registry) if each["name"] == name)
    if as_json:
        output.show_json({kind: [row]})
    else:
        show_all(row, item)


def _adapters(registry: "Registry") -> Rows:
    return [
        {
            "name": name,
            "summary": entry.item.summary,
            "input_size": entry.item.input_size,
            "preprocessing": entry.item.preprocessing and entry.item.preprocessing.name,
            "fit": entry.item.fit,
            "source": str(entry.source),
        }
        for name, entry in registry.adapters.items()
    ]


def _plugins(registry: "Registry") -> Rows:
    found: dict[tuple[str, str, str], list[str]] = {}
    kinds: dict[str, Mapping[str, Entry[Any]]] = {
        "explainers": registry.explainers,
        "adapters": registry.adapters,
        "metrics": registry.metrics,
    }
    for offers, entries in kinds.items():
        for name, entry in entries.items():
            key = (entry.source.distribution, entry.source.version, offers)
            found.setdefault(key, []).append(name)
    for each in registry.broken:
        key = (each.source.distribution, each.source.version, "left out")
        found.setdefault(key, []).append(f"{each.entry_point}: {each.reason}")
    return [
        {"distribution": distribution, "version": version, "offers": offers, "names": names}
        for (distribution, version, offers), names in sorted(found.items(), key=lambda kv: kv[0][0])
    ]


def _schemes(_: object) -> Rows:
    from xai_core.preprocessing import SCHEMES

    return [{"name": each.name, "summary": each.summary} for each in SCHEMES.values()]


_LISTS: Mapping[str, Callable[[Any], Rows]] = MappingProxyType(
    {
        "explainers": methods.rows,
        "adapters": _adapters,
        "metrics": gauges.rows,
        "plugins": _plugins,
        "schemes": _schemes,
    }
)


def _table(*columns: str) -> Callable[[Rows], None]:
    def show(rows: Rows) -> None:
        output.show_table(columns, ([output.cell(row[name]) for name in columns] for row in rows))

    return show


_VIEWS: Mapping[str, Callable[[Rows], None]] = MappingProxyType(
    {
        "explainers": methods.show,
        "adapters": _table("name", "preprocessing", "fit", "source", "summary"),
        "metrics": gauges.show,
        "plugins": _table("distribution", "version", "offers", "names"),
        "schemes": _table("name", "summary"),
    }
)


_TOLD: Mapping[str, tuple[Callable[..., Any], Callable[..., Rows], Callable[..., None]]] = (
    MappingProxyType(
        {
            "explainers": (
                lambda registry, name: registry.explainer(name),
                methods.rows,
                methods.show_one,
            ),
            "metrics": (lambda registry, name: registry.metric(name), gauges.rows, gauges.show_one),
        }
    )
)
"""Of what one can be told of alone: how it is looked up, its rows, and how it is shown."""


def layers_as_json(study: "Study") -> Rows:
    """Every layer."""
    return [asdict(row) for row in study.layers()]


def show_layers(study: "Study") -> None:
    """The layers with a spatial extent, the default one in bold."""
    from xai_core.surgery import is_spatial

    rows = [row for row in study.layers() if is_spatial(row.shape)]
    output.show_table(
        ("name", "kind", "shape", "stride", "cut", "role"),
        map(_layer_cells, rows),
        numbers=("stride",),
        bold=[number for number, row in enumerate(rows) if row.is_default],
    )
    output.say("")
    output.show_facts(_legend(rows))


def _layer_cells(row: "LayerRow") -> tuple[str, ...]:
    shape = " x ".join("?" if extent is None else str(extent) for extent in row.shape[1:])
    stride = "" if row.stride is None else f"{row.stride:g}"
    role = "default" if row.is_default else "feature" if row.is_feature else ""
    return row.name, row.kind, shape, stride, "yes" if row.is_cut else "no", role


def _legend(rows: Sequence["LayerRow"]) -> Iterator[tuple[str, str]]:
    cuts = sum(row.is_cut for row in rows)
    yield "cut", f"{cuts} of {len(rows)}: every path from input to output goes through them"
    yield "feature", "what the family is explained at; default, without --layer"
