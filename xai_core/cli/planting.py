"""`xai new-plugin`: a plugin to start from."""

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xai_core.cli import listing, output
from xai_core.cli import options as o
from xai_core.errors import UsageError

if TYPE_CHECKING:
    from xai_core.new_plugin import Names


def new_plugin(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Of the distribution, such as my-cam.")
    ],
    out: Annotated[
        str, typer.Option("--out", metavar="DIR", help="Where its folder is made. By default here.")
    ] = ".",
    json: o.Json = False,
    _: o.Quiet = False,
) -> None:
    """Write a plugin to start from: a method, a family of models, and their tests.

    It is a distribution of its own, ready to install, and its tests pass.
    """
    from xai_core.new_plugin import Names, render, write_plugin

    names = Names.after(name)
    _refuse_taken(names)
    folder = write_plugin(names, Path(out))
    files = [folder / path for path in render(names)]
    steps = _next(names, folder)
    if json:
        output.show_json(
            {"method": names.method, "adapter": names.family, "files": files, "next": steps}
        )
        return
    output.say(f"Wrote the plugin {names.distribution}", "bold")
    output.show_facts(
        [
            (str(folder / f"src/{names.module}/explainer.py"), f"the method {names.method}"),
            (str(folder / f"src/{names.module}/adapter.py"), f"the family {names.family}"),
            (str(folder / "tests"), "the laws they are held to, and numbers by hand"),
        ]
    )
    output.say("")
    output.say("Next:", "bold")
    for step in steps:
        output.say(f"  {step}")


def _refuse_taken(names: "Names") -> None:
    """Two plugins that offer one name contradict each other, and nothing would work."""
    registry = listing.discover()
    for kind, mine, taken in (
        ("explainer", names.method, registry.explainers),
        ("adapter", names.family, registry.adapters),
    ):
        if mine in taken:
            raise UsageError(
                f"the {kind} {mine!r} is offered by {taken[mine].source} already; expected a "
                "name that is free"
            )


def _next(names: "Names", folder: Path) -> list[str]:
    # To pip a name without a slash is one of the package index.
    place = str(folder) if folder.is_absolute() else os.path.join(".", folder)  # noqa: PTH118
    return [
        f"python -m pip install -e {shlex.quote(f'{place}[dev]')}",
        f"python -m pytest {shlex.quote(str(folder))}",
        f"xai compare PICTURE --methods grad-cam,{names.method}",
    ]
