"""The maps of one picture on the way down a ladder of models that know less and less."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xai_core.errors import UsageError
from xai_core.evaluation import LADDER_METRIC
from xai_core.files import write_atomically
from xai_core.images import Picture, as_picture
from xai_core.interfaces import Explainer, Metric
from xai_core.parameters import parameters
from xai_core.planner import PictureLike
from xai_core.progress import Progress
from xai_core.rank_correlation import spearman
from xai_core.targets import TargetLike
from xai_core.types import Cell, Explanation, Failure
from xai_core.typing import FloatArray
from xai_core.witness import Descent, Maps, rung

if TYPE_CHECKING:
    from os import PathLike

    from matplotlib.figure import Figure

    from xai_core.study import Study


@dataclass(frozen=True, eq=False)
class LadderMap:
    """One map on the way down."""

    layers: tuple[str, ...]
    """The layers whose weights were drawn anew at this rung, the topmost first; those of the rungs
    before stay drawn anew. None for the map of the model as it is."""
    cell: Cell
    """The map, or why it failed."""
    reason: str | None
    """Why it says nothing; None where it is a map like any other."""
    similarity: float | None
    """Spearman's correlation with the map of the model as it is, both at the input's size; None
    where either says nothing."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "layers": list(self.layers), "similarity": self.similarity, "reason": self.reason
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class LadderMaps:
    """A row of maps for each method: the model's own, then one for each rung."""

    model: str
    rows: tuple[tuple[LadderMap, ...], ...]
    seed: int
    """Of the weights that were drawn."""

    def figure(self) -> "Figure":
        """A Matplotlib figure: a row for each method, the similarity below each map."""
        from xai_core import render

        return render.ladder_figure(self)

    def save(self, path: "str | PathLike[str]") -> Path:
        """Write the figure (.png, .svg, .pdf), atomically."""
        target = Path(path)
        ending = target.suffix.lower()
        if ending not in (".png", ".svg", ".pdf"):
            raise UsageError(
                f"cannot save a ladder as {target.name!r}; expected a name that ends in .png, .svg "
                "or .pdf"
            )
        figure = self.figure()
        return write_atomically(target, lambda file: figure.savefig(file, format=ending[1:]))

    def to_dict(self) -> dict[str, Any]:
        """The numbers, as plain data for JSON."""
        return {
            "model": self.model,
            "seed": self.seed,
            "methods": [
                {"method": str(row[0].cell.method), "rungs": [each.to_dict() for each in row[1:]]}
                for row in self.rows
            ],
        }


def descend(
    study: "Study",
    source: PictureLike,
    explainers: Sequence[Explainer],
    rungs: int,
    target: TargetLike,
    seed: int,
    progress: Progress,
) -> LadderMaps:
    """Make the maps of every method at every rung: see `Study.ladder_maps`."""
    picture = as_picture(source)
    copy, ladder = study.ladder(seed)
    steps = ladder.rungs(rungs)
    total = len(steps) + 1
    progress(0, total, "the model as it is")
    own = study.compare(picture, explainers, [target]).cells
    made = [each for each in own if not isinstance(each, Failure)]
    if not made:
        raise next(each.error for each in own if isinstance(each, Failure))
    index = made[0].target.index

    def steps_down() -> Iterator[tuple[tuple[str, ...], Sequence[Cell]]]:
        for number, (layers, standing) in enumerate(
            zip(steps, accumulate(map(len, steps)), strict=True), start=1
        ):
            progress(number, total, f"{standing} layers drawn anew")
            ladder.stand(standing)
            yield layers, copy.compare(picture, explainers, [index]).cells

    found = _assemble(study, own, list(steps_down()), seed)
    progress(total, total, "")
    return found


def _assemble(study: "Study", own: Sequence[Cell], descent: Descent, seed: int) -> LadderMaps:
    """The maps of the model as it is, with those of each rung beside them."""
    learnt = [_seen(study, (), each, None) for each in own]
    columns = [[each for each, _ in learnt]]
    for layers, cells in descent:
        columns.append(
            [
                _seen(study, layers, each, before)[0]
                for each, (_, before) in zip(cells, learnt, strict=True)
            ]
        )
    return LadderMaps(study.name, tuple(zip(*columns, strict=True)), seed)


class LadderSample:
    """The maps on the way down of one picture of an evaluation, to be looked at.

    Those that the metric asked for are kept, of the first picture; others are made when they are
    wanted, as after an evaluation that took its numbers from a journal.

    Args:
        study: Who makes them.
        explainers: The methods.
        metrics: Those of the evaluation; the first that asks for such maps says for how many.
        sources: The pictures, by name.
        seed: Of the weights that are drawn.
    """

    def __init__(
        self,
        study: "Study",
        explainers: Sequence[Explainer],
        metrics: Sequence[Metric],
        sources: Mapping[str, PictureLike],
        seed: int,
    ) -> None:
        self._study = study
        self._explainers = explainers
        self._sources = sources
        self._seed = seed
        asked = (
            each.value
            for metric in metrics
            if metric.name == LADDER_METRIC
            for each in parameters(metric)
            if each.name == "rungs" and type(each.value) is int
        )
        self.rungs = next(asked, 0)
        """At how many places; 0 where no metric asks for such maps."""
        self._kept: dict[tuple[str, int], LadderMaps] = {}

    def keep(self, picture: Picture, own: Sequence[Cell], maps: Maps) -> None:
        """Take the maps of one picture and class, if they are the first and all are there."""
        if self._kept or not self.rungs or len(own) != len(self._explainers):
            return
        target = own[0].target.index
        descent = [
            (layers, [_on_picture(*both) for both in zip(cells, own, strict=True)])
            for layers, cells in maps.descent(target, self.rungs)
        ]
        if descent:
            key = (picture.name, target)
            self._kept[key] = _assemble(self._study, own, descent, self._seed)

    def __call__(self, name: str, target: int, progress: Progress | None) -> LadderMaps | None:
        """Those of a picture and class: made where they are not kept, and kept from then on.

        Args:
            name: The picture's.
            target: The index of the class.
            progress: Told what runs; without it nothing is made.

        Raises:
            XaiError: they cannot be made any more.
        """
        key = (name, target)
        if key not in self._kept and progress is not None:
            picture = replace(as_picture(self._sources[name]), name=name)
            self._kept[key] = descend(
                self._study, picture, self._explainers, self.rungs, target, self._seed, progress
            )
        return self._kept.get(key)


def _on_picture(cell: Cell, own: Cell) -> Cell:
    """A map of what the model sees of a picture, which a copy was shown, on that picture."""
    if isinstance(cell, Failure) or isinstance(own, Failure):
        return cell
    return replace(cell, picture=own.picture, region=own.region)


def _seen(
    study: "Study", layers: tuple[str, ...], cell: Cell, learnt: FloatArray | None
) -> tuple[LadderMap, FloatArray | None]:
    """A map with what there is to say of it, and at the input's size where it says something."""
    found = rung(
        layers, cell.map if isinstance(cell, Explanation) else cell.error, study.input.size
    )
    there = found.attribution if found.reason is None else None
    alike = None if there is None or learnt is None else spearman(learnt, there)
    return LadderMap(layers, cell, found.reason, alike), there
