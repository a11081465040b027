"""Trials whose answers are written down: a metric is tried without a model."""

import numpy as np

from xai_core.metrics import Rung, Trial, Witness
from xai_core.rank_correlation import is_level


class Scripted(Witness):
    """Answers by plain functions; what is not given must not be asked.

    Args:
        probabilities: Of pictures (Q, H, W, C), (Q,); or of those and a class.
        scores: The same of the explained score; by default the probabilities.
        maps: Of pictures, (Q, H, W); or of those and a class.
        rungs: The maps at the rungs of a ladder, None where there is none.
        precise: The map in float64.
        others: Other pictures, with their classes.
    """

    def __init__(
        self, probabilities=None, *, scores=None, maps=None, rungs=None, precise=None, others=()
    ):
        self._probabilities = probabilities
        self._scores = scores or probabilities
        self._maps = maps
        self._rungs = rungs
        self._precise = precise
        self._others = others

    def probabilities(self, pixels, target):
        return _call(self._probabilities, pixels, target)

    def scores(self, pixels, target):
        return _call(self._scores, pixels, target)

    def maps(self, pixels, target):
        return _call(self._maps, pixels, target)

    def randomised(self, rungs):
        def told(made):
            if made is None:
                return "the method failed: no way"
            return "all values are the same" if is_level(made) else None

        return tuple(
            Rung((f"layer_{n}",), each, told(each)) for n, each in enumerate(self._rungs[:rungs])
        )

    def precise(self):
        return np.asarray(self._precise, np.float64)

    def others(self, count):
        return self._others[:count]


def _call(function, pixels, target):
    takes_class = function.__code__.co_argcount == 2
    return np.asarray(function(pixels, target) if takes_class else function(pixels), np.float64)


def make_trial(pixels, attribution, probabilities=None, *, seed=(0,), target=0, **given):
    """A trial; `mask` and `classes` are its own, all else is `Scripted`'s."""
    mask = given.pop("mask", None)
    classes = given.pop("classes", 3)
    witness = Scripted(probabilities, **given)
    known = probabilities is not None
    return Trial(
        pixels=pixels,
        raw=attribution,
        attribution=attribution,
        target=target,
        classes=classes,
        probability=float(witness.probabilities(pixels[None], target)[0]) if known else 0.5,
        seed=seed,
        witness=witness,
        mask=mask,
    )
