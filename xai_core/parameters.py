"""The parameters of an explainer: its fields, their types and their bounds."""

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import MISSING, Field, dataclass, fields
from functools import lru_cache
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
        is_finite = is_number and -math.inf < value < math.inf
        return is_finite and bool(self.least <= value <= self.most)

    def __str__(self) -> str:
        if self.most == math.inf:
            return f"at least {self.least:,.12g}"
        if self.least == -math.inf:
            return f"at most {self.most:,.12g}"
        return f"{self.least:,.12g} to {self.most:,.12g}"


Count: TypeAlias = Annotated[int, Within(1)]
"""How many: a whole number, at least 1."""
Seed: TypeAlias = Annotated[int, Within(0, 2**31 - 1)]
"""Of a random generator."""
Spread: TypeAlias = Annotated[float, Within(0)]
"""A width or standard deviation: 0 or above."""
Share: TypeAlias = Annotated[float, Within(0, 1)]
"""A part of a whole: 0 to 1."""

Find: TypeAlias = Callable[[type, str], Any]
"""Looks an instance of a class up by its name; ValueError where the class has no names."""
HasNames: TypeAlias = Callable[[type], bool]
"""Whether instances of a class can be looked up by a name."""


@dataclass(frozen=True)
class Kind:
    """What values a type takes, and how they are written."""

    expected: str
    """In words."""
    takes: Callable[[Any], bool]
    read: Callable[[str, Find], Any]
    """The value that a text stands for; ValueError where it stands for none."""
    meant: Callable[[Any, Find], Any] = lambda value, _: value
    """What plain data, as it is in provenance, stands for: an explainer's name, a list."""
    written: Callable[[HasNames], bool] = lambda _: True
    """Whether there are texts that stand for its values; `none` beside other values is none."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of an explainer: a field of its dataclass."""

    name: str
    value: Any
    default: Any
    kind: Kind

    @property
    def is_changed(self) -> bool:
        """Whether its value is not the default."""
        return not same(self.value, self.default)

    @property
    def expected(self) -> str:
        """What values it takes, in words."""
        return self.kind.expected

    def takes(self, value: Any) -> bool:
        """Whether a value is of its type and within its bounds."""
        return self.kind.takes(value)


def parameters(explainer: Any) -> tuple[Parameter, ...]:
    """The parameters of an explainer, as the fields say."""
    return tuple(
        Parameter(each.name, getattr(explainer, each.name), _default(each), kind)
        for each, kind in _declared(explainer.__class__)
    )


@lru_cache(maxsize=256)
def _declared(explainer: Any) -> tuple[tuple[Field[Any], Kind], ...]:
    """The fields of a class, and what each takes; asked for with every map."""
    try:
        hints = get_type_hints(explainer, include_extras=True)
    except NameError:
        # Types that are imported only for a type checker cannot be held to.
        hints = {}
    return tuple((each, kind_of(hints.get(each.name, Any))) for each in fields(explainer))


def _default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal; arrays, which compare place by place, never are."""
    try:
        return one is other or bool(one == other)
    except ValueError:
        return False


def check_parameters(explainer: Any) -> None:
    """Hold each value to its field's type and bounds.

    Raises:
        ParameterError: names the method, the parameter, the value and what was expected.
    """
    for each in parameters(explainer):
        if not each.takes(each.value):
            raise refused(explainer.name, each, each.value)


def refused(method: str, parameter: Parameter, value: Any) -> ParameterError:
    """The error that a value, or a text that stands for none, is answered with."""
    return ParameterError(
        f"{method}: received {parameter.name} {value!r}; expected {parameter.expected}"
    )


_UNBOUNDED = Within()


def kind_of(hint: Any, bounds: Within = _UNBOUNDED) -> Kind:
    """What a field's type takes: a number, a text, a choice, a tuple, a class, or one of several.

    A type that is none of these cannot be held to, nor written as text.
    """
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *marks = get_args(hint)
        return kind_of(inner, next((each for each in marks if isinstance(each, Within)), bounds))
    if origin in (Union, UnionType):
        return _either([kind_of(each, bounds) for each in get_args(hint)])
    if origin is Literal:
        return _choice({str(each): each for each in get_args(hint)})
    if origin is tuple and get_args(hint)[1:] == (...,):
        return _several(kind_of(get_args(hint)[0]))
    if hint in _NUMBERS:
        return _number(hint, bounds)
    return _SIMPLE[hint] if hint in _SIMPLE else _instance(origin or hint)


_NUMBERS: Mapping[Any, tuple[str, tuple[type, ...]]] = MappingProxyType(
    {
        int: ("a whole number", (int, np.integer)),
        float: ("a number", (int, float, np.integer, np.floating)),
    }
)


def _number(convert: Callable[[str], Any], bounds: Within) -> Kind:
    noun, types = _NUMBERS[convert]
    return Kind(
        expected=noun if bounds == _UNBOUNDED else f"{noun}, {bounds}",
        takes=lambda value: isinstance(value, types) and value in bounds,
        read=lambda text, _: convert(text),
    )


def _choice(values: Mapping[str, Any]) -> Kind:
    """One of some values, by what each is written as."""

    def read(text: str, _: Find) -> Any:
        if text not in values:
            raise ValueError(text)
        return values[text]

    return Kind(
        expected=f"one of {', '.join(values)}",
        takes=lambda value: any(
            type(value) is type(each) and value == each for each in values.values()
        ),
        read=read,
    )


def _several(each: Kind) -> Kind:
    """A tuple of any length; as text with commas between its values."""

    def meant(value: Any, find: Find) -> Any:
        listed = isinstance(value, (list, tuple))
        return tuple(each.meant(part, find) for part in value) if listed else value

    return Kind(
        expected=f"a tuple (as text a,b,...), each of it {each.expected}",
        takes=lambda value: isinstance(value, tuple) and all(map(each.takes, value)),
        read=lambda text, find: tuple(
            each.read(part.strip(), find) for part in text.split(",") if part.strip()
        ),
        meant=meant,
        written=each.written,
    )


def _either(kinds: list[Kind]) -> Kind:
    """One of several types; `none` before any other, of which one may take every text."""
    said = [each.expected for each in kinds if each is not _NONE]
    ordered = [_NONE] * (_NONE in kinds) + [each for each in kinds if each is not _NONE]

    def read(text: str, find: Find) -> Any:
        for each in ordered:
            with suppress(ValueError):
                value = each.read(text, find)
                if each.takes(value):
                    return value
        raise ValueError(text)

    def meant(value: Any, find: Find) -> Any:
        every = (value, *(each.meant(value, find) for each in ordered))
        return next(filter(takes, every), value)

    def takes(value: Any) -> bool:
        return any(each.takes(value) for each in kinds)

    return Kind(
        expected=" or ".join(said) + ", or none" * (_NONE in kinds),
        takes=takes,
        read=read,
        meant=meant,
        written=lambda has_names: any(
            each.written(has_names) for each in kinds if each is not _NONE
        ),
    )


def _instance(hint: Any) -> Kind:
    """An object of a class, which has a name at best."""

    def takes(value: Any) -> bool:
        try:
            return not isinstance(hint, type) or isinstance(value, hint)
        except TypeError:  # a protocol that cannot be asked
            return True

    def read(text: str, find: Find) -> Any:
        if not isinstance(hint, type):
            return _unwritten(text, find)
        return find(hint, text)

    def meant(value: Any, find: Find) -> Any:
        try:
            return value if takes(value) or not isinstance(value, str) else read(value, find)
        except ValueError:
            return value

    noun = getattr(hint, "__name__", str(hint)).lower()
    article = "an" if noun[:1] in "aeiou" else "a"
    return Kind(
        expected=f"{article} {noun}",
        takes=takes,
        read=read,
        meant=meant,
        written=lambda has_names: isinstance(hint, type) and has_names(hint),
    )


def _unwritten(text: str, _: Find) -> Any:
    raise ValueError(text)


_NONE = _choice({"none": None})
_SIMPLE: Mapping[Any, Kind] = MappingProxyType(
    {
        NoneType: _NONE,
        bool: _choice({"true": True, "false": False}),
        str: Kind("a text", lambda value: isinstance(value, str), lambda text, _: text),
        Any: Kind(
            "a value that only Python can give",
            lambda _: True,
            _unwritten,
            written=lambda _: False,
        ),
    }
)
