"""Whether a map changes with the class that is asked for."""

from dataclasses import dataclass
from typing import ClassVar

from xai_core import Metric, Score, Trial
from xai_core.errors import MetricError
from xai_plugins.metrics.similarity import SIMILARITIES, Similarity, held_to_vary


@dataclass(frozen=True)
class RandomLogit(Metric):
    """Random logit: how alike the maps for this class and for another are.

    Sixt, Granz and Landgraf, "When Explanations Lie: Why Many Modified BP Attributions Fail", ICML
    2020, section 4. The method explains the same picture once more, for a class drawn at random
    from all others, which is the same for every method and metric. The value is the magnitude
    of how alike both maps are, by the measure that `similarity` names (see cascading-randomisation,
    also for how maps are scaled): a map turned round says as little of the class as one that stays.
    A map that is about the class changes: lower is better, 0 to 1. The facts hold all four
    measures with their signs, and the other class.

    Traps. Classes that look alike share their evidence (Gur, Ali and Wolf, "Visualization of
    Supervised and Self-Supervised Neural Networks via Attribution Guided Factorization", AAAI
    2021): for two breeds of cat a good map stays, and with few classes that is a matter of luck.
    A class that the picture says nothing about has a map of whatever there is. Of two classes
    behind one unit, one map is the other with its sign changed: 1, whatever the method. Where
    probabilities are explained, not logits, every class answers to the strongest. What ends with a
    ReLU has many ties. Noise passes perfectly, as the row `random`: passing is no faithfulness;
    the rows that know no class keep similarity 1.
    """

    name: ClassVar[str] = "random-logit"
    family: ClassVar[str] = "randomisation"
    summary: ClassVar[str] = "how alike the map is to that of another class, drawn at random"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    similarity: Similarity = "spearman"
    """By what maps are compared."""

    @property
    def maps(self) -> int:
        """That of the other class."""
        return 1

    def score(self, trial: Trial) -> Score:
        """Compare the map with that of another class."""
        if trial.classes < 2:
            raise MetricError(f"{self.name}: the model has one class; expected two or more")
        held_to_vary(trial.attribution, "the map")
        drawn = int(trial.generator().integers(trial.classes - 1))
        other = drawn + (drawn >= trial.target)
        (made,) = trial.maps(trial.pixels[None], other)
        held_to_vary(made, f"the map for class {other}")
        found = {kind: measure(trial.attribution, made) for kind, measure in SIMILARITIES.items()}
        value = found[self.similarity]
        if value is None:
            raise MetricError(
                f"{self.name}: {self.similarity} is not defined for the map and that for class "
                f"{other}; choose another similarity"
            )
        told: dict[str, float] = {kind: each for kind, each in found.items() if each is not None}
        return Score(abs(value), {"the other class": float(other), **told})
