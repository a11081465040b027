"""A terminal without chatter: what libraries say to developers is kept from users.

What the user has set in the environment wins, and `XAI_DEBUG=1` shows everything.
"""

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from xai_core.backends import check
from xai_core.cli import output

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_LIBRARIES = ("absl", "h5py", "jax", "keras", "matplotlib", "tensorflow", "torch")


def debugging() -> bool:
    """Whether the user asked for all there is to see."""
    return os.environ.get("XAI_DEBUG", "0") not in ("", "0")


def set_up() -> None:
    """Prepare the environment and the warnings, before anything heavy is imported."""
    if debugging():
        return
    os.environ.setdefault(_LEVEL, "3")
    warnings.showwarning = _show_warning
    if not sys.warnoptions:
        warnings.filterwarnings("ignore", module=rf"({'|'.join(_LIBRARIES)})(\.|$)")


def import_keras() -> None:
    """Import Keras and its backend, and keep what they print meanwhile off the terminal.

    Raises:
        UsageError: the backend that the environment asks for cannot be had.
    """
    check()
    if debugging() or os.environ[_LEVEL] not in ("2", "3"):
        return
    with hold_stderr():
        import keras  # noqa: F401
    # Not earlier: absl makes a logger of its own class, and only where there is none.
    for library in _LIBRARIES:
        logging.getLogger(library).setLevel(logging.ERROR)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning in one line, without the source that raised it."""
    known = issubclass(category, UserWarning)
    output.show_warning(str(message) if known else f"{category.__name__}: {message}")


@contextmanager
def hold_stderr() -> Iterator[None]:
    """Hold back what is written to file descriptor 2, and show it only on failure.

    TensorFlow's C++ logs some lines before its log level counts, so nothing in
    Python or in the environment can keep them back.
    """
    try:
        terminal = os.dup(2)
    except OSError:  # closed by whoever started us: there is nothing to keep quiet
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            held.seek(0)
            os.write(terminal, held.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
