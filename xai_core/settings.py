"""Explainers and metrics set up anew: their parameters by name, as values or as text."""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import singledispatch
from types import MappingProxyType, NoneType
from typing import Any, TypeVar

from xai_core.errors import ParameterError, XaiError
from xai_core.interfaces import Explainer, Metric
from xai_core.parameters import Find, Parameter, parameters, refused

Item = TypeVar("Item", bound=Explainer | Metric)


def configured(item: Item, values: Mapping[str, Any], find: Find) -> Item:
    """The explainer or metric with some parameters at other values.

    Args:
        item: What is set up.
        values: By parameter; in plain data, as in provenance, the name of an explainer
            stands for it, and a list for a tuple.
        find: Looks up what has a name.

    Raises:
        ParameterError: it has no such parameter, or one that does not take the value.
    """
    meant: dict[str, Any] = {}
    for name, value in values.items():
        found = _parameter(item, name)
        meant[name] = found.kind.meant(value, find)
        if not found.takes(meant[name]):
            raise refused(item.name, found, value)
    if not meant:
        return item
    try:
        return replace(item, **meant)  # type: ignore[type-var]
    except XaiError:
        raise
    except Exception as error:
        given = ", ".join(f"{name} {value!r}" for name, value in meant.items())
        raise ParameterError(
            f"{item.name}: received {given}; it was refused with {type(error).__name__}: {error}"
        ) from error


def configured_by_text(item: Item, texts: Mapping[str, str], find: Find) -> Item:
    """The explainer or metric with some parameters at the values that texts stand for.

    Args:
        item: What is set up.
        texts: By parameter; a parameter of an explainer that is one itself stands behind a
            dot, as in `of.values`.
        find: Looks up what has a name.

    Raises:
        ParameterError: it has no such parameter, or the text stands for no value of it.
    """
    values: dict[str, Any] = {}
    for name in dict.fromkeys(path.partition(".")[0] for path in texts):
        found = _parameter(item, name)
        value = _read(item, found, texts[name], find) if name in texts else found.value
        inner = {
            path[len(name) + 1 :]: texts[path] for path in texts if path.startswith(f"{name}.")
        }
        if inner and not isinstance(value, Explainer):
            raise ParameterError(
                f"{item.name}: received {name}.{next(iter(inner))}; expected {name} alone, "
                f"{found.expected}, which has no parameters of its own"
            )
        values[name] = configured_by_text(value, inner, find) if inner else value
    return configured(item, values, find)


def _read(item: Explainer | Metric, parameter: Parameter, text: str, find: Find) -> Any:
    try:
        return parameter.kind.read(text, find)
    except ValueError:
        raise refused(item.name, parameter, text) from None


def _parameter(item: Explainer | Metric, name: str) -> Parameter:
    known = {each.name: each for each in parameters(item)}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        raise ParameterError(
            f"{item.name} has no parameter {name!r}"
            + (f"; near it: {', '.join(near)}" if near else "")
            + (f". There are: {', '.join(known)}" if known else "; it has none")
        )
    return known[name]


def named(text: str, offered: Callable[[str], Explainer], find: Find) -> Explainer:
    """The explainer that is written as its name, or as `name(power=2.0, of=saliency)`.

    Args:
        text: What `text_of` makes of an explainer.
        offered: Looks an explainer up by its name alone.
        find: Looks up what has a name.
    """
    written = _SET_UP.fullmatch(text)
    if written is None:
        return offered(text)
    given = (part.partition("=") for part in _parts(written["parameters"]))
    texts = {name: value for name, _, value in given}
    return configured_by_text(offered(written["name"]), texts, find)


_SET_UP = re.compile(r"(?P<name>[^(]+)\((?P<parameters>\w+=.*)\)")
_MARK = re.compile(r"[()]|, (?=\w+=)")
_DEEPER = MappingProxyType({"(": 1, ")": -1})


def _parts(text: str) -> Iterator[str]:
    """`a=1, b=f(c=2, d=3)` at the commas outside of all parentheses."""
    start = depth = 0
    for mark in _MARK.finditer(text):
        depth += _DEEPER.get(mark[0], 0)
        if mark[0] not in _DEEPER and depth == 0:
            yield text[start : mark.start()]
            start = mark.end()
    yield text[start:]


@singledispatch
def text_of(value: Any) -> str:
    """A parameter's value as text: what it would be read from, where it can be read."""
    return str(value)


@text_of.register(NoneType)
def _(_: None) -> str:
    return "none"


@text_of.register
def _(value: bool) -> str:
    return str(value).lower()


@text_of.register(tuple)
@text_of.register(list)
def _(value: Sequence[Any]) -> str:
    return ",".join(map(text_of, value))


@text_of.register
def _(value: Explainer) -> str:
    changed = [f"{e.name}={text_of(e.value)}" for e in parameters(value) if e.is_changed]
    return f"{value.name}({', '.join(changed)})" if changed else value.name
