"""The frozen data that flows out of a study."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_core.errors import UsageError
from xai_core.files import write_atomically
from xai_core.images import Picture, Region
from xai_core.typing import FloatArray, ScoreKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from matplotlib.figure import Figure
    from PIL import Image


@dataclass(frozen=True)
class Target:
    """A class that a score was explained for."""

    index: int
    label: str | None
    asked: str
    """How it was asked for: `predicted`, `rank 2`, `285`, `Egyptian cat`."""

    def __str__(self) -> str:
        return f"class {self.index}" if self.label is None else f"{self.index} {self.label}"


@dataclass(frozen=True)
class MapWarning:
    """Why a map deserves less trust than it seems to.

    `kind` is one of `all-zero`, `uniform`, `non-finite`, `saturated`,
    `vanished-gradients`, `random-weights`, `guessed-preprocessing`, `guessed-size`,
    `unknown-output`.
    """

    kind: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True)
class ClassScore:
    """One class of a prediction."""

    index: int
    label: str | None
    probability: float
    logit: float

    @property
    def title(self) -> str:
        """Index and name: names may occur twice."""
        return f"class {self.index}" if self.label is None else f"{self.index} {self.label}"


@dataclass(frozen=True)
class Prediction:
    """The classes of highest score for one picture, highest first."""

    picture: Picture
    classes: tuple[ClassScore, ...]
    warnings: tuple[MapWarning, ...]
    preprocessing: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "picture": self.picture.name,
            "picture_sha256": self.picture.sha256,
            "picture_notes": list(self.picture.notes),
            "preprocessing": self.preprocessing,
            "classes": [asdict(each) for each in self.classes],
            "warnings": [asdict(each) for each in self.warnings],
        }


@dataclass(frozen=True)
class Method:
    """An explainer as it was run."""

    name: str
    parameters: Mapping[str, Any]
    signed: bool
    source: str
    """The distribution it comes from, and its version."""

    def __str__(self) -> str:
        if not self.parameters:
            return self.name
        return f"{self.name}({', '.join(f'{k}={v}' for k, v in self.parameters.items())})"


@dataclass(frozen=True, eq=False)
class Explanation:
    """One map, and all that is needed to make it again."""

    map: FloatArray
    """The raw map (h, w), at the method's own resolution, unnormalised, read-only.
    float32, or float64 where the model is."""
    picture: Picture
    region: Region
    """The part of the picture that the model saw, and that the map covers."""
    method: Method
    layer: str | None
    """The target layer; None for a method that has none."""
    target: Target
    score: float
    score_kind: ScoreKind
    probability: float
    warnings: tuple[MapWarning, ...]
    origin: "Callable[[], Mapping[str, Any]]" = field(repr=False)
    """Tells model, weights, preprocessing and versions when asked."""

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Everything needed to make the map again, as plain data for JSON.

        The weights are hashed when this is first read; weights that have changed
        since the study was made are reported as changed, never under a wrong hash.
        """
        return {
            "method": self.method.name,
            "parameters": dict(self.method.parameters),
            "signed": self.method.signed,
            "method_source": self.method.source,
            "layer": self.layer,
            "target": asdict(self.target),
            "score": self.score,
            "score_kind": self.score_kind,
            "probability": self.probability,
            "picture": self.picture.name,
            "picture_sha256": self.picture.sha256,
            "picture_notes": list(self.picture.notes),
            "picture_size": list(self.picture.pixels.shape[:2]),
            "region": asdict(self.region),
            "warnings": [asdict(warning) for warning in self.warnings],
            **self.origin(),
        }

    def overlay(self, *, colour_map: str | None = None, opacity: float | None = None) -> "Image.Image":
        """The map over the picture, at the picture's own size, for looking at.

        Args:
            colour_map: A Matplotlib colour map; by default a perceptually uniform one, or
                a diverging one for a signed method.
            opacity: 0 (picture alone) to 1 (map alone).
        """
        from xai_core import render

        return render.overlay(self, colour_map=colour_map, opacity=opacity)

    def figure(self) -> "Figure":
        """A Matplotlib figure: the picture, and the map over it."""
        return Comparison.of([self]).figure()

    def save(self, path: "str | PathLike[str]") -> Path:
        """Write the raw map (`.npz`) or the overlay (`.png`), atomically.

        The archive holds `map` and `metadata`, the provenance as JSON; read it with
        `numpy.load(path)`, which needs no pickle.
        """
        target = Path(path)
        if target.suffix == ".npz":
            return write_atomically(
                target, lambda file: _write_npz(file, self.provenance, {"map": self.map})
            )
        if target.suffix == ".png":
            return write_atomically(target, lambda file: self.overlay().save(file, format="PNG"))
        raise UsageError(
            f"cannot save an explanation as {target.name!r}; expected a name that ends in .npz "
            "(the raw map) or .png (the overlay)"
        )


@dataclass(frozen=True)
class Failure:
    """A map that could not be made, in the place where it would have stood."""

    method: Method
    layer: str | None
    target: Target
    message: str


@dataclass(frozen=True, eq=False)
class Comparison:
    """Maps of one picture, by method and target, in the order they were asked for."""

    cells: tuple[Explanation | Failure, ...]
    prediction: Prediction | None = None

    @classmethod
    def of(cls, explanations: Sequence[Explanation]) -> "Comparison":
        """A comparison of explanations that were made one by one."""
        return cls(tuple(explanations))

    def __getitem__(self, key: tuple[str, int | str]) -> Explanation:
        """The map of a method for a target, by index, label, or the words it was asked in.

        Raises:
            KeyError: there is none.
            ExplainerError: it failed; the message says how.
        """
        method, target = key
        for cell in self.cells:
            names = (cell.target.index, cell.target.label, cell.target.asked)
            if cell.method.name == method and target in names:
                if isinstance(cell, Failure):
                    from xai_core.errors import ExplainerError

                    raise ExplainerError(cell.message)
                return cell
        known = ", ".join(f"({c.method.name!r}, {c.target.index})" for c in self.cells)
        raise KeyError(f"no map for {key!r}; there are {known}")

    def __iter__(self) -> Iterator[Explanation]:
        """The maps that were made."""
        return (cell for cell in self.cells if isinstance(cell, Explanation))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What could not be made."""
        return tuple(cell for cell in self.cells if isinstance(cell, Failure))

    def figure(self) -> "Figure":
        """A Matplotlib figure with a row for each target and a column for each method."""
        from xai_core import render

        return render.comparison_figure(self)

    def save(self, path: "str | PathLike[str]") -> Path:
        """Write the figure (`.png`, `.svg`, `.pdf`) or the raw maps (`.npz`), atomically.

        The archive holds `map_0`, `map_1`, ... and `metadata`, a JSON list in that order.
        """
        target = Path(path)
        if target.suffix == ".npz":
            metadata = [each.provenance for each in self]
            maps = {f"map_{number}": each.map for number, each in enumerate(self)}
            return write_atomically(target, lambda file: _write_npz(file, metadata, maps))
        if target.suffix in (".png", ".svg", ".pdf"):
            figure = self.figure()
            return write_atomically(
                target, lambda file: figure.savefig(file, format=target.suffix[1:])
            )
        raise UsageError(
            f"cannot save a comparison as {target.name!r}; expected a name that ends in .png, "
            ".svg, .pdf (the figure) or .npz (the raw maps)"
        )


def _write_npz(file: Any, metadata: object, arrays: Mapping[str, FloatArray]) -> None:
    np.savez(file, metadata=np.asarray(json.dumps(metadata)), **arrays)  # type: ignore[arg-type]
