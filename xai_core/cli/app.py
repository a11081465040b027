"""The commands of `xai`.

What is heavy is imported inside them: help, versions and usage errors must not
wait for TensorFlow.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xai_core.cli import listing, output, quiet
from xai_core.cli import options as o
from xai_core.errors import ExplainerError, UsageError

if TYPE_CHECKING:
    from xai_core.study import Study
    from xai_core.types import Comparison, Explanation, MapWarning, Prediction

app = typer.Typer(
    add_completion=False,
    # Plain help reads the same on a terminal, in a pipe and in a narrow window.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_FIGURES = (".png", ".svg", ".pdf", ".npz")


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
) -> None:
    """Explain what Keras image classifiers see.

    Try it with `xai demo`. Exit codes: 0, done; 1, failed; 2, not understood.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def explain(
    picture: o.PictureFile,
    model: o.Model = o.DEFAULT_MODEL,
    method: o.Method = "grad-cam",
    target: o.TargetClass = None,
    layer: o.Layer = None,
    score: o.Score = "logit",
    preprocess: o.Preprocess = None,
    labels: o.Labels = None,
    weights: o.Weights = None,
    adapter: o.Adapter = None,
    size: o.Size = None,
    fit: o.Fit = None,
    colour_map: o.ColourMap = None,
    opacity: o.Opacity = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="X.png or X.npz: both are written. By default PICTURE.METHOD.png, here.",
        ),
    ] = None,
    json: o.Json = False,
) -> None:
    """Show where the model sees a class in a picture.

    Writes the map over the picture (PNG) and, next to it, the raw map (NPZ).
    """
    from xai_core.files import write_atomically
    from xai_core.images import read_picture

    source = read_picture(picture)
    overlay_path = _destination(out or f"{Path(picture).stem}.{method}.png", (".png", ".npz"))
    overlay_path, map_path = overlay_path.with_suffix(".png"), overlay_path.with_suffix(".npz")
    _protect(picture, overlay_path, map_path)
    study = _study(
        model,
        layer=layer,
        score=score,
        preprocess=preprocess,
        labels=labels,
        weights=weights,
        adapter=adapter,
        size=size,
        fit=fit,
    )
    with output.status(f"explaining by {method}"):
        # What `Study.explain` does, with the prediction that comes with it.
        comparison = study.compare(source, [method], [target])
    for failure in comparison.failures:
        raise ExplainerError(failure.message)
    (explanation,) = comparison
    (prediction,) = comparison.predictions
    overlay = explanation.overlay(colour_map=colour_map, opacity=opacity)
    explanation.save(map_path)
    write_atomically(overlay_path, lambda file: overlay.save(file, format="PNG"))
    if json:
        output.show_json(
            {
                **explanation.provenance,
                "prediction": prediction.as_dict(),
                "files": {"overlay": overlay_path, "map": map_path},
            }
        )
        return
    output.say(source.name, "bold")
    output.show_facts(_explained(study, explanation, prediction))
    output.say(f"Wrote {overlay_path} (overlay) and {map_path} (raw map)")


@app.command()
def compare(
    picture: o.PictureFile,
    model: o.Model = o.DEFAULT_MODEL,
    methods: o.Methods = o.DEFAULT_METHODS,
    target: o.TargetClasses = None,
    top: Annotated[
        int | None,
        typer.Option("--top", metavar="K", min=1, help="The K classes of highest score."),
    ] = None,
    layer: o.Layer = None,
    score: o.Score = "logit",
    preprocess: o.Preprocess = None,
    labels: o.Labels = None,
    weights: o.Weights = None,
    adapter: o.Adapter = None,
    size: o.Size = None,
    fit: o.Fit = None,
    colour_map: o.ColourMap = None,
    opacity: o.Opacity = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help=".png, .svg, .pdf: the figure; .npz: the raw maps. "
            "By default PICTURE.compare.png, here.",
        ),
    ] = None,
    json: o.Json = False,
) -> None:
    """Compare methods and classes on one picture, in one figure.

    A method that fails is told in its row, the others are shown all the same, and the exit
    code is 1.
    """
    from xai_core.images import read_picture

    if target and top:
        raise UsageError("received --target and --top; expected one of them")
    names = o.parse_methods(methods)
    source = read_picture(picture)
    path = _destination(out or f"{Path(picture).stem}.compare.png", _FIGURES)
    _protect(picture, path)
    study = _study(
        model,
        layer=layer,
        score=score,
        preprocess=preprocess,
        labels=labels,
        weights=weights,
        adapter=adapter,
        size=size,
        fit=fit,
    )
    with output.status(f"explaining by {', '.join(names)}"):
        comparison = study.compare(source, names, target or [None], top=top)
    with output.status(f"writing {path}"):
        comparison.save(path, colour_map=colour_map, opacity=opacity)
    if json:
        output.show_json(_compared_as_json(comparison, path))
    else:
        output.say(source.name, "bold")
        output.show_facts(_about(study, comparison.predictions))
        output.say("")
        output.show_table(
            ("class", "probability", "method", "layer", "result"),
            _compared(comparison),
            numbers=("probability",),
        )
        output.say("")
        output.show_facts(_warned(comparison))
        output.say(f"Wrote {path}")
    if comparison.failures:
        raise typer.Exit(1)


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
    json: o.Json = False,
) -> None:
    """Show what the model sees: the classes of highest score."""
    from xai_core.images import read_picture

    source = read_picture(picture)
    study = _study(
        model,
        preprocess=preprocess,
        labels=labels,
        weights=weights,
        adapter=adapter,
        size=size,
        fit=fit,
    )
    with output.status("predicting"):
        prediction = study.predict(source, top=top)
    if json:
        output.show_json(
            {**prediction.as_dict(), "preprocessing_reason": study.input.reason, **_family(study)}
        )
        return
    output.say(source.name, "bold")
    output.show_facts([*_about(study, [prediction]), *_warnings(prediction.warnings)])
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


@app.command()
def layers(
    model: o.ModelArgument = o.DEFAULT_MODEL,
    adapter: o.Adapter = None,
    size: o.Size = None,
    json: o.Json = False,
) -> None:
    """List the layers of a model, and which can be explained at.

    Those are the cuts: layers with a spatial extent that no path from input to output
    leads around.
    """
    # A family's layers are the same whatever its weights, so nothing is downloaded for them.
    registry = listing.discover()
    weights = "random" if model in registry.adapters else None
    study = _study(model, adapter=adapter, size=size, weights=weights, registry=registry)
    if json:
        output.show_json({**_family(study), "layers": listing.layers_as_json(study)})
        return
    output.show_facts([("model", f"{study.name} (family {study.adapter.name})")])
    output.say("")
    listing.show_layers(study)


class _What(StrEnum):
    EXPLAINERS = "explainers"
    ADAPTERS = "adapters"
    PLUGINS = "plugins"
    SCHEMES = "schemes"


@app.command("list")
def list_(
    what: Annotated[
        _What | None, typer.Argument(help="By default all of them.", show_default=False)
    ] = None,
    json: o.Json = False,
) -> None:
    """List explainers, adapters (model families), plugins or schemes."""
    listing.show(list(_What) if what is None else [what], as_json=json)


@app.command()
def demo(
    out: Annotated[
        str, typer.Option("--out", metavar="FILE", help="Where to write the figure.")
    ] = "cat-over-coffee.png",
    json: o.Json = False,
) -> None:
    """Try it: a cat over a cup of coffee, explained offline."""
    path = _destination(out, _FIGURES)
    study = _study(o.DEFAULT_MODEL)
    from xai_core.cli import demonstration

    with output.status("explaining a cat over a cup of coffee"):
        comparison = demonstration.compare(study)
    with output.status(f"writing {path}"):
        comparison.save(path)
    if json:
        shares = demonstration.shares_as_json(comparison)
        output.show_json({**_compared_as_json(comparison, path), "shares": shares})
    else:
        demonstration.show(comparison, path)
    if comparison.failures:
        raise typer.Exit(1)


def _study(model: str, *, size: str | None = None, **arguments: Any) -> "Study":
    """The model under study, once what is heavy is imported."""
    wanted = o.parse_size(size)
    with output.status("loading the libraries"):
        quiet.import_keras()
        from xai_core.study import Study
    with output.status(f"loading {model}"):
        return Study(model, size=wanted, **arguments)


def _destination(name: str, suffixes: Sequence[str]) -> Path:
    """Where to write; refused before anything is computed when its ending means nothing."""
    path = Path(name)
    if path.suffix not in suffixes:
        raise UsageError(f"received --out {name!r}; expected a name that ends in {_or(suffixes)}")
    return path


def _or(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _protect(picture: str, *paths: Path) -> None:
    """Never write over the picture that is explained."""
    for path in paths:
        with contextlib.suppress(OSError):  # what is not there is no picture
            if path.samefile(picture):
                raise UsageError(
                    f"{str(path)!r} is the picture itself; expected another place to write to. "
                    "Give one with --out"
                )


def _family(study: "Study") -> dict[str, Any]:
    return {"model": study.name, "adapter": study.adapter.name}


def _about(study: "Study", predictions: Iterable["Prediction"]) -> Iterator[tuple[str, object]]:
    """The model, how it was fed, and what it predicts."""
    yield "model", f"{study.name} (family {study.adapter.name})"
    yield "preprocessing", f"{study.input.preprocessing.name} ({study.input.reason})"
    for prediction in predictions:
        first = prediction.classes[0]
        yield "predicted", f"{first.title}, probability {output.probability(first.probability)}"
        for note in prediction.picture.notes:
            yield "note", note


def _explained(
    study: "Study", explanation: "Explanation", prediction: "Prediction"
) -> Iterator[tuple[str, object]]:
    logits = {each.index: each.logit for each in prediction.classes}
    if explanation.score_kind == "logit":
        logits[explanation.target.index] = explanation.score
    yield "class", explanation.target
    yield "probability", output.probability(explanation.probability)
    if explanation.target.index in logits:
        yield "logit", output.logit(logits[explanation.target.index])
    yield "explained", f"the {explanation.score_kind}"
    yield "method", explanation.method
    yield "layer", explanation.layer or "none: the method works on the input"
    yield from _about(study, [prediction])
    yield from _warnings(explanation.warnings)


def _compared(comparison: "Comparison") -> Iterator[tuple[object, ...]]:
    from xai_core.types import Failure

    for cell in comparison.cells:
        if isinstance(cell, Failure):
            yield cell.target, "", cell.method, cell.layer or "", f"failed: {cell.message}"
        else:
            kinds = ", ".join(warning.kind for warning in cell.warnings)
            shown = output.probability(cell.probability)
            yield cell.target, shown, cell.method, cell.layer or "", kinds or "done"


def _warned(comparison: "Comparison") -> Iterator[tuple[str, str]]:
    """Every warning once, however many maps it is about."""
    return _warnings(dict.fromkeys(warning for each in comparison for warning in each.warnings))


def _warnings(warnings: Iterable["MapWarning"]) -> Iterator[tuple[str, str]]:
    return (("warning", str(each)) for each in warnings)


def _compared_as_json(comparison: "Comparison", path: Path) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "predictions": [each.as_dict() for each in comparison.predictions],
        "explanations": [each.provenance for each in comparison],
        "failures": [asdict(each) for each in comparison.failures],
        "files": {"comparison": path},
    }
