"""What the probe asks of torch."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import keras
import ml_dtypes
import numpy as np
import torch
from keras.src.backend.torch import nn

from xai_core.probe.gains import Gain
from xai_core.probe.pullback import Pullback
from xai_core.probe.replaced import Replaced
from xai_core.probe.wide import float64_stays
from xai_core.typing import Tensor, Way

ONCE: Way = "eager"
"""What is faster for a single pass: nothing is compiled here."""

_AXES = {3: (0, 2, 1), 4: (0, 3, 1, 2), 5: (0, 4, 1, 2, 3)}


def _channels_first(inputs: Tensor) -> Tensor:
    return torch.permute(inputs, _AXES[inputs.ndim])


_no_copies = Replaced(vars(nn), "_transpose_spatial_inputs", _channels_first)
"""Keras copies what a convolution is given to have its channels first, and once more to have them
last again, as torch reads them fastest. A view does for both, and a sixth to a third of the time of
a forward pass is saved."""


@contextmanager
def precise() -> Iterator[None]:
    """Float32 is float32, also where the device would rather multiply in less, and float64 is too.

    Keras would make float32 of float64.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    try:
        with float64_stays(), _no_copies():
            yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def eager(function: Callable[..., Any], variables: Sequence[Any] = ()) -> Callable[..., Any]:
    """A function of weights and tensors, recorded for a way back only where it asks for one.

    The weights are taken out of the record, which would otherwise hold what their gradients
    need.
    """

    def run(*arguments: Tensor) -> Any:
        with torch.no_grad():
            weights = [(each, each.value.detach()) for each in variables]
            return function(weights, *map(_as_tensor, arguments))

    return run


compiled = eager
"""Not compiled: torch's own compiler took 67 s for ResNet50 and ran its forward pass no faster
(docs/benchmarks/on-torch.md)."""


def gains_by(gain: Gain, images: Tensor) -> bool:
    """Whether a kind of stand-in for layers is faster: none, where nothing is joined."""
    return False


def joined(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as it is."""
    return function


custom_gradient = keras.ops.custom_gradient
"""A function that returns its value and what carries gradients back, as one of the value alone."""


def pullback(function: Callable[[Any], Tensor], argument: Any) -> Pullback:
    """A function's value, and what carries gradients by the value back to the argument."""
    given = [each.detach().requires_grad_() for each in keras.tree.flatten(argument)]
    with torch.enable_grad():
        value = function(keras.tree.pack_sequence_as(argument, given))

    def back(gradient: Tensor) -> Any:
        found = (
            torch.autograd.grad(value, given, gradient, retain_graph=True, allow_unused=True)
            if value.requires_grad
            else [None] * len(given)
        )
        filled = [
            torch.zeros_like(each) if one is None else one
            for each, one in zip(given, found, strict=True)
        ]
        return keras.tree.pack_sequence_as(argument, filled)

    def together(gradients: Tensor) -> Any:
        return torch.stack([back(each) for each in gradients])

    return Pullback(value.detach(), back, together)


def lay_out(variables: Sequence[Any]) -> None:
    """Have kernels lie in memory as convolutions read them: their values and shapes stay.

    Otherwise each is copied whenever it is read.
    """
    for variable in variables:
        held = variable.value
        if held.ndim == len(_KERNEL):
            rows = held.data.permute(_KERNEL).contiguous(memory_format=torch.channels_last)
            held.data = rows.permute(_KERNEL_BACK)


_KERNEL, _KERNEL_BACK = (3, 2, 0, 1), (2, 3, 1, 0)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device has no memory left."""
    return isinstance(error, torch.OutOfMemoryError)


def devices() -> tuple[str, ...]:
    """The devices that models can run on, as Keras names them: `cpu:0`, `gpu:0`."""
    return ("cpu:0", *(f"gpu:{number}" for number in range(torch.cuda.device_count())))


def on(device: str) -> AbstractContextManager[Any]:
    """Where tensors and weights are made: a device as `devices` names it.

    A plain `cpu`: what is on `cpu:0` Keras takes to be elsewhere, and copies.
    """
    name = "cpu" if device.startswith("cpu") else device.replace("gpu", "cuda")
    scope: AbstractContextManager[Any] = keras.device(name)
    return scope


def to_device(array: np.ndarray[Any, Any]) -> Tensor:
    """A copy of the array as a tensor."""
    return keras.ops.convert_to_tensor(np.array(array))


def keep(array: np.ndarray[Any, Any]) -> Tensor:
    """The array's values as a tensor for a variable to share."""
    return to_device(array)


def to_host(tensor: Tensor) -> np.ndarray[Any, Any]:
    """The tensor as a NumPy array, waiting for it if need be."""
    if not isinstance(tensor, torch.Tensor):
        return np.asarray(tensor)
    held = tensor.detach().cpu()
    # Torch hands NumPy no bfloat16, only its bytes.
    is_bfloat16 = held.dtype == torch.bfloat16
    as_it_is: np.ndarray[Any, Any] = (held.view(torch.int16) if is_bfloat16 else held).numpy()
    return as_it_is.view(ml_dtypes.bfloat16) if is_bfloat16 else as_it_is


def _as_tensor(argument: Any) -> Tensor:
    return argument if isinstance(argument, torch.Tensor) else to_device(argument)
