"""`xai randomise`: what is left of a map when the model loses what it learnt."""

from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xai_core.cli import listing, output
from xai_core.cli import options as o
from xai_core.cli.setting import set_up
from xai_core.cli.shared import destination, protect, study_of

if TYPE_CHECKING:
    from xai_core.ladder import LadderMap, LadderMaps


def randomise(
    picture: o.PictureFile,
    model: o.Model = o.DEFAULT_MODEL,
    methods: o.Methods = o.DEFAULT_METHODS,
    set_: o.Set = None,
    rungs: Annotated[
        int,
        typer.Option(
            "--rungs", metavar="N", min=1, help="At how many places on the way down maps are made."
        ),
    ] = 6,
    target: o.TargetClass = None,
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
            "--seed", metavar="N", min=0, max=2**31 - 1, help="Of the weights that are drawn."
        ),
    ] = 0,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="The figure: .png, .svg or .pdf. By default PICTURE.randomise.png, here.",
        ),
    ] = None,
    json: o.Json = False,
    device: o.Device = None,
    __: o.Backend = None,
    _: o.Quiet = False,
) -> None:
    """Show maps as the weights are drawn anew, layer by layer from the logits down.

    A map that stays does not show what the model learnt. `xai evaluate` measures the same on many
    pictures, by the metric cascading-randomisation. The exit code is 1 when a method fails on the
    model as it is.
    """
    names = o.parse_methods(methods)
    settings = o.parse_settings(set_)
    path = destination(out or f"{Path(picture).stem}.randomise.png", (".png", ".svg", ".pdf"))
    protect([picture], path)
    registry = listing.discover()
    explainers = set_up(names, settings, registry)
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
        found = study.ladder_maps(
            picture, explainers, rungs=rungs, target=target, seed=seed, progress=tell
        )
    with output.status(f"writing {path}"):
        found.save(path)
    if json:
        output.show_json({**found.to_dict(), "files": {"figure": path}})
    else:
        _show(found)
        output.say(f"Wrote {path}")
    if any(row[0].reason is not None for row in found.rows):
        raise typer.Exit(1)


def _show(found: "LadderMaps") -> None:
    """A row for each rung, a column for each method."""
    methods = [str(row[0].cell.method) for row in found.rows]
    lost = accumulate(len(each.layers) for each in found.rows[0][1:])
    output.say("Spearman's correlation with the map of the model as it is", "bold")
    output.show_table(
        ("layers drawn anew", "down to", *methods),
        [
            (count, at[0].layers[-1], *map(_told, at))
            for count, at in zip(lost, list(zip(*found.rows, strict=True))[1:], strict=True)
        ],
        numbers=("layers drawn anew", *methods),
    )
    output.show_facts(
        [
            ("seed", found.seed),
            *(
                ("no map", f"{method}, {_where(each)}: {each.reason}")
                for method, row in zip(methods, found.rows, strict=True)
                for each in row
                if each.reason is not None
            ),
        ]
    )


def _told(at: "LadderMap") -> str:
    if at.reason is not None:
        return "no map"
    return "" if at.similarity is None else f"{at.similarity:.2f}"


def _where(at: "LadderMap") -> str:
    return f"down to {at.layers[-1]}" if at.layers else "the model as it is"
