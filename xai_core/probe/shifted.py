"""A depthwise convolution as a sum of shifted pictures, each times its part of the kernel.

XLA has no fast one for CPUs: of one picture of Xception's it takes twenty times as long as this.
"""

from collections.abc import Sequence
from math import ceil

from keras import ops

from xai_core.typing import Tensor


def depthwise(
    inputs: Tensor,
    kernel: Tensor,
    strides: Sequence[int],
    padding: str,
    dilation: Sequence[int],
) -> Tensor:
    """What Keras' `depthwise_conv` makes of pictures with the channels last.

    Args:
        inputs: (N, H, W, C).
        kernel: (h, w, C, 1).
        strides: Along height and width.
        padding: `valid` or `same`.
        dilation: Along height and width.
    """
    reach = [(size - 1) * wide + 1 for size, wide in zip(kernel.shape[:2], dilation, strict=True)]
    sides = inputs.shape[1:3]
    if padding == "same":
        made = [ceil(side / step) for side, step in zip(sides, strides, strict=True)]
        missing = [
            max((count - 1) * step + over - side, 0)
            for count, step, over, side in zip(made, strides, reach, sides, strict=True)
        ]
        before_and_after = [(each // 2, each - each // 2) for each in missing]
        inputs = ops.pad(inputs, [(0, 0), *before_and_after, (0, 0)])
    else:
        made = [
            (side - over) // step + 1
            for side, over, step in zip(sides, reach, strides, strict=True)
        ]
    # The last place that a slice reads, and one more.
    ends = [(count - 1) * step + 1 for count, step in zip(made, strides, strict=True)]
    total = 0
    for row in range(kernel.shape[0]):
        for column in range(kernel.shape[1]):
            top, left = row * dilation[0], column * dilation[1]
            shifted = inputs[
                :, top : top + ends[0] : strides[0], left : left + ends[1] : strides[1]
            ]
            total = total + shifted * kernel[row, column, :, 0]
    return total
