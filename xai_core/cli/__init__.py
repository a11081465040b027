"""The command line, `xai`: it parses, calls `Study`, and prints.

Exit codes: 0, done; 1, failed; 2, what was asked for does not exist or does not fit;
130, interrupted. Results go to stdout, errors and what runs now to stderr. With
`--json`, stdout holds one document and nothing else, errors included.
"""

import os
import sys
import traceback
from collections.abc import Sequence

import typer
from typer.main import get_command

from xai_core.cli import output, quiet
from xai_core.cli.app import app
from xai_core.errors import XaiError

_INTERRUPTED = 130

# What every Typer raises for arguments that cannot be parsed; it has no public name of its own.
_BadArguments: type[Exception] = typer.BadParameter.__mro__[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `xai` and return its exit code.

    Args:
        arguments: What follows `xai`; by default what the shell passed.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    quiet.set_up()
    output.speak()
    output.never_fail_on_encoding()
    try:
        code = get_command(app).main(args=given, prog_name="xai", standalone_mode=False)
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        return _INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone, as `head` does. Nothing more can be said there,
        # not even by Python's own flush at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # noqa: BLE001 - the last place to turn one into a message
        if quiet.debugging():
            traceback.print_exc()
        return _report(error, as_json="--json" in given)
    return int(code or 0)


def _report(error: Exception, *, as_json: bool) -> int:
    """Say what went wrong, and return the exit code that goes with it."""
    if isinstance(error, XaiError):
        kind, message, code = type(error).__name__, str(error), error.exit_code
    elif isinstance(error, _BadArguments):
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "xai"
        text = error.format_message().rstrip(".")  # type: ignore[attr-defined]
        kind, message, code = "UsageError", f"{text}. See '{command} --help'", 2
    else:
        kind, code = "InternalError", 1
        message = (
            f"internal error: {type(error).__name__}: {error}. This is a bug in xai-core or in "
            "a plugin; run it again with XAI_DEBUG=1 for the traceback"
        )
    if as_json:
        output.show_json({"error": {"kind": kind, "message": message}})
    else:
        output.show_error(message)
    return code
