"""Where each cell of a comparison stands: model, picture, class, method, layer."""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TypeVar

from xai_core.images import Picture
from xai_core.types import Cell, Comparison, Explanation, Method

Value = TypeVar("Value", bound=Hashable)

_LONGEST = 120
"""Of a picture's name, in characters."""


@dataclass(frozen=True)
class Place:
    """The numbers of a cell along the axes."""

    model: int
    picture: int
    target: int
    method: int
    layer: int | None


@dataclass(frozen=True)
class Axes:
    """What there is along each axis, in the order it was asked for."""

    models: tuple[str, ...]
    pictures: tuple[Picture | str, ...]
    """A picture that could not be read is its name."""
    targets: tuple[str, ...]
    """How they were asked for: what was predicted differs from picture to picture."""
    methods: tuple[Method, ...]
    layers: tuple[str, ...]

    @property
    def picture_titles(self) -> tuple[str, ...]:
        """The names, with ` (2)`, ` (3)` behind one that came before."""
        seen: Counter[str] = Counter()
        titles = []
        for name in map(_title, self.pictures):
            seen[name] += 1
            titles.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
        return tuple(titles)


def _title(picture: Picture | str) -> str:
    name = _file_name(picture) if isinstance(picture, str) else picture.name
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _file_name(path: str) -> str:
    """What a failure calls a picture that was not read may be a whole path."""
    return PurePath(path).name or path


def lay_out(comparison: Comparison) -> tuple[Axes, tuple[Place, ...]]:
    """Find the axes of a comparison, and the place of each of its cells on them."""
    cells = comparison.cells
    # A model that could not be loaded knows of its methods no more than their names.
    known = {cell.method.name: cell.method for cell in reversed(cells) if cell.method.source}
    ran = [known.get(m.name, m) if not m.source else m for m in (cell.method for cell in cells)]
    shown = _pictures(comparison)
    models = _numbers(cell.model for cell in cells)
    pictures = _numbers(shown)
    targets = _numbers(cell.target.asked for cell in cells)
    methods = _numbers(map(_key, ran))
    layers = _numbers(cell.layer for cell in cells if cell.layer is not None)
    places = tuple(
        Place(
            models[cell.model],
            pictures[picture],
            targets[cell.target.asked],
            methods[_key(method)],
            None if cell.layer is None else layers[cell.layer],
        )
        for cell, picture, method in zip(cells, shown, ran, strict=True)
    )
    different = {_key(method): method for method in ran}
    axes = Axes(
        tuple(models), tuple(pictures), tuple(targets), tuple(different.values()), tuple(layers)
    )
    return axes, places


def _numbers(values: Iterable[Value]) -> dict[Value, int]:
    """Each value once, numbered from 0."""
    return {value: number for number, value in enumerate(dict.fromkeys(values))}


def _key(method: Method) -> Hashable:
    return (method.name, repr(dict(method.parameters)), method.source)


def _pictures(comparison: Comparison) -> list[Picture | str]:
    """The picture of each cell.

    A failure knows a name only: of several pictures of that name, it is the first that
    has no map where the failure stands.
    """
    read = dict.fromkeys(each.picture for each in (*comparison.predictions, *comparison))
    taken = {(each.picture, *_rest(each)) for each in comparison}
    found: list[Picture | str] = []
    for cell in comparison.cells:
        if isinstance(cell, Explanation):
            found.append(cell.picture)
            continue
        names = (cell.picture, _file_name(cell.picture))
        free = (p for p in read if p.name in names and (p, *_rest(cell)) not in taken)
        picture = next(free, None)
        if picture is not None:
            taken.add((picture, *_rest(cell)))
        found.append(cell.picture if picture is None else picture)
    return found


def _rest(cell: Cell) -> tuple[Hashable, ...]:
    return (cell.model, cell.target.asked, _key(cell.method), cell.layer)


def rows(places: Sequence[Place]) -> list[list[int]]:
    """The cells of each model, picture and class, by their numbers."""
    found: dict[tuple[int, int, int], list[int]] = {}
    for number, place in enumerate(places):
        found.setdefault((place.model, place.picture, place.target), []).append(number)
    return list(found.values())
