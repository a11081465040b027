"""How explanations and comparisons show themselves in a notebook."""

import base64
from html import escape
from io import BytesIO

from xai_core.report.text import plain
from xai_core.types import Cell, Comparison, Explanation

_MOST_BYTES = 1_000_000
_MOST_NAMED = 6


def as_png(comparison: Comparison) -> bytes | None:
    """The figure of a comparison; None where there is nothing to draw."""
    return _drawn(comparison, "png") if comparison.cells else None


def as_html(comparison: Comparison) -> str:
    """The figure with words for those who cannot see it, and what is wrong with the maps.

    It holds no script, and every name in it is escaped.
    """
    if not comparison.cells:
        return "<p>A comparison without maps</p>"
    kind, content = "png", _drawn(comparison, "png")
    if len(content) > _MOST_BYTES:
        kind, content = "jpeg", _drawn(comparison, "jpeg")
    data = base64.b64encode(content).decode()
    cells = comparison.cells
    words = "; ".join(map(_words, cells[:_MOST_NAMED]))
    if len(cells) > _MOST_NAMED:
        words += f"; and {len(cells) - _MOST_NAMED} more"
    notes = [f"Trust: {e.method} for {e.target}: {e.verdict}" for e in comparison if e.verdict]
    notes += [f"Warning: {each}" for each in _warnings(comparison)]
    notes += [f"Failed: {f.method} for {f.target}: {f.message}" for f in comparison.failures]
    items = "".join(f"<li>{_escaped(note)}</li>" for note in notes)
    return (
        f'<figure><img src="data:image/{kind};base64,{data}" alt="{_escaped(words)}">'
        + (f"<figcaption><ul>{items}</ul></figcaption>" if items else "")
        + "</figure>"
    )


def _drawn(comparison: Comparison, kind: str) -> bytes:
    buffer = BytesIO()
    options = {"quality": 85, "optimize": True} if kind == "jpeg" else {}
    comparison.figure().savefig(buffer, format=kind, pil_kwargs=options)
    return buffer.getvalue()


def _words(cell: Cell) -> str:
    picture = cell.picture.name if isinstance(cell, Explanation) else cell.picture
    said = f"{cell.method} for {cell.target} of {cell.model} on {picture}"
    if not isinstance(cell, Explanation):
        return f"{said}: failed"
    return f"{said}: {cell.focus or 'no evidence to measure'}"


def _warnings(comparison: Comparison) -> list[str]:
    return list(dict.fromkeys(str(each) for cell in comparison for each in cell.warnings))


def _escaped(text: object) -> str:
    return escape(plain(text))
