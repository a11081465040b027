"""Completeness."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from xai_core import Law, Metric, Score, Trial
from xai_core.errors import MetricError
from xai_plugins.metrics.canvas import Canvas, canvas


@dataclass(frozen=True)
class Completeness(Metric):
    """Completeness: by how much a map does not sum to what the picture adds to the score.

    Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks", ICML 2017, section 3:
    a map is complete if its values sum to S(x) - S(x'), with S the explained score, by default
    the logit, and x' a baseline. The value is |sum - (S(x) - S(x'))| / |S(x) - S(x')|, of the map
    as the method made it, not resampled. Lower is better, from 0 on; a map of zeros has 1.

    It is asked of methods that promise it for a black picture, `Law.COMPLETE`, and of the maps
    that know nothing. Of the built-in methods that is `integrated-gradients` alone, up to its
    quadrature. `kernel-shap`'s values of superpixels are complete, but each pixel has the whole
    value of its superpixel, so the map sums to more. `expected-gradients` is complete for the
    mean of many baselines, `gradient-x-input` where the model is linear and black is fed as 0.
    `full-grad`'s terms are complete, its map is not. CAMs, saliency, SmoothGrad, LIME and RISE
    promise no sum. With another baseline it is asked of every method: which of them promise that
    sum, is for whoever asks to know.

    Traps. Complete is not right: all of the score on any one pixel is complete, and to be nearer
    than maps that know nothing is not to keep the promise. Where S(x) is near S(x'), a small gap
    is a large share; where they are the same there is no value. A logit has no natural zero, and
    S(x') may be far from "nothing is seen". A mean over pictures is ruled by those with the
    smallest change. A method that promises nothing may come near by accident, as Grad-CAM on one
    photograph to within 2 %.
    """

    name: ClassVar[str] = "completeness"
    family: ClassVar[str] = "axiom"
    summary: ClassVar[str] = "how far the map's sum misses the score's change; if it is promised"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)

    baseline: Canvas = "black"
    """x': a black picture, the picture's mean colour, the picture blurred."""

    @property
    def presumes(self) -> Law:
        """That the map sums to S(x) - S(black)."""
        return Law.COMPLETE if self.baseline == "black" else Law.NOTHING

    @property
    def queries(self) -> int:
        """The picture and the baseline."""
        return 2

    def score(self, trial: Trial) -> Score:
        """Sum, and ask for both scores."""
        total = float(trial.raw.sum(dtype=np.float64))
        both = trial.scores(np.stack([trial.pixels, canvas(self.baseline, trial.pixels)]))
        change = float(both[0] - both[1])
        if change == 0:
            raise MetricError(
                f"the score of the picture and that of the baseline, {self.baseline}, are the "
                f"same, {both[0]:g}: no gap is a share of 0. Expected them to differ: try another "
                "baseline"
            )
        return Score(
            abs(total - change) / abs(change),
            {"sum of the map": total, "change of the score": change},
        )
