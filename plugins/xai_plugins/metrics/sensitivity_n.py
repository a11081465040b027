"""Sensitivity-n."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from xai_core import Curve, Metric, Score, Trial
from xai_core.parameters import Count, Share
from xai_plugins.metrics.canvas import Canvas
from xai_plugins.metrics.subsets import Cells, correlation


@dataclass(frozen=True)
class SensitivityN(Metric):
    """Sensitivity-n: whether the map's values of any n pixels go with what these are worth.

    Ancona, Ceolini, Öztireli and Gross, "Towards better understanding of gradient-based
    attribution methods for deep neural networks", ICLR 2018: a map satisfies sensitivity-n if the
    sum over any n features is the change of the score when these are set to the baseline. How
    nearly, is Pearson's correlation of the two over random subsets of size n, for n from 1 to 80 %
    of the features, here evenly on a logarithmic scale. The value is the mean over n, the curve
    its course. The score is the explained one, by default the logit. The
    subsets are the same for every method. Higher is better, -1 to 1; a map that says nothing has
    0 on average. Where all sums are the same, as those of a uniform map, or the score does not
    change, there is no correlation: then it is 0 for that n, and the fact `sizes without a
    correlation` counts these.

    Traps. Correlation does not see scale, nor a constant that is added to all values: complete
    maps are not told from others. On models that are not linear no map satisfies all n, and
    gradients do well at small n, where the model is nearly linear, occlusion near the size of its
    window. Single pixels of a large picture change the score by little more than rounding, so
    small n say little about it; a `grid` of cells measures what large parts are worth. Between
    subsets of many scattered pixels the score hardly differs: what is left is chance, about 0.1
    for each n with 100 subsets. A mean over n hides which n a method is good at: see the curve.
    """

    name: ClassVar[str] = "sensitivity-n"
    family: ClassVar[str] = "faithfulness"
    summary: ClassVar[str] = "correlation of the map's sums over n pixels with the score's drop"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    sizes: Count = 10
    """How many values of n, evenly on a logarithmic scale; fewer where they round to the same."""
    most: Share = 0.8
    """The largest n, as a share of the pixels or cells: at least one, and not all."""
    subsets: Count = 100
    """How many are drawn for each n."""
    grid: Count | None = None
    """Rows and columns of cells to draw; none: single pixels."""
    baseline: Canvas = "black"
    """What a pixel is where it is taken away: black, the picture's mean colour, the picture
    blurred."""

    @property
    def queries(self) -> int:
        """One a subset of each size, and the picture."""
        return self.sizes * self.subsets + 1

    def score(self, trial: Trial) -> Score:
        """Take subsets of each size away, and correlate."""
        cells = Cells.of(trial.attribution.shape, self.grid)
        generator = trial.generator()
        largest = max(1, min(round(self.most * cells.count), cells.count - 1))
        sizes = np.unique(np.rint(np.geomspace(1, largest, self.sizes)).astype(int))
        taken = np.concatenate([cells.draw(generator, self.subsets, int(n)) for n in sizes])
        drops = cells.drops(trial, taken, self.baseline)
        sums = cells.sums(trial.attribution)
        found = [
            correlation(sums, taken[first : first + self.subsets], drops[first:][: self.subsets])
            for first in range(0, len(taken), self.subsets)
        ]
        y = np.asarray([each.value for each in found])
        none = sum(not each.spread_of_sums * each.spread_of_drops for each in found)
        what = "pixels" if self.grid is None else "cells"
        return Score(
            float(y.mean()),
            {"sizes without a correlation": float(none)},
            Curve(sizes.astype(np.float64), y, f"{what} taken away", "correlation"),
        )
