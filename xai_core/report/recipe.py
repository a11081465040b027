"""The lines of Python that make a comparison again."""

from collections.abc import Mapping, Sequence
from textwrap import indent
from typing import Any

from xai_core.preprocessing import SCHEMES
from xai_core.report.data import Report
from xai_core.report.text import plain
from xai_core.types import Target

_IN_MEMORY = "in memory"


def recipe(report: Report) -> str:
    """A script; what only the one who made the report can know is said in comments."""
    comparison, axes = report.comparison, report.axes
    origins = {cell.model: report.origins[cell.origin] for cell in comparison}
    layers = {
        model: list(
            dict.fromkeys(c.layer for c in comparison.cells if c.model == model and c.layer)
        )
        for model in axes.models
    }
    kinds = {cell.model: cell.score_kind for cell in comparison}
    several = len(axes.models) > 1
    studies = [
        _study(model, origins.get(model), kinds.get(model), layers[model] if several else [])
        for model in axes.models
    ]
    asked = [
        ("pictures", _list([_quoted(_name(each)) for each in axes.pictures])),
        *([("models", "studies")] if several else []),
        ("methods", _list([_quoted(each.name) for each in axes.methods if ":" not in each.name])),
        *_targets(list(dict.fromkeys(cell.target for cell in comparison.cells))),
        *([] if several else [("layers", _list(list(map(_quoted, layers[axes.models[0]]))))]),
    ]
    lines = ["import xai_core as xai", ""]
    lines += [
        f"# {_quoted(each.name)} ran as {_comment(each)}, of {_comment(each.source)}"
        for each in axes.methods
        if each.parameters
    ]
    lines += [
        f"# {_quoted(each.name)} is the difference that study.expect(...) gives"
        for each in axes.methods
        if ":" in each.name
    ]
    if several:
        lines += ["studies = [", *(indent(f"{study},", "    ") for study in studies), "]"]
    else:
        lines += [f"study = {studies[0]}"]
    call = "xai.compare" if several else "study.compare"
    lines += [
        f"many = {call}(",
        *(f"    {name}={value}," for name, value in asked if value != "[]"),
        ")",
        'many.save("report.html")',
    ]
    return "\n".join(lines) + "\n"


def _study(
    model: str, origin: Mapping[str, Any] | None, kind: str | None, layers: Sequence[str]
) -> str:
    if origin is None:
        return f"xai.Study({_quoted(model)})"  # it could not be loaded
    source = str(origin["model_source"])
    family = source == origin["adapter"]
    options = {
        "weights": origin["weights"] if family else None,
        "adapter": None if family else origin["adapter"],
        "preprocess": origin["preprocessing"] if origin["preprocessing"] in SCHEMES else ...,
        "size": tuple(origin["input_size"]),
        "fit": origin["fit"],
        "score": kind,
        "labels": origin["labels"],
        "layer": layers[0] if len(layers) == 1 else None,
    }
    if family and options["preprocess"] is ...:
        options["preprocess"] = None
    # A model that was in memory has a name and no place to load it from.
    given = ["your_model" if source == _IN_MEMORY else _quoted(source)]
    given += [
        f"{name}={'your_function' if value is ... else _quoted(value)}"
        for name, value in options.items()
        if value is not None
    ]
    return "xai.Study(\n" + "".join(f"    {each},\n" for each in given) + ")"


def _targets(targets: Sequence[Target]) -> list[tuple[str, str]]:
    """The argument that asks for these classes."""
    asked = list(dict.fromkeys(target.asked for target in targets))
    ranks = [int(each[5:]) for each in asked if each.startswith("rank ") and each[5:].isdecimal()]
    if ranks and len(ranks) == len(asked):
        upwards = ranks == list(range(1, len(ranks) + 1))
        return [("top" if upwards else "bottom", str(len(ranks)))]
    return [("targets", _list([_target(each) for each in asked]))]


def _target(asked: str) -> str:
    if asked == "predicted":
        return "None"
    return asked if asked.isdecimal() and asked.isascii() else _quoted(asked)


def _name(picture: Any) -> str:
    return picture if isinstance(picture, str) else str(picture.name)


def _list(items: Sequence[str]) -> str:
    line = f"[{', '.join(items)}]"
    return line if len(line) <= 80 else "[\n" + "".join(f"        {i},\n" for i in items) + "    ]"


def _quoted(value: object) -> str:
    """A literal in ASCII: what cannot be seen cannot mislead."""
    if not isinstance(value, str):
        return repr(value)
    text = ascii(value)
    return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text else text


def _comment(value: object) -> str:
    return plain(value).replace("\n", " ")
