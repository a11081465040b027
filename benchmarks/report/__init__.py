"""A table and plots, drawn from the results alone."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.report.page import page
from benchmarks.report.plots import PLOTS
from benchmarks.results import Results
from xai_core.files import write_atomically

REPORT = "report.markdown"
"""Not `.md`: the documentation includes it, and would take it for a page of its own."""


def write(results: Results, out: Path) -> Iterator[Path]:
    """Write the report and its plots into a folder; a plot that has nothing to show is removed."""
    shown = []
    for plot in PLOTS:
        path = out / plot.file
        figure = plot.draw(results)
        if figure is None:
            path.unlink(missing_ok=True)
            continue
        shown.append(plot)
        yield write_atomically(path, partial(figure.savefig, format="png", dpi=150))
    text = page(results, shown)
    yield write_atomically(out / REPORT, lambda file: file.write(text.encode()))
