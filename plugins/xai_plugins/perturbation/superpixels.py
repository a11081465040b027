"""What methods on superpixels share: they cover some of them, ask, and fit a linear model."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
from keras import ops
from numpy.typing import NDArray

from xai_core import Attribution, Evidence
from xai_core.errors import ExplainerError
from xai_core.parameters import Count, Seed, Within
from xai_core.typing import FloatArray, Tensor
from xai_plugins.baselines import Baseline, baseline
from xai_plugins.perturbation.masking import Perturbation, masked_scores

Cover: TypeAlias = Literal["superpixels", Baseline]
"""Each superpixel's own mean colour, or a baseline."""
Labels: TypeAlias = NDArray[np.intp]
Game: TypeAlias = Callable[[FloatArray], FloatArray]
"""From coalitions (n, P), 1 where a superpixel shows and 0 where it is covered, to scores (n,)."""

_SMOOTHING = 1.0
"""Standard deviation in pixels: without it, texture frays the outlines."""
_STIFFER = (1, 10, 100, 1000)
"""What compactness is multiplied by, one after the other, where too few superpixels come out."""


@dataclass(frozen=True)
class Weights:
    """What each of the P superpixels adds to the score."""

    values: FloatArray
    """(P,)."""
    variances: FloatArray
    """Of the sampling error of each, (P,)."""
    facts: Mapping[str, float] = field(default_factory=dict)
    few: bool = False
    """Whether there were too few samples to tell them apart."""


@dataclass(frozen=True)
class OnSuperpixels(Perturbation):
    """A method that gives each superpixel a weight, and every pixel that of its superpixel."""

    signed: ClassVar[bool] = True

    samples: Count = 1000
    """Coalitions of superpixels to ask about."""
    segments: Count = 50
    """About how many superpixels to divide a picture into."""
    compactness: Annotated[float, Within(0.01, 1000)] = 30.0
    """How much places count beside colours: from outlines that follow every edge to squares."""
    baseline: Cover = "black"
    """What covers: a black picture, the picture's mean colour, the picture blurred, noise, or
    each superpixel's own mean colour."""
    seed: Seed = 0
    """Of the samples, and of the random baseline."""

    def explain_one(self, evidence: Evidence) -> Attribution:
        """Divide the picture, weigh its parts, paint them."""
        (labels,) = superpixels(evidence, self.segments, self.compactness)
        players = int(labels.max()) + 1
        cover = _cover(self.baseline, evidence, labels, self.seed)

        def game(coalitions: FloatArray) -> FloatArray:
            return masked_scores(
                evidence, cover, len(coalitions), lambda part: coalitions[part][:, labels]
            )

        found = self.weigh(players, float(evidence.score[0]), game)
        # Where the samples do not tell the weights apart they do not tell the error either.
        error = np.nan if found.few else float(np.sqrt(found.variances[labels].mean()))
        message = (
            "there are too few samples for so many superpixels: neither the weights nor their "
            "error can be told: raise samples, or lower segments"
        )
        return Attribution(
            found.values[labels][None],
            facts={
                name: np.asarray([value], np.float64)
                for name, value in {
                    "superpixels": players,
                    "standard error": error,
                    **found.facts,
                }.items()
            },
            warnings={"few-samples": (message, np.asarray([found.few]))},
        )

    @abstractmethod
    def weigh(self, players: int, score: float, game: Game) -> Weights:
        """Weigh the superpixels.

        Args:
            players: P, how many superpixels there are.
            score: That of the whole picture.
            game: Asks for the scores of coalitions.
        """


def superpixels(evidence: Evidence, segments: int, compactness: float) -> Labels:
    """Divide each picture into superpixels by SLIC, a k-means of places and Lab colours.

    Achanta et al., "SLIC Superpixels Compared to State-of-the-art Superpixel Methods", IEEE
    TPAMI 34, 2012. A picture of one colour is divided into squares. Of one that is all texture
    next to nothing is connected, and one superpixel swallows the rest: where there are fewer than
    half as many as asked for, compactness is raised.

    Args:
        evidence: On N pictures, RGB or grey.
        segments: About how many superpixels to make; there can be more or fewer.
        compactness: How much places count beside colours.

    Returns:
        (N, H, W), from 0 up without gaps in each picture.

    Raises:
        ExplainerError: scikit-image is not installed.
    """
    try:
        from skimage.segmentation import slic
    except ImportError as error:
        raise ExplainerError(
            f"{evidence.explainer} divides pictures into superpixels with scikit-image, which "
            f'cannot be imported ({error}); install it: pip install "xai-core[superpixels]"'
        ) from error
    found = []
    for pixels in evidence.pixels:
        # Grey as RGB has the same lightness, so compactness means the same for both.
        colours = np.broadcast_to(pixels / 255, (*pixels.shape[:2], 3))
        for stiffer in _STIFFER:
            labels = slic(colours, segments, stiffer * compactness, sigma=_SMOOTHING)
            names, ordered = np.unique(labels, return_inverse=True)
            if 2 * len(names) >= min(segments, labels.size):
                break
        found.append(ordered.reshape(labels.shape))
    return np.stack(found)


def _cover(kind: Cover, evidence: Evidence, labels: Labels, seed: int) -> Tensor:
    """The picture to blend with, (1, H, W, C)."""
    if kind != "superpixels":
        return baseline(kind, evidence, seed)
    inputs = np.asarray(ops.convert_to_numpy(evidence.inputs[0]))
    areas = np.bincount(labels.ravel())
    sums = [np.bincount(labels.ravel(), channel.ravel()) for channel in np.moveaxis(inputs, -1, 0)]
    means = np.stack(sums, axis=-1) / areas[:, None]
    return ops.convert_to_tensor(means[labels][None], dtype=evidence.inputs.dtype)


def subsets(generator: np.random.Generator, sizes: NDArray[Any], players: int) -> FloatArray:
    """For each size a subset of the players, all those of a size as likely: 0 or 1, (n, P)."""
    ranks = generator.random((len(sizes), players)).argsort(axis=1)
    return (ranks < sizes[:, None]).astype(np.float64)


def effective_number(weights: FloatArray) -> float:
    """How many samples of equal weight would tell as much: Kish's (sum w)^2 / sum w^2."""
    squares = float(weights @ weights)
    return float(weights.sum()) ** 2 / squares if squares else 0.0


@dataclass(frozen=True)
class Fit:
    """A linear model, fitted by least squares."""

    coefficients: FloatArray
    """(p,)."""
    variances: FloatArray
    """Of the sampling error of each, (p,)."""
    r2: float
    """The share of the responses' variance, by weight, that it explains."""


def least_squares(
    design: FloatArray, response: FloatArray, weights: FloatArray, penalty: FloatArray
) -> Fit:
    """Fit b: min sum_i w_i (y_i - x_i b)^2 + sum_j penalty_j b_j^2; of many, the shortest.

    The variances are those over other samples of the rows, by a sandwich estimator: a row's
    influence on b is squared and summed. What a linear model leaves of a score is no noise of
    equal variance, which the textbook's formula takes for granted. The residuals are
    those that the row would have if it were left out (HC3), e_i / (1 - h_i): MacKinnon and
    White, "Some heteroskedasticity-consistent covariance matrix estimators with improved finite
    sample properties", Journal of Econometrics 29, 1985.

    Args:
        design: Rows x_i, (n, p).
        response: y, (n,).
        weights: w, (n,), 0 or above.
        penalty: (p,), 0 or above.
    """
    root = np.sqrt(weights)
    # A penalty is a row that wants the coefficient to be 0.
    rows = np.concatenate([root[:, None] * design, np.diag(np.sqrt(penalty))])
    left, sizes, right = np.linalg.svd(rows, full_matrices=False)
    # Directions in which the rows do not differ, but for rounding, are left out.
    kept = sizes > 1e-10 * sizes.max(initial=0)
    left = left[: len(response), kept]
    inverse = (left / sizes[kept]) @ right[kept]
    coefficients = (root * response) @ inverse
    residuals = response - design @ coefficients
    leverage = np.sum(left**2, axis=1)
    left_out = residuals / np.maximum(1 - leverage, 1e-9)
    influence = (root * left_out)[:, None] * inverse
    about = response - np.average(response, weights=weights) if weights.any() else response
    total = float(weights @ about**2)
    return Fit(
        coefficients,
        np.sum(influence**2, axis=0),
        1 - float(weights @ residuals**2) / total if total else 1.0,
    )
