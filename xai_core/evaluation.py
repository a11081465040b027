"""What came of measuring maps: every number, and rankings that say what they show."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_core.bootstrap import LEVEL, RESAMPLES, Interval, interval
from xai_core.errors import UnknownNameError, UsageError, XaiError
from xai_core.files import write_atomically
from xai_core.metrics import Score
from xai_core.types import Target, finite

if TYPE_CHECKING:
    from os import PathLike

    from matplotlib.figure import Figure

FEWEST = 6
"""Pictures from which on a difference can be shown: were there none, all of five would still
point one way with a chance of 2 / 2^5, above 5 %."""


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

    def __str__(self) -> str:
        told = ", ".join(f"{name}={value}" for name, value in self.changed.items())
        return f"{self.name}({told})" if told else self.name

    @property
    def better(self) -> str:
        """Which way is better, in a word."""
        return "higher" if self.higher_is_better else "lower"


@dataclass(frozen=True)
class Row:
    """What is ranked: a method with its parameters, or a map that knows nothing."""

    name: str
    parameters: Mapping[str, Any] = field(hash=False)
    source: str
    is_reference: bool


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
    """Those of them that the model was run on: the others had been asked about before."""
    seconds: float
    seed: tuple[int, ...]
    """Of what was drawn at random; empty where the picture cannot be read."""
    maps: int = 0
    """Maps that the metric asked for beside this one."""
    map_queries: int = 0
    """What the method asked about for the map itself."""
    map_seconds: float = 0.0

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
            "curve": {"x": curve.x.tolist(), "y": curve.y.tolist()} if curve else None,
            "error": self.message,
        }


@dataclass(frozen=True)
class Contest:
    """One row against another, on the pictures that both were measured on."""

    against: str
    gain: Interval | None
    """By how much it is better: above 0 is better, whichever way the metric points. None where
    no picture was measured on both."""

    @property
    def word(self) -> str:
        """`beats`, `does not beat` (it is worse), or why neither can be said."""
        if self.gain is None:
            return "no picture in common"
        if self.gain.low is None or self.gain.high is None:
            return "one picture: no interval"
        if self.gain.count < FEWEST:
            return f"no difference shown: {self.gain.count} pictures, fewer than {FEWEST}"
        if self.gain.low > 0:
            return "beats"
        return "does not beat" if self.gain.high < 0 else "no difference shown"

    def __str__(self) -> str:
        word, _, _ = self.word.partition(": ")
        return {
            "no difference shown": f"{word} to {self.against}",
            "beats": f"beats {self.against}",
            "does not beat": f"does not beat {self.against}",
        }.get(word, word)


@dataclass(frozen=True)
class Standing:
    """One row of a ranking."""

    row: Row
    value: Interval | None
    """Of the metric, over the pictures; None where it failed on every one."""
    contests: tuple[Contest, ...]
    """Against each reference row but itself."""
    next: Contest | None
    """Against the row below; None for the last."""
    failures: int

    @property
    def words(self) -> str:
        """What is shown against the reference rows, in words."""
        if self.value is None:
            return "failed on every picture"
        by_word: dict[str, list[str]] = {}
        for each in self.contests:
            by_word.setdefault(each.word, []).append(each.against)
        shown = {word: by_word.pop(word) for word in ("beats", "does not beat") if word in by_word}
        told = [f"{word} {_and(names)}" for word, names in shown.items()]
        unclear = by_word.pop("no difference shown", [])
        if unclear:
            told.append(f"no difference shown to {_and(unclear)}")
        told += by_word
        return "; ".join(told)

    @property
    def beats_all(self) -> bool:
        """Whether it is shown to be better than every reference row."""
        return bool(self.contests) and all(each.word == "beats" for each in self.contests)


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
        return self._values.get((metric, row), {})

    @cached_property
    def _values(self) -> Mapping[tuple[str, str], Mapping[str, float]]:
        found: dict[tuple[str, str], dict[str, list[float]]] = {}
        for each in self.measurements:
            if each.score is not None:
                by_picture = found.setdefault((each.metric, each.row), {})
                by_picture.setdefault(each.picture, []).append(each.score.value)
        return {
            key: {picture: float(np.mean(values)) for picture, values in by_picture.items()}
            for key, by_picture in found.items()
        }

    def ranking(self, metric: str) -> tuple[Standing, ...]:
        """The rows by their mean, best first; those that failed on every picture last.

        Args:
            metric: As it stands in `metrics`: its name, with the parameters that were changed.

        Raises:
            UnknownNameError: it was not used here.
        """
        gauge = self._gauge(metric)
        sign = 1 if gauge.higher_is_better else -1
        values = {row.name: self.values(metric, row.name) for row in self.rows}
        means = {
            row.name: interval(np.asarray(list(values[row.name].values())), self.seed)
            for row in self.rows
            if values[row.name]
        }
        worst = float("-inf")
        order = sorted(
            self.rows,
            key=lambda row: -(sign * means[row.name].mean if row.name in means else worst),
        )
        references = [row.name for row in self.rows if row.is_reference]

        def contest(one: str, other: str) -> Contest:
            both = [picture for picture in values[one] if picture in values[other]]
            if not both:
                return Contest(other, None)
            gains = [sign * (values[one][each] - values[other][each]) for each in both]
            return Contest(other, interval(np.asarray(gains), self.seed))

        failed = [each.row for each in self.failures if each.metric == metric]
        below: Sequence[Row | None] = [*order[1:], None]
        return tuple(
            Standing(
                row=row,
                value=means.get(row.name),
                contests=tuple(contest(row.name, each) for each in references if each != row.name),
                next=contest(row.name, after.name) if after else None,
                failures=failed.count(row.name),
            )
            for row, after in zip(order, below, strict=True)
        )

    def _gauge(self, metric: str) -> Gauge:
        for each in self.metrics:
            if metric == str(each):
                return each
        known = ", ".join(map(str, self.metrics))
        raise UnknownNameError(f"received the metric {metric!r}; expected one of {known}")

    def to_markdown(self) -> str:
        """The rankings as Markdown: a table for each metric, and how they were made."""
        parts = [f"# {_escaped(self.model)}", self._made_of()]
        for metric in self.metrics:
            parts += [
                f"## {metric}",
                f"{metric.summary}; {metric.better} is better, {metric.bounds[0]:g} to "
                f"{metric.bounds[1]:g}. From {metric.source}.",
                "\n".join(_table(HEADER, table_rows(self.ranking(str(metric))))),
            ]
        parts += [f"- {_escaped(each)}" for each in (*self.warnings, *self.notices)]
        if self.failures:
            header = ("picture", "row", "metric", "why it failed")
            cells = ((e.picture, e.row, e.metric, str(e.message)) for e in self.failures)
            parts += ["## What failed", "\n".join(_table(header, cells))]
        return "\n\n".join(parts) + "\n"

    def _made_of(self) -> str:
        measured = {each.picture for each in self.measurements if each.score is not None}
        return (
            f"{len(measured)} of {len(self.pictures)} pictures; seed {self.seed}; the model was "
            f"run on {self.queries:,} pictures for the metrics. Intervals: {LEVEL:.0%}, percentile "
            f"bootstrap over pictures, {RESAMPLES:,} resamples. Differences are paired by picture; "
            "one is shown where its interval is on one side of 0. random, centre-gaussian, edges "
            "and uniform are maps that know nothing of the model."
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain data for JSON."""
        return {
            "model": self.model,
            "seed": self.seed,
            "resamples": RESAMPLES,
            "level": LEVEL,
            "pictures": list(self.pictures),
            "rows": [asdict(each) for each in self.rows],
            "metrics": [asdict(each) for each in self.metrics],
            "rankings": {
                str(metric): [
                    {**asdict(standing), "words": standing.words}
                    for standing in self.ranking(str(metric))
                ]
                for metric in self.metrics
            },
            "measurements": [each.to_dict() for each in self.measurements],
            "warnings": list(self.warnings),
            "notices": list(self.notices),
            "provenance": dict(self.origin()),
        }

    def figure(self) -> "Figure":
        """A Matplotlib figure: for each metric with curves, the mean curve of each row."""
        from xai_core import render

        return render.curves_figure(self)

    def save(self, path: "str | PathLike[str]") -> Path:
        """Write the tables (`.md`), everything (`.json`) or the curves (`.png`), atomically."""
        target = Path(path)
        ending = target.suffix.lower()
        if ending == ".md":
            text = self.to_markdown()
            return write_atomically(target, lambda file: file.write(text.encode()))
        if ending == ".json":
            document = json.dumps(finite(self.to_dict()), indent=1, allow_nan=False)
            return write_atomically(target, lambda file: file.write(document.encode()))
        if ending == ".png":
            figure = self.figure()
            return write_atomically(target, lambda file: figure.savefig(file, format="png"))
        raise UsageError(
            f"cannot save an evaluation as {target.name!r}; expected a name that ends in .md (the "
            "tables), .json (everything) or .png (the curves)"
        )


HEADER = (
    "row",
    "mean",
    "95 % interval",
    "pictures",
    "against the reference rows",
    "against the next row",
)


def table_rows(standings: Iterable[Standing]) -> Iterator[tuple[str, ...]]:
    """A ranking in words and numbers, as `HEADER` says."""
    for each in standings:
        name = f"({each.row.name})" if each.row.is_reference else each.row.name
        told = "a reference row" if each.row.is_reference and each.value else each.words
        if each.value is None:
            yield name, "", "", "0", told, ""
            continue
        failed = f", {each.failures} failed" if each.failures else ""
        after = str(each.next) if each.next else ""
        yield (
            name,
            f"{each.value.mean:.4f}",
            str(each.value),
            f"{each.value.count}{failed}",
            told,
            after,
        )


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"| {' | '.join('---' for _ in header)} |"
    for row in rows:
        yield f"| {' | '.join(map(_escaped, row))} |"


def _escaped(text: str) -> str:
    """Anyone's text on one line of Markdown, where it means nothing."""
    line = " ".join(text.split())
    return "".join(f"\\{each}" if each in "\\|<>`*_[]" else each for each in line)
