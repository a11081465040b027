"""What the probe asks of JAX."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import jax
import keras
import numpy as np

from xai_core.probe.gains import Gain
from xai_core.probe.jax_layers import fast_layers
from xai_core.probe.pullback import Pullback
from xai_core.probe.wide import float64_stays
from xai_core.typing import Tensor, Way

ONCE: Way = "compiled"
"""What is faster for a single pass: layer by layer, each operation is compiled by itself."""

_GAINS = frozenset({Gain.PRODUCTS, Gain.MINIMAL_FILTERING})
"""XLA goes back through convolutions as fast by itself. Of a large dense layer in pieces it copies
each, and takes twice as long."""


@contextmanager
def precise() -> Iterator[None]:
    """Float32 is float32, also where the device would rather multiply in less, and float64 is too.

    Without it, JAX makes float32 of float64 and says so in a warning; Keras does without one.
    """
    with (
        jax.enable_x64(True),
        jax.default_matmul_precision("highest"),
        float64_stays(),
        fast_layers(),
    ):
        yield


def eager(function: Callable[..., Any], variables: Sequence[Any] = ()) -> Callable[..., Any]:
    """A function of weights and tensors, run as Python."""
    return partial(function, ())


def compiled(function: Callable[..., Any], variables: Sequence[Any] = ()) -> Callable[..., Any]:
    """Compile a function of weights and tensors, once for each shape that it is called with.

    The variables' values are arguments of the program: it would go on with those that
    they had when it was compiled.
    """

    def pure(values: Sequence[Tensor], *arguments: Tensor) -> Any:
        return function(list(zip(variables, values, strict=True)), *arguments)

    program = jax.jit(pure)

    def run(*arguments: Tensor) -> Any:
        return program([each.value for each in variables], *arguments)

    return run


def gains_by(gain: Gain, images: Tensor) -> bool:
    """Whether a kind of stand-in for layers is faster where pictures are."""
    return gain in _GAINS and {each.platform for each in images.devices()} == {"cpu"}


def joined(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors, to be called within a program, whose operations become one."""
    return function


custom_gradient = keras.ops.custom_gradient
"""A function that returns its value and what carries gradients back, as one of the value alone."""


def pullback(function: Callable[[Any], Tensor], argument: Any) -> Pullback:
    """A function's value, and what carries gradients by the value back to the argument."""
    value, transposed = jax.vjp(function, argument)

    def back(gradient: Tensor) -> Any:
        (found,) = transposed(gradient)
        return found

    return Pullback(value, back, jax.vmap(back))


def lay_out(variables: Sequence[Any]) -> None:
    """Nothing to do: compiled programs lay kernels out by themselves."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device has no memory left."""
    return isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)


def devices() -> tuple[str, ...]:
    """The devices that models can run on, as Keras names them: `cpu:0`, `gpu:0`."""
    found = {each.platform: each for each in (*jax.devices("cpu"), *jax.devices())}
    counted = [(name, jax.device_count(name)) for name in found]
    return tuple(f"{name}:{number}" for name, count in counted for number in range(count))


def on(device: str) -> AbstractContextManager[Any]:
    """Where tensors and weights are made: a device as `devices` names it."""
    scope: AbstractContextManager[Any] = keras.device(device)
    return scope


def to_device(array: np.ndarray[Any, Any]) -> Tensor:
    """A copy of the array as a tensor."""
    return jax.numpy.array(array)


def keep(array: np.ndarray[Any, Any]) -> Tensor:
    """The array's values as a tensor for a variable to share."""
    return to_device(array)


def to_host(tensor: Tensor) -> np.ndarray[Any, Any]:
    """The tensor as a NumPy array, waiting for it if need be."""
    return np.asarray(tensor)
