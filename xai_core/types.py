"""The frozen data that flows out of a study."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from xai_core.errors import UsageError, XaiError
from xai_core.files import write_atomically
from xai_core.focus import Focus, measure_focus
from xai_core.images import Picture, Region
from xai_core.trust import Account, Verdict
from xai_core.typing import FloatArray, ScoreKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

    from matplotlib.figure import Figure
    from PIL import Image

    from xai_core.render import Sharing


LAYERS_TOGETHER = " + "
"""Between the names of layers that one map was made of."""

NON_FINITE = "non-finite"
"""The kind of warning whose message stands with the map that it is about."""

_SHORT = MappingProxyType(
    {
        "standard error": "± {value}",
        "completeness gap": "gap {value}",
        "change of the score": "change {value}",
        "correlation with the mean": "correlation {value}",
        "rectifiers replaced": "ReLUs replaced {value}",
    }
)
"""How a fact is told where there is little room; another is told by its whole name."""


def short_layer(layer: str | None) -> str:
    """The path of a layer; of several how many, the first and the last."""
    first, *more = (layer or "").split(LAYERS_TOGETHER)
    return f"{len(more) + 1} layers, {first} to {more[-1]}" if more else first


def short_number(value: float) -> str:
    """Three digits, and all of them of a count."""
    whole = math.isfinite(value) and value == int(value) and abs(value) < 1e9
    return f"{value:.0f}" if whole else f"{value:.3g}"


@dataclass(frozen=True)
class Target:
    """A class that a score was explained for."""

    index: int
    """Negative where the model did not run: the rank that was asked for."""
    label: str | None
    asked: str
    """How it was asked for: `predicted`, `rank 2`, `285`, `Egyptian cat`."""

    def __str__(self) -> str:
        if self.index < 0:
            return self.asked
        return f"class {self.index}" if self.label is None else f"{self.index} {self.label}"

    def answers_to(self, asked: int | str) -> bool:
        """Whether this is the class of that index, of that name, or asked for in those words."""
        return asked in (self.index, self.label, self.asked)


@dataclass(frozen=True)
class MapWarning:
    """Why a map deserves less trust than it seems to.

    `kind` is one of `all-zero`, `uniform`, `non-finite`, `saturated`,
    `vanished-gradients`, `random-weights`, `guessed-preprocessing`, `guessed-size`,
    `unknown-output`, `picture-range`, or one that a method tells of, as `sign-ambiguous`,
    `score-near-zero`, `incomplete`, `offset` and `few-samples`.
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

    model: str
    picture: Picture
    classes: tuple[ClassScore, ...]
    warnings: tuple[MapWarning, ...]
    preprocessing: str

    def figure(self) -> "Figure":
        """A Matplotlib figure: the picture, and beside it the classes with their scores."""
        from xai_core import render

        return render.prediction_figure(self)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "model": self.model,
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
    defaults: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What its parameters are when nothing is said."""
    poles: tuple[str, str] = field(default=("for", "against"), repr=False, compare=False)
    """What values above and below 0 say, where it is signed."""

    @property
    def changed(self) -> Mapping[str, Any]:
        """The parameters that are not at their defaults."""
        return {
            name: value
            for name, value in self.parameters.items()
            if name not in self.defaults or self.defaults[name] != value
        }

    def __str__(self) -> str:
        changed = ", ".join(f"{name}={value}" for name, value in self.changed.items())
        return f"{self.name}({changed})" if changed else self.name


@dataclass(frozen=True)
class GradientHealth:
    """How much a gradient has to say, over all places and channels of one picture."""

    gradient: str
    """Which: `ACTIVATION_GRADIENTS` or `INPUT_GRADIENTS`."""
    largest: float
    """The largest magnitude."""
    mean: float
    """The mean magnitude."""
    zeros: float
    """The share of exact zeros, 0..1."""
    saturation: float
    """How far the probability p is from moving with the logit: 1 - 4 p (1 - p), 0..1."""

    def __str__(self) -> str:
        where = "layer" if self.gradient == "ACTIVATION_GRADIENTS" else "input"
        return (
            f"gradient at the {where}: {self.zeros:.0%} zeros, largest {self.largest:.2g}, "
            f"mean {self.mean:.2g}, probability {self.saturation:.0%} saturated"
        )


@dataclass(frozen=True)
class Pass:
    """One run of a compiled program, for all methods, targets and layers at once."""

    needs: tuple[str, ...]
    layers: tuple[str, ...]
    rule: str
    """How rectifiers carried the gradients back."""
    pictures: int
    targets: int
    seconds: float
    """Until its result was there; compilation included where the program was new."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """One map, and all that is needed to make it again."""

    model: str
    """What the model is called; `provenance` says where it came from."""
    map: FloatArray = field(repr=False)
    """The raw map (h, w), at the method's own resolution, unnormalised, read-only.
    float32, or float64 where the model is."""
    picture: Picture
    region: Region
    """The part of the picture that the model saw, and that the map covers."""
    method: Method
    layer: str | None
    """The target layer; None for a method that has none. Several layers stand in a row,
    with ` + ` between them."""
    target: Target
    score: float
    score_kind: ScoreKind
    logit: float
    probability: float
    warnings: tuple[MapWarning, ...]
    facts: Mapping[str, float]
    """What the method tells of this map, such as an estimate of its error."""
    health: tuple[GradientHealth, ...]
    """Of each gradient that the method read."""
    seconds: float
    """What the method took for this map, beside the pass that it shares with others."""
    origin: "Callable[[], Mapping[str, Any]]" = field(repr=False)
    """Tells model, weights, preprocessing and versions when asked."""
    verdict: Verdict | None = field(default=None, repr=False)
    """What tests say of it; None where `compare` was not asked to test."""

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Everything needed to make the map again, as plain data for JSON.

        The weights are hashed when this is first read; weights that have changed
        since the study was made are reported as changed, never under a wrong hash.
        """
        return self._told(self.origin())

    def _told(self, origin: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "method": self.method.name,
            "parameters": dict(self.method.parameters),
            "signed": self.method.signed,
            "method_source": self.method.source,
            "layer": self.layer,
            "target": asdict(self.target),
            "score": self.score,
            "score_kind": self.score_kind,
            "logit": self.logit,
            "probability": self.probability,
            "picture": self.picture.name,
            "picture_sha256": self.picture.sha256,
            "picture_notes": list(self.picture.notes),
            "picture_size": list(self.picture.pixels.shape[:2]),
            "region": asdict(self.region),
            "warnings": [asdict(warning) for warning in self.warnings],
            "facts": {
                name: value if math.isfinite(value) else None for name, value in self.facts.items()
            },
            "focus": self.focus.as_dict() if self.focus else None,
            "gradient_health": [asdict(each) for each in self.health],
            **({"verdict": self.verdict.to_dict()} if self.verdict else {}),
            **origin,
        }

    @cached_property
    def focus(self) -> Focus | None:
        """Where the evidence lies; None where the map is empty or not finite."""
        height, width = self.picture.pixels.shape[:2]
        found = measure_focus(self.map, self.region.width * self.region.height / (width * height))
        return found and replace(found, centre=self.on_whole(found.centre))

    @property
    def told(self) -> tuple[str, ...]:
        """The facts in few words, in their order, less what the map took."""
        return tuple(
            _SHORT.get(name, "{name} {value}").format(name=name, value=short_number(value))
            for name, value in self.facts.items()
            if name != "queries"
        )

    @cached_property
    def extent(self) -> tuple[float, float] | None:
        """The lowest and the highest finite value of the map; None where there is none."""
        finite = self.map[np.isfinite(self.map)]
        return (float(finite.min()), float(finite.max())) if finite.size else None

    @property
    def fault(self) -> str | None:
        """Why there is nothing to see: no value is finite. None where one is."""
        if self.extent is not None:
            return None
        found = (each.message for each in self.warnings if each.kind == NON_FINITE)
        return next(found, "no value of the map is finite")

    def on_whole(self, point: tuple[float, float]) -> tuple[float, float]:
        """A point of the map, down and across in 0..1, as one of the whole picture."""
        height, width = self.picture.pixels.shape[:2]
        down, across = point
        return (
            (self.region.top + down * self.region.height) / height,
            (self.region.left + across * self.region.width) / width,
        )

    def overlay(
        self, *, colour_map: str | None = None, opacity: float | None = None
    ) -> "Image.Image":
        """The map over the picture, at the picture's own size, for looking at.

        Args:
            colour_map: A Matplotlib colour map; by default a perceptually uniform one, or
                a diverging one for a signed method.
            opacity: 0 (picture alone) to 1 (map alone).

        Warnings are written over its lower edge.
        """
        from xai_core import render

        drawn = render.overlay(self, colour_map=colour_map, opacity=opacity)
        return render.caption(drawn, [warning.kind for warning in self.warnings])

    def heatmap(self, *, colour_map: str | None = None) -> "Image.Image":
        """The map alone at its own resolution, coloured: a pixel for each of its places.

        Args:
            colour_map: A Matplotlib colour map, as for `overlay`.
        """
        from xai_core import render

        return render.heatmap(self, colour_map=colour_map)

    def figure(self) -> "Figure":
        """A Matplotlib figure: the picture, and the map over it."""
        return Comparison((self,)).figure()

    def _repr_html_(self) -> str:
        return Comparison((self,))._repr_html_()

    def _repr_png_(self) -> bytes | None:
        return Comparison((self,))._repr_png_()

    def save(self, path: "str | PathLike[str]") -> Path:
        """Write the raw map (`.npz`) or the overlay (`.png`), atomically.

        The archive holds `map` and `metadata`, the provenance as JSON; read it with
        `numpy.load(path)`, which needs no pickle.
        """
        target = Path(path)
        if target.suffix.lower() == ".npz":
            return write_atomically(
                target, lambda file: _write_npz(file, self.provenance, {"map": self.map})
            )
        if target.suffix.lower() == ".png":
            return write_atomically(target, lambda file: self.overlay().save(file, format="PNG"))
        raise UsageError(
            f"cannot save an explanation as {target.name!r}; expected a name that ends in .npz "
            "(the raw map) or .png (the overlay)"
        )


@dataclass(frozen=True)
class Failure:
    """A map that could not be made, in the place where it would have stood."""

    model: str
    picture: str
    method: Method
    layer: str | None
    target: Target
    error: XaiError

    @property
    def message(self) -> str:
        """Why."""
        return str(self.error)


Cell: TypeAlias = "Explanation | Failure"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Maps by model, picture, target, method and layer, in the order they were asked for."""

    cells: tuple[Cell, ...]
    predictions: tuple[Prediction, ...] = ()
    """What each model predicts for each picture."""
    passes: tuple[Pass, ...] = ()
    """The runs of the models that it took."""
    notices: tuple[str, ...] = ()
    """What was not done as it was asked for: smaller batches, where memory ran out."""
    accounts: tuple[Account, ...] = ()
    """What testing the maps took, for each model; none where it was not asked for."""

    def select(
        self,
        *,
        model: str | None = None,
        picture: str | None = None,
        method: str | None = None,
        layer: str | None = None,
        target: int | str | None = None,
    ) -> "Comparison":
        """The part of the comparison that fits.

        Args:
            model: The name of a model.
            picture: The name of a picture.
            method: The name of a method.
            layer: The path of a layer.
            target: A class index, a class name, or the words it was asked for in.
        """
        cells = tuple(
            cell
            for cell in self.cells
            if (model is None or cell.model == model)
            and (picture is None or _picture_name(cell) == picture)
            and (method is None or cell.method.name == method)
            and (layer is None or cell.layer == layer)
            and (target is None or cell.target.answers_to(target))
        )
        predictions = tuple(
            each
            for each in self.predictions
            if (model is None or each.model == model)
            and (picture is None or each.picture.name == picture)
        )
        return replace(self, cells=cells, predictions=predictions)

    def __getitem__(self, key: Any) -> Explanation:
        """The one map of a method for a target, by index, name, or the words it was asked in.

        Raises:
            KeyError: there is none, or more than one; `select` narrows them down.
            XaiError: it failed; the message says how.
        """
        if not isinstance(key, tuple) or len(key) != 2:
            raise KeyError(f"received {key!r}; expected a method and a target, as in [name, 285]")
        method, target = key
        found = self.select(method=method, target=target).cells
        if len(found) != 1:
            known = ", ".join(f"({c.method.name!r}, {c.target.index})" for c in self.cells)
            raise KeyError(
                f"{len(found)} maps for {key!r}; expected one. Narrow them down with select(), "
                f"or take one of {known}"
            )
        if isinstance(found[0], Failure):
            raise found[0].error
        return found[0]

    def __iter__(self) -> Iterator[Explanation]:
        """The maps that were made."""
        return (cell for cell in self.cells if isinstance(cell, Explanation))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    @property
    def provenance(self) -> list[dict[str, Any]]:
        """The provenance of every map; each model's weights are hashed once for all of them."""
        origins = {each.origin: None for each in self}
        told = {origin: origin() for origin in origins}
        return [each._told(told[each.origin]) for each in self]

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What could not be made."""
        return tuple(cell for cell in self.cells if isinstance(cell, Failure))

    def figure(
        self,
        *,
        colour_map: str | None = None,
        opacity: float | None = None,
        scale: "Sharing" = "map",
    ) -> "Figure":
        """A Matplotlib figure of all maps over their pictures.

        Args:
            colour_map: A Matplotlib colour map; by default a perceptually uniform one,
                diverging for signed methods.
            opacity: 0 (picture alone) to 1 (map alone).
            scale: Which maps share a scale: `map`, each its own; `row`, those of one
                picture and class; `all`.
        """
        from xai_core import render

        return render.comparison_figure(self, colour_map=colour_map, opacity=opacity, scale=scale)

    def _repr_html_(self) -> str:
        from xai_core import report

        return report.as_html(self)

    def _repr_png_(self) -> bytes | None:
        from xai_core import report

        return report.as_png(self)

    def save(self, path: "str | PathLike[str]", **drawing: Any) -> Path:
        """Write the figure, the report (`.html`) or the raw maps (`.npz`), atomically.

        Args:
            path: Its ending says what is written; a figure is `.png`, `.svg` or `.pdf`.
            **drawing: What `figure` takes.

        The archive holds `map_0`, `map_1`, ... and `metadata`, a JSON list in that order.
        """
        target = Path(path)
        if target.suffix.lower() == ".npz":
            metadata = self.provenance
            maps = {f"map_{number}": each.map for number, each in enumerate(self)}
            return write_atomically(target, lambda file: _write_npz(file, metadata, maps))
        if target.suffix.lower() in (".png", ".svg", ".pdf"):
            figure = self.figure(**drawing)
            return write_atomically(
                target, lambda file: figure.savefig(file, format=target.suffix[1:].lower())
            )
        if target.suffix.lower() == ".html":
            from xai_core import report

            page = report.write_report(self, **drawing)
            return write_atomically(target, lambda file: file.write(page))
        raise UsageError(
            f"cannot save a comparison as {target.name!r}; expected a name that ends in .png, "
            ".svg, .pdf (the figure), .html (the report) or .npz (the raw maps)"
        )


def _picture_name(cell: Cell) -> str:
    return cell.picture if isinstance(cell, Failure) else cell.picture.name


def finite(value: Any) -> Any:
    """Plain data as JSON can say it: it has no NaN and no infinity, so they are null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(each) for each in value]
    return value


def _write_npz(file: Any, metadata: object, arrays: Mapping[str, FloatArray]) -> None:
    text = json.dumps(finite(metadata), allow_nan=False)
    np.savez(file, metadata=np.asarray(text), **arrays)  # type: ignore[arg-type]
