"""Small curves that stand in the page itself."""

from typing import Any

from xai_core.report.text import plain, probability
from xai_core.trust import Placing
from xai_core.typing import FloatArray

_WIDTH, _HEIGHT = 160, 90
_TOP = 0.05
"""The least that the height stands for: noise is not drawn as if it were a curve."""


def placing_plot(placing: Placing) -> Any:
    """The curve of a map over the band of the same map put elsewhere, as SVG."""
    from markupsafe import Markup, escape

    low, high = placing.band
    x, y = placing.curve.x, placing.curve.y
    top = max(float(y.max()), float(high.max()), _TOP)
    band = f"{_points(x, high, top)} {_points(x[::-1], low[::-1], top)}"
    label = (
        f"{placing.metric}: the {placing.curve.y_label} begins at {probability(float(y[0]))} and "
        f"ends at {probability(float(y[-1]))}, over the {placing.curve.x_label}; with the map "
        f"elsewhere, half-way, it is {probability(float(low[len(low) // 2]))} to "
        f"{probability(float(high[len(high) // 2]))}, with the map itself "
        f"{probability(float(y[len(y) // 2]))}"
    )
    # Numbers of our own, and a label that is escaped.
    return Markup(  # noqa: S704
        f'<svg class="plot" viewBox="-2 -2 {_WIDTH + 4} {_HEIGHT + 4}" role="img" '
        f'aria-label="{escape(plain(label))}" focusable="false">'
        f'<path class="plot-axes" d="M0 0V{_HEIGHT}H{_WIDTH}"></path>'
        f'<polygon class="plot-band" points="{band}"></polygon>'
        f'<polyline class="plot-curve" points="{_points(x, y, top)}"></polyline>'
        f'<text class="plot-top" x="4" y="9">{escape(f"{top:.2g}")}</text></svg>'
    )


def _points(x: FloatArray, y: FloatArray, top: float) -> str:
    return " ".join(
        f"{_WIDTH * across:.1f},{_HEIGHT * (1 - up / top):.1f}"
        for across, up in zip(x, y, strict=True)
    )
