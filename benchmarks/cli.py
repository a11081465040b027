"""The commands: run, list, trace, report."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from typer.main import get_command

from benchmarks import machine
from benchmarks.models import spec
from benchmarks.results import Result, Results
from benchmarks.runner import Run, chosen, jobs, left_out, run
from benchmarks.scenario import Scenario
from benchmarks.scenarios import core, scenarios
from benchmarks.settings import (
    BACKENDS,
    DEVICES,
    FULL,
    FULL_GPU,
    POLICIES,
    QUICK,
    QUICK_SAMPLES,
    Conditions,
    Extent,
)
from xai_core.errors import UsageError, XaiError

_RESULTS = "results.json"
_INTERRUPTED = 130
# What every Typer raises for arguments that cannot be parsed; it has no public name of its own.
_BadArguments: type[Exception] = typer.BadParameter.__mro__[1]


def _or(names: Sequence[str]) -> str:
    return " or ".join(names)


app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Measure what explanations cost, side by side with a forward pass.",
)

Quick = Annotated[
    bool, typer.Option("--quick", help="A tiny model and one sample: whether it works at all.")
]
Only = Annotated[
    str, typer.Option("--only", metavar="NAMES", help="Groups or scenarios, with commas.")
]
Models = Annotated[
    str,
    typer.Option(
        "--models",
        metavar="NAMES",
        help="In place of those that bars are set for. The first also takes the place of the one "
        "that batches, sizes and numbers are varied on, and other libraries run on.",
    ),
]
Batches = Annotated[
    str, typer.Option("--batches", metavar="NUMBERS", help="Pictures to a call, with commas.")
]
Device = Annotated[str, typer.Option(help=_or(DEVICES))]
Backend = Annotated[str, typer.Option(help=f"Of Keras: {_or(BACKENDS)}.")]
Dtype = Annotated[str, typer.Option(help=f"In what models compute: {_or(tuple(POLICIES))}.")]
Tf32 = Annotated[
    bool, typer.Option("--tf32", help="Have a GPU multiply float32 in TF32, in studies too.")
]
Out = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where results and plots go.")]


@app.command("run")
def run_command(
    device: Device = "cpu",
    backend: Backend = "tensorflow",
    dtype: Dtype = "float32",
    tf32: Tf32 = False,
    engine: Annotated[str, typer.Option(help="Of the studies.")] = "auto",
    threads: Annotated[
        str, typer.Option(metavar="NUMBERS", help="Cores to use, with commas; by default all.")
    ] = "",
    samples: Annotated[
        int, typer.Option(min=1, help="Of each time that a bar is set for.")
    ] = Conditions.samples,
    seed: Annotated[int, typer.Option(help="Of weights, and of the order of turns.")] = 0,
    only: Only = "",
    models: Models = "",
    batches: Batches = "",
    quick: Quick = False,
    again: Annotated[
        bool, typer.Option("--again", help="Measure too what the results have already.")
    ] = False,
    peer_python: Annotated[
        list[str] | None,
        typer.Option(
            "--peer-python",
            metavar="[PEER=]PYTHON",
            help="The Python in which a peer, or all of them, is installed beside xai-core.",
        ),
    ] = None,
    out: Out = Path("out/benchmarks"),
) -> None:
    """Measure, and draw the report. What is done is kept: interrupt it, and run it again."""
    extent = _extent(quick, models, batches, device)
    every = scenarios(extent)
    some = chosen(every, _listed(only))
    counts = _numbers("threads", threads) or [machine.available()]
    taken = QUICK_SAMPLES if quick else samples
    conditions = [
        Conditions(device, backend, engine, count, taken, seed, dtype, tf32) for count in counts
    ]
    _hold(some, only, conditions[0])
    for name, why in left_out(some, conditions[0]).items():
        typer.echo(f"{name}: left out, {why}", err=True)
    peers = {each.peer for each in every if each.peer}
    asked = Run(
        extent,
        jobs(some, conditions, _pythons(peer_python or [], peers)),
        out / _RESULTS,
        frozenset(each.name for each in some) if again else frozenset(),
    )
    with _Terminal() as show:
        results = run(asked, show)
    _draw(results, out)


@app.command("list")
def list_command(
    quick: Quick = False,
    only: Only = "",
    models: Models = "",
    batches: Batches = "",
    device: Device = "cpu",
    backend: Backend = "tensorflow",
    dtype: Dtype = "float32",
    tf32: Tf32 = False,
) -> None:
    """Show the scenarios, and why some are left out."""
    conditions = Conditions(device, backend, dtype=dtype, tf32=tf32)
    some = chosen(scenarios(_extent(quick, models, batches, device)), _listed(only))
    missed = left_out(some, conditions)
    for each in some:
        if each.name in missed:
            typer.echo(f"{each.name:<36}  left out, {missed[each.name]}")
        elif each.left_out(conditions) is None:
            typer.echo(f"{each.name:<36}  {each.summary}")


@app.command("trace")
def trace_command(
    device: Device = "cpu",
    backend: Backend = "tensorflow",
    dtype: Dtype = "float32",
    tf32: Tf32 = False,
    model: Annotated[str, typer.Option(help="By name.")] = FULL.sweep_model,
    batch: Annotated[int, typer.Option(min=1, help="Pictures to a call.")] = 8,
    call: Annotated[
        str, typer.Option(metavar="NAME", help=f"forward, {', '.join(core.CALLS)}.")
    ] = "Grad-CAM",
    threads: Annotated[int, typer.Option(min=1, help="Cores to use.")] = machine.available(),
    out: Out = Path("out/benchmarks"),
) -> None:
    """Record where the time of warm calls goes, by the profiler of the framework."""
    from benchmarks.trace import trace

    conditions = Conditions(device, backend, threads=threads, dtype=dtype, tf32=tf32)
    for path in trace(conditions, spec(model), batch, call, out / "trace"):
        typer.echo(f"Wrote {path}")


@app.command("report")
def report_command(
    results: Annotated[Path, typer.Argument(metavar="RESULTS.json")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="By default that of the results."),
    ] = None,
) -> None:
    """Draw the table and the plots of results that are there; nothing is measured."""
    if not results.is_file():
        raise UsageError(
            f"received {str(results)!r}, which is no file; expected the {_RESULTS} of a run"
        )
    _draw(Results.read(results), out or results.parent)


def _draw(results: Results, out: Path) -> None:
    from benchmarks.report import write

    for path in write(results, out):
        typer.echo(f"Wrote {path}")


def _hold(some: Sequence[Scenario], only: str, conditions: Conditions) -> None:
    """Refuse to measure nothing."""
    if any(each.left_out(conditions) is None for each in some):
        return
    whys = ", ".join(dict.fromkeys(filter(None, (each.left_out(conditions) for each in some))))
    raise UsageError(
        f"received {only!r} to measure with device {conditions.device}, backend "
        f"{conditions.backend}, dtype {conditions.dtype} and TF32 "
        f"{'on' if conditions.tf32 else 'off'}; expected others: it is measured {whys}"
    )


def _extent(quick: bool, models: str, batches: str, device: str) -> Extent:
    extent = QUICK if quick else FULL_GPU if device == "gpu" else FULL
    if names := tuple(spec(each).name for each in _listed(models)):
        extent = replace(extent, models=names, sweep_model=names[0])
    if numbers := tuple(_numbers("batches", batches)):
        extent = replace(extent, batches=numbers, memory_batches=numbers)
    return extent


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _numbers(what: str, text: str) -> list[int]:
    found = _listed(text)
    if not all(each.isdecimal() and int(each) > 0 for each in found):
        raise UsageError(f"received {what} {text!r}; expected whole numbers, as in 1,2")
    return [int(each) for each in found]


def _pythons(given: Sequence[str], peers: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in given:
        name, equals, python = each.rpartition("=")
        if equals and name not in peers:
            raise UsageError(f"received peer {name!r}; expected one of {', '.join(sorted(peers))}")
        found |= dict.fromkeys([name] if equals else peers, python)
    return found


class _Terminal:
    """Says how far a run is: a bar on a terminal, else a line for each scenario."""

    def __init__(self) -> None:
        console = Console(stderr=True, highlight=False)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._bars = Progress(*columns, console=console, disable=not console.is_terminal)
        self._all = self._bars.add_task("all")
        self._now = self._bars.add_task("", visible=False)

    def __enter__(self) -> "_Terminal":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def begin(self, total: int, done: int) -> None:
        """Begin where an earlier run stopped."""
        self._bars.update(self._all, total=total, completed=done)
        if done:
            self._bars.console.print(f"{done} of {total} are done already")

    def step(self, scenario: str, done: int, total: int, what: str) -> None:
        """Move the lower bar."""
        text = escape(f"{scenario}: {what}")
        self._bars.update(
            self._now, description=text, completed=done, total=total, visible=True, refresh=True
        )

    def end(self, result: Result) -> None:
        """Say what became of it."""
        self._bars.update(self._now, visible=False)
        self._bars.advance(self._all)
        failures = [each for each in result.measurements if each.failure]
        what = "FAILED" if result.failure else f"{len(failures)} failed" if failures else "done"
        text = f"{result.scenario}: {what}, {result.seconds:.0f} s"
        for failure in filter(None, [result.failure, *(each.failure for each in failures)]):
            text += f"\n    {failure}"
        self._bars.console.print(escape(text), soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    code = _run(given)
    if code == _INTERRUPTED:
        typer.echo("stopped; what is done is kept, and the same command goes on", err=True)
    return code


def _run(given: Sequence[str]) -> int:
    try:
        code = get_command(app).main(args=given, prog_name="benchmarks", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        return _INTERRUPTED
    except XaiError as error:
        typer.echo(f"error: {error}", err=True)
        return error.exit_code
    except _BadArguments as error:
        typer.echo(f"error: {error.format_message()}", err=True)  # type: ignore[attr-defined]
        return 2
    return int(code or 0)  # some versions of Typer return that of an interrupt
