"""`xai evaluate`: which of the maps to believe, by metrics and beside maps that know nothing."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xai_core.cli import listing, output
from xai_core.cli import options as o
from xai_core.cli.masks import masks_of
from xai_core.cli.setting import set_up_both
from xai_core.cli.shared import destination, protect, study_of

if TYPE_CHECKING:
    from xai_core.evaluation import Evaluation

_INTERRUPTED = 130
_SHOWN = 5
"""Failures that are told one by one."""


def evaluate(
    pictures: o.PictureFiles,
    model: o.Model = o.DEFAULT_MODEL,
    methods: o.Methods = o.DEFAULT_METHODS,
    metrics: o.Metrics = o.DEFAULT_METRICS,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="METHOD.NAME=VALUE",
            help="A parameter of a method or metric, such as deletion.steps=50; may be given "
            "again.",
        ),
    ] = None,
    masks: Annotated[
        str | None,
        typer.Option(
            "--masks",
            metavar="FOLDER",
            help="Where the object is, for metrics of localisation: a mask of the same name as "
            "each picture, ending in .png.",
        ),
    ] = None,
    boxes: Annotated[
        str | None,
        typer.Option(
            "--boxes",
            metavar="FILE.csv",
            help="The same as boxes: picture,left,top,right,bottom; rows of one picture are "
            "united.",
        ),
    ] = None,
    target: o.TargetClasses = None,
    layer: o.Layer = None,
    score: o.Score = "logit",
    preprocess: o.Preprocess = None,
    labels: o.Labels = None,
    weights: o.Weights = None,
    adapter: o.Adapter = None,
    size: o.Size = None,
    fit: o.Fit = None,
    engine: o.Engine = None,
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            metavar="N",
            min=0,
            max=2**31 - 1,
            help="Of all that is drawn: ties, the random map, intervals, signs, weights.",
        ),
    ] = 0,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help=".html: the page; .md: the tables; .json: everything; .png: the curves. By "
            "default PICTURE.evaluate.md, here.",
        ),
    ] = None,
    journal: Annotated[
        str | None,
        typer.Option(
            "--journal",
            metavar="FILE",
            help="A .jsonl file that every measurement is added to as it is made; what is in it "
            "is not measured again.",
        ),
    ] = None,
    json: o.Json = False,
    device: o.Device = None,
    __: o.Backend = None,
    _: o.Quiet = False,
) -> None:
    """Rank methods by metrics, beside maps that know nothing of the model.

    From 6 pictures on, differences can be shown. What fails is told, the rest is measured all
    the same, and the exit code is 1; interrupted, what was measured until then is written.
    With --journal, whatever ends it, the same command goes on where it was.
    """
    names = o.parse_methods(methods)
    measures = o.parse_names("--metrics", metrics, o.DEFAULT_METRICS)
    settings = o.parse_settings(set_)
    path = destination(
        out or f"{Path(pictures[0]).stem}.evaluate.md", (".html", ".md", ".json", ".png")
    )
    kept = None if journal is None else destination(journal, (".jsonl",), "--journal")
    where = masks_of(pictures, masks, boxes)
    protect([*pictures, *(str(each) for each in where or () if isinstance(each, Path))], path)
    registry = listing.discover()
    explainers, used = set_up_both(names, measures, settings, registry)
    study = study_of(
        model,
        layer=layer,
        score=score,
        preprocess=preprocess,
        labels=labels,
        weights=weights,
        adapter=adapter,
        size=size,
        fit=fit,
        engine=engine or "auto",
        device=device,
        registry=registry,
    )
    with output.progress() as tell:
        found = study.evaluate(
            list(pictures),
            explainers,
            used,
            target or [None],
            masks=where,
            seed=seed,
            journal=kept,
            progress=tell,
        )
    if found.measurements and len(found.failures) < len(found.measurements):
        with output.progress() as tell:
            found.save(path, progress=tell)
        files = {"evaluation": path}
    else:
        files = {}  # nothing was measured: there is nothing to write, and no curve to draw
    if json:
        output.show_json({**found.to_dict(), "files": files})
    else:
        _show(found)
        if files:
            output.say(f"Wrote {path}")
    if found.is_interrupted:
        raise typer.Exit(_INTERRUPTED)
    references = {row.name for row in found.rows if row.is_reference}
    # That a metric has nothing to say of a map that knows nothing is no failure of what was asked.
    if any(each.row not in references for each in found.failures):
        raise typer.Exit(1)


def _show(found: "Evaluation") -> None:
    """A table for each metric, and what there is to say against them."""
    from xai_core.tables import (
        AGREEMENT,
        COST,
        HEADER,
        agreement_rows,
        cost_rows,
        notes,
        table_rows,
    )

    for metric in found.metrics:
        output.say(f"{metric}: {metric.summary}; {metric.better} is better", "bold")
        ranking = found.ranking(str(metric))
        best = [number for number, each in enumerate(ranking) if each.beats_all]
        output.show_table(HEADER, table_rows(ranking), numbers=("mean",), bold=best)
        for note in notes(found, metric):
            output.say(note)
        output.say("")
    agreement = found.agreement()
    if agreement:
        output.say("whether the metrics agree: Spearman's rho of the means, better is up", "bold")
        output.show_table(AGREEMENT, agreement_rows(agreement), numbers=("rows", "pictures"))
        output.say("")
    output.say("what a map takes", "bold")
    # What each metric makes of it is in the files.
    costs = (row[: len(COST)] for row in cost_rows(found))
    output.show_table(COST, costs, numbers=("seconds a map", "queries"))
    output.say("")
    output.show_facts(
        [
            ("pictures", len(found.pictures)),
            ("queries", f"{found.queries:,} for the metrics"),
            ("seed", found.seed),
            ("rows in ()", "maps that know nothing of the model; what is not shown to beat them "
             "is not shown to know more"),
            *(("warning", each) for each in found.warnings),
            *(("note", each) for each in found.notices),
        ]
    )  # fmt: skip
    for each in found.failures[:_SHOWN]:
        output.show_facts(
            [("failed", f"{each.picture}, {each.row}, {each.metric}: {each.message}")]
        )
    if len(found.failures) > _SHOWN:
        output.say(f"and {len(found.failures) - _SHOWN} more that failed")
