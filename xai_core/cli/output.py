"""What the user sees: facts, tables, one JSON document, what runs now, errors.

File names, class names and messages of plugins come from anyone. They are never
read as Rich's markup, and hold no character that steers a terminal.
"""

import json
import os
import sys
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import singledispatch
from types import NoneType
from typing import Any

from rich.console import Console
from rich.control import Control
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.segment import ControlType
from rich.table import Table
from rich.text import Text

from xai_core.progress import Progress, silent

_PIPED_WIDTH = 1000
"""Where nobody looks, nothing is wrapped: a row stays a line for `grep`."""

_IS_QUIET: ContextVar[bool] = ContextVar("_IS_QUIET", default=False)

_STEERS = {"Cc", "Cs", "Zl", "Zp"}
_TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def _console(*, stderr: bool) -> Console:
    fixed = "COLUMNS" in os.environ or (sys.stderr if stderr else sys.stdout).isatty()
    return Console(
        stderr=stderr,
        markup=False,
        emoji=False,
        highlight=False,
        width=None if fixed else _PIPED_WIDTH,
    )


def width() -> int:
    """How many characters fit into a line of a result."""
    return _console(stderr=False).width


def never_fail_on_encoding() -> None:
    """Print `?` for what the terminal has no character for, rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def safe(text: object) -> str:
    """Text on one line that cannot steer the terminal."""
    return "".join(
        " " if c in "\n\t" else "\N{REPLACEMENT CHARACTER}" if _is_unsafe(c) else c
        for c in str(text)
    )


def _is_unsafe(character: str) -> bool:
    return (
        unicodedata.category(character) in _STEERS or unicodedata.bidirectional(character) in _TURNS
    )


def say(text: object, style: str = "") -> None:
    """Print a line of a result."""
    _console(stderr=False).print(Text(safe(text), style), soft_wrap=True)


def show_error(message: object) -> None:
    """Print an error on stderr."""
    _show_labelled("error", "bold red", message)


def show_warning(message: object) -> None:
    """Print a warning on stderr."""
    _show_labelled("warning", "yellow", message)


def _show_labelled(label: str, style: str, message: object) -> None:
    line = Text.assemble((f"{label}: ", style), safe(message))
    _console(stderr=True).print(line, soft_wrap=True)


def be_quiet(asked: bool) -> bool:
    """What `--quiet` sets, before or behind the command's name, until the next command."""
    _IS_QUIET.set(asked or _IS_QUIET.get())
    return asked


def speak() -> None:
    """Begin a command: nothing is quiet yet."""
    _IS_QUIET.set(False)


@contextmanager
def progress() -> Iterator[Progress]:
    """Show on stderr how far work is, how long it will take and what runs now.

    Only on a terminal, and not when it is to be quiet.
    """
    console = _console(stderr=True)
    if _IS_QUIET.get() or not console.is_terminal or console.is_dumb_terminal:
        yield silent
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        task = bars.add_task("", total=None)

        def show(done: int, total: int, what: str) -> None:
            label = escape(safe(what))
            bars.update(task, completed=done, total=total, description=label, refresh=True)

        yield show


@contextmanager
def status(text: object) -> Iterator[None]:
    """Say on stderr what runs now, and take it back after; only on a terminal.

    It stands still, so that it leaves the terminal to whoever else has progress to
    show, as Keras has for a download.
    """
    console = _console(stderr=True)
    if _IS_QUIET.get() or not console.is_terminal or console.is_dumb_terminal:
        yield
        return
    line = Text(f"{safe(text)} ...", "dim")
    console.print(line, no_wrap=True, overflow="ellipsis", end="\r")
    try:
        yield
    finally:
        console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)))


def show_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print names and values, aligned."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts:
        grid.add_row(name, Text(safe(value), "yellow" if name == "warning" else ""))
    _console(stderr=False).print(grid)


def show_verdict(word: str, style: str, name: object, text: object) -> None:
    """Print a verdict on one line, cut where the terminal's line ends."""
    line = Text.assemble((f"{word:<8}", style), f"{safe(name):<20}", (safe(text), "dim"))
    _console(stderr=False).print(line, no_wrap=True, overflow="ellipsis")


def show_table(
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    numbers: Collection[str] = (),
    bold: Collection[int] = (),
) -> None:
    """Print a table without lines.

    Args:
        header: The names of the columns.
        rows: Their values.
        numbers: The columns that are aligned at the right.
        bold: The rows that stand out.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in header:
        table.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for number, row in enumerate(rows):
        table.add_row(*map(safe, row), style="bold" if number in bold else "")
    _console(stderr=False).print(table)


@singledispatch
def cell(value: Any) -> str:
    """A value as it stands in a table."""
    return str(value)


@cell.register
def _(value: bool) -> str:
    return "yes" if value else "no"


@cell.register(NoneType)
def _(_: None) -> str:
    return ""


@cell.register(list)
@cell.register(tuple)
def _(value: Sequence[Any]) -> str:
    return ", ".join(map(cell, value))


def show_json(document: Mapping[str, Any]) -> None:
    """Print the one document that `--json` promises."""
    from xai_core.types import finite

    print(json.dumps(finite(document), indent=2, allow_nan=False, default=str))


def probability(value: float) -> str:
    """Four digits, and never 0 or 1 for what is not."""
    if 0 < value < 1e-4:
        return "<0.0001"
    if 1 - 1e-4 < value < 1:
        return ">0.9999"
    return f"{value:.4f}"


def logit(value: float) -> str:
    """Two digits."""
    return f"{value:.2f}"
