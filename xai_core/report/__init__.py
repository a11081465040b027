"""A comparison as one HTML file that opens from disk, without a network.

The page is made with Jinja2 from `templates/`; its data is one block of JSON, and its
content security policy lets nothing run but its own script.
"""

from typing import Any

from xai_core.report.notebook import as_html, as_png
from xai_core.types import Comparison

__all__ = ["as_html", "as_png", "write_report"]


def write_report(comparison: Comparison, **drawing: Any) -> bytes:
    """The report of a comparison.

    Args:
        comparison: At least one cell.
        **drawing: How the maps are drawn when the page opens: what `Comparison.figure` takes.

    Raises:
        UsageError: there is nothing to show, or it cannot be drawn as asked.
    """
    from xai_core.report.data import collect
    from xai_core.report.page import render_page

    return render_page(collect(comparison, **drawing)).encode()
