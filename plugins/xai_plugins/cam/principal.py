"""The first principal component of feature maps, with a sign."""

from keras import ops

from xai_core import Attribution
from xai_core.typing import Tensor

_AMBIGUOUS = 0.1
"""Below this correlation with the mean, either sign is as good."""


def principal_map(features: Tensor, reference: Tensor) -> Attribution:
    """Project features (N, h, w, K) on the first right singular vector of each (h w, K) matrix.

    The sign is that which correlates with the channel mean of `reference`.
    """
    count, height, width, channels = features.shape
    # Singular vectors are the eigenvectors of the Gram matrix, of which the smaller will do.
    # Squaring halves the digits, so it is done in float64.
    matrix = ops.cast(ops.reshape(features, (count, height * width, channels)), "float64")
    transposed = ops.transpose(matrix, (0, 2, 1))
    if height * width <= channels:
        values, vectors = ops.linalg.eigh(ops.matmul(matrix, transposed))
        size = ops.sqrt(ops.maximum(values[:, -1], 0))
        flat = size[:, None] * vectors[:, :, -1]
    else:
        _, vectors = ops.linalg.eigh(ops.matmul(transposed, matrix))
        flat = ops.matmul(matrix, vectors[:, :, -1:])[:, :, 0]
    mean = ops.cast(ops.mean(reference, axis=-1), "float64")
    correlation = _correlation(flat, ops.reshape(mean, (count, height * width)))
    flat = flat * (1 - 2 * ops.cast(correlation < 0, flat.dtype))[:, None]
    maps = ops.cast(ops.reshape(flat, (count, height, width)), features.dtype)
    return Attribution(
        maps,
        facts={"correlation with the mean": ops.abs(correlation)},
        warnings={
            "sign-ambiguous": (
                "the map hardly correlates with the mean activation, by which its sign is chosen: "
                "its two sides may be exchanged",
                ops.abs(correlation) < _AMBIGUOUS,
            )
        },
    )


def _correlation(one: Tensor, other: Tensor) -> Tensor:
    """Pearson's, of each row; 0 where a row is constant."""
    one = one - ops.mean(one, axis=1, keepdims=True)
    other = other - ops.mean(other, axis=1, keepdims=True)
    scale = ops.sqrt(ops.sum(one * one, axis=1) * ops.sum(other * other, axis=1))
    dot = ops.sum(one * other, axis=1)
    defined = scale > 0
    return ops.where(defined, dot / ops.where(defined, scale, ops.ones_like(scale)), 0 * dot)
