"""Two classes of one picture against each other: what was predicted, what was expected."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from xai_core.focus import place
from xai_core.types import Comparison, Explanation, Method, Pass, Prediction
from xai_core.typing import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from xai_core.render import Sharing


@dataclass(frozen=True, eq=False)
class Disagreement:
    """The map of the predicted class, that of the expected one, and their difference."""

    predicted: Explanation
    expected: Explanation
    predictions: tuple[Prediction, ...] = ()
    passes: tuple[Pass, ...] = ()

    @cached_property
    def difference(self) -> Explanation:
        """The predicted map less the expected one: signed, in the units of the score."""
        method = self.predicted.method
        return replace(
            self.predicted,
            map=self.predicted.map - self.expected.map,
            method=Method(
                name=f"{method.name}: predicted - expected",
                parameters={**method.parameters, "expected": str(self.expected.target)},
                signed=True,
                source=method.source,
                defaults=method.defaults,
                poles=("for the predicted", "for the expected"),
            ),
            warnings=(),
            facts={},
            health=(),
            verdict=None,
        )

    @cached_property
    def overlap(self) -> float:
        """The share of their evidence that lies at the same places, 0..1."""
        ours, theirs = _mass(self.predicted.map), _mass(self.expected.map)
        return float(np.minimum(ours, theirs).sum())

    @property
    def comparison(self) -> Comparison:
        """The three maps, to be drawn side by side."""
        cells = (self.predicted, self.expected, self.difference)
        return Comparison(cells, self.predictions, self.passes)

    def figure(
        self,
        *,
        colour_map: str | None = None,
        opacity: float | None = None,
        scale: "Sharing" = "map",
    ) -> "Figure":
        """The picture and the three maps, side by side; the arguments are those of `Comparison`."""
        from xai_core import render

        return render.flow_figure(
            self.comparison, colour_map=colour_map, opacity=opacity, scale=scale
        )

    def __str__(self) -> str:
        predicted, expected = self.predicted.target, self.expected.target
        scores = (
            f"the model says {predicted} ({_score(self.predicted)}); "
            f"expected was {expected} ({_score(self.expected)})"
        )
        if predicted.index == expected.index:
            return f"{scores}: they are the same class"
        difference = _mass(self.predicted.map) - _mass(self.expected.map)
        if not difference.any():
            return f"{scores}; both draw on the same places"
        return (
            f"{scores}; {self.overlap:.0%} of their evidence lies at the same places. They part "
            f"most in the {self._where(difference)}, which speaks for {predicted}, and in the "
            f"{self._where(-difference)}, which speaks for {expected}"
        )

    def _where(self, values: FloatArray) -> str:
        """The ninth of the map in which the values sum to most, as a place in the picture."""
        row, column = max(
            ((row, column) for row in range(3) for column in range(3)),
            key=lambda cell: _ninth(values, *cell),
        )
        return place(self.predicted.on_whole(((row + 0.5) / 3, (column + 0.5) / 3)))


def _score(explanation: Explanation) -> str:
    return f"logit {explanation.logit:.2f}, p = {explanation.probability:.3f}"


def _mass(raw: FloatArray) -> FloatArray:
    """A map as shares of its evidence; a map without any as it is."""
    mass = np.nan_to_num(np.abs(raw)).astype(np.float64)
    total = mass.sum()
    return mass / total if total else mass


def _ninth(values: FloatArray, row: int, column: int) -> float:
    """The sum over a ninth, with places on its border counted by the part inside."""
    height, width = values.shape
    rows = _inside(height, row)
    columns = _inside(width, column)
    return float(rows @ values @ columns)


def _inside(length: int, third: int) -> FloatArray:
    """How much of each of `length` places lies in a third of the whole, 0..1."""
    edges = np.arange(length + 1) * 3 / length
    inside: FloatArray = np.clip(
        np.minimum(edges[1:], third + 1) - np.maximum(edges[:-1], third), 0, None
    ) * (length / 3)
    return inside
