"""The lines of Python, and the command, that make a comparison again."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from textwrap import indent
from typing import Any

from xai_core.preprocessing import SCHEMES
from xai_core.report.data import Report
from xai_core.report.text import plain
from xai_core.settings import text_of
from xai_core.types import LAYERS_TOGETHER, Comparison, Method, Target

IN_MEMORY = "in memory"


def recipe(report: Report) -> str:
    """A script; what only the one who made the report can know is said in comments."""
    comparison, axes = report.comparison, report.axes
    origins = {cell.model: report.origins[cell.origin] for cell in comparison}
    layers = {
        model: _layers([c.layer for c in comparison.cells if c.model == model and c.layer])
        for model in axes.models
    }
    kinds = {cell.model: cell.score_kind for cell in comparison}
    several = len(axes.models) > 1
    studies = [
        study_call(model, origins.get(model), kinds.get(model), layers[model] if several else [])
        for model in axes.models
    ]
    asked = [
        ("pictures", listed([quoted(_name(each)) for each in axes.pictures])),
        *([("models", "studies")] if several else []),
        ("methods", listed([_method(each) for each in axes.methods if ":" not in each.name])),
        *_targets(list(dict.fromkeys(cell.target for cell in comparison.cells))),
        *([] if several else [("layers", listed(list(map(quoted, layers[axes.models[0]]))))]),
        *_trust(comparison),
    ]
    lines = imports([each for each in origins.values() if each])
    lines += [
        f"# {quoted(each.name)}, of {comment(each.source)}, ran with "
        + ", ".join(f"{name}={comment(value)}" for name, value in each.parameters.items())
        for each in axes.methods
        if each.parameters
    ]
    lines += [
        f"# {quoted(each.name)} is the difference that study.expect(...) gives"
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
    command = None if several else _command(report, origins.get(axes.models[0]), kinds, layers)
    if command:
        lines += ["", "# The same on the command line:", *(f"# {line}" for line in command)]
    return "\n".join(lines) + "\n"


def _command(
    report: Report,
    origin: Mapping[str, Any] | None,
    kinds: Mapping[str, str],
    layers: Mapping[str, Sequence[str]],
) -> list[str] | None:
    """The lines of one command; None where only Python can do it.

    That is where the model, its preprocessing, its labels or a method were in memory, where
    what was predicted stands beside other classes, or where a word cannot be seen.
    """
    axes = report.axes
    (model,) = axes.models
    asked = list(dict.fromkeys(cell.target.asked for cell in report.comparison.cells))
    if (
        origin is None
        or origin["model_source"] == IN_MEMORY
        or origin["labels"] is not None
        or origin["preprocessing"] not in SCHEMES
        or any(":" in each.name or not is_installed(each.source) for each in axes.methods)
        or ("predicted" in asked and len(asked) > 1)
    ):
        return None
    pictures = [_name(each) for each in axes.pictures]
    options: list[tuple[str, ...]] = list(
        _options(axes.methods, asked, origin, kinds[model], layers[model])
    )
    for each in report.comparison.accounts:
        tests = [("--trust",), ("--budget", str(each.budget)), ("--seed", str(each.seed))]
        options = [*options[:-1], *tests, options[-1]]
    words = [*pictures, *(word for option in options for word in option)]
    if any(not word.isascii() or not word.isprintable() for word in words):
        return None
    values = [word for option in options for word in option[1:]]
    if any(word.startswith("-") for word in (*pictures, *values)):
        return None
    lines = [
        shlex.join(["xai", "compare", *pictures]),
        *(f"    {shlex.join(option)}" for option in options),
    ]
    return [f"{line} \\" for line in lines[:-1]] + lines[-1:]


def _options(
    methods: Sequence[Method],
    asked: Sequence[str],
    origin: Mapping[str, Any],
    kind: str,
    layers: Sequence[str],
) -> Iterator[tuple[str, str]]:
    source = str(origin["model_source"])
    yield "--model", source
    if source == origin["adapter"]:
        yield "--weights", str(origin["weights"])
    else:
        yield "--adapter", str(origin["adapter"])
    yield "--methods", ",".join(each.name for each in methods)
    for method in methods:
        for name, value in method.changed.items():
            yield "--set", f"{method.name}.{name}={text_of(value)}"
    ranks = _ranks(asked)
    if ranks:
        yield ranks
    for target in [] if ranks or list(asked) == ["predicted"] else asked:
        yield "--target", target
    for layer in layers:
        yield "--layer", layer
    yield "--score", kind
    yield "--preprocess", str(origin["preprocessing"])
    yield "--size", "x".join(map(str, origin["input_size"]))
    yield "--fit", str(origin["fit"])
    yield from where_it_ran(origin)
    yield "--out", "report.html"


def _layers(paths: Sequence[str]) -> list[str]:
    """The layers to ask for; none where only the default can be meant.

    A method of several layers takes all that are asked for, the others each of them. Where it
    took more than they did, none was asked for.
    """
    alone = list(dict.fromkeys(path for path in paths if LAYERS_TOGETHER not in path))
    together = [path.split(LAYERS_TOGETHER) for path in paths if LAYERS_TOGETHER in path]
    if not together:
        return alone
    return together[0] if set(together[0]) == set(alone or together[0]) else []


def where_it_ran(origin: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The options that have the passes run as they were."""
    for name in ("engine", "device", "backend"):
        if origin.get(name) is not None:
            yield f"--{name}", str(origin[name])


def imports(origins: Sequence[Mapping[str, Any]]) -> list[str]:
    """The lines that a script begins with; it cannot say what Keras runs on, once that runs."""
    ran = sorted({str(each["backend"]) for each in origins if each.get("backend")})
    return [*(f"# with KERAS_BACKEND={name} in the environment" for name in ran),
            "import xai_core as xai", ""]  # fmt: skip


def is_installed(source: str) -> bool:
    """Whether a plugin offers what comes from there, so that it can be had by its name."""
    return not source.startswith("module ")


def _method(method: Method) -> str:
    """What makes it again: its name, or with parameters that are changed, a call."""
    if not method.changed or not is_installed(method.source):
        return quoted(method.name)
    given = ", ".join(f"{name}={quoted(value)}" for name, value in method.changed.items())
    return f"xai.explainer({quoted(method.name)}, {given})"


def study_call(
    model: str, origin: Mapping[str, Any] | None, kind: str | None, layers: Sequence[str]
) -> str:
    """What makes the study."""
    if origin is None:
        return f"xai.Study({quoted(model)})"  # it could not be loaded
    source = str(origin["model_source"])
    family = source == origin["adapter"]
    options = {
        "weights": origin["weights"] if family else None,
        "adapter": None if family else origin["adapter"],
        "preprocess": origin["preprocessing"] if origin["preprocessing"] in SCHEMES else ...,
        "size": tuple(origin["input_size"]),
        "fit": origin["fit"],
        "score": kind,
        "engine": origin.get("engine"),
        "device": origin.get("device"),
        "labels": origin["labels"],
        "layer": layers[0] if len(layers) == 1 else None,
    }
    if family and options["preprocess"] is ...:
        options["preprocess"] = None
    # A model that was in memory has a name and no place to load it from.
    given = ["your_model" if source == IN_MEMORY else quoted(source)]
    given += [
        f"{name}={'your_function' if value is ... else quoted(value)}"
        for name, value in options.items()
        if value is not None
    ]
    return "xai.Study(\n" + "".join(f"    {each},\n" for each in given) + ")"


def _trust(comparison: Comparison) -> list[tuple[str, str]]:
    """The argument that asks for tests, where there were any."""
    budget = sum(each.budget for each in comparison.accounts)
    seeds = {each.seed for each in comparison.accounts}
    return [("trust", f"xai.Trust(budget={budget}, seed={seed})") for seed in seeds]


def _targets(targets: Sequence[Target]) -> list[tuple[str, str]]:
    """The argument that asks for these classes."""
    asked = list(dict.fromkeys(target.asked for target in targets))
    ranks = _ranks(asked)
    if ranks:
        return [(ranks[0].removeprefix("--"), ranks[1])]
    return [("targets", listed([target_given(each) for each in asked]))]


def _ranks(asked: Sequence[str]) -> tuple[str, str] | None:
    """The option that asks for these ranks, where all are ranks."""
    ranks = [int(each[5:]) for each in asked if each.startswith("rank ") and each[5:].isdecimal()]
    if not ranks or len(ranks) != len(asked):
        return None
    upwards = ranks == list(range(1, len(ranks) + 1))
    return "--top" if upwards else "--bottom", str(len(ranks))


def target_given(asked: str) -> str:
    """What asks for a class."""
    if asked == "predicted":
        return "None"
    return asked if asked.isdecimal() and asked.isascii() else quoted(asked)


def _name(picture: Any) -> str:
    return picture if isinstance(picture, str) else str(picture.name)


def listed(items: Sequence[str]) -> str:
    """A list, on lines of its own where it is long."""
    line = f"[{', '.join(items)}]"
    return line if len(line) <= 80 else "[\n" + "".join(f"        {i},\n" for i in items) + "    ]"


def quoted(value: object) -> str:
    """A literal in ASCII: what cannot be seen cannot mislead."""
    if not isinstance(value, str):
        return repr(value)
    text = ascii(value)
    return f'"{text[1:-1]}"' if text[0] == "'" and '"' not in text else text


def comment(value: object) -> str:
    """Text of anyone's on one line of a comment."""
    return plain(value).replace("\n", " ")
