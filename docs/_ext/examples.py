"""The examples: which there are, and how they are run.

An example is a `.py` file, run as Python, and a `.sh` file of the same name, of `xai`
commands. It runs in a folder of its own, with the demo pictures beside it. There it leaves
its pictures, what the program prints in `output.txt`, and each command with what it prints
in `command_1.txt`, `command_2.txt`, ...
"""

import contextlib
import io
import os
import runpy
import shlex
import warnings
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "examples"
_COLUMNS = "92"


def names() -> list[str]:
    """The names of the examples."""
    return sorted({path.stem for path in FOLDER.iterdir() if path.suffix in (".py", ".sh")})


def commands(name: str) -> list[str]:
    """The commands of an example, each on one line."""
    path = FOLDER / f"{name}.sh"
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    return [" ".join(line.split()) for line in lines if line and not line.startswith("#")]


def run(name: str, folder: Path) -> None:
    """Run one example in a new folder.

    Raises:
        RuntimeError: a command failed.
    """
    import keras

    folder.mkdir(parents=True)
    keras.utils.clear_session()  # names of layers count from 1 again
    program = FOLDER / f"{name}.py"
    with _inside(folder):
        if name != "demo_pictures":
            _print_of(FOLDER / "demo_pictures.py")
        if program.is_file():
            Path("output.txt").write_text(_print_of(program), encoding="utf-8")
        for number, line in enumerate(commands(name), start=1):
            said = [each.rstrip() for each in _print_of_command(line).splitlines()]
            text = "\n".join([f"$ {line}", *said]) + "\n"
            Path(f"command_{number}.txt").write_text(text, encoding="utf-8")


def _print_of(program: Path) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        runpy.run_path(str(program), run_name="__main__")
    return printed.getvalue()


def _print_of_command(line: str) -> str:
    from xai_core.cli import main

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        code = main(shlex.split(line)[1:])
    if code:
        raise RuntimeError(f"{line!r} exits with {code} and prints:\n{printed.getvalue()}")
    return printed.getvalue()


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """In a folder, on a terminal of known width, without warnings."""
    before, columns = Path.cwd(), os.environ.get("COLUMNS")
    os.chdir(folder)
    os.environ["COLUMNS"] = _COLUMNS
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        os.chdir(before)
        if columns is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = columns
