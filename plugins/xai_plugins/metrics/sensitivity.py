"""Max-sensitivity."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from xai_core import Metric, Score, Trial
from xai_core.errors import MetricError
from xai_core.parameters import Count, Within


@dataclass(frozen=True)
class MaxSensitivity(Metric):
    """Max-sensitivity: how far a map moves at most when the picture hardly does.

    Yeh, Hsieh, Suggala, Inouye and Ravikumar, "On the (In)fidelity and Sensitivity of
    Explanations", NeurIPS 2019 (definition of SENS_MAX): the greatest
    ||map(x + d) - map(x)|| over all d of radius r. Here it is divided by ||map(x)||, since the
    units of methods differ; the norm is Euclidean, over the map at the input's size, and maps are
    not normalised otherwise. Each d is uniform noise in -radius..radius on every value, so the
    radius is that of a cube, and the noisy picture is clipped to 0..255. The noise is the same
    for every method. A map that is 0 everywhere, and stays so, scores 0. Lower is better, 0
    upwards: signed maps of one norm that have nothing in common are 1.41 apart, the opposite is 2.

    Traps. The greatest of few samples is less than the greatest there is, and grows with their
    number: compare with the same number alone. A map that never moves scores 0: `uniform` and
    `centre-gaussian` cannot be beaten here, so robustness is worth something only in a map that
    is good by another metric. `edges` tells how far the picture itself moves. What the model does
    is not asked: where its own answer turns at a small change, an honest map turns too. One
    strong pixel that moves decides the norm. The class stays that of the picture, whatever the
    noisy one is taken for.
    """

    name: ClassVar[str] = "max-sensitivity"
    family: ClassVar[str] = "robustness"
    summary: ClassVar[str] = "how far the map moves at most under small noise"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, np.inf)

    @property
    def queries(self) -> int:
        """None are asked about."""
        return 0

    @property
    def maps(self) -> int:
        """One of each noisy picture."""
        return self.samples

    samples: Count = 10
    """Noisy pictures."""
    radius: Annotated[float, Within(0, 255)] = 5.0
    """The greatest change of a value of 0..255."""

    def score(self, trial: Trial) -> Score:
        """Add noise, and see how far the map goes."""
        shape = (self.samples, *trial.pixels.shape)
        noise = trial.generator().uniform(-self.radius, self.radius, shape)
        noisy = np.clip(trial.pixels + noise, 0, 255).astype(trial.pixels.dtype)
        own = trial.attribution.astype(np.float64)
        moved = np.linalg.norm((trial.maps(noisy) - own).reshape(self.samples, -1), axis=1)
        norm = float(np.linalg.norm(own))
        if norm == 0 < moved.max():
            raise MetricError(
                "the map is 0 everywhere and that of a noisy picture is not; expected a map to "
                "compare with, since the distance is told in multiples of its norm"
            )
        ratios = moved / norm if norm else moved
        return Score(float(ratios.max()), {"mean": float(ratios.mean()), "norm of the map": norm})
