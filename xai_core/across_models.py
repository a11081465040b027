"""The same pictures through several models."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import keras

from xai_core.errors import BudgetError, UsageError, XaiError
from xai_core.models import ModelLike
from xai_core.planner import PictureLike, tell_apart
from xai_core.progress import Progress, silent
from xai_core.registry import Registry
from xai_core.study import DEFAULT_METHODS, MethodLike, Study
from xai_core.targets import TargetLike
from xai_core.trust import Trust
from xai_core.types import Comparison, Failure, Method, Target


@dataclass(frozen=True)
class _Asked:
    """What was asked of every model."""

    pictures: Sequence[PictureLike]
    methods: Sequence[MethodLike]
    targets: Sequence[TargetLike]


def compare(
    pictures: PictureLike | Sequence[PictureLike],
    models: Sequence[ModelLike | Study],
    methods: Sequence[MethodLike] = DEFAULT_METHODS,
    targets: Sequence[TargetLike] = (None,),
    *,
    top: int | None = None,
    bottom: int | None = None,
    layers: str | Sequence[str] = (),
    batch: int = 8,
    trust: Trust | None = None,
    progress: Progress = silent,
    registry: Registry | None = None,
    **study: Any,
) -> Comparison:
    """Compare several models on the same pictures, one model in memory at a time.

    A model that cannot be loaded, or does not have a class or a layer that was asked
    for, leaves a `Failure` in its cells; the others are run all the same.

    Args:
        pictures: One picture or a list of them.
        models: Families, files, models in memory, or studies of them.
        methods: Explainers, by name or as instances.
        targets: Classes, by index or name; None is what each model predicts.
        top: The classes of highest score, in place of `targets`.
        bottom: The classes of lowest score, in place of `targets`.
        layers: Target layers; by default each model's own.
        batch: Pictures to a pass.
        trust: What may be spent to test each map; every model has an equal share of it.
        progress: Told what runs and how much is done.
        registry: The plugins; by default all that are installed.
        **study: What `Study` takes, for each model that is not one yet.

    Raises:
        UsageError: there is no model.
        XaiError: the only model fails.
    """
    if not models:
        raise UsageError("received no models; expected at least one")
    plugins = Registry.discover() if registry is None else registry
    asked = _Asked(_list(pictures), _list(methods), _list(targets))
    found: list[Comparison] = []
    titles = tell_apart([_title(model) for model in models])
    share = trust and replace(trust, budget=max(1, trust.budget // len(models)))
    for model, title in zip(models, titles, strict=True):
        try:
            subject = model if isinstance(model, Study) else Study(model, registry=plugins, **study)
            made = subject.compare(
                list(asked.pictures),
                asked.methods,
                asked.targets,
                top=top,
                bottom=bottom,
                layers=layers,
                batch=batch,
                trust=share,
                progress=progress,
            )
            found.append(_named(title, made))
            if any(each.is_interrupted for each in made.accounts):
                break
        except BudgetError as error:
            shared = f"each of {len(models)} models has an equal share of the budget: "
            raise BudgetError(f"{shared if len(models) > 1 else ''}{error}") from error
        except XaiError as error:
            if len(models) == 1:
                raise
            found.append(_failed(title, asked, error))
    left = titles[len(found) :]
    notices = [notice for each in found for notice in each.notices]
    notices += [f"interrupted before these models were run: {', '.join(left)}"] if left else []
    return Comparison(
        tuple(chain.from_iterable(each.cells for each in found)),
        tuple(chain.from_iterable(each.predictions for each in found)),
        tuple(chain.from_iterable(each.passes for each in found)),
        tuple(notices),
        tuple(chain.from_iterable(each.accounts for each in found)),
    )


def _title(model: ModelLike | Study) -> str:
    """What to call a model before it is loaded."""
    return model.name if isinstance(model, (Study, keras.Model)) else Path(model).name


def _named(title: str, made: Comparison) -> Comparison:
    """A comparison under the name that tells its model from another of the same name."""
    return replace(
        made,
        cells=tuple(replace(cell, model=title) for cell in made.cells),
        predictions=tuple(replace(each, model=title) for each in made.predictions),
        accounts=tuple(replace(each, model=title) for each in made.accounts),
    )


def _list(values: Any) -> list[Any]:
    return list(values) if isinstance(values, (list, tuple)) else [values]


def _failed(model: str, asked: _Asked, error: XaiError) -> Comparison:
    """A failure for every map that the model would have made."""
    return Comparison(
        tuple(
            Failure(
                model=model,
                picture=name,
                method=Method(str(getattr(method, "name", method)), {}, signed=False, source=""),
                layer=None,
                target=Target(-1, None, "predicted" if target is None else str(target)),
                error=error,
            )
            for name in tell_apart(asked.pictures)
            for target in asked.targets
            for method in asked.methods
        )
    )
