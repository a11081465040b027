"""torch, layer by layer.

Not by `torch.compile`: it breaks a Keras model apart at each layer and compiles some of the pieces,
which takes a minute for ResNet50 and makes it no faster.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.frameworks import halves
from benchmarks.settings import Conditions

NAME = "torch"
CUDA = "a build of torch for CUDA"
DISTRIBUTIONS = ("torch", "captum", "grad-cam")


def hold(conditions: Conditions) -> None:
    """Its threads, and TF32, which cuDNN uses without a word on it."""
    torch.set_num_threads(conditions.threads)
    _set_tf32(conditions.tf32, conditions.tf32)


def _set_tf32(matmul: bool, cudnn: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32 = matmul
    torch.backends.cudnn.allow_tf32 = cudnn


def _get_tf32() -> tuple[bool, bool]:
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


def gpus() -> tuple[str, ...]:
    """By name."""
    return tuple(map(torch.cuda.get_device_name, range(torch.cuda.device_count())))


def tf32() -> bool:
    """Anywhere."""
    return any(_get_tf32())


@contextmanager
def coarse() -> Iterator[None]:
    """For what runs within."""
    before = _get_tf32()
    _set_tf32(True, True)
    try:
        yield
    finally:
        _set_tf32(*before)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """As it is, without a record for gradients."""
    program: Callable[..., Any] = torch.inference_mode()(function)
    return program


def forward(model: Any) -> Callable[[Any], Any]:
    """Layer by layer."""
    return compiled(lambda x: model(x, training=False))


def gradient(model: Any) -> Callable[[Any], Any]:
    """By the input alone: the weights' are not made."""

    def by_input(x: Any) -> Any:
        given = x.detach().requires_grad_()
        (found,) = torch.autograd.grad(model(given, training=False)[:, 0].sum(), given)
        return found

    return by_input


def tutorial(model: Any, layer: str, images: Any) -> tuple[Any, Any]:
    """The model in two halves; what is between them is kept."""
    trunk, head = halves(model, layer)
    activations = trunk(images)
    activations.retain_grad()
    predictions = head(activations)
    predictions[0].max().backward()
    return activations.detach(), activations.grad


def wait(made: Any = None) -> None:
    """For all that was begun."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak() -> float:
    """Since the process began."""
    return float(torch.cuda.max_memory_allocated() / 2**20)


@contextmanager
def trace(folder: Path) -> Iterator[None]:
    """For Perfetto and chrome://tracing."""
    with torch.profiler.profile() as profile:
        yield
        wait()
    profile.export_chrome_trace(str(folder / "trace.json"))
