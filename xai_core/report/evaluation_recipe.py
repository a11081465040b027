"""The lines of Python, and the command, that make an evaluation again."""

import ast
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from xai_core.evaluation import Evaluation, Gauge, Row
from xai_core.preprocessing import SCHEMES
from xai_core.report.recipe import (
    IN_MEMORY,
    comment,
    is_installed,
    listed,
    quoted,
    study_call,
    target_given,
)
from xai_core.settings import text_of


def evaluation_recipe(evaluation: Evaluation, origin: Mapping[str, Any]) -> str:
    """A script; what only the one who made it can know is said in comments."""
    methods = [row for row in evaluation.rows if not row.is_reference]
    asked = list(dict.fromkeys(each.target.asked for each in evaluation.measurements))
    used: list[Row | Gauge] = [*methods, *evaluation.metrics]
    own = [each for each in used if not is_installed(each.source)]
    lines = ["import xai_core as xai", ""]
    lines += [f"# {quoted(_bare(e))}, of {comment(e.source)}, is your own" for e in own]
    # A study that says nothing of itself is one that a test made up.
    study = study_call(evaluation.model, origin or None, evaluation.score_kind, evaluation.layers)
    lines += [
        f"study = {study}",
        "evaluation = study.evaluate(",
        f"    pictures={listed(list(map(quoted, evaluation.pictures)))},",
        f"    methods={listed([_made('explainer', each) for each in methods])},",
        f"    metrics={listed([_made('metric', each) for each in evaluation.metrics])},",
        f"    targets={listed(list(map(target_given, asked)))},",
        f"    seed={evaluation.seed},",
        ")",
        'evaluation.save("evaluation.html")',
    ]
    command = _command(evaluation, methods, origin, asked)
    if command:
        lines += ["", "# The same on the command line:", *(f"# {line}" for line in command)]
    return "\n".join(lines) + "\n"


def _bare(of: Row | Gauge) -> str:
    """The name alone; no name of a method or metric has brackets."""
    return of.name.partition("(")[0]


def _made(kind: str, of: Row | Gauge) -> str:
    """What makes a method or metric again."""
    name = quoted(_bare(of))
    if not of.changed or not is_installed(of.source):
        return name
    given = ", ".join(f"{key}={quoted(_value(each))}" for key, each in of.changed.items())
    return f"xai.{kind}({name}, {given})"


def _value(told: Any) -> Any:
    """A parameter of a metric is told as text: what it was, where that can be seen."""
    words = {"none": None, "true": True, "false": False}
    if not isinstance(told, str):
        return told
    try:
        return words[told] if told in words else ast.literal_eval(told)
    except (ValueError, SyntaxError):
        return told


def _command(
    evaluation: Evaluation, methods: list[Row], origin: Mapping[str, Any], asked: list[str]
) -> list[str] | None:
    """The lines of one command; None where only Python can do it.

    That is where the model, its preprocessing, its labels, a method or a metric were in memory,
    where one is used twice, where what was predicted stands beside other classes, or where a word
    cannot be seen.
    """
    used: list[Row | Gauge] = [*methods, *evaluation.metrics]
    names = list(map(_bare, used))
    if (
        not origin
        or origin["model_source"] == IN_MEMORY
        or origin["labels"] is not None
        or origin["preprocessing"] not in SCHEMES
        or not all(is_installed(each.source) for each in used)
        or len(set(names)) < len(names)
        or len(evaluation.layers) > 1
        or ("predicted" in asked and len(asked) > 1)
    ):
        return None
    options = list(_options(evaluation, methods, origin, asked))
    words = [*evaluation.pictures, *(word for option in options for word in option)]
    if any(not word.isascii() or not word.isprintable() for word in words):
        return None
    if any(each.startswith("-") for each in (*evaluation.pictures, *(o[1] for o in options))):
        return None
    lines = [
        shlex.join(["xai", "evaluate", *evaluation.pictures]),
        *(f"    {name} {shlex.quote(value)}" for name, value in options),
    ]
    return [f"{line} \\" for line in lines[:-1]] + lines[-1:]


def _options(
    evaluation: Evaluation, methods: list[Row], origin: Mapping[str, Any], asked: list[str]
) -> Iterator[tuple[str, str]]:
    source = str(origin["model_source"])
    yield "--model", source
    if source == origin["adapter"]:
        yield "--weights", str(origin["weights"])
    else:
        yield "--adapter", str(origin["adapter"])
    yield "--methods", ",".join(map(_bare, methods))
    yield "--metrics", ",".join(map(_bare, evaluation.metrics))
    used: list[Row | Gauge] = [*methods, *evaluation.metrics]
    for each in used:
        for name, value in each.changed.items():
            yield "--set", f"{_bare(each)}.{name}={text_of(value)}"
    for target in asked if asked != ["predicted"] else []:
        yield "--target", target
    for layer in evaluation.layers:
        yield "--layer", layer
    yield "--score", evaluation.score_kind
    yield "--preprocess", str(origin["preprocessing"])
    yield "--size", "x".join(map(str, origin["input_size"]))
    yield "--fit", str(origin["fit"])
    yield "--seed", str(evaluation.seed)
    yield "--out", "evaluation.html"
