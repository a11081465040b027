"""How far one map of one picture can be trusted: figures, and a line of words on each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from xai_core.errors import BudgetError, UsageError
from xai_core.metrics import Curve
from xai_core.references import REFERENCES
from xai_core.typing import FloatArray

METRICS = ("deletion", "insertion")
"""What every map is tested by."""

TRIES = 19
"""Other places that a map is put at: with them, the best of all has a chance of 1 / 20."""

DRAWS = 5
"""Random maps of a picture: their figures have a spread."""

LEAST, MOST = 8, 100
"""Steps of deletion and insertion: below, a curve is too coarse; above, there is nothing gained."""

_LEVEL = 0.05
_HINT = 0.25
"""The chance up to which what is not shown is a hint: from 15 of 19 tries on."""

_HALF = 0.5**0.5
"""The rank correlation from which on two maps share more than half of the variance of ranks."""

_SHORT, _LONG = 4, 5
"""Places along the shorter side of a picture and along the longer one."""


@dataclass(frozen=True)
class Trust:
    """That each map of a comparison be tested, and what that may cost.

    Args:
        budget: Pictures that the model may be run on for the tests, over the whole comparison.
        seed: Of the weights that are drawn anew, ties, and the random maps.

    Raises:
        UsageError: one of them is no such number.
    """

    budget: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if type(self.budget) is not int or self.budget < 1:
            raise UsageError(
                f"received budget {self.budget!r}; expected a whole number of queries from 1 on"
            )
        if type(self.seed) is not int or not 0 <= self.seed < 2**31:
            raise UsageError(
                f"received seed {self.seed!r}; expected a whole number, 0 to 2**31 - 1"
            )


def most_queries(steps: int, maps: Sequence[int]) -> int:
    """How many pictures the tests ask about at most.

    A curve begins and ends with the same pictures whatever the map: the picture as it is, and
    one of which nothing is seen for each metric. What is between them is each map's own.

    Args:
        steps: Of deletion and insertion.
        maps: How many maps each picture has.
    """
    shared = 1 + len(METRICS)
    knowing_nothing = len(REFERENCES) - 1 + DRAWS
    own = len(METRICS) * (steps - 1)
    return sum(shared + own * ((1 + TRIES) * each + knowing_nothing) for each in maps if each)


def choose_steps(budget: int, maps: Sequence[int]) -> int:
    """As many steps as a budget allows for, of deletion and insertion alike.

    Args:
        budget: Queries.
        maps: How many maps each picture has.

    Raises:
        BudgetError: it does not allow for the least.
    """
    needed = most_queries(LEAST, maps)
    if budget < needed:
        raise BudgetError(
            f"received a budget of {budget:,} queries to test {_counted(sum(maps), 'map')} of "
            f"{_counted(len(maps), 'picture')}; expected at least {needed:,}: for each picture "
            f"{1 + len(METRICS)} and {len(METRICS) * (LEAST - 1)} for each of its maps at "
            f"{1 + TRIES} places and for each of {len(REFERENCES) - 1 + DRAWS} maps that know "
            "nothing. Give more with budget (--budget), or ask for fewer maps"
        )
    steps = (each for each in range(MOST, LEAST, -1) if most_queries(each, maps) <= budget)
    return next(steps, LEAST)


def elsewhere(attribution: FloatArray) -> list[FloatArray]:
    """A map (H, W) put at the other places of a grid over the picture, `TRIES` of them.

    What leaves the picture at one side comes in at the opposite one, so that its values stay
    what they are, and with the map itself the places are a group.
    """
    height, width = attribution.shape
    rows, columns = (_SHORT, _LONG) if height <= width else (_LONG, _SHORT)
    shifts = (
        (round(down * height / rows), round(across * width / columns))
        for down, across in product(range(rows), range(columns))
        if down or across
    )
    return [np.roll(attribution, shift, axis=(0, 1)) for shift in shifts]


def chance(beaten: int, tries: int) -> float:
    """That of a map and its tries, drawn in any order, the map would come out so far ahead.

    Args:
        beaten: Tries that are worse than the map; one that is as good is not beaten.
        tries: All.
    """
    return (1 + tries - beaten) / (1 + tries)


@dataclass(frozen=True, eq=False)
class Placing:
    """One metric on a map, beside the same map put elsewhere and maps that know nothing."""

    metric: str
    higher_is_better: bool
    value: float
    curve: Curve
    elsewhere: tuple[float, ...]
    """The metric of the same map at each other place."""
    band: tuple[FloatArray, FloatArray]
    """The lowest and the highest curve of those, (P,) each, over the same x."""
    references: Mapping[str, tuple[float, ...]]
    """The metric of each map that knows nothing; one that is random has several."""

    @property
    def beaten(self) -> int:
        """Other places at which the same map does worse."""
        return sum(self._sign * (self.value - each) > 0 for each in self.elsewhere)

    @property
    def beaten_by(self) -> int:
        """Other places at which the same map does better."""
        return sum(self._sign * (each - self.value) > 0 for each in self.elsewhere)

    @property
    def chance(self) -> float:
        """How likely so few others would be as good, were its place nothing but luck."""
        return chance(self.beaten, len(self.elsewhere))

    @property
    def is_better(self) -> bool:
        """Whether it is shown to be better than the same map put elsewhere."""
        return self.chance <= _LEVEL

    @property
    def is_worse(self) -> bool:
        """Whether it is shown to be worse."""
        return chance(self.beaten_by, len(self.elsewhere)) <= _LEVEL

    @property
    def ahead(self) -> tuple[str, ...]:
        """The maps that know nothing and do better, a random one in the mean."""
        return tuple(
            name
            for name, values in self.references.items()
            if self._sign * (float(np.mean(values)) - self.value) > 0
        )

    @property
    def _sign(self) -> int:
        return 1 if self.higher_is_better else -1

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        low, high = self.band
        return {
            "metric": self.metric,
            "better": "higher" if self.higher_is_better else "lower",
            "value": self.value,
            "elsewhere": list(self.elsewhere),
            "beaten": self.beaten,
            "chance": self.chance,
            "references": {name: list(values) for name, values in self.references.items()},
            "curve": {
                "x": self.curve.x.tolist(),
                "y": self.curve.y.tolist(),
                "elsewhere_low": low.tolist(),
                "elsewhere_high": high.tolist(),
            },
        }


@dataclass(frozen=True)
class Likeness:
    """A map beside the one that the same method makes where all weights were drawn anew."""

    similarity: float | None
    """Spearman's rank correlation of the absolute values; None where there is none."""
    elsewhere: tuple[float, ...] = ()
    """That of the new map put elsewhere: what maps of this kind are alike by chance."""
    reason: str | None = None
    """Why there is none."""

    @property
    def words(self) -> str:
        """What it shows."""
        if self.similarity is None:
            return f"not compared with weights drawn anew: {self.reason}"
        told = f"(rank correlation {self.similarity:.2f})"
        if self.similarity >= _HALF:
            return (
                f"barely changes when the weights are drawn anew {told}: it shows the picture, "
                "not the model"
            )
        if self.similarity > 0 and all(each < self.similarity for each in self.elsewhere):
            return f"goes with the weights, but some of it stays when they are drawn anew {told}"
        return f"goes with the weights {told}"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "similarity": self.similarity,
            "elsewhere": list(self.elsewhere),
            "reason": self.reason,
        }


@dataclass(frozen=True)
class Verdict:
    """What can be said of one map of one picture; nothing of other pictures."""

    placings: tuple[Placing, ...] = ()
    likeness: Likeness | None = None
    """None where nothing was tested."""
    faults: tuple[str, ...] = ()
    """Why a test could not be made."""

    @property
    def sentence(self) -> str:
        """One line."""
        parts = [self._placed] if self.placings else []
        parts += [f"could not be tested: {each}" for each in self.faults]
        parts += [self.likeness.words] if self.likeness else []
        return "; ".join(parts)

    def __str__(self) -> str:
        return self.sentence

    @property
    def _placed(self) -> str:
        """Whether it matters where it points, and what does better without knowing the model."""
        told = _tries(self.placings)
        better = [each for each in self.placings if each.is_better]
        if len(better) == len(self.placings):
            said = f"better than the same map put elsewhere in {told}"
        elif better:
            said = (
                f"better than the same map put elsewhere by {_listed([e.metric for e in better])} "
                f"alone (better in {told})"
            )
        elif all(each.is_worse for each in self.placings):
            said = (
                f"worse than the same map put elsewhere (better in {told}): it may point away "
                "from what counts"
            )
        else:
            is_hint = all(each.chance <= _HINT for each in self.placings)
            advice = (
                "take where it points for a hint"
                if is_hint
                else "do not read much into where it points"
            )
            said = (
                f"not shown to be better than the same map put elsewhere (better in {told}): "
                f"{advice}"
            )
        ahead = [
            name
            for name in self.placings[0].ahead
            if all(name in each.ahead for each in self.placings)
        ]
        does = "does" if len(ahead) == 1 else "do"
        return f"{said}; {_listed(ahead)} {does} better than it" if ahead else said

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "sentence": self.sentence,
            "tests": [each.to_dict() for each in self.placings],
            "weights_drawn_anew": self.likeness.to_dict() if self.likeness else None,
            "faults": list(self.faults),
        }


@dataclass(frozen=True)
class Account:
    """What the tests of a comparison's maps took."""

    model: str
    budget: int
    seed: int
    steps: int
    """Of deletion and insertion."""
    tries: int
    """Other places that each map was put at."""
    draws: int
    """Random maps of each picture."""
    queries: int
    """Pictures that the model was run on, and those that methods asked a copy with new weights
    about; the pass over the copy itself is one of `passes`."""
    passes: int
    """Of the copy with new weights, for all maps of a picture at once."""
    tested: int
    """Maps with a verdict."""
    maps: int
    seconds: float
    is_interrupted: bool

    def __str__(self) -> str:
        whole = f"{self.tested} of {self.maps} maps" if self.is_interrupted else "all"
        return (
            f"{whole} tested with {self.queries:,} of {self.budget:,} queries and "
            f"{_counted(self.passes, 'pass')} with weights drawn anew, in {self.seconds:.0f} s: "
            f"{self.steps} steps, {self.tries} other places, seed {self.seed}"
        )


def _tries(placings: Sequence[Placing]) -> str:
    """`19 of 19 tries by deletion and 18 of 19 by insertion`."""
    told = [f"{each.beaten} of {len(each.elsewhere)} by {each.metric}" for each in placings]
    return _listed([told[0].replace(" by ", " tries by ", 1), *told[1:]])


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _counted(count: int, word: str) -> str:
    plural = "es" if word.endswith("s") else "s"
    return f"{count} {word}{'' if count == 1 else plural}"
