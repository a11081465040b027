"""The laws that a method declares of what it draws: held to what it asked for."""

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any

import numpy as np

from xai_core.testing.findings import EXACT, difference
from xai_core.testing.subject import Subject
from xai_core.testing.watch import Log
from xai_core.typing import FloatArray

_MODEL = "flatten-dense"
_CURVED = "smooth"
"""Between kinks, all noise finds the same gradients; where there are none, none does."""

_FEW = 64
"""With fewer masks, chance alone spreads them unevenly."""
_EVEN = 0.5
"""How little the masks may vary where they vary least, relative to where they vary most: with
64 of an own shift each about 0.6 is left by chance; with one shift for all, 0.25 or so."""
_SEEDS = 12
_FACTOR = 2.0
"""How far off an error may be from the spread over so many seeds. If all places of a map go up and
down together, a right one is off by more in one of 150 cases; mistakes are off by far more."""


def pools(subject: Subject, pool: Callable[[FloatArray], FloatArray], what: str) -> Iterator[str]:
    """The map is made of the gradients at the pictures that were asked for."""
    log = Log()
    (found,) = subject.run(_MODEL, log=log)
    if not log.derived:
        yield f"on {_MODEL} it asked for no gradient, so that there is nothing to pool"
        return
    gradients = np.concatenate(log.derived)
    expected = np.abs(pool(gradients)).max(axis=-1)
    told = difference(found.map, expected, f"{what} of the {len(gradients)} it asked for")
    if told:
        yield f"on {_MODEL}, {told}"


def masked_mean(subject: Subject) -> Iterator[str]:
    """The map is the mean of the masks, each weighed by the score of what it shows."""
    log = Log()
    (one,) = subject.run(_MODEL, log=log)
    if not log.scored:
        yield f"on {_MODEL} it asked for no score, so that there are no masks to weigh"
        return
    bench = subject.bench(_MODEL)
    asked, scores = (np.concatenate(each) for each in zip(*log.scored, strict=True))
    by_channel = (asked - bench.black) / (bench.fed(0) - bench.black)
    masks = by_channel.mean(axis=-1)
    unlike = float(np.abs(by_channel - masks[..., None]).max())
    if not unlike <= 1e-6:
        yield (
            f"on {_MODEL} what it asked for is not black + M (x - black): the channels of a mask "
            f"differ by up to {unlike:.3g}"
        )
        return
    weighed = np.tensordot(scores, masks, axes=1) / len(masks)
    size = float(np.vdot(one.map, weighed) / np.vdot(weighed, weighed))
    told = difference(
        one.map, size * weighed, f"in proportion to sum_i S(x M_i) M_i, of {len(masks)} masks"
    )
    if told:
        yield f"on {_MODEL}, {told}"
        return
    each = masks.mean(axis=(1, 2))
    chance = 5 * float(each.std()) / len(masks) ** 0.5 + 1e-9
    if not abs(1 / size - each.mean()) <= chance:
        yield (
            f"on {_MODEL} the sum is divided by N times {1 / size:.4g}; expected E[M], which is "
            f"{each.mean():.4g} in the mean of {len(masks)} masks, within {chance:.2g}"
        )
    low, high = extremes(masks)
    if len(masks) >= _FEW and not low >= _EVEN * high:
        yield (
            f"on {_MODEL} the masks are not spread evenly: over {len(masks)} of them their "
            f"variance is {low:.3g} at some places and {high:.3g} at others; expected about the "
            "same at all"
        )


def extremes(masks: FloatArray) -> tuple[float, float]:
    """The variance over masks (N, h, w) where they vary least, and where they vary most.

    At all but one in twenty places: chance has its way at some.
    """
    low, high = np.quantile(masks.var(axis=0), (0.05, 0.95))
    return float(low), float(high)


def standard_error(subject: Subject) -> Iterator[str]:
    """What it says of its error is the spread over seeds."""
    method: Any = subject.explainer
    if "seed" not in [each.name for each in fields(method)]:
        yield "it has no field `seed`, so that nobody can draw again"
        return
    runs = [
        subject.run(_MODEL, explainer=replace(method, seed=number))[0] for number in range(_SEEDS)
    ]
    if any("standard error" not in each.facts for each in runs):
        yield f"on {_MODEL} it tells no fact `standard error`; it tells {list(runs[0].facts)}"
        return
    said = float(np.mean([each.facts["standard error"] for each in runs]))
    spread = float(np.sqrt(np.stack([each.map for each in runs]).var(axis=0, ddof=1).mean()))
    # Where nothing is drawn, the maps are equal but for rounding.
    is_exact = said == 0 and spread <= EXACT * float(np.abs(runs[0].map).max())
    if not is_exact and not spread / _FACTOR <= said <= spread * _FACTOR:
        yield (
            f"on {_MODEL} it says that the standard error is {said:.3g}; over {_SEEDS} seeds the "
            f"maps spread by {spread:.3g}: {said / spread:.3g} times as much, and expected is "
            f"{1 / _FACTOR:.2g} to {_FACTOR:.2g} times"
        )


def seeded(subject: Subject) -> Iterator[str]:
    """Another seed makes another map."""
    method: Any = subject.explainer
    if "seed" not in [each.name for each in fields(method)]:
        yield "it has no field `seed`, so that nobody can draw again"
        return
    runs = [subject.run(_CURVED, explainer=replace(method, seed=number))[0] for number in range(2)]
    # Where nothing is left to chance, as where all there is was asked about, it says so.
    if all(each.facts.get("standard error") == 0 for each in runs):
        return
    one, other = (each.map for each in runs)
    if not difference(other, one, "as of the other seed"):
        yield (
            f"on {_CURVED} the map with seed=1 is that with seed=0; expected others wherever "
            "something is drawn"
        )
