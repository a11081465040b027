"""All that a report shows, collected from a comparison."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

from xai_core.errors import UsageError
from xai_core.images import Picture
from xai_core.render import DIVERGING, OPACITY, SEQUENTIAL, Sharing, scales
from xai_core.report.axes import Axes, Place, lay_out, rows
from xai_core.report.encode import (
    PackedPicture,
    choose_bits,
    pack_colours,
    pack_map,
    pack_pictures,
)
from xai_core.report.text import plain
from xai_core.types import (
    Comparison,
    Explanation,
    Failure,
    MapWarning,
    Prediction,
)

_SHARINGS: tuple[Sharing, ...] = ("map", "row", "all")
_SEQUENTIAL = (SEQUENTIAL, "viridis", "cividis", "jet")
_DIVERGING = (DIVERGING, "PuOr_r")


@dataclass(frozen=True)
class Drawing:
    """How the maps are drawn when the page opens; the reader can change it there."""

    colour_map: str | None
    opacity: float
    scale: Sharing

    @property
    def sequential(self) -> tuple[str, ...]:
        """The colour maps on offer for maps without negative values."""
        return self._first(_SEQUENTIAL)

    @property
    def diverging(self) -> tuple[str, ...]:
        """The colour maps on offer for signed maps."""
        return self._first(_DIVERGING)

    def _first(self, names: tuple[str, ...]) -> tuple[str, ...]:
        asked = () if self.colour_map is None else (self.colour_map,)
        return tuple(dict.fromkeys((*asked, *names)))


@dataclass(frozen=True)
class HealthRow:
    """One gradient, and the maps that were made of it."""

    cells: tuple[int, ...]
    gradient: str
    largest: float
    mean: float
    zeros: float


@dataclass(frozen=True)
class Fault:
    """One reason why there is no map, and the cells it holds for."""

    message: str
    cells: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Report:
    """A comparison, laid out for the page."""

    comparison: Comparison
    axes: Axes
    places: tuple[Place, ...]
    drawing: Drawing
    packed: tuple[PackedPicture | None, ...]
    """Each picture as it is shown; None for one that could not be read."""

    @cached_property
    def maps(self) -> dict[int, Explanation]:
        """The maps that were made, by the number of their cell."""
        cells = enumerate(self.comparison.cells)
        return {number: cell for number, cell in cells if isinstance(cell, Explanation)}

    @cached_property
    def failures(self) -> dict[int, Failure]:
        """What could not be made, by the number of its cell."""
        cells = enumerate(self.comparison.cells)
        return {number: cell for number, cell in cells if isinstance(cell, Failure)}

    @property
    def faults(self) -> list[Fault]:
        """Each reason for a failure once, however many maps it cost."""
        found: dict[str, list[int]] = {}
        for number, cell in self.failures.items():
            found.setdefault(cell.message, []).append(number)
        return [Fault(message, tuple(cells)) for message, cells in found.items()]

    @cached_property
    def warnings(self) -> dict[MapWarning, tuple[int, ...]]:
        """Each warning, and the cells that it is about; none where it is about a prediction."""
        found: dict[MapWarning, list[int]] = {}
        for number, cell in self.maps.items():
            for warning in cell.warnings:
                found.setdefault(warning, []).append(number)
        for prediction in self.comparison.predictions:
            for warning in prediction.warnings:
                found.setdefault(warning, [])
        return {warning: tuple(numbers) for warning, numbers in found.items()}

    @cached_property
    def origins(self) -> dict[Callable[[], Mapping[str, Any]], Mapping[str, Any]]:
        """Where each model came from; asked once for each, for it hashes the weights."""
        asked = dict.fromkeys(cell.origin for cell in self.maps.values())
        return {origin: origin() for origin in asked}

    @cached_property
    def health(self) -> list[HealthRow]:
        """Each gradient once, however many methods read it."""
        found: dict[Any, list[int]] = {}
        for number, cell in self.maps.items():
            at = replace(self.places[number], method=0)
            for each in cell.health:
                found.setdefault((at, each), []).append(number)
        return [
            HealthRow(tuple(cells), each.gradient, each.largest, each.mean, each.zeros)
            for (_, each), cells in found.items()
        ]

    def predictions_of(self, picture: Picture | str) -> list[tuple[int, Prediction]]:
        """What each model predicts for a picture, with the model's number."""
        return [
            (self.axes.models.index(each.model), each)
            for each in self.comparison.predictions
            if each.picture == picture and each.model in self.axes.models
        ]

    def payload(self) -> dict[str, Any]:
        """What the page's script reads."""
        made = list(self.maps.values())
        shown = {sharing: scales(made, sharing) for sharing in _SHARINGS}
        origin_numbers = {origin: n for n, origin in enumerate(self.origins)}
        warning_numbers = {warning: n for n, warning in enumerate(self.warnings)}
        bits = choose_bits(cell.map for cell in made)
        drawing = self.drawing
        return {
            "axes": {
                "model": list(map(plain, self.axes.models)),
                "picture": list(map(plain, self.axes.picture_titles)),
                "target": list(map(plain, self.axes.targets)),
                "method": [
                    {
                        "name": plain(each.name),
                        "title": plain(each),
                        "signed": each.signed,
                        "poles": list(map(plain, each.poles)),
                    }
                    for each in self.axes.methods
                ],
                "layer": list(map(plain, self.axes.layers)),
            },
            "pictures": [
                None
                if packed is None or isinstance(picture, str)
                else {
                    "width": picture.pixels.shape[1],
                    "height": picture.pixels.shape[0],
                    "shown": [packed.width, packed.height],
                }
                for picture, packed in zip(self.axes.pictures, self.packed, strict=True)
            ],
            "cells": [
                {
                    **asdict(place),
                    "class": plain(cell.target),
                    "index": cell.target.index,
                    **(
                        {"failure": plain(cell.message)}
                        if isinstance(cell, Failure)
                        else {
                            "map": pack_map(cell.map, bits),
                            "region": list(asdict(cell.region).values()),
                            "score": cell.score,
                            "scoreKind": cell.score_kind,
                            "probability": cell.probability,
                            "warnings": [warning_numbers[each] for each in cell.warnings],
                            "focus": None if cell.focus is None else str(cell.focus),
                            "fault": None if cell.fault is None else plain(cell.fault),
                            "extent": cell.extent,
                            "facts": [[plain(name), value] for name, value in cell.facts.items()],
                            "health": [plain(each) for each in cell.health],
                            "seconds": cell.seconds,
                            "scales": {
                                sharing: [scale.low, scale.high, scale.signed]
                                for sharing in _SHARINGS
                                for scale in [shown[sharing][id(cell)]]
                            },
                            "origin": origin_numbers[cell.origin],
                            "provenance": replace(cell, origin=dict).provenance,
                        }
                    ),
                }
                for place, cell in zip(self.places, self.comparison.cells, strict=True)
            ],
            "rows": rows(self.places),
            "warnings": [
                {"kind": plain(each.kind), "message": plain(each.message)} for each in self.warnings
            ],
            "origins": list(self.origins.values()),
            "colours": pack_colours({*drawing.sequential, *drawing.diverging}),
            "sequential": drawing.sequential,
            "diverging": drawing.diverging,
            "opacity": drawing.opacity,
            "scale": drawing.scale,
        }


def collect(
    comparison: Comparison,
    *,
    colour_map: str | None = None,
    opacity: float | None = None,
    scale: Sharing = "map",
) -> Report:
    """Lay a comparison out for the page. The arguments are those of `Comparison.figure`.

    Raises:
        UsageError: there is nothing to show, or it cannot be drawn as asked.
    """
    if not comparison.cells:
        raise UsageError("received a comparison without maps; expected at least one to report")
    strength = OPACITY if opacity is None else opacity
    if not 0 <= strength <= 1:
        raise UsageError(f"received opacity {opacity}; expected 0 (picture) to 1 (map)")
    scales([], scale)
    axes, places = lay_out(comparison)
    read = [picture for picture in axes.pictures if isinstance(picture, Picture)]
    packed = iter(pack_pictures(read))
    return Report(
        comparison,
        axes,
        places,
        Drawing(colour_map, strength, scale),
        tuple(next(packed) if isinstance(each, Picture) else None for each in axes.pictures),
    )
