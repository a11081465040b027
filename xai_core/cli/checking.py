"""`xai check`: an installed explainer, adapter or metric, held to the laws it is under."""

import difflib
from collections.abc import Iterator, Mapping
from itertools import count
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xai_core.cli import listing, output
from xai_core.cli import options as o
from xai_core.cli.setting import set_up, set_up_both
from xai_core.errors import ParameterError, UnknownNameError

if TYPE_CHECKING:
    from xai_core.registry import Entry, Registry
    from xai_core.testing import Finding


def check(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Of an installed explainer, adapter or metric (xai list)."
        ),
    ],
    set_: o.Set = None,
    json: o.Json = False,
    __: o.Backend = None,
    _: o.Quiet = False,
) -> None:
    """Hold an explainer, an adapter or a metric to the laws that it is under.

    Runs it on small models on which its maps or scores are known, as the tests of a plugin
    should. The exit code is 1 when a law is broken.
    """
    settings = o.parse_settings(set_)
    registry = listing.discover()
    offered: dict[str, Mapping[str, Entry[Any]]] = {
        "explainer": registry.explainers,
        "adapter": registry.adapters,
        "metric": registry.metrics,
    }
    kinds = [
        (kind, str(entries[name].source)) for kind, entries in offered.items() if name in entries
    ]
    if not kinds:
        raise _unknown(name, registry)
    if settings and kinds[0][0] == "adapter":
        raise ParameterError(f"received --set for the adapter {name}; it has no parameters")
    examined = [(kind, source, _FINDINGS[kind](name, settings, registry)) for kind, source in kinds]
    documents = []
    for kind, source, findings in examined:
        if not json:
            output.say(f"{name}, {kind} of {source}", "bold")
        found = []
        for finding in _told(name, findings):
            found.append(finding)
            if not json:
                _show(finding)
        broken = sum(not each.ok for each in found)
        if not json:
            told = [f"{len(found) - broken} kept", f"{broken} broken"]
            told += [
                f"{len(each.untried)} not tried until `{each.law}` holds"
                for each in found
                if each.untried
            ]
            output.say(", ".join(told))
        documents.append(
            {
                "name": name,
                "kind": kind,
                "source": source,
                "ok": not broken,
                "findings": [_document(each) for each in found],
            }
        )
    if json:
        output.show_json({"checked": documents})
    if not all(each["ok"] for each in documents):
        raise typer.Exit(1)


def _unknown(name: str, registry: "Registry") -> UnknownNameError:
    known = [*registry.explainers, *registry.adapters, *registry.metrics]
    near = difflib.get_close_matches(name, known, n=3)
    return UnknownNameError(
        f"no explainer, adapter or metric is called {name!r}"
        + (f"; near it: {', '.join(near)}" if near else "")
        + ". xai list shows those that are installed, and plugins that were left out"
    )


def _explainer(name: str, settings: Any, registry: "Registry") -> Iterator["Finding"]:
    from xai_core.testing import Kit

    (explainer,) = set_up([name], settings, registry)
    return Kit().examine(explainer)


def _adapter(name: str, _: Any, registry: "Registry") -> Iterator["Finding"]:
    from xai_core.testing import Kit

    return Kit().examine_adapter(registry.adapter(name))


def _metric(name: str, settings: Any, registry: "Registry") -> Iterator["Finding"]:
    from xai_core.testing import Kit

    _, (metric,) = set_up_both([], [name], settings, registry)
    return Kit().examine_metric(metric)


_FINDINGS = {"explainer": _explainer, "adapter": _adapter, "metric": _metric}


def _told(name: str, findings: Iterator["Finding"]) -> Iterator["Finding"]:
    """The findings; while each is made, the terminal says which it is."""
    for number in count(1):
        with output.status(f"checking {name}, law {number}"):
            finding = next(findings, None)
        if finding is None:
            return
        yield finding


def _document(finding: "Finding") -> dict[str, Any]:
    """A finding as plain data: all of it but the exception, which is told in words."""
    plain = {name: value for name, value in vars(finding).items() if name != "cause"}
    return plain | {"ok": finding.ok}


def _show(finding: "Finding") -> None:
    if finding.ok:
        output.show_verdict("ok", "green", finding.law, finding.statement)
        return
    output.show_verdict("broken", "bold red", finding.law, finding.statement)
    output.show_facts(
        [
            ("        found", finding.broken),
            ("        likely", finding.mistake),
            ("        read", finding.read),
        ]
    )
