"""Every law that a method can declare, and what is usually wrong where it is broken."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from xai_core.laws import Law
from xai_core.testing import declared, sampled
from xai_core.testing.findings import statements
from xai_core.testing.laws import Check
from xai_core.testing.subject import Subject

_Trial: TypeAlias = tuple[Callable[[Subject], Iterator[str]], str, str]

_PLUGINS = "the reference's page of plugins"
_PAGE = "the reference's page of conformance"

_TRIALS: Mapping[Law, _Trial] = MappingProxyType(
    {
        Law.CONSTANT: (
            declared.constant,
            "the activations or the input show without a weight that comes from the score, a map "
            "is scaled by its own maximum, or a number is added. A method that is meant to show "
            "them whatever the score, as Eigen-CAM, declares `laws = Law.NOTHING`.",
            f"Explainer.laws, on {_PLUGINS}",
        ),
        Law.SHIFT: (
            declared.shift,
            "places are weighted by where they are: by a window, a centre, a border that is "
            "treated on its own.",
            f"Law.SHIFT, on {_PAGE}",
        ),
        Law.SCALE_FREE: (
            partial(declared.scale, factor=1),
            "the weights are not divided by the size of the score, or by their sum.",
            f"Law.SCALE_FREE, on {_PAGE}",
        ),
        Law.LINEAR: (
            partial(declared.scale, factor=2),
            "probabilities in the place of scores (a softmax or sigmoid is no multiple), a map "
            "that is normalised (that is for display alone), or a square.",
            f"Law.LINEAR, on {_PAGE}",
        ),
        Law.QUADRATIC: (
            partial(declared.scale, factor=4),
            "the gradient is not squared, or a square root was taken.",
            f"Law.QUADRATIC, on {_PAGE}",
        ),
        Law.COMPLETE: (
            declared.complete,
            "the factor (x - x') is missing, or x stands for it though black is not 0; a sum over "
            "the path in the place of a mean; one end of the path counted twice.",
            "Sundararajan et al. 2017, section 3, completeness",
        ),
        Law.LINEAR_MODEL: (
            declared.linear_model,
            "the factor (x - x') is missing, or x stands for it though black is not 0; a mean "
            "over the channels in the place of a sum.",
            "Sundararajan et al. 2017, eq. 1",
        ),
        Law.LINEAR_INPUT: (
            declared.linear_input,
            "the gradient alone, or the input alone; a mean over the channels in the place of a "
            "sum; a baseline that is not 0.",
            "Shrikumar et al. 2016, section 2",
        ),
        Law.SENSITIVITY: (
            declared.sensitivity,
            "a sum or mean over the channels in the place of the maximum, or the maximum of signed "
            "gradients in the place of that of their magnitudes.",
            "Simonyan et al. 2014, section 3.1",
        ),
        Law.GAP_DENSE: (
            declared.gap_dense,
            "gradients that are summed over the places and not averaged, a ReLU on the weights or "
            "a missing one on the map, or a map that is normalised.",
            "Selvaraju et al. 2017, eq. 1-2 and section 3.1",
        ),
        Law.GAP_DENSE_POSITIVE: (
            declared.gap_dense_positive,
            "no ReLU on the gradient before it is multiplied, only one on the map.",
            "Jiang et al. 2021, eq. 6-8",
        ),
        Law.GAP_DENSE_ALPHA: (
            declared.gap_dense_alpha,
            "the mean of A in the place of its sum in alpha, the cube of the gradient inside that "
            "sum, or alpha made to sum to 1.",
            "Chattopadhay et al. 2018, eq. 19",
        ),
        Law.GAP_DENSE_DROP: (
            declared.gap_dense_drop,
            "drops that are not divided by the score, or by S in the place of |S|, which turns "
            "all signs where the score is negative.",
            "Desai and Ramaswamy 2020, eq. 3",
        ),
        Law.PRINCIPAL: (
            declared.principal,
            "the sign is left as the decomposition happens to return it; or the activations are "
            "centred, or the left singular vector was not scaled.",
            "Muhammad and Yeasin 2020, section III",
        ),
        Law.GUIDED: (
            declared.guided,
            "the plain gradient passed off as guided: declare `rule = Rule.GUIDED`; or a ReLU on "
            "the gradient that comes out at the input.",
            "Springenberg et al. 2015, section 3.4",
        ),
        Law.DECONVNET: (
            declared.deconvnet,
            "the plain or the guided gradient passed off as it: declare `rule = Rule.DECONVNET`.",
            "Zeiler and Fergus 2014, section 2.1",
        ),
        Law.POOLS_MEAN: (
            partial(
                sampled.pools,
                pool=lambda gradients: gradients.mean(axis=0),
                what="max_c |mean| of the gradients",
            ),
            "the mean of the magnitudes in the place of the magnitude of the mean, or the maximum "
            "over the channels before the mean.",
            "Smilkov et al. 2017, section 3",
        ),
        Law.POOLS_VARIANCE: (
            partial(
                sampled.pools,
                pool=lambda gradients: gradients.var(axis=0),
                what="max_c of the variance of the gradients",
            ),
            "the mean square, which is not taken about the mean; the variance of magnitudes; a "
            "standard deviation.",
            "Adebayo et al. 2018, section 3",
        ),
        Law.POOLS_SQUARES: (
            partial(
                sampled.pools,
                pool=lambda gradients: np.square(gradients).mean(axis=0),
                what="max_c of the mean square of the gradients",
            ),
            "the square of the mean in the place of the mean of the squares.",
            "Hooker et al. 2019, section 4.1",
        ),
        Law.MASKED_MEAN: (
            sampled.masked_mean,
            "one random shift for all masks in the place of one for each; scores of 1 - M; a "
            "division by the sum of the masks at each place, or by none; covered places that are "
            "0 where black is not.",
            "Petsiuk et al. 2018, eq. 6 and section 3.2",
        ),
        Law.STANDARD_ERROR: (
            sampled.standard_error,
            "the spread of the single samples, which is not divided by the root of their number; "
            "a variance in the place of its root; a seed that is not used.",
            f"Law.STANDARD_ERROR, on {_PAGE}",
        ),
        Law.SEEDED: (
            sampled.seeded,
            "a seed that is written into the code beside the field `seed`; a generator that was "
            "made once for all; or parameters with which nothing is drawn: make `laws` a property "
            "that depends on them.",
            f"Law.SEEDED, on {_PAGE}",
        ),
    }
)


def declarable() -> Mapping[Law, Check[Subject]]:
    """How a method is held to each law that it can declare."""
    said = statements()
    return MappingProxyType(
        {
            law: Check(str(law.name), said[law], mistake, read, breaches)
            for law, (breaches, mistake, read) in _TRIALS.items()
        }
    )
