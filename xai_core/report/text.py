"""Names and messages come from anyone: what is shown of them, and how JSON carries them."""

import json
import math
import unicodedata
from collections.abc import Mapping
from typing import Any

import numpy as np

_STEERS = {"Cc", "Cs", "Zl", "Zp"}
_TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def plain(text: object) -> str:
    """Text without characters that steer: controls, halves of characters, turns of direction."""
    return "".join(
        c if c in "\n\t" or not _steers(c) else "\N{REPLACEMENT CHARACTER}" for c in str(text)
    )


def _steers(character: str) -> bool:
    return (
        unicodedata.category(character) in _STEERS or unicodedata.bidirectional(character) in _TURNS
    )


def to_json(document: Any) -> str:
    """JSON in ASCII without `<`, `>` and `&`, so that nothing in it can end a script element."""
    written = json.dumps(_ready(document), allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        written = written.replace(character, f"\\u{ord(character):04x}")
    return written


def _ready(value: Any) -> Any:
    """What JSON can say: NaN and infinity become words, unknown things their text."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else _word(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _ready(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_ready(each) for each in value]
    return str(value)


def _word(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def probability(value: float) -> str:
    """Three digits, and never 0 or 1 for what is not."""
    if 0 < value < 5e-4:
        return "<0.001"
    if 1 - 5e-4 < value < 1:
        return ">0.999"
    return f"{value:.3f}"
