"""Writing files so that a reader never sees half of one."""

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from xai_core.errors import OutputError


def write_atomically(path: Path, write: Callable[[BinaryIO], Any]) -> Path:
    """Write beside the target, then take its place; on failure the target is untouched.

    Raises:
        OutputError: the folder cannot be written to.
    """
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise OutputError(
            f"cannot write {str(path)!r}: {error.strerror or error}; expected a place that can "
            "be written to"
        ) from error
    finally:
        with contextlib.suppress(OSError):  # it took its place, or was never made
            part.unlink()
    return path
