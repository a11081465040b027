"""How a picture becomes a model's input: its size, its fit, its preprocessing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from xai_core.errors import SurgeryError, UsageError
from xai_core.images import Fit, Picture, Region, fit_picture
from xai_core.interfaces import ModelAdapter
from xai_core.masks import Mask, MaskLike, mask_seen
from xai_core.preprocessing import SCHEMES, Preprocessing, scheme
from xai_core.surgery import Graph
from xai_core.surgery.preparation import rescales_itself
from xai_core.typing import FloatArray

PreprocessLike: TypeAlias = str | Callable[[FloatArray], FloatArray] | Preprocessing | None
"""A scheme's name, a callable on float RGB 0..255 (N, h, w, c), or None: the family's."""

_FALLBACK_SIZE = (224, 224)
_GUESS = "a guess"


@dataclass(frozen=True)
class Input:
    """How a picture becomes the model's input."""

    size: tuple[int, int]
    channels: int
    dtype: str
    fit: Fit
    preprocessing: Preprocessing
    reason: str
    """Why this preprocessing: whose it is, or that it is a guess."""
    preprocessing_is_guessed: bool
    size_is_guessed: bool

    def black(self) -> FloatArray:
        """A black picture as the model is fed it, (1, h, w, c)."""
        return self.feed(np.zeros((1, *self.size, self.channels), self._wide))

    def prepare(self, pictures: Sequence[Picture]) -> tuple[FloatArray, list[Region]]:
        """Fit and preprocess pictures into one batch (N, h, w, c), float32 or wider.

        Raises:
            UsageError: the preprocessing does not keep the shape, or makes NaN.
        """
        pixels, regions = self.fitted(pictures)
        return self.feed(pixels), regions

    def fitted(self, pictures: Sequence[Picture]) -> tuple[FloatArray, list[Region]]:
        """Pictures at the input's size, 0..255 (N, h, w, c), and what is seen of each."""
        each = [fit_picture(picture, self.size, self.channels, self.fit) for picture in pictures]
        fitted = [pixels for pixels, _ in each]
        stacked = np.stack(fitted) if len(fitted) > 1 else fitted[0][None]
        return stacked.astype(self._wide, copy=False), [region for _, region in each]

    def fitted_mask(self, mask: MaskLike, picture: Picture) -> Mask:
        """The mask of a picture at the input's size (h, w), on the geometry of `fitted`.

        Raises:
            PictureError: it cannot be read, does not fit the picture, or nothing of it is seen.
        """
        return mask_seen(mask, picture, self.size, self.fit)

    def feed(self, pixels: FloatArray) -> FloatArray:
        """Preprocess pictures (N, h, w, c) of 0..255."""
        batch = np.asarray(self.preprocessing.apply(pixels))
        if self._is_ours:
            return batch.astype(self._wide, copy=False)  # ours keep shape and numbers
        if batch.shape != pixels.shape or not np.isfinite(batch).all():
            raise UsageError(
                f"preprocessing {self.preprocessing.name!r} made {batch.dtype} {batch.shape} of "
                f"{pixels.dtype} {pixels.shape}; expected the same shape and finite numbers"
            )
        return batch.astype(self._wide, copy=False)

    @cached_property
    def _is_ours(self) -> bool:
        return self.preprocessing in SCHEMES.values()

    @property
    def _wide(self) -> type[np.floating[Any]]:
        return np.float64 if self.dtype == "float64" else np.float32


def _input_shape(graph: Graph) -> tuple[int | None, int | None, int]:
    """Height, width and channels; height and width may be open."""
    shape = graph.shapes[graph.input]
    if len(shape) != 4 or shape[3] not in (1, 3):
        raise SurgeryError(
            f"the input of {graph.name!r} has shape {shape}; expected pictures, (batch, height, "
            "width, channels), with 1 or 3 channels, channels last"
        )
    for step in graph.steps:
        if getattr(step.operation, "data_format", None) == "channels_first":
            raise SurgeryError(
                f"layer {step.path!r} of {graph.name!r} has its channels first; expected channels "
                "last. Build the model with keras.config.set_image_data_format('channels_last')."
            )
    return shape[1], shape[2], shape[3]


def _input_size(
    graph: Graph,
    shape: tuple[int | None, int | None, int],
    asked: tuple[int, int] | None,
    adapter: ModelAdapter,
) -> tuple[tuple[int, int], bool]:
    """The size pictures are brought to, and whether it is a guess."""
    height, width, _ = shape
    if asked is not None:
        wanted = _checked_size(asked)
        if (height or wanted[0], width or wanted[1]) != wanted:
            takes = "x".join("any" if side is None else str(side) for side in (height, width))
            mend = "Give one that fits." if "any" in takes else "Leave the size out."
            raise UsageError(
                f"received size {wanted[0]}x{wanted[1]}; {graph.name!r} takes {takes} "
                f"(height x width) only. {mend}"
            )
        return wanted, False
    if height is not None and width is not None:
        return (height, width), False
    default = adapter.input_size or _FALLBACK_SIZE
    return (height or default[0], width or default[1]), adapter.input_size is None


def _checked_size(asked: object) -> tuple[int, int]:
    sides = asked if isinstance(asked, (tuple, list)) else (asked,)
    if len(sides) != 2 or not all(isinstance(side, (int, np.integer)) for side in sides):
        raise UsageError(f"received size {asked!r}; expected whole numbers (height, width)")
    if min(sides) < 1:
        raise UsageError(f"received size {sides[0]}x{sides[1]}; expected at least 1x1")
    return int(sides[0]), int(sides[1])


def choose_input(
    graph: Graph,
    adapter: ModelAdapter,
    *,
    size: tuple[int, int] | None,
    fit: Fit | None,
    preprocess: PreprocessLike,
) -> Input:
    """Decide how pictures become the model's input: as asked for, else as the family does.

    Raises:
        SurgeryError: the model's input is no picture.
        UsageError: what was asked for does not fit the model.
    """
    shape = _input_shape(graph)
    chosen, reason = _choose_preprocessing(graph, preprocess, adapter)
    whole, size_is_guessed = _input_size(graph, shape, size, adapter)
    channels = shape[2]
    if channels == 1 and chosen.name in ("caffe", "torch"):
        raise UsageError(
            f"preprocessing {chosen.name!r} is for 3 channels and {graph.name!r} takes 1; "
            "expected none, unit or tf, or a callable of your own"
        )
    return Input(
        size=whole,
        channels=channels,
        dtype=graph.input_dtype,
        fit=fit or adapter.fit,
        preprocessing=chosen if chosen in SCHEMES.values() else _on_a_copy(chosen),
        reason=reason,
        preprocessing_is_guessed=reason == _GUESS,
        size_is_guessed=size_is_guessed,
    )


def _on_a_copy(preprocessing: Preprocessing) -> Preprocessing:
    """Keras' own functions, for some, write into what they are given."""
    return replace(preprocessing, apply=lambda images: preprocessing.apply(images.copy()))


def _choose_preprocessing(
    graph: Graph,
    asked: PreprocessLike,
    adapter: ModelAdapter,
) -> tuple[Preprocessing, str]:
    if isinstance(asked, str):
        return scheme(asked), "as asked for"
    if isinstance(asked, Preprocessing):
        return asked, "as asked for"
    if asked is not None:
        if not callable(asked):
            raise UsageError(
                f"received preprocess {asked!r}; expected a scheme's name ({', '.join(SCHEMES)}) "
                "or a callable on float RGB 0..255 (N, h, w, c)"
            )
        name = getattr(asked, "__name__", type(asked).__name__)
        return Preprocessing(name, asked, "a callable of yours"), "as asked for"
    if rescales_itself(graph):
        return scheme("none"), "the model rescales its input itself"
    if adapter.preprocessing is not None:
        return adapter.preprocessing, f"that of the family {adapter.name}"
    return scheme("unit"), _GUESS
