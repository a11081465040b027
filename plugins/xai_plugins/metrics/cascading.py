"""Whether a map changes as the model loses what it learnt."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from xai_core import Curve, Metric, Score, Trial
from xai_core.errors import MetricError
from xai_core.parameters import Count
from xai_plugins.metrics.similarity import SIMILARITIES, Similarity, held_to_vary


@dataclass(frozen=True)
class CascadingRandomisation(Metric):
    """Cascading randomisation: how much of a map outlives what the model learnt.

    Adebayo, Gilmer, Muelly, Goodfellow, Hardt and Kim, "Sanity Checks for Saliency Maps", NeurIPS
    2018, section 3.1. From the logits down, one layer after the other has its weights drawn anew
    by its own initialisers, until nothing is left; on the way, at evenly spaced rungs, the method
    explains the same class of the same picture again. The value is the mean over the rungs of the
    magnitude of how alike each map is to the learnt one, by the measure that `similarity` names:
    Spearman's correlation of the values or of their magnitudes, the structural similarity (Wang et
    al. 2004), or the correlation of histograms of oriented gradients (Dalal and Triggs 2005). For
    the last two, maps are divided by their largest magnitude, as in the authors' code; signs stay.
    A map that goes with what was learnt changes: lower is better, 0 to 1. A map turned round is no
    other: -1 depends on the weights as little as 1, which is why magnitudes are averaged. The
    facts hold all four measures with their signs, their mean and at the last rung; the curve, the
    course of the chosen one's magnitude.

    A rung where there is no map (the method failed, a value is not finite, all are the same) has
    no similarity, high or low: a network of drawn weights is often dead or explodes, which says
    nothing about the method. It is counted in the facts, and the mean is over the others. Where
    less than half of the rungs have a map, there is no score.

    Traps. It is passed by whatever depends on the weights, rightly or wrongly: noise that is drawn
    anew, as the row `random`, passes perfectly, so passing is no faithfulness. Failing says more:
    a map of the picture alone, as `edges`, keeps similarity 1. The mean
    over fewer rungs is that of other rungs: beware where many have no map. Noisy maps lose their
    similarity sooner than smooth ones, whatever they depend on; and layers near the input, whose
    activations drawn weights keep alike, hold a part of any map up (Binder et al., "Shortcomings
    of Top-Down Randomization-Based Sanity Checks for Evaluations of Deep Neural Network
    Explanations", CVPR 2023): do not rank methods by small differences. Maps that a ReLU left at 0
    in most places have mostly tied ranks. Histograms of gradients have the picture's edges in
    common: of unrelated noise of 224 x 224 they correlate by 0.07, of smaller maps by more. The
    seed is one draw of weights, the same for all methods and pictures: the interval over pictures
    does not cover other draws.
    """

    name: ClassVar[str] = "cascading-randomisation"
    family: ClassVar[str] = "randomisation"
    summary: ClassVar[str] = "how alike the map stays as the model loses what it learnt"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    similarity: Similarity = "spearman"
    """By what maps are compared."""
    rungs: Count = 6
    """At how many places on the way down a map is made, evenly over the layers with weights."""

    @property
    def maps(self) -> int:
        """One a rung."""
        return self.rungs

    def score(self, trial: Trial) -> Score:
        """Compare the map at each rung with the learnt one."""
        held_to_vary(trial.attribution, "the map")
        rungs = trial.randomised(self.rungs)
        if not rungs:
            raise MetricError(
                f"{self.name}: the model has no layer with weights; expected one whose weights can "
                "be drawn anew"
            )
        lost = np.cumsum([len(rung.layers) for rung in rungs])
        facts = {
            "rungs": float(len(rungs)),
            "rungs without a map": float(sum(rung.reason is not None for rung in rungs)),
        }
        found = {
            kind: [
                None if rung.reason or rung.attribution is None
                else measure(trial.attribution, rung.attribution)
                for rung in rungs
            ]
            for kind, measure in SIMILARITIES.items()
        }  # fmt: skip
        for kind, each in found.items():
            told = [value for value in each if value is not None]
            if told:
                facts[f"mean {kind}"] = float(np.mean(told))
            if each[-1] is not None:
                facts[f"{kind} at the last rung"] = each[-1]
        alike = np.abs([np.nan if each is None else each for each in found[self.similarity]])
        compared = len(rungs) - int(np.isnan(alike).sum())
        if 2 * compared < len(rungs):
            reasons = dict.fromkeys(rung.reason for rung in rungs if rung.reason)
            raise MetricError(
                f"{self.name}: {compared} of {len(rungs)} rungs have a map that can be compared by "
                f"{self.similarity}; expected half of them or more: "
                f"{'; '.join(reasons) or 'it is not defined for the others'}"
            )
        curve = Curve(
            np.asarray([0, *lost / lost[-1]]),
            np.asarray([1, *alike]),
            "share of layers drawn anew",
            f"magnitude of {self.similarity} to the map",
        )
        return Score(float(np.nanmean(alike)), facts, curve)
