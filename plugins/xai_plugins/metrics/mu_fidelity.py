"""Mu-fidelity."""

from dataclasses import dataclass
from typing import ClassVar

from xai_core import Metric, Score, Trial
from xai_core.parameters import Count, Share
from xai_plugins.metrics.canvas import Canvas
from xai_plugins.metrics.subsets import Cells, correlation


@dataclass(frozen=True)
class MuFidelity(Metric):
    """Mu-fidelity: whether what a map says of random parts goes with what they are worth.

    Bhatt, Weller and Moura, "Evaluating and Aggregating Feature-based Model Explanations",
    IJCAI 2020, definition 3: Pearson's correlation, over random subsets S of a fixed size, of the
    sum of the map over S with the drop of the explained score, by default the logit, when S is
    set to a baseline. The features are the cells of a grid, as single pixels of a large picture
    change nothing. The subsets are the same for every method. Higher is better, -1 to 1; a map
    that says nothing has 0 on average. Where the sums of all subsets are the same, as those of a
    uniform map on cells of equal size, there is no correlation: then it is 0, and the fact
    `spread of the sums` says why. So too where the score does not change.

    Traps. Correlation does not see scale: a map and twice that map score the same. A subset of
    scattered cells breaks a picture up, and the score falls for that as well. With an S of half
    the picture, the score may be gone whatever S is. Where the grid does not divide the sides,
    cells differ by a row or column, and a uniform map scores what the areas alone tell. With
    200 subsets, what is due to chance is about 0.07. The size of S, the grid and the baseline may
    turn the order of methods round; the paper leaves them open. Xplique's `MuFidelity` takes
    Spearman's correlation, and subsets of about the size asked for.
    """

    name: ClassVar[str] = "mu-fidelity"
    family: ClassVar[str] = "faithfulness"
    summary: ClassVar[str] = "correlation of the map's sums over random cells with the score's drop"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)

    subsets: Count = 200
    """How many are drawn."""
    share: Share = 0.2
    """The size of each, as a share of the cells: at least one cell, and not all."""
    grid: Count | None = 8
    """Rows and columns of cells; none: each pixel is a cell."""
    baseline: Canvas = "black"
    """What a cell is where it is taken away: black, the picture's mean colour, the picture
    blurred."""

    @property
    def queries(self) -> int:
        """One a subset, and the picture."""
        return self.subsets + 1

    def score(self, trial: Trial) -> Score:
        """Take subsets away, and correlate."""
        cells = Cells.of(trial.attribution.shape, self.grid)
        size = max(1, min(round(self.share * cells.count), cells.count - 1))
        taken = cells.draw(trial.generator(), self.subsets, size)
        drops = cells.drops(trial, taken, self.baseline)
        found = correlation(cells.sums(trial.attribution), taken, drops)
        return Score(
            found.value,
            {
                "spread of the sums": found.spread_of_sums,
                "spread of the drops": found.spread_of_drops,
            },
        )
