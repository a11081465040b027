"""The commands of `xai`.

What is heavy is imported inside them: help, versions and usage errors must not
wait for TensorFlow.
"""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from xai_core.cli import checking, comparing, evaluating, listing, output, planting, randomising
from xai_core.cli import options as o
from xai_core.cli.setting import set_up
from xai_core.cli.shared import (
    FIGURES,
    about,
    compared_as_json,
    destination,
    explained,
    family,
    protect,
    save_figure,
    slug,
    study_of,
    warning_rows,
)

app = typer.Typer(
    add_completion=False,
    # Plain help reads the same on a terminal, in a pipe and in a narrow window.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        import xai_core

        typer.echo(f"xai-core {xai_core.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def xai(
    context: typer.Context,
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version, and exit."
        ),
    ] = False,
    __: o.Quiet = False,
) -> None:
    """Explain what Keras image classifiers see.

    Try it with `xai demo`. Exit codes: 0, done; 1, failed; 2, not understood.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command("compare")(comparing.compare)
app.command("evaluate")(evaluating.evaluate)
app.command("randomise")(randomising.randomise)


@app.command()
def explain(
    picture: o.PictureFile,
    model: o.Model = o.DEFAULT_MODEL,
    method: o.Method = "grad-cam",
    set_: o.Set = None,
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
    colour_map: o.ColourMap = None,
    opacity: o.Opacity = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="X.png or X.npz: both are written. By default PICTURE.METHOD.CLASS.png, here.",
        ),
    ] = None,
    heatmap: Annotated[
        str | None,
        typer.Option(
            "--heatmap", metavar="FILE", help=".png: the map alone too, a pixel for each place."
        ),
    ] = None,
    json: o.Json = False,
    device: o.Device = None,
    __: o.Backend = None,
    _: o.Quiet = False,
) -> None:
    """Show where the model sees a class in a picture.

    Writes the map over the picture (PNG) and, next to it, the raw map (NPZ).
    """
    from xai_core.files import write_atomically
    from xai_core.images import read_picture

    settings = o.parse_settings(set_)
    source = read_picture(picture)
    name = ".".join([Path(picture).stem, method, *([slug(target)] if target else [])])
    overlay_path = destination(out or f"{name}.png", (".png", ".npz"))
    overlay_path, map_path = overlay_path.with_suffix(".png"), overlay_path.with_suffix(".npz")
    heat_path = destination(heatmap, (".png",), "--heatmap") if heatmap else None
    files = {"overlay": overlay_path, "map": map_path} | (
        {"heatmap": heat_path} if heat_path else {}
    )
    protect([picture], *files.values())
    registry = listing.discover()
    methods = set_up([method], settings, registry)
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
        engine=engine or o.engine_for(methods),
        device=device,
        registry=registry,
    )
    with output.status(f"explaining by {method}"):
        # What `Study.explain` does, with the prediction that comes with it.
        comparison = study.compare(source, methods, [target])
    for failure in comparison.failures:
        raise failure.error
    (explanation,) = comparison
    (prediction,) = comparison.predictions
    overlay = explanation.overlay(colour_map=colour_map, opacity=opacity)
    explanation.save(map_path)
    write_atomically(overlay_path, lambda file: overlay.save(file, format="PNG"))
    if heat_path:
        heat = explanation.heatmap(colour_map=colour_map)
        write_atomically(heat_path, lambda file: heat.save(file, format="PNG"))
    if json:
        output.show_json(
            {
                **explanation.provenance,
                "prediction": prediction.as_dict(),
                "files": files,
            }
        )
        return
    output.say(source.name, "bold")
    output.show_facts(explained(study, explanation, prediction))
    alone = f", and {heat_path} (heat alone)" if heat_path else ""
    output.say(f"Wrote {overlay_path} (overlay) and {map_path} (raw map){alone}")


@app.command()
def predict(
    picture: o.PictureFile,
    model: o.Model = o.DEFAULT_MODEL,
    top: Annotated[
        int, typer.Option("--top", metavar="K", min=1, help="How many classes to show.")
    ] = 5,
    preprocess: o.Preprocess = None,
    labels: o.Labels = None,
    weights: o.Weights = None,
    adapter: o.Adapter = None,
    size: o.Size = None,
    fit: o.Fit = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", metavar="FILE", help=".png, .svg, .pdf: a figure too, beside the picture."
        ),
    ] = None,
    json: o.Json = False,
    device: o.Device = None,
    __: o.Backend = None,
    _: o.Quiet = False,
) -> None:
    """Show what the model sees: the classes of highest score."""
    from xai_core.images import read_picture

    source = read_picture(picture)
    path = destination(out, FIGURES[:-1]) if out else None
    protect([picture], *([path] if path else []))
    study = study_of(
        model,
        preprocess=preprocess,
        labels=labels,
        weights=weights,
        adapter=adapter,
        size=size,
        fit=fit,
        device=device,
    )
    with output.status("predicting"):
        prediction = study.predict(source, top=top)
    if path:
        save_figure(prediction.figure(), path)
    if json:
        output.show_json(
            {
                **prediction.as_dict(),
                "preprocessing_reason": study.input.reason,
                **family(study),
                "files": {"figure": path} if path else {},
            }
        )
        return
    output.say(source.name, "bold")
    output.show_facts([*about(study, [prediction]), *warning_rows(prediction.warnings)])
    output.say("")
    output.show_table(
        ("index", "name", "probability", "logit"),
        (
            (c.index, c.label or "", output.probability(c.probability), output.logit(c.logit))
            for c in prediction.classes
        ),
        numbers=("index", "probability", "logit"),
        bold=(0,),
    )
    if path:
        output.say(f"Wrote {path}")


@app.command()
def gradients(
    picture: o.PictureFile,
    model: o.Model = o.DEFAULT_MODEL,
    target: o.TargetClass = None,
    layer: o.Layer = None,
    score: o.Score = "logit",
    preprocess: o.Preprocess = None,
    labels: o.Labels = None,
    weights: o.Weights = None,
    adapter: o.Adapter = None,
    size: o.Size = None,
    fit: o.Fit = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help=".png, .svg, .pdf: the histograms. By default PICTURE.gradients.png, here.",
        ),
    ] = None,
    json: o.Json = False,
    device: o.Device = None,
    __: o.Backend = None,
    _: o.Quiet = False,
) -> None:
    """Show how large the gradients of a score are, at the layer and at the input."""
    from xai_core.images import read_picture
    from xai_core.render import histogram_figure

    source = read_picture(picture)
    path = destination(out or f"{Path(picture).stem}.gradients.png", FIGURES[:-1])
    protect([picture], path)
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
        device=device,
    )
    with output.status("differentiating"):
        found = study.gradients(source, target)
    save_figure(histogram_figure(*found), path)
    if json:
        output.show_json(
            {
                **family(study),
                "preprocessing": study.input.preprocessing.name,
                "preprocessing_reason": study.input.reason,
                "warnings": [asdict(each) for each in study.warnings],
                "gradients": [each.as_dict() for each in found],
                "files": {"figure": path},
            }
        )
        return
    output.say(source.name, "bold")
    output.show_facts([*about(study, []), *warning_rows(study.warnings)])
    output.show_facts((each.title, each.summary) for each in found)
    output.say(f"Wrote {path}")


@app.command()
def layers(
    model: o.ModelArgument = o.DEFAULT_MODEL,
    adapter: o.Adapter = None,
    size: o.Size = None,
    json: o.Json = False,
    __: o.Backend = None,
    _: o.Quiet = False,
) -> None:
    """List the layers of a model, and which can be explained at.

    Those are the cuts: layers with a spatial extent that no path from input to output
    leads around.
    """
    # A family's layers are the same whatever its weights, so nothing is downloaded for them.
    registry = listing.discover()
    weights = "random" if model in registry.adapters else None
    study = study_of(model, adapter=adapter, size=size, weights=weights, registry=registry)
    if json:
        output.show_json({**family(study), "layers": listing.layers_as_json(study)})
        return
    output.show_facts([("model", f"{study.name} (family {study.adapter.name})")])
    output.say("")
    listing.show_layers(study)


class _What(StrEnum):
    EXPLAINERS = "explainers"
    ADAPTERS = "adapters"
    METRICS = "metrics"
    PLUGINS = "plugins"
    SCHEMES = "schemes"


@app.command("list")
def list_(
    what: Annotated[
        _What | None, typer.Argument(help="By default all of them.", show_default=False)
    ] = None,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="Of an explainer or a metric: all of it.", show_default=False
        ),
    ] = None,
    json: o.Json = False,
    _: o.Quiet = False,
) -> None:
    """List explainers, adapters (model families), metrics, plugins or schemes."""
    if what is not None and name is not None:
        listing.show_one(what, name, as_json=json)
    else:
        listing.show(list(_What) if what is None else [what], as_json=json)


@app.command()
def demo(
    out: Annotated[
        str, typer.Option("--out", metavar="FILE", help="Where to write the figure.")
    ] = "xai-demo.png",
    json: o.Json = False,
    __: o.Backend = None,
    _: o.Quiet = False,
) -> None:
    """Try it: a cat over a cup of coffee, explained offline."""
    path = destination(out, FIGURES)
    study = study_of(o.DEFAULT_MODEL)
    from xai_core.cli import demonstration

    with output.status("explaining a cat over a cup of coffee"):
        comparison = demonstration.compare(study)
    with output.status(f"writing {path}"):
        comparison.save(path)
    if json:
        shares = demonstration.shares_as_json(comparison)
        output.show_json({**compared_as_json(comparison, path), "shares": shares})
    else:
        demonstration.show(comparison, path)
    if comparison.failures:
        raise typer.Exit(1)


app.command("check")(checking.check)
app.command("new-plugin")(planting.new_plugin)
