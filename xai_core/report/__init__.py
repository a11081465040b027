"""A comparison, or an evaluation, as one HTML file that opens from disk, without a network.

The pages are made with Jinja2 from `templates/`. That of a comparison has its data in one block
of JSON, and its content security policy lets nothing run but its own script; that of an evaluation
has no script, and none may run.
"""

from typing import TYPE_CHECKING, Any

from xai_core.progress import Progress, silent
from xai_core.report.notebook import as_html, as_png
from xai_core.types import Comparison

if TYPE_CHECKING:
    from xai_core.evaluation import Evaluation

__all__ = ["as_html", "as_png", "write_evaluation", "write_report"]


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


def write_evaluation(evaluation: "Evaluation", progress: Progress = silent) -> bytes:
    """The page of an evaluation.

    Args:
        evaluation: What came of measuring.
        progress: Told what runs, where maps are made to be shown.
    """
    from xai_core.report.evaluation import render_evaluation

    return render_evaluation(evaluation, progress).encode()
