"""Expected Gradients."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from keras import ops

from xai_core import Attribution, Evidence, Explainer, Law, Needs
from xai_core.parameters import Seed, Within


@dataclass(frozen=True)
class ExpectedGradients(Explainer):
    """Expected Gradients: the mean of (x - x') dS/dx at x' + a (x - x'), over x' and a.

    Erion et al., "Improving performance of deep learning models with axiomatic attribution
    priors and expected gradients", Nature Machine Intelligence 3, 2021, eq. 3: Integrated
    Gradients with the baseline x' drawn at random instead of chosen, and a uniform in 0..1. x'
    is drawn from the pictures of `background`, in the paper those of the training set, or is
    a plain colour. Maps are float (N, H, W) at the input's resolution, signed, in units of the
    score: the sum over the channels. Their sum is S(x) less the mean of S(x') up to the error
    that is told: `standard error`, its root mean square over the places.
    """

    name: ClassVar[str] = "expected-gradients"
    family: ClassVar[str] = "gradient"
    needs: ClassVar[Needs] = Needs.QUERIES
    signed: ClassVar[bool] = True
    laws: ClassVar[Law] = Law.CONSTANT | Law.LINEAR | Law.STANDARD_ERROR | Law.SEEDED

    samples: Annotated[int, Within(2)] = 128
    """How many x' and a are drawn."""
    background: tuple[str, ...] = ()
    """Picture files to draw x' from; none: plain colours, all as likely."""
    seed: Seed = 0

    @property
    def queries(self) -> int:
        """One a sample."""
        return self.samples

    def explain(self, evidence: Evidence) -> Attribution:
        """Average over the draws, which are the same for every picture."""
        draw = np.random.default_rng(self.seed)
        inputs, room = evidence.inputs, evidence.room
        picks = draw.integers(0, len(self.background) or 1, self.samples)
        colours = draw.integers(0, 256, (self.samples, 1, 1, 3), np.uint8)
        along = draw.uniform(size=(1, self.samples, 1, 1, 1))
        drawn = []
        for first in range(0, self.samples, room):
            part = slice(first, first + room)
            sources = (
                [self.background[pick] for pick in picks[part]]
                if self.background
                else [np.broadcast_to(each, (*inputs.shape[1:3], 3)) for each in colours[part]]
            )
            start = evidence.pictures(sources)[None]
            way = inputs[:, None] - start
            points = start + ops.convert_to_tensor(along[:, part], inputs.dtype) * way
            drawn.append(ops.sum(way * evidence.gradients(points), axis=-1))
        every = ops.concatenate(drawn, axis=1)
        error = ops.var(every, axis=1) / (self.samples - 1)
        return Attribution(
            ops.mean(every, axis=1),
            facts={"standard error": ops.sqrt(ops.mean(error, axis=(1, 2)))},
        )
