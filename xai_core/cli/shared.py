"""What the commands share: the model under study, where to write, and what to tell of both."""

import contextlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import chain, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xai_core.cli import options as o
from xai_core.cli import output, quiet
from xai_core.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from xai_core.engines import Engine
    from xai_core.study import Study
    from xai_core.types import Comparison, Explanation, MapWarning, Prediction

FIGURES = (".png", ".svg", ".pdf", ".npz")


def study_of(
    model: str, *, size: str | None = None, engine: "Engine | None" = None, **arguments: Any
) -> "Study":
    """The model under study, once what is heavy is imported.

    By default its engine is the fastest to run one pass.
    """
    wanted = o.parse_size(size)
    with output.status("loading the libraries"):
        quiet.import_keras()
        from xai_core.engines import fastest_once
        from xai_core.study import Study
    with output.status(f"loading {model}"):
        return Study(model, size=wanted, engine=engine or fastest_once(), **arguments)


def destination(name: str, suffixes: Sequence[str], option: str = "--out") -> Path:
    """Where to write; refused before anything is computed when its ending means nothing."""
    path = Path(name)
    if path.suffix not in suffixes:
        raise UsageError(
            f"received {option} {name!r}; expected a name that ends in {_or(suffixes)}"
        )
    return path


def _or(names: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def save_figure(figure: "Figure", path: Path) -> None:
    """Write a figure as its ending says."""
    from xai_core.files import write_atomically

    write_atomically(path, lambda file: figure.savefig(file, format=path.suffix[1:]))


def slug(text: str) -> str:
    """Text as a part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "class"


def protect(pictures: Sequence[str], *paths: Path) -> None:
    """Never write over a picture that is explained."""
    for path, picture in product(paths, pictures):
        with contextlib.suppress(OSError):  # what is not there is no picture
            if path.samefile(picture):
                raise UsageError(
                    f"{str(path)!r} is the picture itself; expected another place to write to. "
                    "Give one with --out"
                )


def family(study: "Study") -> dict[str, Any]:
    """The model and its family, for JSON."""
    return {"model": study.name, "adapter": study.adapter.name}


def about(study: "Study", predictions: Iterable["Prediction"]) -> Iterator[tuple[str, object]]:
    """The model, how it was fed, and what it predicts."""
    yield "model", f"{study.name} (family {study.adapter.name})"
    yield "preprocessing", f"{study.input.preprocessing.name} ({study.input.reason})"
    told = list(predictions)
    for prediction in told:
        first = prediction.classes[0]
        where = f"{prediction.picture.name}: " if len(told) > 1 else ""
        shown = output.probability(first.probability)
        yield "predicted", f"{where}{first.title}, probability {shown}"
        for note in prediction.picture.notes:
            yield "note", note


def about_models(predictions: Iterable["Prediction"]) -> Iterator[tuple[str, object]]:
    """Each model: how it was fed, and what it predicts."""
    for each in predictions:
        first = each.classes[0]
        shown = output.probability(first.probability)
        said = f"{each.preprocessing}, predicted {first.title}, probability {shown}"
        yield each.model, f"{said} ({each.picture.name})"


def explained(
    study: "Study", explanation: "Explanation", prediction: "Prediction"
) -> Iterator[tuple[str, object]]:
    """One map in facts."""
    from xai_core.types import short_number

    yield "class", explanation.target
    yield "probability", output.probability(explanation.probability)
    yield "logit", output.logit(explanation.logit)
    yield "explained", f"the {explanation.score_kind}"
    yield "method", explanation.method
    yield "layer", explanation.layer or "none: the method works on the input"
    if explanation.focus is not None:
        yield "focus", explanation.focus
    for name, value in explanation.facts.items():
        yield name, short_number(value)
    for health in explanation.health:
        yield "health", health
    yield from about(study, [prediction])
    yield from warning_rows(explanation.warnings)


def compared(comparison: "Comparison") -> Iterator[tuple[object, ...]]:
    """A row for each cell: model, picture, class, probability, method, layer, result."""
    from xai_core.types import Failure, short_layer

    for cell in comparison.cells:
        if isinstance(cell, Failure):
            picture, shown, result = cell.picture, "", f"failed: {cell.message}"
        else:
            picture, shown = cell.picture.name, output.probability(cell.probability)
            seen = [cell.focus.short] if cell.focus else []
            seen += [cell.fault] if cell.fault else cell.told
            result = ", ".join([*seen, *(w.kind for w in cell.warnings)]) or "done"
        layer = short_layer(cell.layer)
        yield cell.model, picture, cell.target, shown, cell.method, layer, result


def judged(comparison: "Comparison") -> Iterator[tuple[str, str]]:
    """The verdict on each map, and what the tests took."""
    from xai_core.types import short_layer

    several = len({each.picture.name for each in comparison}) > 1
    models = len({each.model for each in comparison}) > 1
    for each in comparison:
        at = [f"at {short_layer(each.layer)}"] if each.layer else []
        of = [each.picture.name] * several + [each.model] * models
        where = ", ".join([" ".join([str(each.method), *at]), str(each.target), *of])
        yield "trust", f"{where}: {each.verdict or 'not tested'}"
    for account in comparison.accounts:
        yield "tests", f"{account.model}: {account}" if models else str(account)


def warned(comparison: "Comparison") -> Iterator[tuple[str, str]]:
    """Every warning once, however many maps it is about, and what was not done as asked."""
    once = dict.fromkeys(warning for each in comparison for warning in each.warnings)
    return chain(warning_rows(once), (("note", notice) for notice in comparison.notices))


def warning_rows(warnings: Iterable["MapWarning"]) -> Iterator[tuple[str, str]]:
    """Warnings as facts."""
    return (("warning", str(each)) for each in warnings)


def compared_as_json(comparison: "Comparison", path: Path) -> dict[str, Any]:
    """A comparison for JSON."""
    return {
        "predictions": [each.as_dict() for each in comparison.predictions],
        "explanations": comparison.provenance,
        "notices": list(comparison.notices),
        "trust": [asdict(each) for each in comparison.accounts],
        "failures": [
            {
                "model": each.model,
                "picture": each.picture,
                "method": asdict(each.method),
                "layer": each.layer,
                "target": asdict(each.target),
                "message": each.message,
            }
            for each in comparison.failures
        ],
        "files": {"comparison": path},
    }
