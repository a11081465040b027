"""Score-CAM."""

from dataclasses import dataclass
from typing import ClassVar

from keras import ops

from xai_core import Evidence, Explainer, Law, Needs
from xai_core.typing import Tensor
from xai_plugins.upsampling import upsample


@dataclass(frozen=True)
class ScoreCAM(Explainer):
    """Score-CAM: ReLU(sum_k w_k A_k), w = softmax over k of S(x H_k) - S(black).

    Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural
    Networks", CVPR workshops 2020, eq. 4-7 and algorithm 1: H_k is A_k brought to the input's
    size and to 0..1, and x H_k the picture where H_k is 1, black where it is 0. The authors'
    code takes no baseline and the softmax over the classes instead. One question a channel.
    Maps are float (N, h, w) at the target layer's resolution, 0 or above, in units of the
    activations.
    """

    name: ClassVar[str] = "score-cam"
    family: ClassVar[str] = "cam"
    needs: ClassVar[Needs] = Needs.ACTIVATIONS | Needs.QUERIES
    laws: ClassVar[Law] = Law.NOTHING

    def explain(self, evidence: Evidence) -> Tensor:
        """Weigh each channel by how much of the score is left where it is active."""
        activations, inputs, black = evidence.activations, evidence.inputs, evidence.black
        # A channel that is active nowhere shows the black picture: no pass of its own for that.
        channels = ops.concatenate([activations, ops.zeros_like(activations[..., :1])], axis=-1)
        scores = []
        for first in range(0, channels.shape[-1], evidence.room):
            part = channels[..., first : first + evidence.room]
            masks = _to_one(upsample(part, inputs.shape[1:3]))
            shown = ops.transpose(masks, (0, 3, 1, 2))[..., None]
            scores.append(evidence.scores(black + shown * (inputs - black)[:, None]))
        asked = ops.concatenate(scores, axis=1)
        gained = asked[:, :-1] - asked[:, -1:]
        weights = ops.softmax(gained, axis=1)
        return ops.relu(ops.sum(weights[:, None, None, :] * activations, axis=-1))


def _to_one(channels: Tensor) -> Tensor:
    """Each channel (N, H, W, K) from 0 at its lowest to 1 at its highest; 0 where it is level."""
    low = ops.min(channels, axis=(1, 2), keepdims=True)
    reach = ops.max(channels, axis=(1, 2), keepdims=True) - low
    return ops.where(reach > 0, (channels - low) / ops.where(reach > 0, reach, 1), 0)
