"""A patch of a picture that is not square, models that read it, and maps whose worth is known."""

import numpy as np

SIZE = (6, 10)
PATCH = (slice(1, 4), slice(2, 6))
WRONG = (slice(4, 6), slice(4, 10))
"""As large, 12 of the 60 pixels, and apart from it."""


def mask(patch=PATCH):
    """1 in the patch, 0 elsewhere."""
    found = np.zeros(SIZE)
    found[patch] = 1
    return found


def flat(value=204.0):
    """A picture of one grey, 0.8 of 255."""
    return np.full((*SIZE, 3), value, np.float32)


def bright(inside=240.0, outside=40.0):
    """A picture that is bright in the patch."""
    found = flat(outside)
    found[PATCH] = inside
    return found


def reads(patch=PATCH):
    """The mean of the patch over 255, of pictures (Q, H, W, C)."""
    return lambda pixels: pixels[(slice(None), *patch)].mean(axis=(1, 2, 3), dtype=float) / 255
