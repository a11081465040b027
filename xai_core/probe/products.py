"""Convolutions as products of matrices.

On a CPU, XLA takes almost twice as long for a convolution of size 1 as for the product that it
is; and on the way back through a larger one it turns the kernel round first, which takes longer
than the rest where the kernel is larger than the picture.
"""

from collections.abc import Sequence

from keras import ops

from xai_core.probe.windows import windows
from xai_core.typing import Tensor


def pointwise(inputs: Tensor, kernel: Tensor, strides: Sequence[int]) -> Tensor:
    """A convolution with a kernel (1, 1, C, K), of pictures with the channels last."""
    return ops.tensordot(inputs[:, :: strides[0], :: strides[1]], kernel[0, 0], 1)


def unrolled(
    inputs: Tensor,
    kernel: Tensor,
    strides: Sequence[int],
    padding: str,
    dilation: Sequence[int],
) -> Tensor:
    """A convolution as one product with all that its taps read side by side.

    Its gradient is one product with the kernel as it lies, and a sum of shifted pictures.

    Args:
        inputs: (N, H, W, C).
        kernel: (h, w, C, K).
        strides: Along height and width.
        padding: `valid` or `same`.
        dilation: Along height and width.
    """
    read = ops.concatenate(windows(inputs, kernel.shape[:2], strides, padding, dilation), -1)
    return ops.tensordot(read, ops.reshape(kernel, (-1, kernel.shape[-1])), 1)
