"""The main job on what is installed: why a cat, why a cup of coffee."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import xai_core.demo
from xai_core.cli import output
from xai_core.cli.options import DEFAULT_METHODS, parse_methods
from xai_core.render import on_picture

if TYPE_CHECKING:
    from xai_core.study import Study
    from xai_core.types import Comparison, Explanation

_CAT, _COFFEE = "Egyptian cat", "espresso"


def compare(study: "Study") -> "Comparison":
    """The maps for the cat and for the coffee, of one picture that shows both."""
    picture = xai_core.demo.cat_over_coffee()
    return study.compare(picture, parse_methods(DEFAULT_METHODS), [_CAT, _COFFEE])


def upper_share(explanation: "Explanation") -> float:
    """How much of a map's mass lies in the upper half of the picture; NaN for a map of zeros."""
    mass = np.abs(np.nan_to_num(on_picture(explanation), posinf=0, neginf=0)).astype(np.float64)
    total = mass.sum()
    return float(mass[: len(mass) // 2].sum() / total) if total > 0 else float("nan")


def shares_as_json(comparison: "Comparison") -> list[dict[str, Any]]:
    """The share of each map in each half."""
    return [
        {
            "method": each.method.name,
            "target": str(each.target),
            "upper_half": upper_share(each),
            "lower_half": 1 - upper_share(each),
        }
        for each in comparison
    ]


def show(comparison: "Comparison", path: Path) -> None:
    """Say in words where the heat lies, and what to try next."""
    output.say("A cat above a cup of coffee, seen by the installed model", "bold")
    for asked in (_CAT, _COFFEE):
        part = comparison.select(target=asked)
        output.say("")
        for each in list(part)[:1]:
            shown = output.probability(each.probability)
            output.say(f"Why {each.target}? (probability {shown})")
        output.show_facts((f"  {each.method.name}", _where(each)) for each in part)
    for failure in comparison.failures:
        output.say(f"{failure.method} failed for {failure.target}: {failure.message}", "red")
    output.say("")
    output.show_facts(
        ("warning", str(warning))
        for warning in dict.fromkeys(w for each in comparison for w in each.warnings)
    )
    output.say(f"Wrote {path}")
    output.say("")
    output.say("The same for a picture of yours:", "bold")
    output.say("  xai predict PICTURE")
    output.say(f'  xai explain PICTURE --target "{_CAT}"')
    output.say(f'  xai compare PICTURE --target "{_CAT}" --target {_COFFEE}')


def _where(explanation: "Explanation") -> str:
    upper = upper_share(explanation)
    if np.isnan(upper):
        return "the map is empty"
    if 0.35 < upper < 0.65:
        return f"{upper:.0%} of the heat lies in the upper half: by chance it would be half"
    if upper >= 0.5:
        return f"{upper:.0%} of the heat lies in the upper half, on the cat"
    return f"{1 - upper:.0%} of the heat lies in the lower half, on the coffee"
