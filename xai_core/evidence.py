"""What an explainer is given: its declared share of one pass, and nothing else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from typing import Any, Protocol

from keras import ops

from xai_core.errors import UndeclaredNeedError
from xai_core.needs import Needs
from xai_core.room import QUERY_BATCH
from xai_core.typing import FloatArray, Tensor


@dataclass(frozen=True)
class Attribution:
    """Maps, and what is to be known of them."""

    maps: Tensor
    """(N, h, w)."""
    facts: Mapping[str, Tensor] = field(default_factory=dict)
    """Numbers of each map, (N,), by what they are: `completeness gap`, `standard error`."""
    warnings: Mapping[str, tuple[str, Tensor]] = field(default_factory=dict)
    """By kind of warning, its message, and which of the maps it is about, bool (N,)."""


class Oracle(Protocol):
    """Answers what a perturbation or path method asks of the model."""

    def scores(self, images: Tensor, targets: Tensor) -> Tensor:
        """Scores (M,) of images (M, H, W, C) for targets (M,)."""

    def gradients(self, images: Tensor, targets: Tensor) -> Tensor:
        """Gradients (M, H, W, C) of those scores by the images."""

    def head_scores(self, activations: Tensor, targets: Tensor) -> Tensor:
        """Scores (M,) of activations (M, h, w, K) of the target layer for targets (M,)."""

    def bias_terms(self, images: Tensor, targets: Tensor) -> Mapping[str, Tensor]:
        """By layer, bias times gradient of those scores, (M, ..., K), at images (M, H, W, C)."""

    def pictures(self, sources: Sequence[Any]) -> Tensor:
        """What the model is fed for pictures: paths, PIL images or arrays; (M, H, W, C)."""

    def black(self) -> Tensor:
        """What the model is fed for a black picture, (1, H, W, C)."""


@dataclass(frozen=True)
class Evidence:
    """The evidence on N pictures, one target each.

    Floating tensors are float32, or float64 when the model is. What the explainer
    did not declare in its `needs` cannot be read.
    """

    explainer: str
    declared: Needs
    inputs: Tensor
    """What the model was fed, (N, H, W, C), after preprocessing."""
    pixels: FloatArray
    """The pictures at that size before preprocessing, RGB or grey 0..255, (N, H, W, C), on the
    host."""
    targets: Tensor
    """Class indices, int32 (N,)."""
    score: Tensor
    """The explained score S of each picture, (N,): a logit unless the study says otherwise."""
    readings: Mapping[Needs, Tensor]
    oracle: Oracle
    at_layers: tuple["Evidence", ...] = ()

    @property
    def activations(self) -> Tensor:
        """The target layer's output A, (N, h, w, K)."""
        return self._read(Needs.ACTIVATIONS)

    @property
    def activation_gradients(self) -> Tensor:
        """dS/dA, (N, h, w, K)."""
        return self._read(Needs.ACTIVATION_GRADIENTS)

    @property
    def input_gradients(self) -> Tensor:
        """dS/dx, (N, H, W, C)."""
        return self._read(Needs.INPUT_GRADIENTS)

    @property
    def stages(self) -> tuple["Evidence", ...]:
        """The evidence at each of several layers, shallow to deep.

        Those that were asked for, or else all that the model's family is explained at.
        """
        self._require(Needs.STAGES)
        return self.at_layers

    def reading(self, readings: Mapping[Needs, Tensor]) -> "Evidence":
        """The same evidence with other readings, for a method that another one works on."""
        declared = reduce(or_, readings, self.declared)
        return replace(self, declared=declared, readings={**self.readings, **readings})

    @property
    def black(self) -> Tensor:
        """What the model is fed for a black picture, (1, H, W, C)."""
        return self.oracle.black()

    def pictures(self, sources: Sequence[Any]) -> Tensor:
        """What the model is fed for other pictures.

        Args:
            sources: M paths, PIL images or arrays of RGB 0..255.

        Returns:
            (M, H, W, C), fitted and preprocessed as the inputs were.
        """
        return self.oracle.pictures(sources)

    @property
    def room(self) -> int:
        """How many variants of each input fit into one pass of queries: at least 1."""
        return max(1, QUERY_BATCH // int(self.targets.shape[0]))

    def scores(self, images: Tensor) -> Tensor:
        """Ask for the scores of other pictures.

        Args:
            images: (N, M, H, W, C): M variants of each of the N inputs.

        Returns:
            Scores (N, M), each for the target of its own input.
        """
        self._require(Needs.QUERIES)
        return self._ask(images, self.oracle.scores)

    def gradients(self, images: Tensor) -> Tensor:
        """Ask for dS/dx at other pictures: (N, M, H, W, C) in, the same shape out."""
        self._require(Needs.QUERIES)
        count, variants = images.shape[:2]
        return ops.reshape(
            self.oracle.gradients(*self._flat(images)), (count, variants, *images.shape[2:])
        )

    def head_scores(self, activations: Tensor) -> Tensor:
        """Ask for the scores of other activations of the target layer.

        Args:
            activations: (N, M, h, w, K): M variants of those of each of the N inputs.

        Returns:
            Scores (N, M); only the head is run.
        """
        self._require(Needs.HEAD_QUERIES)
        return self._ask(activations, self.oracle.head_scores)

    def bias_terms(self) -> Mapping[str, Tensor]:
        """What the bias of each layer adds to the score, to first order.

        Returns:
            By the layer's path, b dS/db at each place, (N, h, w, K), or (N, K) for a layer without
            places. What a normalisation subtracts and adds is a bias too. Where all else is
            linear or a ReLU, these and x dS/dx sum to the score.
        """
        self._require(Needs.BIAS_TERMS)
        return self.oracle.bias_terms(self.inputs, self.targets)

    def _read(self, need: Needs) -> Tensor:
        self._require(need)
        return self.readings[need]

    def _require(self, need: Needs) -> None:
        if need not in self.declared:
            raise UndeclaredNeedError(
                f"explainer {self.explainer!r} reads {need.name}, which its needs "
                f"({self.declared}) do not declare; add Needs.{need.name} to them"
            )

    def _ask(self, variants: Tensor, question: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        return ops.reshape(question(*self._flat(variants)), variants.shape[:2])

    def _flat(self, variants: Tensor) -> tuple[Tensor, Tensor]:
        """Variants (N * M, ...), and the target of each."""
        count, each = variants.shape[:2]
        flat = ops.reshape(variants, (count * each, *variants.shape[2:]))
        return flat, ops.repeat(self.targets, each)
