"""TensorFlow."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import tensorflow as tf

from benchmarks.settings import Conditions

NAME = "TensorFlow"
CUDA = "tensorflow[and-cuda]"
DISTRIBUTIONS = ("tensorflow", "tf-keras-vis", "xplique", "tf-explain", "saliency")


def hold(conditions: Conditions) -> None:
    """Its threads; memory as it is needed, so that a peak is one; TF32 for the whole process."""
    tf.config.threading.set_intra_op_parallelism_threads(conditions.threads)
    tf.config.threading.set_inter_op_parallelism_threads(conditions.threads)
    for each in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(each, True)
    tf.config.experimental.enable_tensor_float_32_execution(conditions.tf32)


def gpus() -> tuple[str, ...]:
    """By name."""
    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    return tuple(each.get("device_name", "unknown") for each in details)


def tf32() -> bool:
    """On by default."""
    return bool(tf.config.experimental.tensor_float_32_execution_enabled())


def coarse() -> AbstractContextManager[Any]:
    """Nothing to do: it is set for the whole process, and a study leaves it as it is."""
    return nullcontext()


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """One program for each shape."""
    program: Callable[..., Any] = tf.function(function, autograph=False)
    return program


def forward(model: Any) -> Callable[[Any], Any]:
    """One `tf.function`."""
    return compiled(lambda x: model(x, training=False))


def gradient(model: Any) -> Callable[[Any], Any]:
    """By a tape, in one `tf.function`."""

    def by_input(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = model(x, training=False)[:, 0]
        return tape.gradient(score, x)

    return compiled(by_input)


def tutorial(model: Any, layer: str, images: Any) -> tuple[Any, Any]:
    """A model with two outputs, and a tape."""
    import keras

    both = keras.Model(model.inputs, [model.get_layer(layer).output, *model.outputs])
    with tf.GradientTape() as tape:
        activations, predictions = both(images)
        score = predictions[:, tf.argmax(predictions[0])]
    return activations, tape.gradient(score, activations)


def wait(made: Any = None) -> None:
    """For all that was begun."""
    tf.test.experimental.sync_devices()


def peak() -> float:
    """Since the process began."""
    return float(tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20)


@contextmanager
def trace(folder: Path) -> Iterator[None]:
    """For TensorBoard."""
    tf.profiler.experimental.start(str(folder))
    try:
        yield
    finally:
        tf.profiler.experimental.stop()
