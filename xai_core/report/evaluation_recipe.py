"""The lines of Python, and the command, that make an evaluation again."""

import ast
import csv
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import astuple, fields
from io import StringIO
from pathlib import PurePath
from typing import Any

from xai_core.evaluation import Evaluation, Gauge, Row
from xai_core.masks import Box, ToldMask
from xai_core.preprocessing import SCHEMES
from xai_core.report.recipe import (
    IN_MEMORY,
    comment,
    imports,
    is_installed,
    listed,
    quoted,
    study_call,
    target_given,
    where_it_ran,
)
from xai_core.settings import text_of

_BOXES = "evaluation-boxes.csv"
"""What the command calls the file of boxes that it writes."""


def evaluation_recipe(evaluation: Evaluation, origin: Mapping[str, Any]) -> str:
    """A script; what only the one who made it can know is said in comments."""
    methods = [row for row in evaluation.rows if not row.is_reference]
    asked = list(dict.fromkeys(each.target.asked for each in evaluation.measurements))
    used: list[Row | Gauge] = [*methods, *evaluation.metrics]
    own = [each for each in used if not is_installed(each.source)]
    lines = imports([origin])
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
        *_masks(evaluation),
        f"    seed={evaluation.seed},",
        ")",
        'evaluation.save("evaluation.html")',
    ]
    command = _command(evaluation, methods, origin, asked)
    if command:
        lines += ["", "# The same on the command line:", *(f"# {line}" for line in command)]
    return "\n".join(lines) + "\n"


def _masks(evaluation: Evaluation) -> Iterator[str]:
    """The argument that says where the objects are, where anything was said."""
    if any(evaluation.masks):
        yield f"    masks={listed(list(map(_mask, evaluation.masks)))},"


def _mask(told: ToldMask | None) -> str:
    """What gives the mask of a picture; one that was in memory has no name."""
    if told is None:
        return "None"
    if told.file is not None:
        return quoted(told.file)
    boxes = [f"xai.Box({', '.join(map(str, astuple(each)))})" for each in told.boxes]
    if len(boxes) == 1:
        return boxes[0]
    return f"({', '.join(boxes)})" if boxes else "your_mask"


def _as_boxes(evaluation: Evaluation) -> list[str] | None:
    """The rows of a file of boxes, with its first line; None where not all masks are boxes."""
    told = list(zip(evaluation.pictures, evaluation.masks, strict=True))
    if not all(each is None or each.boxes for _, each in told):
        return None
    rows = [(name, *astuple(box)) for name, each in told if each for box in each.boxes]
    columns = ("picture", *(each.name for each in fields(Box)))
    written = StringIO()
    csv.writer(written, lineterminator="\n").writerows([columns, *rows])
    return written.getvalue().splitlines()


def _as_folder(evaluation: Evaluation) -> tuple[str, list[str]] | None:
    """The folder of all masks, and what must not be in it; None where they are not in one.

    A mask in it is that of all pictures that have its name without the ending.
    """
    names = [f"{PurePath(each).stem}.png" for each in evaluation.pictures]
    there: dict[str, PurePath] = {}
    without = set()
    for name, each in zip(names, evaluation.masks, strict=True):
        if each is None:
            without.add(name)
        elif each.file is None or PurePath(each.file).name != name:
            return None
        else:
            there[name] = PurePath(each.file).parent
    folders = set(map(str, there.values()))
    if len(folders) != 1 or without & there.keys():
        return None
    return folders.pop(), sorted(without)


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

    That is where the model, its preprocessing, its labels, a mask, a method or a metric were in
    memory, where one is used twice, where what was predicted stands beside other classes, where
    masks lie in several folders or beside boxes, or where a word cannot be seen.
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
    before: list[str] = []
    if any(evaluation.masks):
        boxes, folder = _as_boxes(evaluation), _as_folder(evaluation)
        if boxes is not None:
            rows = " ".join(map(shlex.quote, boxes))
            before = [f"printf '%s\\n' {rows} > {_BOXES}"]
            options = [*options[:-1], ("--boxes", _BOXES), options[-1]]
        elif folder is not None:
            before = [f"# where {shlex.quote(folder[0])} has no {name}" for name in folder[1]]
            options = [*options[:-1], ("--masks", folder[0]), options[-1]]
        else:
            return None
    words = [*evaluation.pictures, *(word for option in options for word in option)]
    if any(not word.isascii() or not word.isprintable() for word in words):
        return None
    if any(each.startswith("-") for each in (*evaluation.pictures, *(o[1] for o in options))):
        return None
    lines = [
        shlex.join(["xai", "evaluate", *evaluation.pictures]),
        *(f"    {name} {shlex.quote(value)}" for name, value in options),
    ]
    return [*before, *(f"{line} \\" for line in lines[:-1]), lines[-1]]


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
    yield from where_it_ran(origin)
    yield "--seed", str(evaluation.seed)
    yield "--out", "evaluation.html"
