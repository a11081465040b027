"""`xai compare`: anything against anything, in one figure or one page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xai_core.cli import listing, output
from xai_core.cli import options as o
from xai_core.cli.setting import set_up
from xai_core.cli.shared import (
    FIGURES,
    about,
    about_models,
    compared,
    compared_as_json,
    destination,
    judged,
    protect,
    save_figure,
    study_of,
    warned,
)
from xai_core.errors import UsageError

if TYPE_CHECKING:
    from xai_core.disagreement import Disagreement
    from xai_core.interfaces import Explainer
    from xai_core.render import Sharing
    from xai_core.study import Study
    from xai_core.trust import Trust
    from xai_core.types import Comparison

Count = Annotated[
    int | None,
    typer.Option("--top", metavar="K", min=1, help="The K classes of highest score."),
]


_INTERRUPTED = 130


@dataclass(frozen=True)
class _Drawing:
    """How the result is drawn, and where it goes."""

    path: Path
    colour_map: str | None
    opacity: float | None
    scale: "Sharing"

    def save(self, comparison: "Comparison") -> None:
        """Write the figure, the page or the maps."""
        with output.status(f"writing {self.path}"):
            comparison.save(
                self.path,
                colour_map=self.colour_map,
                opacity=self.opacity,
                scale=self.scale,
            )


def compare(
    pictures: o.PictureFiles,
    model: o.Model = o.DEFAULT_MODEL,
    models: o.Models = None,
    methods: o.Methods = o.DEFAULT_METHODS,
    set_: o.Set = None,
    target: o.TargetClasses = None,
    top: Count = None,
    bottom: Annotated[
        int | None,
        typer.Option("--bottom", metavar="K", min=1, help="The K classes of lowest score."),
    ] = None,
    expect: Annotated[
        str | None,
        typer.Option(
            "--expect",
            metavar="CLASS",
            help="Set the predicted class against this one: both maps, and their difference.",
        ),
    ] = None,
    layer: o.Layers = None,
    score: o.Score = "logit",
    preprocess: o.Preprocess = None,
    labels: o.Labels = None,
    weights: o.Weights = None,
    adapter: o.Adapter = None,
    size: o.Size = None,
    fit: o.Fit = None,
    engine: o.Engine = None,
    scale: o.Scale = "map",
    colour_map: o.ColourMap = None,
    opacity: o.Opacity = None,
    batch: Annotated[
        int, typer.Option("--batch", metavar="N", min=1, help="Pictures to a pass.")
    ] = 8,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust",
            help="Test each map: against itself put elsewhere, maps that know nothing, and weights "
            "drawn anew; each has its verdict.",
        ),
    ] = False,
    budget: Annotated[
        int | None,
        typer.Option(
            "--budget",
            metavar="N",
            min=1,
            help="How many pictures the model may be run on for --trust. By default 2000.",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            metavar="N",
            min=0,
            max=2**31 - 1,
            help="Of what --trust draws at random: weights, ties, random maps. By default 0.",
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help=".html: a page to explore; .png, .svg, .pdf: the figure; .npz: the raw maps. "
            "By default PICTURE.compare.png, here.",
        ),
    ] = None,
    json: o.Json = False,
    device: o.Device = None,
    __: o.Backend = None,
    _: o.Quiet = False,
) -> None:
    """Compare methods, classes, layers, pictures and models.

    What fails is told in its row, the rest is shown all the same, and the exit code is 1.
    """
    _refuse_together({"--target": target, "--top": top, "--bottom": bottom, "--expect": expect})
    _refuse_together({"--expect": expect, "--trust": trust})
    tested = _trust(asked=trust, budget=budget, seed=seed)
    names = o.parse_methods(methods)
    settings = o.parse_settings(set_)
    chosen = o.parse_names("--models", models, "vgg16,my.keras") if models is not None else [model]
    path = destination(out or f"{Path(pictures[0]).stem}.compare.png", (".html", *FIGURES))
    protect(pictures, path)
    drawing = _Drawing(path, colour_map, opacity, scale)
    study: dict[str, Any] = {
        "score": score,
        "preprocess": preprocess,
        "labels": labels,
        "weights": weights,
        "adapter": adapter,
        "size": size,
        "fit": fit,
        "engine": engine or "auto",
        "device": device,
    }
    if expect is not None:
        _check_expect(pictures, chosen, methods, layer)
        names = names[:1]
    source = [_read_one(pictures)] if len(chosen) == len(pictures) == 1 else list(pictures)
    study["registry"] = listing.discover()
    explainers = set_up(names, settings, study["registry"])
    if expect is not None:
        single = study_of(chosen[0], layer=layer[0] if layer else None, **study)
        with output.status(f"explaining by {names[0]}"):
            found = single.expect(source[0], expect, explainers[0])
        _show_disagreement(single, found, drawing, as_json=json)
        return
    asked: dict[str, Any] = {
        "targets": target or [None],
        "top": top,
        "bottom": bottom,
        "layers": layer or [],
        "trust": tested,
    }
    if len(chosen) == 1:
        single = study_of(chosen[0], **study)
        with output.progress() as tell:
            comparison = single.compare(source, explainers, batch=batch, progress=tell, **asked)
        output_facts = list(about(single, comparison.predictions))
    else:
        comparison = _across(chosen, source, explainers, batch, asked, study)
        output_facts = list(about_models(comparison.predictions))
    drawing.save(comparison)
    if json:
        output.show_json(compared_as_json(comparison, path))
    else:
        output.show_facts(output_facts)
        output.say("")
        _show_table(comparison)
        output.say("")
        if comparison.accounts:
            output.show_facts(judged(comparison))
            output.say("")
        output.show_facts(warned(comparison))
        output.say(f"Wrote {path}")
    if any(each.is_interrupted for each in comparison.accounts):
        raise typer.Exit(_INTERRUPTED)
    if comparison.failures:
        raise typer.Exit(1)


def _check_expect(
    pictures: Sequence[str], models: Sequence[str], methods: str, layers: Sequence[str] | None
) -> None:
    """One of each is set against what was expected."""
    if len(pictures) > 1 or len(models) > 1:
        raise UsageError(
            f"received --expect with {len(pictures)} pictures and {len(models)} models; "
            "expected one of each"
        )
    if methods != o.DEFAULT_METHODS and len(o.parse_methods(methods)) > 1:
        raise UsageError(f"received --expect with --methods {methods}; expected one method")
    if layers and len(layers) > 1:
        raise UsageError(f"received --expect with {len(layers)} layers; expected one")


def _trust(*, asked: bool, budget: int | None, seed: int | None) -> "Trust | None":
    """What may be spent to test the maps; None where they are not to be tested."""
    from xai_core.trust import Trust

    given = {"budget": budget, "seed": seed}
    said = {name: value for name, value in given.items() if value is not None}
    if said and not asked:
        raise UsageError(
            f"received {' and '.join(f'--{name}' for name in said)} without --trust; expected "
            "both, since it is what testing the maps may take"
        )
    return Trust(**said) if asked else None


def _refuse_together(options: dict[str, Any]) -> None:
    given = [name for name, value in options.items() if value]
    if len(given) > 1:
        raise UsageError(f"received {' and '.join(given)}; expected one of them")


def _read_one(pictures: Sequence[str]) -> Any:
    """The only picture, read before anything heavy is loaded: a mistake is told at once."""
    from xai_core.images import read_picture

    return read_picture(pictures[0])


def _across(
    models: Sequence[str],
    pictures: Sequence[str],
    methods: Sequence["Explainer"],
    batch: int,
    asked: dict[str, Any],
    study: dict[str, Any],
) -> "Comparison":
    from xai_core.cli import quiet

    size = o.parse_size(study.pop("size"))
    with output.status("loading the libraries"):
        quiet.import_keras()
        from xai_core.across_models import compare as compare_models
    with output.progress() as tell:
        return compare_models(
            list(pictures), models, methods, batch=batch, progress=tell, size=size, **asked, **study
        )


def _show_table(comparison: "Comparison") -> None:
    """The cells, less the columns in which all are the same."""
    header = ("model", "picture", "class", "probability", "method", "layer", "result")
    rows = list(compared(comparison))
    shown = [
        number
        for number, name in enumerate(header)
        if name not in ("model", "picture") or len({str(row[number]) for row in rows}) > 1
    ]
    output.show_table(
        [header[number] for number in shown],
        ([row[number] for number in shown] for row in rows),
        numbers=("probability",),
    )


def _show_disagreement(
    study: "Study", found: "Disagreement", drawing: _Drawing, *, as_json: bool
) -> None:
    if drawing.path.suffix in (".html", ".npz"):
        drawing.save(found.comparison)
    else:
        figure = found.figure(
            colour_map=drawing.colour_map, opacity=drawing.opacity, scale=drawing.scale
        )
        save_figure(figure, drawing.path)
    if as_json:
        document = compared_as_json(found.comparison, drawing.path)
        output.show_json({**document, "overlap": found.overlap, "words": str(found)})
        return
    output.say(str(found))
    output.show_facts([*about(study, []), *warned(found.comparison)])
    output.say(f"Wrote {drawing.path}")
