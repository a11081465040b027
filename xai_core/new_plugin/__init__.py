"""A plugin to start from: a distribution of its own, ready to install, with tests that pass."""

import keyword
import re
import secrets
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from xai_core.errors import OutputError, UsageError

_LETTERS = re.compile(r"[A-Za-z](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_LONGEST = 60

_FILES: Mapping[str, str] = MappingProxyType(
    {
        "README.md": "README.md.jinja",
        "pyproject.toml": "pyproject.toml.jinja",
        "src/{module}/__init__.py": "init.py.jinja",
        "src/{module}/adapter.py": "adapter.py.jinja",
        "src/{module}/explainer.py": "explainer.py.jinja",
        "tests/test_adapter.py": "test_adapter.py.jinja",
        "tests/test_explainer.py": "test_explainer.py.jinja",
    }
)
"""The files of a plugin, and their templates."""


@dataclass(frozen=True)
class Names:
    """What everything in a plugin is called, after its distribution."""

    distribution: str
    module: str
    method: str
    family: str
    explainer_class: str
    adapter_class: str

    @classmethod
    def after(cls, distribution: str) -> "Names":
        """Make the names.

        Raises:
            UsageError: no distribution, or no module, can be called that.
        """
        if not _LETTERS.fullmatch(distribution) or len(distribution) > _LONGEST:
            raise UsageError(
                f"received the name {distribution!r}; expected up to {_LONGEST} letters, digits, "
                "-, _ and ., a letter first and a letter or digit last, such as my-cam"
            )
        words = re.split(r"[-_.]+", distribution.lower())
        module = "_".join(words)
        if keyword.iskeyword(module) or module in sys.stdlib_module_names:
            raise UsageError(
                f"received the name {distribution!r}; its module would be called {module}, as "
                f"one of Python's own is. Take another, such as {distribution}-cam"
            )
        kind = "".join(word.capitalize() for word in words)
        method = "-".join(words)
        return cls(distribution, module, method, f"{method}-net", kind, f"{kind}Net")


def render(names: Names) -> Mapping[str, str]:
    """The files of a plugin, by their paths in its folder."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("xai_core.new_plugin"),
        autoescape=False,  # noqa: S701 - Python and TOML, into which only valid names go
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    values = asdict(names)
    return {
        path.format(**values): environment.get_template(template).render(values)
        for path, template in _FILES.items()
    }


def write_plugin(names: Names, parent: Path) -> Path:
    """Write a plugin into a new folder; on failure nothing is left of it.

    Returns:
        The folder, called as the distribution is.

    Raises:
        UsageError: there is such a folder, or a module of that name, already.
        OutputError: it cannot be written.
    """
    folder = parent / names.distribution
    if folder.exists() or folder.is_symlink():
        raise UsageError(
            f"{str(folder)!r} is there already; expected a name that is free. Take another name, "
            "or another place with --out"
        )
    if find_spec(names.module) is not None:
        raise UsageError(
            f"a module called {names.module} is installed already; expected a name that is free"
        )
    part = parent / f".{secrets.token_hex(8)}.part"
    try:
        for name, text in render(names).items():
            path = part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        part.rename(folder)
    except OSError as error:
        raise OutputError(
            f"cannot write {str(folder)!r}: {error.strerror or error}; expected a place that can "
            "be written to"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder
