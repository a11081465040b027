"""What the pages show and nobody writes by hand, made before Sphinx reads them.

In `_generated/` every example has a folder, with its pictures and what it prints. The
reference of the command line and the tables of explainers and adapters are there too.

What was made is kept until an example, or any source of the project, changes; with
`sphinx -D keep_generated=1`, for work on the pages, whatever changes.
"""

import hashlib
import shutil
import time
from pathlib import Path

import examples
import reference
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging

ROOT = Path(__file__).parents[2]
SOURCES = ("xai_core", "plugins", "docs/examples", "docs/_ext")
_STAMP = "stamp"

logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, bool]:
    """Make everything when the build starts."""
    app.add_config_value("keep_generated", default="0", rebuild="")
    app.connect("builder-inited", _make)
    return {"parallel_read_safe": True}


def _make(app: Sphinx) -> None:
    folder = Path(app.srcdir) / "_generated"
    folder.mkdir(exist_ok=True)
    for name, text in reference.pages().items():
        (folder / name).write_text(text, encoding="utf-8")
    state = _hash_of_sources()
    for name in examples.names():
        stamp = folder / name / _STAMP
        if stamp.is_file() and (app.config.keep_generated == "1" or stamp.read_text() == state):
            continue
        shutil.rmtree(folder / name, ignore_errors=True)
        started = time.perf_counter()
        try:
            examples.run(name, folder / name)
        except Exception as error:
            raise ExtensionError(f"the example {name} failed: {error!r}", error) from error
        stamp.write_text(state)
        logger.info("ran %s in %.1f s", name, time.perf_counter() - started)


def _hash_of_sources() -> str:
    digest = hashlib.sha256()
    for source in SOURCES:
        for path in sorted((ROOT / source).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(path.relative_to(ROOT).as_posix().encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()
