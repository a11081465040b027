"""What the probe asks of TensorFlow."""

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache, partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.eager import record

from xai_core.probe.gains import Gain
from xai_core.probe.pullback import Pullback
from xai_core.typing import Tensor, Way

ONCE: Way = "eager"
"""What is faster for a single pass: to compile takes longer than to run layer by layer."""

_GAINS = frozenset(
    {Gain.PRODUCTS, Gain.TURNED_KERNELS, Gain.SUMS_APART, Gain.PIECES, Gain.MINIMAL_FILTERING}
)


_ALIGNED = 64
"""Bytes: what vector units load at once."""


@contextmanager
def precise() -> Iterator[None]:
    """Nothing to do: whether float32 may be TF32 on a GPU is set for the whole process."""
    yield


def eager(function: Callable[..., Any], variables: Sequence[Any] = ()) -> Callable[..., Any]:
    """A function of weights and tensors, run as Python."""
    return partial(function, ())


def compiled(function: Callable[..., Any], variables: Sequence[Any] = ()) -> Callable[..., Any]:
    """Compile a function of weights and tensors, once for each shape that it is called with.

    The programs are kept here, not by TensorFlow, which looks them up more slowly and
    logs a warning when one function of ours is compiled for a few models in a row. They read
    the variables whenever they run, so that nothing need stand in their place.
    """
    return _once_a_shape(tf.function(partial(function, ()), autograph=False))


def gains_by(gain: Gain, images: Tensor) -> bool:
    """Whether a kind of stand-in for layers is faster where pictures are."""
    if gain not in _GAINS or "CPU" not in images.device:
        return False
    return gain is not Gain.MINIMAL_FILTERING or _has_xla()


@cache
def _has_xla() -> bool:
    """Whether this build of TensorFlow can join operations at all.

    To find out takes 40 MiB: it is for those who are about to join some.
    """
    try:
        joined(tf.negative)(tf.constant(1.0))
    except (tf.errors.OpError, ValueError):
        return False
    return True


def joined(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors, to be called within a program, whose operations become one.

    TensorFlow by itself runs each by itself, and writes to memory what it makes.
    """
    return _once_a_shape(tf.function(function, autograph=False, jit_compile=True))


def _once_a_shape(traced: Any) -> Callable[..., Any]:
    programs: dict[tuple[tuple[tuple[int, ...], str], ...], Callable[..., Any]] = {}
    lock = threading.Lock()

    def run(*arguments: Tensor) -> Any:
        tensors = [tf.convert_to_tensor(each) for each in arguments]
        key = tuple((tuple(each.shape), each.dtype.name) for each in tensors)
        if key not in programs:
            with lock:
                if key not in programs:
                    specs = [tf.TensorSpec(each.shape, each.dtype) for each in tensors]
                    programs[key] = traced.get_concrete_function(*specs)
        return programs[key](*tensors)

    return run


def traced(function: Callable[..., Tensor], shapes: Mapping[str, tuple[Sequence[int], Any]]) -> Any:
    """A function of tensors as TensorFlow's own program, for OpenVINO to read.

    Args:
        function: What to trace.
        shapes: The shape and the dtype of each of its arguments, by the name it is to have.
    """
    specs = [
        tf.TensorSpec(shape, tf.as_dtype(dtype), name) for name, (shape, dtype) in shapes.items()
    ]
    return tf.function(function, autograph=False).get_concrete_function(*specs)


def outside(
    function: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]], given: Tensor, size: int
) -> Tensor:
    """What a function of arrays makes of a tensor while a program runs: rows of `size` values.

    Whoever runs the program keeps the function: TensorFlow would never let go of it, and of all
    that it holds.
    """
    kept = weakref.proxy(function)

    def run(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        found: np.ndarray[Any, Any] = kept(rows)
        return found

    found = tf.numpy_function(run, [given], given.dtype, stateful=False)
    return tf.ensure_shape(found, (*given.shape[:-1], size))


def custom_gradient(
    function: Callable[[Tensor], tuple[Tensor, Callable[[Tensor], Tensor]]],
) -> Callable[[Tensor], Tensor]:
    """A function that returns its value and what carries gradients back, as one of the value alone.

    `tf.custom_gradient` enters the latter in a register of the process, by which a traced program
    stays for ever, and with it the weights that it reads. A tape alone need not know of more.
    """

    def run(argument: Tensor) -> Tensor:
        given = tf.convert_to_tensor(argument)
        with record.stop_recording():
            made, carried = function(given)
            value = tf.identity(made)
        record.record_operation("CustomGradient", [value], [given], lambda each: [carried(each)])
        return value

    return run


def pullback(function: Callable[[Tensor], Tensor], argument: Tensor) -> Pullback:
    """A function's value, and what carries gradients by the value back to the argument."""
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(argument)
        value = function(argument)

    def back(gradient: Tensor) -> Tensor:
        return tape.gradient(
            value,
            argument,
            output_gradients=gradient,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )

    def together(gradients: Tensor) -> Tensor:
        if not tf.executing_eagerly():
            # An operation that is not known how to run on several at once is an error here.
            with suppress(ValueError, NotImplementedError):
                return tf.vectorized_map(back, gradients, fallback_to_while_loop=False)
        return tf.stack([back(each) for each in tf.unstack(gradients)])

    return Pullback(value, back, together)


def lay_out(variables: Sequence[Any]) -> None:
    """Nothing to do: compiled programs lay kernels out by themselves."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device has no memory left."""
    return isinstance(error, tf.errors.ResourceExhaustedError)


def devices() -> tuple[str, ...]:
    """The devices that models can run on, as Keras names them: `cpu:0`, `gpu:0`."""
    found = tf.config.list_logical_devices()
    return tuple(each.name.removeprefix("/device:").lower() for each in found)


def on(device: str) -> AbstractContextManager[Any]:
    """Where tensors and weights are made: a device as `devices` names it."""
    scope: AbstractContextManager[Any] = keras.device(device)
    return scope


def to_device(array: np.ndarray[Any, Any]) -> Tensor:
    """A copy of the array as a tensor."""
    return tf.constant(array)


def keep(array: np.ndarray[Any, Any]) -> Tensor:
    """The array's values as a tensor for a variable to share.

    On a CPU it lies where NumPy put it, and not in the pool that TensorFlow has there for whatever
    operations make. Weights that come last break that into pieces: a pass of eight pictures over
    Xception takes 100 MiB more beside them.
    """
    if array.dtype.kind != "f" or tf.config.list_logical_devices("GPU"):
        return to_device(array)
    space = np.empty(array.nbytes + _ALIGNED, np.uint8)
    start = -space.ctypes.data % _ALIGNED
    kept = space[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    kept[...] = array
    return tf.experimental.dlpack.from_dlpack(kept.__dlpack__())


def to_host(tensor: Tensor) -> np.ndarray[Any, Any]:
    """The tensor as a NumPy array, waiting for it if need be."""
    return np.asarray(tensor)
