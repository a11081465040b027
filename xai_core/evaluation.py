"""What came of measuring maps: every number, and rankings that say what they show."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_core.agreement import Agreement, agreements
from xai_core.bootstrap import LEVEL, RESAMPLES
from xai_core.errors import UnknownNameError, UsageError, XaiError
from xai_core.files import write_atomically
from xai_core.masks import ToldMask
from xai_core.metrics import Score
from xai_core.pareto import Offer, Price, offers, prices
from xai_core.progress import Progress, silent
from xai_core.ranking import Standing, per_picture, rank
from xai_core.tables import markdown
from xai_core.types import Target, finite
from xai_core.typing import ScoreKind

if TYPE_CHECKING:
    from os import PathLike

    from matplotlib.figure import Figure

    from xai_core.ladder import LadderMaps

LADDER_METRIC = "cascading-randomisation"
"""The metric whose maps are shown."""


@dataclass(frozen=True)
class Gauge:
    """A metric as it was used."""

    name: str
    parameters: Mapping[str, Any]
    changed: Mapping[str, Any]
    """The parameters that are not at their defaults."""
    higher_is_better: bool
    bounds: tuple[float, float]
    summary: str
    source: str
    left_out: tuple[str, ...] = ()
    """The rows that it was not asked of: methods that do not promise what it presumes."""
    queries: int | None = None
    """The most pictures that it asks about for each map, as it declares; None where that depends
    on the picture."""
    maps: int | None = None
    """The most maps that it asks for beside each, as it declares; None where that depends on the
    model or the picture."""

    def __str__(self) -> str:
        told = ", ".join(f"{name}={value}" for name, value in self.changed.items())
        return f"{self.name}({told})" if told else self.name

    @property
    def better(self) -> str:
        """Which way is better, in a word."""
        return "higher" if self.higher_is_better else "lower"

    @property
    def sign(self) -> int:
        """What turns its values so that better is up."""
        return 1 if self.higher_is_better else -1


@dataclass(frozen=True)
class Row:
    """What is ranked: a method with its parameters, or a map that knows nothing."""

    name: str
    parameters: Mapping[str, Any] = field(hash=False)
    source: str
    is_reference: bool
    changed: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """The parameters that are not at their defaults."""
    cost: str = "no pass"
    """The passes of one map, as the method declares them: see `xai_core.cost`."""


@dataclass(frozen=True)
class Measurement:
    """One metric on one map of one picture: its score, or why there is none."""

    picture: str
    target: Target
    row: str
    metric: str
    outcome: Score | XaiError
    asked: int
    """Pictures that the metric asked about."""
    queries: int
    """How many pictures the model was run on for it. What had been asked about before is not run
    again, and maps are made again for all methods at once: the first that asks has them all."""
    seconds: float
    """What it took, with the maps that were made again for all methods where it was the first."""
    seed: tuple[int, ...]
    """Of what was drawn at random; empty where the picture cannot be read."""
    maps: int = 0
    """Maps that the metric asked for beside this one."""
    map_queries: int = 0
    """What the method asked about for the map itself."""
    map_seconds: float = 0.0
    """What the method took for the map, beside `pass_seconds`; 0 where there is none."""
    pass_seconds: float = 0.0
    """The passes that the map was read from, by class: the methods of a picture share them."""

    @property
    def score(self) -> Score | None:
        """The score; None where it failed."""
        return self.outcome if isinstance(self.outcome, Score) else None

    @property
    def message(self) -> str | None:
        """Why it failed; None where it did not."""
        return str(self.outcome) if isinstance(self.outcome, XaiError) else None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        plain = {
            name: value for name, value in vars(self).items() if name not in ("outcome", "target")
        }
        score, curve = self.score, self.score and self.score.curve
        return {
            **plain,
            "target": asdict(self.target),
            "value": score and score.value,
            "facts": dict(score.facts) if score else {},
            "curve": curve
            and {
                **vars(curve),
                "x": np.asarray(curve.x).tolist(),
                "y": np.asarray(curve.y).tolist(),
            },
            "error": self.message,
        }


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Scores by picture, class, row and metric, in the order in which they were made."""

    model: str
    rows: tuple[Row, ...]
    """The methods as they were asked for, then the reference rows."""
    metrics: tuple[Gauge, ...]
    measurements: tuple[Measurement, ...]
    pictures: tuple[str, ...]
    """All that were asked for, by name."""
    seed: int
    warnings: tuple[str, ...]
    """What there is to say against the model, as it is fed here."""
    notices: tuple[str, ...]
    """What was not done as it was asked for."""
    is_interrupted: bool
    origin: Callable[[], Mapping[str, Any]] = field(repr=False)
    """Tells model, weights, preprocessing and versions when asked."""
    score_kind: ScoreKind = "logit"
    """Which score the maps explain."""
    layers: tuple[str, ...] = ()
    """The paths of the layers that they were made at."""
    ladder: "Callable[[str, int, Progress | None], LadderMaps | None] | None" = field(
        default=None, repr=False
    )
    """Gives what `ladder_maps` gives, for a picture and a class."""
    masks: tuple[ToldMask | None, ...] = ()
    """How it was said where the object of each picture is; None where nothing was said."""

    @property
    def failures(self) -> tuple[Measurement, ...]:
        """What could not be measured."""
        return tuple(each for each in self.measurements if each.score is None)

    @property
    def queries(self) -> int:
        """How many pictures the model was run on for the metrics."""
        return sum(each.queries for each in self.measurements)

    def values(self, metric: str, row: str) -> Mapping[str, float]:
        """By picture, what a metric says of a row: the mean over the classes.

        Classes of one picture are no pictures of their own: the interval is over pictures.
        """
        return per_picture(self.by_class(metric, row))

    def by_class(self, metric: str, row: str) -> Mapping[tuple[str, int], float]:
        """By picture and class, what a metric says of a row, where it says something."""
        return self._values.get((metric, row), {})

    def fails(self, metric: str, row: str) -> bool:
        """Whether a metric has no value of a row, though it was asked."""
        return (metric, row) in self._asked and (metric, row) not in self._values

    @cached_property
    def _asked(self) -> frozenset[tuple[str, str]]:
        return frozenset((each.metric, each.row) for each in self.measurements)

    @cached_property
    def _values(self) -> Mapping[tuple[str, str], Mapping[tuple[str, int], float]]:
        found: dict[tuple[str, str], dict[tuple[str, int], float]] = {}
        for each in self.measurements:
            if each.score is not None:
                by_class = found.setdefault((each.metric, each.row), {})
                by_class[each.picture, each.target.index] = each.score.value
        return found

    def ranking(self, metric: str) -> tuple[Standing, ...]:
        """The rows by their mean, best first; those that failed on every picture last.

        Args:
            metric: As it stands in `metrics`: its name, with the parameters that were changed.

        Raises:
            UnknownNameError: it was not used here.
        """
        return rank(self, self._gauge(metric))

    def agreement(self) -> tuple[Agreement, ...]:
        """For each two metrics, turned so that better is up, whether they order the rows alike.

        Those that were not asked of the same rows are not compared.
        """
        return self._agreements

    @cached_property
    def _agreements(self) -> tuple[Agreement, ...]:
        return agreements(self)

    def prices(self) -> tuple[Price, ...]:
        """What one map of each row takes."""
        return prices(self)

    def pareto(self, metric: str) -> tuple[Offer, ...]:
        """What each row gives by a metric for what it takes, those that take least first.

        Raises:
            UnknownNameError: it was not used here.
        """
        return offers(self, self._gauge(metric))

    def _gauge(self, metric: str) -> Gauge:
        for each in self.metrics:
            if metric == str(each):
                return each
        known = ", ".join(map(str, self.metrics))
        raise UnknownNameError(f"received the metric {metric!r}; expected one of {known}")

    @property
    def ladder_metric(self) -> Gauge | None:
        """The metric whose maps `ladder_maps` gives; None where it was not used."""
        return next((each for each in self.metrics if each.name == LADDER_METRIC), None)

    def ladder_maps(self, *, progress: Progress = silent) -> "LadderMaps | None":
        """The maps of one picture as the model loses what it learnt, as `Study.ladder_maps` does.

        They are those of the first picture and class that `cascading-randomisation` measured, and
        those that it asked for, where it was not taken from a journal: then they are made now.
        None where nothing was measured by it. Where the evaluation was interrupted, nothing is
        made now.

        Args:
            progress: Told what runs and how much is done.

        Raises:
            XaiError: they cannot be made any more.
        """
        if self.ladder is None:
            return None
        methods = {each.name for each in self.rows if not each.is_reference}
        for each in self.measurements:
            if (
                each.metric == str(self.ladder_metric)
                and each.row in methods
                and each.score is not None
            ):
                told = None if self.is_interrupted else progress
                return self.ladder(each.picture, each.target.index, told)
        return None

    def to_markdown(self) -> str:
        """The rankings as Markdown, what the metrics say of each other, and what maps cost."""
        return markdown(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain data for JSON."""
        return {
            "model": self.model,
            "seed": self.seed,
            "resamples": RESAMPLES,
            "level": LEVEL,
            "pictures": list(self.pictures),
            "masks": [each and str(each) for each in self.masks],
            "rows": [asdict(each) for each in self.rows],
            "metrics": [asdict(each) for each in self.metrics],
            "rankings": {
                str(metric): [
                    {**asdict(standing), "words": standing.words}
                    for standing in self.ranking(str(metric))
                ]
                for metric in self.metrics
            },
            "agreement": [{**asdict(each), "words": each.words} for each in self.agreement()],
            "costs": [
                {
                    "row": each.row.name,
                    "seconds": each.seconds,
                    "queries": each.queries,
                    "passes": each.passes,
                }
                for each in self.prices()
            ],
            "pareto": {
                str(metric): [
                    {
                        "row": offer.price.row.name,
                        "is_on_front": offer.is_on_front,
                        "words": offer.words,
                    }
                    for offer in self.pareto(str(metric))
                ]
                for metric in self.metrics
            },
            "score": self.score_kind,
            "layers": list(self.layers),
            "measurements": [each.to_dict() for each in self.measurements],
            "warnings": list(self.warnings),
            "notices": list(self.notices),
            "provenance": dict(self.origin()),
        }

    def figure(self) -> "Figure":
        """A Matplotlib figure: for each metric with curves, the mean curve of each row."""
        from xai_core import render

        return render.curves_figure(self)

    def pareto_figure(self) -> "Figure":
        """A Matplotlib figure: for each metric, the mean of each row against what a map takes."""
        from xai_core import render

        return render.pareto_figure(self)

    def save(self, path: "str | PathLike[str]", *, progress: Progress = silent) -> Path:
        """Write it, atomically.

        Args:
            path: Its ending says what is written: `.html` the page, `.md` the tables, `.json`
                everything, `.png` the curves.
            progress: Told what runs: the page shows `ladder_maps`.
        """
        target = Path(path)
        ending = target.suffix.lower()
        if ending == ".md":
            text = self.to_markdown()
            return write_atomically(target, lambda file: file.write(text.encode()))
        if ending == ".html":
            from xai_core import report

            page = report.write_evaluation(self, progress)
            return write_atomically(target, lambda file: file.write(page))
        if ending == ".json":
            document = json.dumps(finite(self.to_dict()), indent=1, allow_nan=False)
            return write_atomically(target, lambda file: file.write(document.encode()))
        if ending == ".png":
            figure = self.figure()
            return write_atomically(target, lambda file: figure.savefig(file, format="png"))
        raise UsageError(
            f"cannot save an evaluation as {target.name!r}; expected a name that ends in .html "
            "(the page), .md (the tables), .json (everything) or .png (the curves)"
        )
