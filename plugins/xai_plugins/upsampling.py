"""Maps of a layer at the resolution of the input."""

import numpy as np
from keras import ops

from xai_core.typing import FloatArray, Tensor


def upsample(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear between the centres of the places, level beyond the outermost.

    Two products of matrices, exact in the maps' own dtype on every backend: Keras' own
    resizing returns float32 on TensorFlow whatever it is given.

    Args:
        maps: (N, h, w, K).
        size: H and W.

    Returns:
        (N, H, W, K).
    """
    rows, columns = (
        ops.convert_to_tensor(_weights(*sides), maps.dtype)
        for sides in zip(maps.shape[1:3], size, strict=True)
    )
    return ops.einsum("yh,nhwk,xw->nyxk", rows, maps, columns)


def _weights(places: int, wanted: int) -> FloatArray:
    """How much each of the places counts at each wanted one, (wanted, places)."""
    at = np.clip((np.arange(wanted) + 0.5) * places / wanted - 0.5, 0, places - 1)
    weights: FloatArray = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(places)))
    return weights
