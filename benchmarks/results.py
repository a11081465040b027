"""What was measured, as it is kept: every sample, and what it depends on."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Self

from benchmarks.settings import Conditions
from xai_core.errors import UsageError
from xai_core.files import write_atomically


@dataclass(frozen=True)
class Measurement:
    """One quantity, sampled in turns with the others of its scenario; or why there is none."""

    what: str
    unit: str = "s"
    samples: tuple[float, ...] = ()
    """Of warm calls, in the order in which they were taken."""
    against: str | None = None
    """The measurement of the same scenario that it is a ratio of."""
    share: float = 1
    """What a sample is divided by for that ratio: the pictures or queries that it served."""
    first: float | None = None
    """Seconds of the first call, with all that is compiled for it."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    failure: str | None = None

    @property
    def value(self) -> float | None:
        """The median of what one sample served took."""
        return median(self.samples) / self.share if self.samples else None

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """From JSON."""
        return cls(**{**data, "samples": tuple(data["samples"])})


@dataclass(frozen=True)
class Result:
    """What became of one scenario."""

    scenario: str
    environment: str
    """The key of the environment it was measured in."""
    measurements: tuple[Measurement, ...]
    at: str
    """When, in ISO 8601, UTC."""
    seconds: float
    """How long it took, all in all."""
    load: float
    """How many processes wanted to run in the minute before it; ours is one of them."""
    failure: str | None = None
    """Why there are no measurements."""

    @property
    def group(self) -> str:
        """The first part of the scenario's name."""
        return self.scenario.partition("/")[0]

    @property
    def case(self) -> str:
        """The rest of it."""
        return self.scenario.partition("/")[2]

    def find(self, what: str) -> Measurement | None:
        """A measurement by its name."""
        return next((each for each in self.measurements if each.what == what), None)

    def ratio(self, measurement: Measurement) -> float | None:
        """What a measurement took, of what it is set against; None where either is missing."""
        other = self.find(measurement.against) if measurement.against else None
        if other is None or not other.value or measurement.value is None:
            return None
        return measurement.value / other.value

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """From JSON."""
        measurements = tuple(map(Measurement.read, data["measurements"]))
        return cls(**{**data, "measurements": measurements})


@dataclass(frozen=True)
class Results:
    """All of a file."""

    environments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    results: tuple[Result, ...] = ()

    def has(self, scenario: str, environment: str) -> bool:
        """Whether a scenario was measured, and nothing it depends on has changed since."""
        return any(
            (each.scenario, each.environment) == (scenario, environment) and each.failure is None
            for each in self.results
        )

    def conditions(self, result: Result) -> Conditions:
        """Under which a result was measured."""
        return Conditions.read(self.environments[result.environment]["conditions"])

    def plus(self, result: Result, environment: Mapping[str, Any]) -> "Results":
        """With one more, in the place of an older one under the same conditions."""
        environments = {**self.environments, result.environment: environment}
        conditions = environment["conditions"]
        kept = [
            each
            for each in self.results
            if each.scenario != result.scenario
            or not _same(environments[each.environment]["conditions"], conditions)
        ]
        results = (*kept, result)
        used = {each.environment for each in results}
        return Results({k: v for k, v in environments.items() if k in used}, results)

    def write(self, path: Path) -> None:
        """Write them, a result to a line, so that two files can be compared."""
        lines = ",\n".join(json.dumps(asdict(each), allow_nan=False) for each in self.results)
        head = json.dumps({"environments": self.environments}, indent=1)
        text = f'{head.removesuffix("}").rstrip()},\n "results": [\n{lines}\n]}}\n'
        write_atomically(path, lambda file: file.write(text.encode()))

    @classmethod
    def read(cls, path: Path) -> Self:
        """From a file; none at all is no results.

        Raises:
            UsageError: it is no file of ours.
        """
        if not path.exists():
            return cls()
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return cls(data["environments"], tuple(map(Result.read, data["results"])))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"cannot read {str(path)!r} ({type(error).__name__}: {error}); expected results "
                "that `python -m benchmarks run` wrote. Name another folder with --out"
            ) from error


# More samples are more of the same; all else makes another number.
_APART = ("device", "backend", "engine", "threads", "dtype", "tf32")


def _same(one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    """What results of older files do not say had its default."""
    read = Conditions.read(one), Conditions.read(two)
    return all(getattr(read[0], name) == getattr(read[1], name) for name in _APART)


def quartiles(samples: Sequence[float]) -> tuple[float, float]:
    """The lower and the upper quartile, between samples by interpolation."""
    ordered = sorted(samples)

    def at(share: float) -> float:
        place = share * (len(ordered) - 1)
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (place - low) * (ordered[high] - ordered[low])

    return at(0.25), at(0.75)


def failed(what: Iterable[str], why: str) -> tuple[Measurement, ...]:
    """Measurements that could not be made."""
    return tuple(Measurement(each, failure=why) for each in what)
