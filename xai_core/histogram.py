"""How large a gradient is, over all its places and channels."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xai_core.typing import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DECADES = 12
_BINS_A_DECADE = 4


@dataclass(frozen=True, eq=False)
class GradientHistogram:
    """The magnitudes of one gradient of one score, by sign, on a logarithmic axis."""

    title: str
    """Whose gradient, and where."""
    edges: FloatArray = field(repr=False)
    """Magnitudes between the bins, ascending, (B + 1,). The first bin holds all below."""
    positive: NDArray[np.int64] = field(repr=False)
    """How many values are positive, in each bin, (B,)."""
    negative: NDArray[np.int64] = field(repr=False)
    """How many are negative."""
    zeros: int
    """How many are exactly 0."""
    broken: int
    """How many are NaN or infinite."""

    @property
    def size(self) -> int:
        """How many values there are."""
        return int(self.positive.sum() + self.negative.sum()) + self.zeros + self.broken

    @property
    def summary(self) -> str:
        """How many values there are, and how many of them say nothing."""
        broken = f", {self.broken} not finite" if self.broken else ""
        return f"{self.size} values, {self.zeros / max(self.size, 1):.1%} of them 0{broken}"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "title": self.title,
            "edges": self.edges.tolist(),
            "positive": self.positive.tolist(),
            "negative": self.negative.tolist(),
            "zeros": self.zeros,
            "not_finite": self.broken,
        }

    def figure(self) -> "Figure":
        """Positive values upwards, negative ones downwards."""
        from xai_core import render

        return render.histogram_figure(self)


def count_gradient(title: str, gradient: FloatArray) -> GradientHistogram:
    """Count a gradient's values, over the twelve decades below its largest magnitude."""
    values = gradient[np.isfinite(gradient)].astype(np.float64)
    sizes = np.abs(values)
    top = float(np.ceil(np.log10(sizes.max()))) if sizes.any() else 0.0
    edges = 10.0 ** np.linspace(top - _DECADES, top, _DECADES * _BINS_A_DECADE + 1)
    bins = np.clip(np.searchsorted(edges, sizes, side="left") - 1, 0, len(edges) - 2)
    count = len(edges) - 1
    return GradientHistogram(
        title=title,
        edges=edges,
        positive=np.bincount(bins[values > 0], minlength=count),
        negative=np.bincount(bins[values < 0], minlength=count),
        zeros=int((values == 0).sum()),
        broken=int(gradient.size - values.size),
    )
