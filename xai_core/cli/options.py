"""The options that commands share, in the words of `Study`'s arguments."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from xai_core.backends import choose
from xai_core.cli import output
from xai_core.errors import ParameterError, UsageError

if TYPE_CHECKING:
    from xai_core.interfaces import Explainer

DEFAULT_MODEL = "efficientnet-lite0"
DEFAULT_METHODS = "grad-cam,grad-cam++,saliency"
DEFAULT_METRICS = "deletion,insertion"

PictureFile: TypeAlias = Annotated[
    str, typer.Argument(metavar="PICTURE", help="A picture file, of any kind that Pillow reads.")
]
_MODEL_HELP = "A family's name (xai list adapters), or a .keras or .h5 file."
ModelArgument: TypeAlias = Annotated[str, typer.Argument(metavar="MODEL", help=_MODEL_HELP)]
Model: TypeAlias = Annotated[str, typer.Option("--model", metavar="MODEL", help=_MODEL_HELP)]
Method: TypeAlias = Annotated[
    str, typer.Option("--method", metavar="NAME", help="An explainer (xai list explainers).")
]
Methods: TypeAlias = Annotated[
    str, typer.Option("--methods", metavar="A,B,...", help="Explainers (xai list explainers).")
]
Metrics: TypeAlias = Annotated[
    str, typer.Option("--metrics", metavar="A,B,...", help="Metrics (xai list metrics).")
]
Set: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="METHOD.NAME=VALUE",
        help="A parameter of a method (xai list explainers METHOD); may be given again.",
    ),
]
_TARGET_HELP = (
    "A class: its index, its name, or an unambiguous beginning of that. "
    "By default the predicted class."
)
TargetClass: TypeAlias = Annotated[
    str | None, typer.Option("--target", metavar="CLASS", help=_TARGET_HELP)
]
TargetClasses: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--target", metavar="CLASS", help=f"{_TARGET_HELP} May be given again."),
]
Layer: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--layer",
        metavar="LAYER",
        help="The layer to explain at (xai layers). By default the family's.",
    ),
]
Score: TypeAlias = Annotated[
    Literal["logit", "probability"],
    typer.Option("--score", help="What is explained; the two give different maps."),
]
Preprocess: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--preprocess",
        metavar="SCHEME",
        help="What the model wants its input as (xai list schemes). By default as its family does.",
    ),
]
Labels: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--labels", metavar="FILE", help="The names of the classes, one a line, or as JSON."
    ),
]
Weights: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="imagenet|random|FILE",
        help="The weights of a family. By default imagenet, which Keras' own families download.",
    ),
]
Adapter: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--adapter",
        metavar="FAMILY",
        help="The family of a model file. By default found by its structure.",
    ),
]
Size: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--size", metavar="HxW", help="What to feed a model that leaves it open, such as 224x224."
    ),
]
Fit: TypeAlias = Annotated[
    Literal["crop", "stretch"] | None,
    typer.Option(
        "--fit",
        help="How a picture of another shape is made to fit. By default as the family does.",
    ),
]
Engine: TypeAlias = Annotated[
    Literal["auto", "eager", "compiled", "frozen", "openvino", "openvino-bf16"] | None,
    typer.Option(
        "--engine",
        help="How the model is run: openvino and openvino-bf16 (an extra) are fastest on a CPU. "
        "By default eager for a single map, else auto.",
    ),
]


def _choose_backend(name: str | None) -> str | None:
    if name is not None:
        choose(name)
    return name


Backend: TypeAlias = Annotated[
    Literal["tensorflow", "jax", "torch"] | None,
    typer.Option(
        "--backend",
        callback=_choose_backend,
        help="What Keras runs on; jax and torch are extras. By default as KERAS_BACKEND says.",
    ),
]
Device: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="cpu|gpu|gpu:N",
        help="Where the model runs. By default on the first GPU, where there is one.",
    ),
]
ColourMap: TypeAlias = Annotated[
    str | None,
    typer.Option("--colour-map", metavar="NAME", help="One of Matplotlib's colour maps."),
]
Opacity: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--opacity", metavar="0..1", help="Of the heat; at 0 the picture alone.", min=0, max=1
    ),
]
PictureFiles: TypeAlias = Annotated[
    list[str],
    typer.Argument(metavar="PICTURE...", help="Picture files, of any kind that Pillow reads."),
]
Layers: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--layer",
        metavar="LAYER",
        help="A layer to explain at (xai layers); may be given again. By default the family's.",
    ),
]
Models: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--models", metavar="A,B,...", help="Several models, in place of --model: names or files."
    ),
]
Scale: TypeAlias = Annotated[
    Literal["map", "row", "all"],
    typer.Option(
        "--scale",
        help="Which maps share a colour scale: each its own, those of a picture and class, all.",
    ),
]
Json: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print one JSON document for machines, errors included.")
]
Quiet: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", callback=output.be_quiet, help="Do not tell on the terminal what runs now."
    ),
]


def engine_for(methods: "Sequence[Explainer]") -> Literal["auto"] | None:
    """None for a map that takes one pass, which is all that a study is made for."""
    from xai_core.needs import Needs

    return "auto" if any(each.needs & Needs.ASKS for each in methods) else None


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Height and width from `224x224`."""
    if text is None:
        return None
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise UsageError(
            f"received --size {text!r}; expected HEIGHTxWIDTH in pixels, such as 224x224"
        )
    return int(height), int(width)


def parse_methods(text: str) -> list[str]:
    """Names from `grad-cam,saliency`."""
    return parse_names("--methods", text, DEFAULT_METHODS)


def parse_names(option: str, text: str, example: str) -> list[str]:
    """Names from `a,b`."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise UsageError(f"received {option} {text!r}; expected names, such as {example}")
    return names


def parse_settings(given: Sequence[str] | None) -> Mapping[str, str]:
    """Values by name, from `rise.masks=4000`."""
    settings: dict[str, str] = {}
    for each in given or ():
        name, equals, value = each.partition("=")
        if not equals or not name.strip():
            raise ParameterError(
                f"received --set {each!r}; expected METHOD.NAME=VALUE, such as rise.masks=4000"
            )
        if name.strip() in settings:
            raise ParameterError(f"received --set {name.strip()} twice; expected it once")
        settings[name.strip()] = value
    return settings
