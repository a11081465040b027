"""Answers to what perturbation and path methods ask, in batches of one compiled shape."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from keras import ops

from xai_core.errors import OutOfMemoryError
from xai_core.images import as_picture
from xai_core.needs import Needs
from xai_core.probe import AT_INPUT, Reading, backend
from xai_core.room import Room
from xai_core.surgery import Step
from xai_core.surgery.rewire import Rule
from xai_core.typing import Tensor

if TYPE_CHECKING:
    from xai_core.study import Study

_NOT_EVEN_ONE = (
    "the device ran out of memory with a single query; expected room for one pass over the model "
    "beside what is held already. Free the device, take fewer pictures to a batch, or take the "
    "device 'cpu'"
)


class Queries:
    """Answers one explainer's questions, and counts them.

    Args:
        study: Who is asked.
        layer: The target layer, where there is one.
        rule: How rectifiers carry the gradients back that are asked for.
        told: Called with the number of questions that were answered so far.
        room: How many go at a time.
    """

    def __init__(
        self,
        study: "Study",
        layer: Step | None,
        rule: Rule = Rule.PLAIN,
        told: Callable[[int], None] = lambda count: None,
        room: Room | None = None,
    ) -> None:
        self._study = study
        self._layer = layer
        self._rule = rule
        self._told = told
        self._room = room or Room()
        self.count = 0
        """Pictures, or activations, that were asked about."""

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
            rule=self._rule,
        )

    def head_scores(self, activations: Tensor, targets: Tensor) -> Tensor:
        """Scores (M,) of activations (M, h, w, K) of the target layer for targets (M,)."""
        return self._ask(
            activations,
            targets,
            Needs.NOTHING,
            lambda reading: reading.score[:, 0],
            head_of=self._layer,
        )

    def bias_terms(self, images: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        """By layer, bias times gradient of those scores, (M, ..., K), at images (M, H, W, C)."""
        answer = self._study.bias_terms(images, targets)
        self._add(images.shape[0])
        return answer

    def outputs(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and probabilities of all classes, (M, classes) each, of images (M, H, W, C)."""

        def both(reading: Reading) -> Tensor:
            scores = {"logit": reading.logits, "probability": reading.probabilities}
            return ops.stack([scores[self._study.score], reading.probabilities], axis=1)

        found = self._ask(images, targets, Needs.NOTHING, both)
        return found[:, 0], found[:, 1]

    def pictures(self, sources: Sequence[Any]) -> Tensor:
        """What the model is fed for pictures: paths, PIL images or arrays; (M, H, W, C)."""
        batch, _ = self._study.input.prepare([as_picture(each) for each in sources])
        return backend().to_device(batch)

    def black(self) -> Tensor:
        """What the model is fed for a black picture, (1, H, W, C)."""
        return self._study.black

    def _add(self, answered: int) -> None:
        self.count += answered
        self._told(self.count)

    def _ask(
        self,
        images: Tensor,
        targets: Tensor,
        needs: Needs,
        pick: Callable[[Reading], Tensor],
        head_of: Step | None = None,
        rule: Rule = Rule.PLAIN,
    ) -> Tensor:
        answers: list[Tensor] = []
        while (start := sum(each.shape[0] for each in answers)) < images.shape[0]:
            some = slice(start, start + self._room.queries)
            try:
                answer = pick(self._pass(images[some], targets[some], needs, head_of, rule))
                if not answers:
                    backend().to_host(answer)  # a device may run out of memory only while it works
            except Exception as error:
                if not backend().is_out_of_memory(error):
                    raise
                if self._room.queries == 1:
                    raise OutOfMemoryError(_NOT_EVEN_ONE) from error
                self._room.halve_queries()
                continue
            answers.append(answer[: len(targets[some])])
            self._add(len(targets[some]))
        return ops.concatenate(answers, axis=0)

    def _pass(
        self, images: Tensor, targets: Tensor, needs: Needs, head_of: Step | None, rule: Rule
    ) -> Reading:
        """One pass, of the shape that all of them have."""
        most = self._room.queries
        return self._study.read(
            images, targets[:, None], needs, (), rule=rule, start=head_of, filled=most
        )
