"""Maps made visible: the only place that resizes, normalises, colours and draws.

Nothing here touches Matplotlib's global state, so it draws without a display and
from any thread.
"""

from xai_core.render.curves import curves_figure
from xai_core.render.figures import (
    comparison_figure,
    flow_figure,
    histogram_figure,
    ladder_figure,
    prediction_figure,
)
from xai_core.render.maps import (
    DIVERGING,
    OPACITY,
    SEQUENTIAL,
    Scale,
    Sharing,
    blend,
    caption,
    common_scale,
    heatmap,
    on_picture,
    overlay,
    resize,
    scales,
)
from xai_core.render.pareto import pareto_figure

__all__ = [
    "DIVERGING",
    "OPACITY",
    "SEQUENTIAL",
    "Scale",
    "Sharing",
    "blend",
    "caption",
    "common_scale",
    "comparison_figure",
    "curves_figure",
    "flow_figure",
    "heatmap",
    "histogram_figure",
    "ladder_figure",
    "on_picture",
    "overlay",
    "pareto_figure",
    "prediction_figure",
    "resize",
    "scales",
]
