"""Numbers that are not maps, told apart from those that are."""

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from xai_core.images import Picture
from xai_core.needs import Needs
from xai_core.types import NON_FINITE, MapWarning
from xai_core.typing import FloatArray, ScoreKind

SATURATED = 1e-4
"""A probability this near to 0 or 1 has lost its gradient: p (1 - p) scales every map."""

VANISHED = 1e-20
"""Gradients whose largest magnitude is below this carry nothing in float32."""

_WHERE = MappingProxyType(
    {
        Needs.ACTIVATION_GRADIENTS: "at the target layer",
        Needs.INPUT_GRADIENTS: "at the input",
    }
)


def check_picture(picture: Picture) -> tuple[MapWarning, ...]:
    """What is odd about the values of a picture, if anything."""
    brightest = float(picture.pixels[0].max())  # of nearly every picture, one row says enough
    if brightest <= 1:
        brightest = float(picture.pixels.max())
    if 0 < brightest <= 1:
        return (
            MapWarning(
                "picture-range",
                f"the picture's values end at {brightest:.3g} of 255, so it is all but black; "
                "if they mean 0..1, multiply them by 255",
            ),
        )
    return ()


def check_map(
    raw: FloatArray,
    *,
    by: str,
    peaks: Mapping[Needs, float],
    score_kind: ScoreKind,
    score: float,
    probability: float,
) -> tuple[MapWarning, ...]:
    """What is wrong with a map, if anything.

    Args:
        raw: The map (h, w).
        by: The method that returned it, and the distribution of that.
        peaks: The largest magnitude in each gradient that the method read.
        score_kind: The score that was differentiated.
        score: The score.
        probability: Of the explained class.
    """
    found = []
    if score_kind == "probability" and min(probability, 1 - probability) < SATURATED:
        found.append(
            MapWarning(
                "saturated",
                f"the probability is {probability:.6f}, where its gradient all but vanishes; "
                "explain the logit instead",
            )
        )
    for need, peak in peaks.items():
        if peak < VANISHED:
            found.append(
                MapWarning(
                    "vanished-gradients",
                    f"the gradient {_WHERE[need]} is 0 everywhere: the score does not react "
                    "to it, or underflows on the way",
                )
            )
    low, high = float(raw.min()), float(raw.max())
    if not (math.isfinite(low) and math.isfinite(high)):  # NaN wins both min and max
        broken = int(np.count_nonzero(~np.isfinite(raw)))
        found.append(
            MapWarning(
                NON_FINITE,
                f"{broken} of the {raw.size} values that {by} returned are NaN or infinite",
            )
        )
    elif not math.isfinite(score):
        found.append(MapWarning(NON_FINITE, f"the {score_kind} itself is {score}"))
    elif low == high == 0:
        found.append(MapWarning("all-zero", "the map is 0 everywhere: it shows nothing"))
    elif low == high and raw.size > 1:
        found.append(MapWarning("uniform", f"the map is {low:.3g} everywhere"))
    return tuple(found)
