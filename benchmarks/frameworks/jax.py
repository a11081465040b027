"""JAX. Its threads are those of the cores that the process may use."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import jax

from benchmarks.frameworks import halves
from benchmarks.settings import Conditions

NAME = "JAX"
CUDA = "jax[cuda12]"
DISTRIBUTIONS = ("jax", "jaxlib")

_TF32 = "tensorfloat32"


def hold(conditions: Conditions) -> None:
    """Without a word on it, JAX multiplies in TF32 where the GPU has it."""
    jax.config.update("jax_default_matmul_precision", _TF32 if conditions.tf32 else "highest")


def gpus() -> tuple[str, ...]:
    """By name."""
    return tuple(each.device_kind for each in jax.devices() if each.platform == "gpu")


def tf32() -> bool:
    """On by default."""
    return jax.config.jax_default_matmul_precision in (None, "default", _TF32)


def coarse() -> AbstractContextManager[Any]:
    """For what is compiled within: the innermost word on it counts."""
    scope: AbstractContextManager[Any] = jax.default_matmul_precision(_TF32)
    return scope


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """One program for each shape."""
    program: Callable[..., Any] = jax.jit(function)
    return program


def forward(model: Any) -> Callable[[Any], Any]:
    """One `jax.jit`, whose arguments the weights are: constants would be another program."""
    return _of_weights(model, lambda call, x: call(x))


def gradient(model: Any) -> Callable[[Any], Any]:
    """Likewise."""
    return _of_weights(model, lambda call, x: jax.grad(lambda x: call(x)[:, 0].sum())(x))


def _of_weights(model: Any, function: Callable[..., Any]) -> Callable[[Any], Any]:
    weights = [
        [each.value for each in some]
        for some in (model.trainable_variables, model.non_trainable_variables)
    ]

    def pure(weights: Any, x: Any) -> Any:
        return function(lambda x: model.stateless_call(*weights, x, training=False)[0], x)

    program = jax.jit(pure)
    return lambda x: program(weights, x)


def tutorial(model: Any, layer: str, images: Any) -> tuple[Any, Any]:
    """The model in two halves, since JAX differentiates functions of their arguments."""
    trunk, head = halves(model, layer)
    activations = trunk(images)

    def score(activations: Any) -> Any:
        predictions = head(activations)
        return predictions[:, predictions[0].argmax()].sum()

    return activations, jax.grad(score)(activations)


def wait(made: Any = None) -> None:
    """For an array of it; to look at all there are takes as long as a small model."""
    jax.block_until_ready(jax.live_arrays() if made is None else made)


def peak() -> float:
    """Since the process began."""
    return float(jax.devices()[0].memory_stats()["peak_bytes_in_use"] / 2**20)


def trace(folder: Path) -> AbstractContextManager[Any]:
    """For TensorBoard and Perfetto."""
    scope: AbstractContextManager[Any] = jax.profiler.trace(str(folder), create_perfetto_trace=True)
    return scope
