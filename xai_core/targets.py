"""From what a user asks for, an index, a name or a rank, to a class."""

import json
import operator
import os
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from xai_core.errors import LabelsError, TargetError

TargetLike: TypeAlias = int | str | None
"""A class index, a class name or an unambiguous beginning of one, or None: the predicted class."""

_SHOWN = 12
_MOST_DIGITS = 100
"""Of an index; more are out of any range, and Python refuses to read thousands."""


@dataclass(frozen=True)
class Wanted:
    """A target before the model has run.

    `code` is a class index, or, when negative, a rank from the top: -1 is the
    predicted class, -2 the second.
    """

    code: int
    asked: str


@dataclass(frozen=True)
class Classes:
    """The classes of a model: how many, and their names where they are known."""

    count: int
    names: tuple[str, ...] | None

    def label(self, index: int) -> str | None:
        """The name of a class, or None."""
        return None if self.names is None else self.names[index]

    def title(self, index: int) -> str:
        """The name with its index before it, or `class 3`: names may occur twice."""
        name = self.label(index)
        return f"class {index}" if name is None else f"{index} {name}"

    def find(self, target: TargetLike) -> Wanted:
        """Resolve one target.

        Raises:
            TargetError: no such class, or a name that fits several.
        """
        if target is None:
            return Wanted(-1, "predicted")
        if isinstance(target, str):
            return self._named(target)
        try:
            index = operator.index(target)
        except TypeError:
            index = None
        if index is None or isinstance(target, bool):
            raise TargetError(
                f"received {target!r} as the class; expected a whole number, a class name, or "
                "None for the predicted class"
            )
        return self._numbered(index, str(index))

    def ranked(self, count: int) -> tuple[Wanted, ...]:
        """The `count` classes of highest score.

        Raises:
            TargetError: the model does not have that many.
        """
        if not 1 <= count <= self.count:
            raise TargetError(
                f"received top {count}; expected 1 to {self.count}, the model's classes"
            )
        return tuple(Wanted(-rank, f"rank {rank}") for rank in range(1, count + 1))

    def lowest(self, count: int) -> tuple[Wanted, ...]:
        """The `count` classes of lowest score, lowest first.

        Raises:
            TargetError: the model does not have that many.
        """
        ranked = self.ranked(self.count) if 1 <= count <= self.count else self.ranked(count)
        return ranked[::-1][:count]

    def _numbered(self, index: int, asked: str) -> Wanted:
        if not 0 <= index < self.count:
            raise TargetError(
                f"received class {asked}; expected 0 to {self.count - 1}, for the model has "
                f"{self.count} classes"
            )
        return Wanted(index, asked)

    def _named(self, asked: str) -> Wanted:
        names = [name.strip().casefold() for name in self.names or ()]
        sought = asked.strip().casefold()
        found = [index for index, name in enumerate(names) if name == sought and sought]
        if not found and sought.isdecimal():
            # Before the beginnings of names: 3 is not short for "3D printer".
            return self._numbered(int(sought[:_MOST_DIGITS]), asked)
        if not found and sought:
            found = [index for index, name in enumerate(names) if name.startswith(sought)]
        if len(found) == 1:
            return Wanted(found[0], asked)
        if found:
            shown = ", ".join(self.title(index) for index in found[:_SHOWN])
            more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            raise TargetError(
                f"class {asked!r} fits {len(found)} classes: {shown}{more}; give the index of one"
            )
        if sought == "predicted":
            return Wanted(-1, "predicted")
        raise TargetError(self._unknown(asked, sought, names))

    def _unknown(self, asked: str, sought: str, names: Sequence[str]) -> str:
        if self.names is None:
            return (
                f"received class {asked!r}, and the model's classes have no names; expected an "
                f"index from 0 to {self.count - 1}, or give the names with labels (--labels FILE)"
            )
        inside = [index for index, name in enumerate(names) if sought and sought in name][:_SHOWN]
        near = f"; names that hold it: {', '.join(map(self.title, inside))}" if inside else ""
        return (
            f"no class is called {asked!r}{near}; expected an index from 0 to {self.count - 1}, "
            "a class name, or an unambiguous beginning of one"
        )


def make_classes(count: int, labels: Sequence[str] | str | os.PathLike[str] | None) -> Classes:
    """The classes of a model, with names from a sequence or a file.

    Args:
        count: How many the model has.
        labels: Names in order; or a file of them, one a line, or a JSON list or object
            from index to name.

    Raises:
        LabelsError: the file cannot be read, or there are not `count` names.
    """
    if labels is None:
        return Classes(count, None)
    is_path = isinstance(labels, (str, os.PathLike))
    unordered = isinstance(labels, (bytes, Mapping, Set)) or not isinstance(labels, Iterable)
    if unordered and not is_path:
        raise LabelsError(
            f"received a {type(labels).__name__} as labels; expected a list of names in the order "
            "of the classes, or a file of them"
        )
    names = _read_labels(Path(labels)) if is_path else tuple(map(str, labels))  # type: ignore[arg-type]
    where = f"{os.fspath(labels)!r}" if is_path else "labels"  # type: ignore[arg-type]
    if len(names) != count:
        raise LabelsError(
            f"{where} has {len(names)} names; expected {count}, one for each class of the model"
            + (" (0 first, then 1)" if count == 2 else "")
        )
    return Classes(count, names)


def _read_labels(path: Path) -> tuple[str, ...]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # ValueError: a path that holds a null character
        is_text = not isinstance(error, UnicodeDecodeError)
        reason = getattr(error, "strerror", error) if is_text else "not UTF-8 text"
        raise LabelsError(
            f"cannot read labels from {str(path)!r}: {reason}; expected a text file with one "
            "name a line, or a JSON list"
        ) from error
    if path.suffix.lower() != ".json":
        return tuple(line.strip() for line in text.splitlines() if line.strip())
    try:
        data = json.loads(text)
        if isinstance(data, dict):
            data = [data[str(index)] for index in range(len(data))]
        if isinstance(data, list) and all(isinstance(name, str) for name in data):
            return tuple(data)
    except (ValueError, KeyError, RecursionError):
        pass
    raise LabelsError(
        f"{str(path)!r} does not hold labels; expected a JSON list of names, or an object "
        'from "0", "1", ... to names'
    )
