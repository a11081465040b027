"""An explainer under watch: what it reads, what it asks about, and what it changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

import numpy as np

from xai_core.evidence import Attribution, Evidence, Oracle
from xai_core.interfaces import Explainer, Metric
from xai_core.laws import Law
from xai_core.needs import Needs
from xai_core.probe import backend
from xai_core.registry import Registry, Source
from xai_core.surgery.rewire import Rule
from xai_core.typing import FloatArray, Tensor


@dataclass(eq=False)
class Log:
    """What was seen of an explainer while it ran."""

    read: Needs = Needs.NOTHING
    changed: set[str] = field(default_factory=set)
    """The evidence that is not what it was."""
    scored: list[tuple[FloatArray, FloatArray]] = field(default_factory=list, repr=False)
    """Pictures (M, H, W, C) that it asked the scores (M,) of."""
    derived: list[FloatArray] = field(default_factory=list, repr=False)
    """Gradients (M, H, W, C) that it was given for its questions."""
    returned: list[Any] = field(default_factory=list, repr=False)
    """What it returned for maps, right or wrong, of each batch that it came to an end with."""


@dataclass(frozen=True)
class WatchedOracle:
    """Answers as another oracle does, and writes down what was asked."""

    oracle: Oracle
    log: Log

    def scores(self, images: Tensor, targets: Tensor) -> Tensor:
        """As the other, written down."""
        answers = self.oracle.scores(images, targets)
        self.log.scored.append((backend().to_host(images), backend().to_host(answers)))
        return answers

    def gradients(self, images: Tensor, targets: Tensor) -> Tensor:
        """As the other, written down."""
        answers = self.oracle.gradients(images, targets)
        self.log.derived.append(backend().to_host(answers))
        return answers

    def head_scores(self, activations: Tensor, targets: Tensor) -> Tensor:
        """As the other."""
        return self.oracle.head_scores(activations, targets)

    def bias_terms(self, images: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        """As the other."""
        return self.oracle.bias_terms(images, targets)

    def pictures(self, sources: Sequence[Any]) -> Tensor:
        """As the other."""
        return self.oracle.pictures(sources)

    def black(self) -> Tensor:
        """As the other."""
        return self.oracle.black()


@dataclass(frozen=True)
class WatchedEvidence(Evidence):
    """Evidence that writes down which needs are read."""

    log: Log = field(default_factory=Log)

    def _require(self, need: Needs) -> None:
        super()._require(need)
        self.log.read |= need


def watched(evidence: Evidence, log: Log) -> WatchedEvidence:
    """The same evidence, under watch, at each of its layers."""
    same = {each.name: getattr(evidence, each.name) for each in fields(Evidence)}
    return WatchedEvidence(
        **same
        | {
            "oracle": WatchedOracle(evidence.oracle, log),
            "at_layers": tuple(watched(stage, log) for stage in evidence.at_layers),
        },
        log=log,
    )


@dataclass(frozen=True)
class Watched(Explainer):
    """Another explainer, under watch."""

    of: Explainer
    log: Log

    def __post_init__(self) -> None:
        """Go by its name, and need what it needs."""
        object.__setattr__(self, "name", self.of.name)
        object.__setattr__(self, "needs", self.of.needs)

    @property
    def signed(self) -> bool:
        """As the other."""
        return self.of.signed

    @property
    def rule(self) -> Rule:
        """As the other."""
        return self.of.rule

    @property
    def laws(self) -> Law:
        """As the other."""
        return self.of.laws

    @property
    def queries(self) -> int | None:
        """As the other."""
        return self.of.queries

    def explain(self, evidence: Evidence) -> Tensor | Attribution:
        """Explain as the other, and see what it does to what it is given."""
        before = _arrays(evidence)
        # A copy of what lies on the host: the study goes on with its own.
        given = replace(evidence, pixels=evidence.pixels.copy())
        made = self.of.explain(watched(given, self.log))
        self.log.returned.append(made.maps if isinstance(made, Attribution) else made)
        self.log.changed |= {
            what
            for what, values in _arrays(given).items()
            if not np.array_equal(values, before[what], equal_nan=True)
        }
        return made


@dataclass(eq=False)
class Runs:
    """How often an explainer ran as Python, and what it raised."""

    count: int = 0
    raised: list[Exception] = field(default_factory=list)


@dataclass(frozen=True)
class Counted(Watched):
    """Another explainer, which may be compiled, and whose runs are counted."""

    traceable: ClassVar[bool] = True
    runs: Runs = field(default_factory=Runs)

    def explain(self, evidence: Evidence) -> Tensor | Attribution:
        """Explain as the other, and count."""
        self.runs.count += 1
        try:
            return self.of.explain(evidence)
        except Exception as error:
            self.runs.raised.append(error)
            raise


class Watching(Registry):
    """Says of a watched explainer where the one that it watches comes from."""

    def source_of(self, item: Explainer | Metric) -> Source:
        """Of the author's explainer, which errors are about."""
        return super().source_of(item.of if isinstance(item, Watched) else item)


def _arrays(evidence: Evidence) -> dict[str, FloatArray]:
    """What an explainer is given, by name, as copies on the host."""
    tensors = {"pixels": evidence.pixels, "inputs": evidence.inputs, "score": evidence.score}
    tensors |= {str(need.name).lower(): value for need, value in evidence.readings.items()}
    return {what: np.array(backend().to_host(tensor)) for what, tensor in tensors.items()}
