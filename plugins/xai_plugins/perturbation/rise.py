"""RISE."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from xai_core import Attribution, Evidence, Law
from xai_core.parameters import Count, Seed, Within
from xai_core.typing import FloatArray
from xai_plugins.perturbation.masking import Perturbation, masked_scores

_BLOCK = 32
"""Masks weighed in one go: a matter of memory."""
_FLAT = 0.5
"""Where a map's smallest magnitude is above this share of the largest, it is mostly offset."""


@dataclass(frozen=True)
class RISE(Perturbation):
    """RISE: sum_i S(x M_i) M_i / (N p), with N random masks M_i, p = E[M].

    Petsiuk, Das and Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box
    Models", BMVC 2018, eq. 6 and section 3.2. The masks are coarse grids of 0 and 1,
    upsampled bilinearly; each has its own random shift by less than a cell. The grid has
    cells + 2 nodes along a side, so that none of its edges ever lies within the picture: then
    mean and variance of the masks are the same at every place. The masks of a seed are the same
    for all pictures of a size.

    x M is black + M (x - black) of what the model is fed: the picture times the mask in RGB, where
    the preprocessing is affine.

    A place has the mean score of the masks that show it. For a score that is near 0 where little
    shows, such as the probabilities of the paper, that is a map of where it comes from. Logits,
    and what is likely whatever is covered, have much the same mean everywhere: an offset, above
    or below 0, that hides the differences and adds to the error, which a warning tells.
    `rise-centred` is without it. Maps are float (N, H, W) at the input's resolution, in units
    of the score; with negative scores they are negative.
    """

    name: ClassVar[str] = "rise"
    laws: ClassVar[Law] = Law.LINEAR | Law.MASKED_MEAN | Law.STANDARD_ERROR | Law.SEEDED

    masks: Annotated[int, Within(2)] = 4000
    """How many. The standard error falls with the square root."""
    cells: Count = 7
    """Of a mask, along each side of the picture."""
    p: Annotated[float, Within(0.01, 1)] = 0.5
    """The probability that a node of the grid shows."""
    seed: Seed = 0
    """Of the masks."""

    @property
    def queries(self) -> int:
        """One a mask."""
        return self.masks

    def explain_one(self, evidence: Evidence) -> Attribution:
        """Weigh each mask by the score of what it shows."""
        height, width = evidence.inputs.shape[1:3]
        masks = Masks.draw(self.masks, self.cells, self.p, (height, width), self.seed)
        scores = masked_scores(evidence, evidence.black, self.masks, masks)
        mean, error = self._pool(scores, masks)
        size = np.abs(mean)
        return Attribution(
            mean[None],
            facts={"standard error": np.asarray([error])},
            warnings={
                "offset": (
                    "the map is much the same everywhere: the score of a picture with any part "
                    "covered. rise-centred shows the differences, with less error",
                    np.asarray([size.min() > _FLAT * size.max()]),
                )
            },
        )

    def _pool(self, scores: FloatArray, masks: "Masks") -> tuple[FloatArray, float]:
        return _mean_and_error(scores / self.p, masks, 0)


@dataclass(frozen=True)
class CentredRISE(RISE):
    """RISE on centred scores: sum_i (S(x M_i) - mean S) (M_i - p) / (N p): no offset.

    Petsiuk et al., BMVC 2018, eq. 6, of the score less its mean over the masks, with the same
    masks as `rise`. The mean of the masks is known, so it is no matter of chance here.
    """

    name: ClassVar[str] = "rise-centred"
    signed: ClassVar[bool] = True
    laws: ClassVar[Law] = Law.CONSTANT | Law.LINEAR | Law.STANDARD_ERROR | Law.SEEDED

    def _pool(self, scores: FloatArray, masks: "Masks") -> tuple[FloatArray, float]:
        about = scores - scores[0]
        return _mean_and_error((about - about.mean()) / self.p, masks, self.p)


def _mean_and_error(scores: FloatArray, masks: "Masks", origin: float) -> tuple[FloatArray, float]:
    """The mean of score (mask - origin), and the root mean square of its standard error.

    Blocks of masks are put together by the update of Chan, Golub and LeVeque, 1979: the
    difference of two large sums would cancel. Blocks are the same whatever a pass has room for.
    """
    mean, squares = np.zeros(masks.size), 0.0
    for first in range(0, len(scores), _BLOCK):
        part = slice(first, first + _BLOCK)
        weighted = masks(part)  # and in the same place: arrays of this size are slow to come by
        weighted -= origin
        weighted *= scores[part, None, None]
        new, centre = len(weighted), weighted.mean(axis=0)
        ahead = centre - mean
        weighted -= centre
        squares += float(np.vdot(weighted, weighted))
        squares += float(np.sum(ahead**2)) * first * new / (first + new)
        mean += ahead * new / (first + new)
    return mean, float(np.sqrt(squares / mean.size / len(scores) / (len(scores) - 1)))


@dataclass(frozen=True)
class Masks:
    """Random masks, kept as what they are made of."""

    grids: FloatArray
    """0 or 1, (N, cells + 2, cells + 2)."""
    shifts: NDArray[np.int64]
    """Where the picture begins on the grid, in pixels, down and right, (N, 2)."""
    cell: tuple[int, int]
    """Height and width of a cell in pixels."""
    size: tuple[int, int]
    """Height and width of a mask."""

    @staticmethod
    def draw(count: int, cells: int, p: float, size: tuple[int, int], seed: int) -> "Masks":
        """Draw all that is random of some masks."""
        generator = np.random.default_rng(seed)
        cell = (-(-size[0] // cells), -(-size[1] // cells))
        grids = generator.random((count, cells + 2, cells + 2)) < p
        return Masks(
            grids.astype(np.float64), generator.integers(cell, size=(count, 2)), cell, size
        )

    def __call__(self, part: slice) -> FloatArray:
        """Some of the masks, (m, H, W), 0 to 1."""
        rows, columns = (self._along(axis, part) for axis in (0, 1))
        masks: FloatArray = rows @ self.grids[part] @ columns.transpose(0, 2, 1)
        return masks

    def _along(self, axis: int, part: slice) -> FloatArray:
        """How much each node of the grid counts at each pixel, (m, side, cells + 2)."""
        at = (self.shifts[part, axis, None] + np.arange(self.size[axis])) / self.cell[axis]
        weights: FloatArray = np.maximum(
            0, 1 - np.abs(at[..., None] - np.arange(self.grids.shape[1]))
        )
        return weights
