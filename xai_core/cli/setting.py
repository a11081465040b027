"""`--set rise.masks=4000`: the methods and metrics that were chosen, with parameters set."""

import difflib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from xai_core.errors import ParameterError

if TYPE_CHECKING:
    from xai_core.interfaces import Explainer, Metric
    from xai_core.registry import Registry


def set_up(
    methods: Sequence[str], settings: Mapping[str, str], registry: "Registry"
) -> list["Explainer"]:
    """The methods that were chosen.

    Args:
        methods: Their names.
        settings: By `METHOD.NAME`, or `NAME` alone where there is one method, a value.
        registry: Where they are looked up.

    Raises:
        UnknownNameError: there is no such method.
        ParameterError: what is set is not of a method that was chosen, or not as it must be.
    """
    return set_up_both(methods, (), settings, registry)[0]


def set_up_both(
    methods: Sequence[str],
    metrics: Sequence[str],
    settings: Mapping[str, str],
    registry: "Registry",
) -> tuple[list["Explainer"], list["Metric"]]:
    """The methods and the metrics that were chosen.

    Args:
        methods: Their names.
        metrics: Their names.
        settings: By `METHOD.NAME` or `METRIC.NAME`, or `NAME` alone where there is one of
            both, a value.
        registry: Where they are looked up.

    Raises:
        UnknownNameError: there is no such method or metric.
        ParameterError: what is set is not of one that was chosen, or not as it must be.
    """
    chosen: dict[str, Explainer | Metric] = {name: registry.metric(name) for name in metrics}
    chosen |= {name: registry.explainer(name) for name in methods}
    texts: dict[str, dict[str, str]] = {name: {} for name in chosen}
    for key, text in settings.items():
        method, path = _place(key, text, chosen)
        if path in texts[method]:
            raise ParameterError(f"received --set {method}.{path} twice; expected it once")
        texts[method][path] = text
    return (
        [registry.explainer_by_text(name, texts[name]) for name in methods],
        [registry.metric_by_text(name, texts[name]) for name in metrics],
    )


def _place(key: str, text: str, chosen: "Mapping[str, Explainer | Metric]") -> tuple[str, str]:
    """The method or metric that is meant, and which parameter of it."""
    from xai_core.parameters import parameters

    head, dot, path = key.partition(".")
    if dot and head in chosen:
        return head, path
    owners = [
        name
        for name, explainer in chosen.items()
        if head in {each.name for each in parameters(explainer)}
    ]
    if len(chosen) == 1 and (owners or not dot):
        return next(iter(chosen)), key
    names = ", ".join(chosen)
    if not dot:
        raise ParameterError(
            f"received --set {key}={text}; expected the method before it, as in "
            f"{next(iter([*owners, *chosen]))}.{key}={text}; chosen are {names}"
        )
    near = difflib.get_close_matches(head, chosen, n=1)
    raise ParameterError(
        f"received --set {key}={text}, and {head!r} is not among the methods chosen: {names}"
        + (f"; did you mean {near[0]}?" if near else "; expected one of them")
    )
