"""Docstrings and signatures as their authors meant them."""

import dataclasses
import re
from typing import Any

from sphinx.application import Sphinx

_FLOAT_ARRAY = re.compile(r"~?(numpy\.)?ndarray\[.*?dtype\[[^\]]*floating\[[^\]]*\]\]\]")
_MADE_BY_US = ("types", "evidence", "disagreement", "focus", "histogram", "images")


def setup(app: Sphinx) -> dict[str, bool]:
    """Before napoleon, which has the priority 500."""
    app.connect("autodoc-process-docstring", _keep_colons, priority=400)
    app.connect("autodoc-process-signature", _shorten)
    return {"parallel_read_safe": True}


def _keep_colons(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Napoleon reads `What users type: lower case` on an attribute as a type and a text."""
    if what in ("attribute", "property", "data") and lines and ":" in lines[0]:
        lines[0] = f":{lines[0]}"


def _shorten(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, signature: str, returns: str
) -> tuple[str | None, str | None]:
    """No constructor for what only we construct; and arrays by the name they have in the source."""
    home = getattr(thing, "__module__", "").removeprefix("xai_core.")
    if what == "class" and dataclasses.is_dataclass(thing) and home in _MADE_BY_US:
        return "", None
    short = [part and _FLOAT_ARRAY.sub("FloatArray", part) for part in (signature, returns)]
    return short[0], short[1]
