"""The page: one file that asks nothing of anyone, and runs nothing but its own script."""

import base64
import hashlib
from functools import cache, partial
from importlib import resources
from math import isfinite
from typing import TYPE_CHECKING, Any

from xai_core.focus import place, share
from xai_core.report.data import Report
from xai_core.report.plots import placing_plot
from xai_core.report.recipe import recipe
from xai_core.report.text import plain, probability, to_json

if TYPE_CHECKING:
    from jinja2 import Environment

_STYLES = ("report.css",)
_SCRIPTS = ("maps.js", "state.js", "viewer.js", "grid.js", "page.js")
_OPEN = 6
"""More pictures than this, and their predictions are folded away."""


def render_page(report: Report) -> str:
    """The whole page as text."""
    style, script = joined(_STYLES), joined(_SCRIPTS)
    axes = report.axes
    return (
        environment()
        .get_template("report.html")
        .render(
            policy=policy(style, script),
            style=raw(style),
            script=raw(script),
            payload=raw(to_json(report.payload())),
            report=report,
            axes=axes,
            titles=axes.picture_titles,
            predictions=[report.predictions_of(picture) for picture in axes.pictures],
            folded=len(axes.pictures) > _OPEN,
            recipe=recipe(report),
            counts=_counts(report),
        )
    )


def policy(style: str, script: str | None) -> str:
    """The content security policy: pictures inside the page, this style, this script or none."""
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src '{_hash(style)}'",
            "script-src 'none'" if script is None else f"script-src '{_hash(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


@cache
def joined(names: tuple[str, ...]) -> str:
    """Files of the templates, one behind the other."""
    folder = resources.files("xai_core.report") / "templates"
    return "\n" + "\n".join((folder / name).read_text("utf-8") for name in names)


@cache
def environment() -> "Environment":
    """What makes pages: whatever is put in is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("xai_core.report"),
        autoescape=True,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(
        share=share,
        spot=place,
        probability=probability,
        number=_number,
        fixed=_fixed,
        fixed3=partial(_fixed, digits=3),
        plot=placing_plot,
        sentence=_sentence,
        counted=counted,
    )
    return environment


def _shown(value: Any) -> Any:
    return value if hasattr(value, "__html__") else plain(value)


def raw(text: str) -> Any:
    """Text that is not escaped: the project's own."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704  # the project's own files, and JSON that is escaped


def _number(value: float, digits: int = 3) -> str:
    if not isfinite(value):
        return "not a number" if value != value else "infinity"  # noqa: PLR0124
    return f"{value:.{digits}g}".replace("-", "\N{MINUS SIGN}")


def _sentence(value: object) -> str:
    text = str(value)
    return f"{text[:1].upper()}{text[1:]}"


def _fixed(value: float, digits: int = 2) -> str:
    if not isfinite(value):
        return _number(value)
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def counted(count: int, word: str) -> str:
    """`1 map`, `2 maps`, `2 classes`."""
    plural = "es" if word.endswith("s") else "s"
    return f"{count} {word}{'' if count == 1 else plural}"


def _counts(report: Report) -> list[str]:
    axes = report.axes
    counts = (
        (len(axes.models), "model"),
        (len(axes.pictures), "picture"),
        (len(axes.targets), "class"),
        (len(axes.methods), "method"),
        (len(axes.layers), "layer"),
        (len(report.maps), "map"),
    )
    return [counted(*each) for each in counts if each[0]]
