"""The grid pointing game: pictures of other classes beside the trial's own."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from xai_core import Metric, Score, Trial
from xai_core.errors import MetricError
from xai_core.parameters import Within
from xai_core.typing import FloatArray
from xai_plugins.metrics.relevance import positive_share


@dataclass(frozen=True)
class GridPointingGame(Metric):
    """The grid pointing game: the share of the positive values in the cell of the class.

    Böhle, Fritz and Schiele, "Convolutional Dynamic Alignment Networks for Interpretable
    Classifications", CVPR 2021 (localisation metric): a mosaic is made of pictures
    of different classes, and the value is the share of what is above 0, in the map of the class
    for the mosaic, that lies in the cell of its own picture. It needs no mask: the mosaic says
    where the class is. The place of the trial's picture and the other pictures are drawn by the
    trial's seed. A map that is the same everywhere scores the cell's share of the mosaic, which
    is 1 / side^2, or the next to it where the input's sides cannot be divided evenly: the fact
    `chance`. A map with no value above 0 scores 0; the facts tell how many are. Higher is
    better, 0 to 1.

    Two differences from the paper. There a mosaic is as much larger than a picture as it has
    cells, which networks without dense layers allow; here a model has one input size, so each
    picture is brought down to its cell by averaging over areas. And the paper takes pictures that
    are classified right and with confidence, and asks about the class of every cell; here the
    class is the trial's, and each of the others of another predicted class.

    Traps. The model is shown pictures at a half or a third of the size that it was trained on,
    side by side: look at the fact `probability of the class for the mosaic`. Where that is
    nothing, the model does not see the class there and its map has nothing to find. Another
    picture may hold something of the class, though another is predicted. Where the class asked
    for is not in its own picture, no cell is right. A map from a coarse layer runs over the
    cell's edge: of 7 x 7 values, each is wider than a quarter of a cell of 2 x 2. Edges between
    cells are in no picture. It says which picture a map points at, not where in it: a map of the
    whole cell is as good as one of the object.
    """

    name: ClassVar[str] = "grid-pointing-game"
    family: ClassVar[str] = "localisation"
    summary: ClassVar[str] = "the share of positive values in the own picture of a mosaic"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    @property
    def queries(self) -> int:
        """The mosaic."""
        return 1

    @property
    def maps(self) -> int:
        """That of the mosaic."""
        return 1

    side: Annotated[int, Within(2)] = 2
    """Pictures to a row and to a column: 2 makes 2 x 2 of them."""

    def score(self, trial: Trial) -> Score:
        """Make the mosaic, and see where the map of the class lies."""
        height, width = trial.attribution.shape
        if self.side > min(height, width):
            raise MetricError(
                f"a mosaic of {self.side} x {self.side} pictures does not go into an input of "
                f"{height} x {width}; expected side = {min(height, width)} at most"
            )
        cells = self.side**2
        others = trial.others(cells - 1)
        own = int(trial.generator().integers(cells))
        pictures = [each.pixels for each in others]
        pictures.insert(own, trial.pixels)
        made = mosaic(pictures, self.side)
        rows, columns = (_edges(length, self.side) for length in (height, width))
        row, column = divmod(own, self.side)
        cell = np.zeros((height, width), np.bool_)
        cell[rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = True
        attribution = trial.maps(made[None])[0]
        return Score(
            positive_share(attribution, cell),
            {
                "chance": float(cell.mean()),
                "values above 0": float(np.count_nonzero(attribution > 0)),
                "probability of the class for the mosaic": float(
                    trial.probabilities(made[None])[0]
                ),
            },
        )


def mosaic(pictures: list[FloatArray], side: int) -> FloatArray:
    """Pictures (H, W, C), row by row, each in a cell of one (H, W, C) of the first's dtype."""
    height, width = pictures[0].shape[:2]
    rows, columns = np.diff(_edges(height, side)), np.diff(_edges(width, side))
    lines = [
        np.concatenate(
            [
                _shrunk(pictures[side * row + column], rows[row], columns[column])
                for column in range(side)
            ],
            axis=1,
        )
        for row in range(side)
    ]
    made: FloatArray = np.clip(np.concatenate(lines), 0, 255).astype(pictures[0].dtype)
    return made


def _edges(length: int, side: int) -> list[int]:
    """Where cells begin, and where the last one ends."""
    return [length * each // side for each in range(side + 1)]


def _shrunk(pixels: FloatArray, height: int, width: int) -> FloatArray:
    """A picture (H, W, C) by the mean over the area of each pixel, (height, width, C)."""
    down, across = _shares(pixels.shape[0], height), _shares(pixels.shape[1], width)
    shrunk: FloatArray = np.einsum("yh,hwc,xw->yxc", down, pixels, across, optimize=True)
    return shrunk


def _shares(many: int, few: int) -> FloatArray:
    """How much of each of few places lies in each of many, (few, many); rows sum to 1."""
    edges = np.linspace(0, many, few + 1)
    places = np.arange(many)
    ends = np.minimum(edges[1:, None], places + 1)
    inside: FloatArray = np.clip(ends - np.maximum(edges[:-1, None], places), 0, None)
    shares: FloatArray = inside / inside.sum(axis=1, keepdims=True)
    return shares
