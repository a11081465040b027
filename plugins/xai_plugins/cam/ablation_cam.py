"""Ablation-CAM."""

from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from xai_core import Attribution, Evidence, Explainer, Law, Needs
from xai_core.parameters import Count

_NEAR_ZERO = 1e-6


@dataclass(frozen=True)
class AblationCAM(Explainer):
    """Ablation-CAM: ReLU(sum_k w_k A_k), w_k = (S - S_k) / |S|, S_k with channel k zeroed.

    Desai and Ramaswamy, "Ablation-CAM: Visual Explanations for Deep Convolutional Network
    via Gradient-free Localization", WACV 2020, eq. 2-3. The paper divides by S, which turns
    all signs where S is negative; |S| does not. Only the head is run, once for each channel.
    Maps are float (N, h, w) at the target layer's resolution, 0 or above.
    """

    name: ClassVar[str] = "ablation-cam"
    family: ClassVar[str] = "cam"
    needs: ClassVar[Needs] = Needs.ACTIVATIONS | Needs.HEAD_QUERIES
    laws: ClassVar[Law] = Law.CONSTANT | Law.SHIFT | Law.SCALE_FREE | Law.GAP_DENSE_DROP

    chunk: Count = 64
    """Channels ablated in one go: a matter of memory, not of the result."""

    def explain(self, evidence: Evidence) -> Attribution:
        """Weigh each channel by how much the score drops without it."""
        activations, score = evidence.activations, evidence.score
        channels = activations.shape[-1]
        dropped = [
            evidence.head_scores(
                activations[:, None]
                * (1 - ops.eye(channels, dtype=activations.dtype)[first : first + self.chunk])[
                    None, :, None, None, :
                ]
            )
            for first in range(0, channels, self.chunk)
        ]
        size = ops.abs(score)
        safe = ops.where(size > _NEAR_ZERO, size, 1)[:, None]
        weights = (score[:, None] - ops.concatenate(dropped, axis=1)) / safe
        maps = ops.relu(ops.sum(weights[:, None, None, :] * activations, axis=-1))
        message = "the score is all but 0, so the drops are not divided by it"
        return Attribution(maps, warnings={"score-near-zero": (message, size <= _NEAR_ZERO)})
