"""Occlusion."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from xai_core import Attribution, Evidence, Law
from xai_core.errors import ExplainerError, ParameterError
from xai_core.parameters import Count, Seed
from xai_core.typing import FloatArray
from xai_plugins.baselines import Baseline, baseline
from xai_plugins.perturbation.masking import Perturbation, masked_scores


@dataclass(frozen=True)
class Occlusion(Perturbation):
    """Occlusion: S(x) - S(x without a window), spread over the window, for windows all over.

    Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014,
    section 4.2. What the score loses is divided by the window's area, summed over the windows
    that cover a place, and divided by how many do. Windows lie a stride apart, the last ones
    against the right and lower edge, so that every place is covered. A covered place has the
    value of the baseline as the model is fed it: black, not grey as in the paper, unless said
    otherwise. Maps are float (N, H, W) at the input's resolution, signed, in units of the score
    a pixel: with windows side by side, they sum to what each takes away by itself.
    """

    name: ClassVar[str] = "occlusion"
    signed: ClassVar[bool] = True

    window: Count | None = None
    """The window's side in pixels of the input, cut to the input's sides. By default a seventh
    of the shorter side: 32 of 224."""
    stride: Count | None = None
    """From one window to the next, in pixels; by default half the window."""
    baseline: Baseline = "black"
    """What covers: a black picture, the picture's mean colour, the picture blurred, or noise."""
    seed: Seed = 0
    """Of the random baseline."""
    budget: Count = 4096
    """The most windows to ask about: more of them is an error that says how many."""

    def __post_init__(self) -> None:
        """Hold the parameters to their types, and the windows to cover every place."""
        super().__post_init__()
        if self.window is not None and self.stride is not None and self.stride > self.window:
            raise ParameterError(
                f"occlusion: received stride {self.stride} and window {self.window}; expected a "
                "stride of at most the window, or there are places that no window covers"
            )

    @property
    def laws(self) -> Law:
        """Windows of one pixel are exact on a linear model."""
        laws = Law.CONSTANT | Law.LINEAR
        exact = self.window == 1 and self.baseline == "black"
        return laws | Law.LINEAR_MODEL if exact else laws

    def explain_one(self, evidence: Evidence) -> Attribution:
        """Cover one window after the other."""
        size = tuple(evidence.inputs.shape[1:3])
        windows = self._windows(*size)

        def masks(part: slice) -> FloatArray:
            shown = np.ones((part.stop - part.start, *size))
            for mask, window in zip(shown, windows[part], strict=True):
                mask[window] = 0
            return shown

        cover = baseline(self.baseline, evidence, self.seed)
        scores = masked_scores(evidence, cover, len(windows), masks)
        total, coverage = np.zeros(size), np.zeros(size)
        for window, drop in zip(windows, float(evidence.score[0]) - scores, strict=True):
            total[window] += drop / total[window].size
            coverage[window] += 1
        return Attribution((total / coverage)[None])

    def _windows(self, height: int, width: int) -> list[tuple[slice, slice]]:
        """Rows and columns of each window."""
        side = self.window or self.stride or max(1, round(min(height, width) / 7))
        stride = self.stride or max(1, side // 2)
        rows, columns = (_along(each, min(side, each), stride) for each in (height, width))
        count = len(rows) * len(columns)
        if count > self.budget:
            raise ExplainerError(
                f"occlusion: received a window of {side} and a stride of {stride} for an input of "
                f"{height}x{width}, which makes {count:,} windows; expected at most budget "
                f"{self.budget:,}. Raise the stride, or the budget."
            )
        return [(row, column) for row in rows for column in columns]


def _along(length: int, side: int, stride: int) -> list[slice]:
    """Windows along one side, the last against its end."""
    last = length - side
    return [slice(first, first + side) for first in (*range(0, last, stride), last)]
