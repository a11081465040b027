"""LayerCAM, fused over several layers."""

from dataclasses import dataclass
from functools import reduce
from typing import Annotated, ClassVar

from keras import ops

from xai_core import Evidence, Explainer, Law, Needs
from xai_core.parameters import Spread, Within
from xai_core.typing import Tensor
from xai_plugins.cam.layer_cam import LayerCAM
from xai_plugins.upsampling import upsample


@dataclass(frozen=True)
class FusedLayerCAM(Explainer):
    """LayerCAM at several layers: at each place the largest of tanh(gamma M / max M).

    Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization",
    IEEE Transactions on Image Processing 30, 2021, eq. 9 and section III-C. The maps M of the
    `shallow` first layers are scaled so, the others to M / max M; all are brought to the
    finest layer's resolution. Maps are float (N, h, w), 0 to 1.
    """

    name: ClassVar[str] = "layercam-fused"
    family: ClassVar[str] = "cam"
    needs: ClassVar[Needs] = Needs.STAGES | Needs.ACTIVATIONS | Needs.ACTIVATION_GRADIENTS
    traceable: ClassVar[bool] = True
    laws: ClassVar[Law] = Law.CONSTANT | Law.SCALE_FREE

    gamma: Spread = 2.0
    """How much the faint parts of a shallow map are raised."""
    shallow: Annotated[int, Within(0)] = 3
    """How many layers are scaled so, the deepest never: in the paper three of the five stages."""

    def explain(self, evidence: Evidence) -> Tensor:
        """Take the largest of the maps at each place."""
        raised = min(self.shallow, len(evidence.stages) - 1)
        maps = [
            self._scaled(stage, is_raised=number < raised)
            for number, stage in enumerate(evidence.stages)
        ]
        size = max(tuple(each.shape[1:3]) for each in maps)
        return reduce(ops.maximum, (upsample(each[..., None], size)[..., 0] for each in maps))

    def _scaled(self, stage: Evidence, *, is_raised: bool) -> Tensor:
        raw = LayerCAM().explain(stage)
        peak = ops.max(raw, axis=(1, 2), keepdims=True)
        share = raw / ops.where(peak > 0, peak, 1)
        return ops.tanh(self.gamma * share) if is_raised else share
