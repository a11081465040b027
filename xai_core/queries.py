"""Answers to what perturbation and path methods ask, in batches of one compiled shape."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keras import ops

from xai_core.evidence import QUERY_BATCH
from xai_core.needs import Needs
from xai_core.probe import AT_INPUT, Reading
from xai_core.surgery import Step
from xai_core.typing import Tensor

if TYPE_CHECKING:
    from xai_core.study import Study


@dataclass(frozen=True)
class Queries:
    """Answers an explainer's questions in batches of one compiled shape."""

    study: "Study"
    layer: Step | None
    """The target layer, where there is one."""

    def scores(self, images: Tensor, targets: Tensor) -> Tensor:
        """Scores (M,) of images (M, H, W, C) for targets (M,)."""
        return self._ask(images, targets, Needs.NOTHING, lambda reading: reading.score[:, 0])

    def gradients(self, images: Tensor, targets: Tensor) -> Tensor:
        """Gradients (M, H, W, C) of those scores by the images."""
        return self._ask(
            images,
            targets,
            Needs.INPUT_GRADIENTS,
            lambda reading: reading.per_target[0][Needs.INPUT_GRADIENTS, AT_INPUT],
        )

    def head_scores(self, activations: Tensor, targets: Tensor) -> Tensor:
        """Scores (M,) of activations (M, h, w, K) of the target layer for targets (M,)."""
        return self._ask(
            activations,
            targets,
            Needs.NOTHING,
            lambda reading: reading.score[:, 0],
            head_of=self.layer,
        )

    def black(self) -> Tensor:
        """What the model is fed for a black picture, (1, H, W, C)."""
        return self.study.black

    def _ask(
        self,
        images: Tensor,
        targets: Tensor,
        needs: Needs,
        pick: Callable[[Reading], Tensor],
        head_of: Step | None = None,
    ) -> Tensor:
        answers = []
        for start in range(0, images.shape[0], QUERY_BATCH):
            batch = images[start : start + QUERY_BATCH]
            wanted = targets[start : start + QUERY_BATCH]
            real = batch.shape[0]
            missing = QUERY_BATCH - real
            batch = ops.pad(batch, [(0, missing), (0, 0), (0, 0), (0, 0)])
            wanted = ops.pad(wanted, [(0, missing)])
            reading = self.study.read(batch, wanted[:, None], needs, (), start=head_of)
            answers.append(pick(reading)[:real])
        return ops.concatenate(answers, axis=0)
