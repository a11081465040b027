"""What a convolution or a pooling reads of pictures: a shifted picture for each of its taps."""

from collections.abc import Sequence
from math import ceil

from keras import ops

from xai_core.typing import Tensor


def made(
    sides: Sequence[int],
    size: Sequence[int],
    strides: Sequence[int],
    padding: str,
    dilation: Sequence[int] = (1, 1),
) -> list[int]:
    """How many places a window of a size is laid on, along height and width."""
    if padding == "same":
        return [ceil(side / step) for side, step in zip(sides, strides, strict=True)]
    return [
        (side - (taps - 1) * wide - 1) // step + 1
        for side, taps, step, wide in zip(sides, size, strides, dilation, strict=True)
    ]


def windows(
    inputs: Tensor,
    size: Sequence[int],
    strides: Sequence[int],
    padding: str,
    dilation: Sequence[int] = (1, 1),
    filled_with: float = 0.0,
) -> list[Tensor]:
    """For each tap, row by row, what it reads at all places: (N, h, w, C).

    Steps are a reshaping and a part of it: the way back through a slice with steps, which spreads
    what it gets among zeros, takes XLA up to four times as long.

    Args:
        inputs: (N, H, W, C).
        size: Of the window, along height and width.
        strides: Along height and width.
        padding: `valid` or `same`, of which the smaller half comes before.
        dilation: Along height and width.
        filled_with: The value of padding.
    """
    sides = inputs.shape[1:3]
    places = made(sides, size, strides, padding, dilation)
    blocks, before_and_after = [], []
    for side, taps, step, count, wide in zip(sides, size, strides, places, dilation, strict=True):
        reach = (taps - 1) * wide
        before = max((count - 1) * step + 1 + reach - side, 0) // 2 if padding == "same" else 0
        blocks.append(max(count + reach // step, ceil((before + side) / step)))
        before_and_after.append((before, blocks[-1] * step - before - side))
    inputs = ops.pad(inputs, [(0, 0), *before_and_after, (0, 0)], constant_values=filled_with)
    shape = (blocks[0], strides[0], blocks[1], strides[1], inputs.shape[-1])
    inputs = ops.reshape(inputs, (-1, *shape))
    parts = [ops.split(rows, strides[1], 4) for rows in ops.split(inputs, strides[0], 2)]
    found = []
    for row in range(0, size[0] * dilation[0], dilation[0]):
        for column in range(0, size[1] * dilation[1], dilation[1]):
            (top, down), (left, right) = divmod(row, strides[0]), divmod(column, strides[1])
            part = parts[down][right]
            found.append(part[:, top : top + places[0], 0, left : left + places[1], 0])
    return found
