"""What Keras does slowly or for ever on JAX, on a CPU, and what stands there while a study runs."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from math import inf, prod
from typing import Any

import jax
import keras
import numpy as np
from jax.custom_derivatives import SymbolicZero
from keras import ops
from keras.src.backend.jax import linalg, nn

from xai_core.probe.highest import chosen, first_of
from xai_core.probe.products import pointwise, unrolled
from xai_core.probe.replaced import Replaced
from xai_core.probe.shifted import depthwise
from xai_core.probe.windows import made, windows
from xai_core.typing import Tensor

Pair = tuple[int, int]

_LARGE = 2
"""A kernel is large with at most so many places to each of its channels, of all pictures."""
_TAPS = 25
"""Of the largest window that is unrolled in max pooling."""


def _depthwise_conv(
    inputs: Tensor,
    kernel: Tensor,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """Of Keras' arguments."""
    pictures, weights = ops.convert_to_tensor(inputs), ops.convert_to_tensor(kernel)
    if (
        not _is_plain(pictures, padding, data_format)
        or weights.dtype != pictures.dtype
        or weights.shape[-1] != 1
    ):
        return _keras_depthwise_conv(inputs, kernel, strides, padding, data_format, dilation_rate)
    return depthwise(pictures, weights, _pair(strides), padding, _pair(dilation_rate))


def _conv(
    inputs: Tensor,
    kernel: Tensor,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Tensor:
    """Of Keras' arguments."""
    pictures, weights = ops.convert_to_tensor(inputs), ops.convert_to_tensor(kernel)
    if (
        _is_plain(pictures, padding, data_format)
        and weights.dtype == pictures.dtype
        and weights.shape[-2] == pictures.shape[-1]
    ):
        steps, dilation = _pair(strides), _pair(dilation_rate)
        size = weights.shape[:2]
        if size == (1, 1):
            return pointwise(pictures, weights, steps)
        places = made(pictures.shape[1:3], size, steps, padding, dilation)
        if min(places) > 0 and len(pictures) * prod(places) <= _LARGE * weights.shape[-1]:
            return _with_large_kernel(pictures, weights, steps, padding, dilation)
    return _keras_conv(inputs, kernel, strides, padding, data_format, dilation_rate)


def _max_pool(
    inputs: Tensor,
    pool_size: Any,
    strides: Any = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Tensor:
    """Of Keras' arguments."""
    pictures = ops.convert_to_tensor(inputs)
    if (
        not _is_plain(pictures, padding, data_format)
        or strides is None
        or prod(_pair(pool_size)) > _TAPS
    ):
        return _keras_max_pool(inputs, pool_size, strides, padding, data_format)
    return _pooled(pictures, _pair(pool_size), _pair(strides), padding)


@partial(jax.custom_jvp, nondiff_argnums=(2, 3, 4))
def _with_large_kernel(
    inputs: Tensor, kernel: Tensor, strides: Pair, padding: str, dilation: Pair
) -> Tensor:
    return _keras_conv(inputs, kernel, strides, padding, "channels_last", dilation)


def _with_large_kernel_change(
    strides: Pair, padding: str, dilation: Pair, at: Any, change: Any
) -> tuple[Tensor, Tensor]:
    """JAX makes the way back of this, the change by the inputs, which it never computes."""
    inputs, kernel = at
    by_inputs, by_kernel = change
    changed = 0
    if not isinstance(by_inputs, SymbolicZero):
        changed = unrolled(by_inputs, kernel, strides, padding, dilation)
    if not isinstance(by_kernel, SymbolicZero):
        more = _keras_conv(inputs, by_kernel, strides, padding, "channels_last", dilation)
        changed = changed + more
    return _with_large_kernel(inputs, kernel, strides, padding, dilation), changed


_with_large_kernel.defjvp(_with_large_kernel_change, symbolic_zeros=True)


@partial(jax.custom_jvp, nondiff_argnums=(1, 2, 3))
def _pooled(inputs: Tensor, size: Pair, strides: Pair, padding: str) -> Tensor:
    return _keras_max_pool(inputs, size, strides, padding, "channels_last")


def _pooled_change(
    size: Pair, strides: Pair, padding: str, at: Any, change: Any
) -> tuple[Tensor, Tensor]:
    """Likewise: each place's change is that of the first of its highest."""
    ((inputs,), (by_inputs,)) = at, change
    highest = _pooled(inputs, size, strides, padding)
    number = first_of(windows(inputs, size, strides, padding, filled_with=-inf), highest)
    return highest, chosen(windows(by_inputs, size, strides, padding), number)


_pooled.defjvp(_pooled_change)


def _eigh(x: Tensor) -> Any:
    """Matrix by matrix.

    A batch of large ones waits in one of XLA's threads until the others have solved its parts.
    Where as many batches as there are threads are solved at once, all of them wait for ever.
    """
    if x.ndim == 2 or not _runs_on_a_cpu():
        return _keras_eigh(x)
    values, vectors = jax.lax.map(_keras_eigh, ops.reshape(x, (-1, *x.shape[-2:])))
    return ops.reshape(values, x.shape[:-1]), ops.reshape(vectors, x.shape)


def _is_plain(inputs: Tensor, padding: Any, data_format: str | None) -> bool:
    """Pictures on a CPU with the channels last. Half precision would add up in half precision."""
    return (
        (data_format or keras.config.image_data_format()) == "channels_last"
        and padding in ("valid", "same")
        and inputs.ndim == 4
        and inputs.dtype in (np.float32, np.float64)
        and all(type(side) is int for side in inputs.shape)
        and _runs_on_a_cpu()
    )


def _pair(given: Any) -> Pair:
    """One number for both sides, or one for each."""
    height, width = np.broadcast_to(given, 2).tolist()
    return height, width


def _runs_on_a_cpu() -> bool:
    chosen = jax.config.jax_default_device
    device = jax.devices(chosen)[0] if isinstance(chosen, str) else chosen or jax.devices()[0]
    return bool(device.platform == "cpu")


_keras_depthwise_conv = nn.depthwise_conv
_keras_conv = nn.conv
_keras_max_pool = nn.max_pool
_keras_eigh = linalg.eigh
REPLACED = (
    Replaced(vars(nn), "depthwise_conv", _depthwise_conv),
    Replaced(vars(nn), "conv", _conv),
    Replaced(vars(nn), "max_pool", _max_pool),
    Replaced(vars(linalg), "eigh", _eigh),
)
"""What another version of Keras does not have stays as it is there."""


@contextmanager
def fast_layers() -> Iterator[None]:
    """Until the last of those that want it is done."""
    with ExitStack() as replaced:
        for each in REPLACED:
            replaced.enter_context(each())
        yield
