"""What the kit finds: for each law, whether it is kept, and if not, by how much and why."""

import ast
import inspect
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from xai_core.errors import XaiError
from xai_core.laws import Law
from xai_core.typing import FloatArray

EXACT = 1e-9
"""How far off float64 maps may be, relative to the largest value: rounding."""
COARSE = 2e-5
"""The same of float32 maps."""
NOTHING = 1e-18
"""What is this near to 0 is what is left when equal numbers are subtracted."""


@dataclass(frozen=True)
class Finding:
    """What came of one law."""

    law: str
    """Its name, in capitals as in `Law.GAP_DENSE` where the method declares it, in lower case
    where it holds for all."""
    statement: str
    """What it says."""
    models: tuple[str, ...]
    """The small models that it was held to on."""
    broken: str = ""
    """On which model it is broken, in numbers; empty where it is kept."""
    mistake: str = ""
    """What is usually the reason; empty where it is kept."""
    read: str = ""
    """Where it is told; empty where it is kept."""
    untried: tuple[str, ...] = ()
    """The laws that nothing can be told of until this one holds."""
    cause: BaseException | None = field(default=None, compare=False, repr=False)
    """What the plugin raised, if that is what breaks it."""

    @property
    def ok(self) -> bool:
        """Whether the law is kept."""
        return not self.broken

    def __str__(self) -> str:
        if self.ok:
            return f"{self.law}: ok on {', '.join(self.models) or 'no model: it needs none'}"
        lines = (
            f"{self.law}: {self.statement}",
            f"  found: {self.broken}",
            f"  likely: {self.mistake}",
            f"  read: {self.read}",
            *([f"  not tried until it holds: {', '.join(self.untried)}"] if self.untried else []),
        )
        return "\n".join(lines)


class ConformanceError(XaiError, AssertionError):
    """A plugin that breaks laws; says which, by how much, and what is usually the reason."""

    def __init__(self, name: str, broken: tuple[Finding, ...]) -> None:
        laws = ", ".join(each.law for each in broken)
        super().__init__(
            "\n".join([f"{name!r} does not keep to {laws}", *(str(each) for each in broken)])
        )
        self.findings = broken
        """One for each law that is broken."""


def difference(
    found: FloatArray,
    expected: FloatArray,
    what: str,
    *,
    within: float | None = None,
    size: float | None = None,
) -> str:
    """Where and by how much a map is off, in words; nothing where it is not.

    Args:
        found: The map (h, w).
        expected: What it should be.
        what: What that is, in words.
        within: How far off it may be, relative to `size`; by default what the dtype rounds.
        size: By default the largest value expected.
    """
    if found.shape != expected.shape:
        return f"the map has shape {found.shape}; expected {expected.shape}, {what}"
    relative = within or (EXACT if found.dtype == np.float64 else COARSE)
    allowed = NOTHING + relative * (float(np.abs(expected).max()) if size is None else size)
    off = np.abs(found - expected)
    # What is not finite compares as not within.
    if (off <= allowed).all():
        return ""
    worst = np.unravel_index(np.nanargmax(np.where(np.isfinite(off), off, np.inf)), off.shape)
    place = ", ".join(str(int(each)) for each in worst)
    return (
        f"at ({place}) the map is {found[worst]:.6g}; expected {expected[worst]:.6g}, {what}: "
        f"off by {off[worst]:.3g}, of which {allowed:.1g} would be rounding"
    )


def statements() -> Mapping[Law, str]:
    """What each law says, from the text under its name."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(Law)))
    (definition,) = tree.body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - it is the class's own source
    found = {}
    for name, text in zip(definition.body, definition.body[1:], strict=False):
        match name, text:
            case (
                ast.Assign(targets=[ast.Name(id=law)]),
                ast.Expr(value=ast.Constant(value=str(said))),
            ):
                found[Law[law]] = " ".join(said.split())
    return MappingProxyType(found)
