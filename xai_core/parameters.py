"""The parameters of an explainer: its fields, their types and their bounds."""

import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

import numpy as np

from xai_core.errors import ParameterError


@dataclass(frozen=True)
class Within:
    """The bounds of a number, both included; declared in a field's `Annotated` type."""

    least: float = -math.inf
    most: float = math.inf

    def __contains__(self, value: Any) -> bool:
        is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        return is_number and math.isfinite(value) and bool(self.least <= value <= self.most)

    def __str__(self) -> str:
        if self.most == math.inf:
            return f"at least {self.least:g}"
        if self.least == -math.inf:
            return f"at most {self.most:g}"
        return f"{self.least:g} to {self.most:g}"


Count: TypeAlias = Annotated[int, Within(1)]
"""How many: a whole number, at least 1."""
Seed: TypeAlias = Annotated[int, Within(0, 2**31 - 1)]
"""Of a random generator."""
Spread: TypeAlias = Annotated[float, Within(0)]
"""A width or standard deviation: 0 or above."""
Share: TypeAlias = Annotated[float, Within(0, 1)]
"""A part of a whole: 0 to 1."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of an explainer: a field of its dataclass."""

    name: str
    value: Any
    default: Any
    kind: Any
    """Its type, without the bounds and without None."""
    bounds: Within = Within()
    optional: bool = False
    """Whether it may be None."""

    @property
    def is_changed(self) -> bool:
        """Whether its value is not the default."""
        return bool(self.value != self.default)

    @property
    def expected(self) -> str:
        """What values it takes, in words."""
        if get_origin(self.kind) is Literal:
            said = "one of " + ", ".join(map(str, get_args(self.kind)))
        else:
            noun = _NOUNS.get(self.kind, getattr(self.kind, "__name__", str(self.kind)))
            said = noun if self.bounds == Within() else f"{noun}, {self.bounds}"
        return f"{said}, or none" if self.optional else said

    def takes(self, value: Any) -> bool:
        """Whether a value is of its type and within its bounds."""
        if value is None and self.optional:
            return True
        if get_origin(self.kind) is Literal:
            return value in get_args(self.kind)
        if self.kind in _NUMBERS:
            return isinstance(value, _NUMBERS[self.kind]) and value in self.bounds
        return not isinstance(self.kind, type) or isinstance(value, self.kind)


_NUMBERS: Mapping[Any, tuple[type, ...]] = MappingProxyType(
    {int: (int, np.integer), float: (int, float, np.integer, np.floating)}
)
_NOUNS: Mapping[Any, str] = MappingProxyType(
    {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
)


def parameters(explainer: Any) -> tuple[Parameter, ...]:
    """The parameters of an explainer, as the fields say."""
    try:
        hints = get_type_hints(type(explainer), include_extras=True)
    except NameError:
        # Types that are imported only for a type checker cannot be held to.
        hints = {}
    return tuple(
        _parameter(each, getattr(explainer, each.name), hints) for each in fields(explainer)
    )


def _parameter(field: Field[Any], value: Any, hints: Mapping[str, Any]) -> Parameter:
    kind, marks = hints.get(field.name, Any), []
    if get_origin(kind) is Annotated:
        kind, *marks = get_args(kind)
    alternatives = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    kinds = [each for each in alternatives if each is not NoneType]
    return Parameter(
        name=field.name,
        value=value,
        default=field.default if field.default_factory is MISSING else field.default_factory(),
        kind=kinds[0] if len(kinds) == 1 else Any,
        bounds=next((mark for mark in marks if isinstance(mark, Within)), Within()),
        optional=len(kinds) < len(alternatives),
    )


def check_parameters(explainer: Any) -> None:
    """Hold each value to its field's type and bounds.

    Raises:
        ParameterError: names the method, the parameter, the value and what was expected.
    """
    for each in parameters(explainer):
        if not each.takes(each.value):
            raise ParameterError(
                f"{explainer.name}: received {each.name} {each.value!r}; expected {each.expected}"
            )
