"""Bilinear upsampling: by hand, and against an independent interpolation."""

import keras
import numpy as np
import pytest
from keras import ops

from xai_plugins.upsampling import upsample


def test_by_hand():
    maps = np.asarray([[0.0, 4.0]]).reshape(1, 1, 2, 1)
    # Centres at 1/4 and 3/4; of six places at 1/12, 3/12, 5/12, ...: level, then a third of 4.
    expected = [[0, 0, 4 / 3, 8 / 3, 4, 4]] * 2
    np.testing.assert_allclose(upsample(maps, (2, 6))[0, ..., 0], expected, atol=1e-15)


@pytest.mark.parametrize("size", [(12, 20), (13, 17), (4, 5)])
def test_each_axis_is_interpolated_between_the_centres(size):
    maps = np.random.default_rng(0).normal(size=(2, 4, 5, 3))
    found = ops.convert_to_numpy(upsample(ops.convert_to_tensor(maps), size))
    rows, columns = ((np.arange(n) + 0.5) * m / n - 0.5 for n, m in zip(size, (4, 5), strict=True))
    for n, k in np.ndindex(2, 3):
        half = np.stack([np.interp(rows, np.arange(4), maps[n, :, x, k]) for x in range(5)], axis=1)
        both = np.stack([np.interp(columns, np.arange(5), row) for row in half])
        np.testing.assert_allclose(found[n, ..., k], both, rtol=1e-12)


def test_the_dtype_is_kept():
    for dtype in ("float64", "float32"):
        found = upsample(ops.ones((1, 2, 2, 1), dtype), (4, 4))
        assert keras.backend.standardize_dtype(found.dtype) == dtype
