"""Data files of packages that are installed."""

from importlib.util import find_spec
from pathlib import Path

from xai_core.errors import ModelError


def installed_file(package: str, name: str) -> Path:
    """The path of a file in a package, found without running the package's code.

    Raises:
        ModelError: the package or the file in it is missing.
    """
    spec = find_spec(package)
    folders = (spec and spec.submodule_search_locations) or []
    for folder in folders:
        path = Path(folder, name)
        if path.is_file():
            return path
    distribution = package.replace("_", "-")
    raise ModelError(
        f"{name} of the package {distribution} is missing; expected it to be installed with "
        f"xai-core: `pip install --force-reinstall {distribution}`"
    )
