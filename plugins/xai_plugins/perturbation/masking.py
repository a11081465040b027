"""Asking for the scores of a picture of which parts are covered."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from keras import ops

from xai_core import Attribution, Evidence, Explainer, Needs
from xai_core.typing import FloatArray, Tensor


@dataclass(frozen=True)
class Perturbation(Explainer):
    """A method that covers parts of a picture and asks what that does to the score.

    Each picture is explained by itself, so that its questions, and the passes that they are
    put into, are those that it would have alone.
    """

    family: ClassVar[str] = "perturbation"
    needs: ClassVar[Needs] = Needs.QUERIES

    def explain(self, evidence: Evidence) -> Attribution:
        """Explain one picture after the other."""
        made = [self.explain_one(one) for one in _one_by_one(evidence)]
        maps = np.concatenate([one.maps for one in made])
        return Attribution(
            ops.convert_to_tensor(maps, dtype=evidence.inputs.dtype),
            facts={
                name: np.concatenate([one.facts[name] for one in made]) for name in made[0].facts
            },
            warnings={
                kind: (message, np.concatenate([one.warnings[kind][1] for one in made]))
                for kind, (message, _) in made[0].warnings.items()
            },
        )

    @abstractmethod
    def explain_one(self, evidence: Evidence) -> Attribution:
        """Explain the one picture of the evidence; all is NumPy, with N = 1."""


def masked_scores(
    evidence: Evidence, cover: Tensor, count: int, masks: Callable[[slice], FloatArray]
) -> FloatArray:
    """Ask for S(M x + (1 - M) x') of many masks M, as many at a time as a pass has room for.

    The blend is made of what the model is fed. Where the preprocessing is affine and x' is
    black, it is what the model is fed for the picture times the mask in RGB.

    Args:
        evidence: On one picture x, (1, H, W, C).
        cover: x', (1, H, W, C).
        count: Of the masks.
        masks: Makes some of them, (m, H, W): 1 where the picture shows, 0 where it is covered.

    Returns:
        The scores, float64 (count,), on the host.
    """
    inputs, cover = evidence.inputs[:, None], cover[:, None]
    scores = [np.zeros(0)]
    for first in range(0, count, evidence.room):
        shown = masks(slice(first, min(first + evidence.room, count)))[None, ..., None]
        shown = ops.convert_to_tensor(shown, dtype=inputs.dtype)
        # Not x' + M (x - x'), which is not quite x where M is 1.
        asked = evidence.scores(shown * inputs + (1 - shown) * cover)
        scores.append(ops.convert_to_numpy(asked)[0])
    return np.concatenate(scores).astype(np.float64)


def _one_by_one(evidence: Evidence) -> Iterator[Evidence]:
    for number in range(evidence.inputs.shape[0]):
        part = slice(number, number + 1)
        yield replace(
            evidence,
            inputs=evidence.inputs[part],
            pixels=evidence.pixels[part],
            targets=evidence.targets[part],
            score=evidence.score[part],
            readings={},
        )
