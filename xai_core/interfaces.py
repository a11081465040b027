"""The three interfaces that plugins implement."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from xai_core.laws import Law
from xai_core.needs import Needs
from xai_core.parameters import check_parameters
from xai_core.surgery.rewire import Rule
from xai_core.typing import Tensor

if TYPE_CHECKING:
    import keras

    from xai_core.evidence import Attribution, Evidence
    from xai_core.images import Fit
    from xai_core.metrics import Score, Trial
    from xai_core.preprocessing import Preprocessing
    from xai_core.surgery import FeatureLayer, Graph


class Explainer(ABC):
    """A method that turns evidence into attribution maps.

    Subclass it as a frozen dataclass whose fields, all with defaults, are the
    method's parameters. `docs` of a method name its paper and equation.
    """

    name: ClassVar[str]
    """What users type: lower case, digits, `-` and `+`."""
    family: ClassVar[str] = "other"
    """What it is listed under: `cam`, `gradient`, `perturbation`, or your own word."""
    needs: ClassVar[Needs]
    """All that `explain` reads; a read beyond it raises `UndeclaredNeedError`."""

    # What may depend on the parameters is a property here; most methods set a `ClassVar`.

    @property
    def signed(self) -> bool:
        """Whether negative values have a meaning of their own; drawn on a scale centred at 0."""
        return False

    @property
    def poles(self) -> tuple[str, str]:
        """What values above and below 0 say, where it is signed: written beside the colours."""
        return ("for", "against")

    @property
    def rule(self) -> Rule:
        """How rectifiers carry the gradients by the input back that the method reads or asks for.

        By another rule than the plain one, they are read from a rewired copy of the graph on the
        same weights. Gradients by the activations are always plain.
        """
        return Rule.PLAIN

    @property
    def laws(self) -> Law:
        """What the conformance kit (`xai_core.testing`) shall hold the maps to.

        What holds for every method is held to in any case.
        """
        return Law.CONSTANT

    @property
    def queries(self) -> int | None:
        """How many pictures, or activations, it asks about for each map: what it costs.

        None where that depends on the model or the picture.
        """
        return None if self.needs & Needs.ASKS else 0

    @property
    def traceable(self) -> bool:
        """Whether `explain` uses `keras.ops` on tensors of the evidence and nothing else.

        It is then compiled together with others, and runs as Python only once: no `if` on a
        value, no NumPy, no random generator, nothing from outside that changes, and neither
        `pixels` nor `black`. What asks questions is never traced.
        """
        return False

    def __post_init__(self) -> None:
        """Hold the parameters to their types and bounds."""
        check_parameters(self)

    @abstractmethod
    def explain(self, evidence: "Evidence") -> "Tensor | Attribution":
        """Compute the maps of a batch.

        Args:
            evidence: What `needs` declares, for N pictures and one target each.

        Returns:
            Maps of shape (N, h, w), a floating dtype, any resolution, unnormalised;
            a tensor of the Keras backend or a NumPy array. The map of a picture must
            not depend on the others in the batch. An `Attribution` adds what is to be
            known of each map, such as an estimate of its error.
        """


class ModelAdapter(ABC):
    """What the core must know of a family of models.

    A family is asked by name (`xai explain --model vgg16`) or recognised in a
    model that the user brings, nested backbones included.
    """

    name: str
    """What users type: lower case, digits and `-`."""
    summary: str
    """One line for `xai list adapters`."""
    rank: int = 0
    """Adapters are asked whether they match from the highest rank down. A fall-back, which
    describes models and builds none, has a rank below 0."""
    input_size: tuple[int, int] | None
    """Height and width the family was trained at; None where there is no such thing."""
    preprocessing: "Preprocessing | None"
    """What turns RGB 0..255 into the family's input; None where that is not known."""
    fit: "Fit"
    """How a picture of another shape is brought to the input size."""

    @abstractmethod
    def build(self, weights: str) -> "keras.Model":
        """Make the family's own model.

        Args:
            weights: `imagenet`, `random`, or the path of a weights file.

        Raises:
            ModelError: the weights cannot be had; says what to download or pass.
        """

    @abstractmethod
    def matches(self, graph: "Graph") -> bool:
        """Whether the model, or a backbone inside it, is of this family, by its structure."""

    @abstractmethod
    def feature_layers(self, graph: "Graph") -> "Sequence[FeatureLayer]":
        """Layers to explain at, shallow to deep, as paths of `graph`; the last is the default.

        Called on graphs that match. The stride of each is the family's own statement,
        which the conformance tests hold against the shapes.
        """

    @abstractmethod
    def labels(self, classes: int) -> Sequence[str] | None:
        """The names of the classes, when a model with that many outputs has the family's own."""


class Metric(ABC):
    """A number that says how good a map is.

    Subclass it as a frozen dataclass whose fields, all with defaults, are the
    metric's parameters. Its docstring names the paper, the equation and the traps:
    what the number does not show.
    """

    name: ClassVar[str]
    """What users type: lower case, digits, `-` and `+`."""
    family: ClassVar[str] = "other"
    """What it is listed under, and held to by the conformance kit: `faithfulness`,
    `localisation`, `robustness`, `randomisation`, `complexity`, `numerical`, `axiom`, or
    your own word."""
    summary: ClassVar[str]
    """One line for `xai list metrics`."""
    higher_is_better: ClassVar[bool]
    """Which way is better: no metric is turned round to make all of them point one way."""
    bounds: ClassVar[tuple[float, float]]
    """The lowest and the highest value there can be, `-math.inf` and `math.inf` included."""

    @property
    def queries(self) -> int | None:
        """The most pictures that it asks about for each map: what it costs.

        None where that depends on the picture.
        """
        return None

    @property
    def maps(self) -> int | None:
        """The most maps of the same method that it asks for beside the one it scores.

        None where that depends on the model or the picture.
        """
        return 0

    @property
    def presumes(self) -> Law:
        """What a method must promise for the metric to say something of its maps.

        It is asked of methods whose `laws` hold all of that, and of the maps that know nothing.
        """
        return Law.NOTHING

    def __post_init__(self) -> None:
        """Hold the parameters to their types and bounds."""
        check_parameters(self)

    @abstractmethod
    def score(self, trial: "Trial") -> "Score":
        """Score one map of one picture for one class.

        Args:
            trial: The picture, the map and who answers questions. What it holds is
                read-only, and what is drawn at random is drawn from `trial.generator()`.

        Returns:
            The value, within `bounds`; facts and a curve, where there are any.
        """
