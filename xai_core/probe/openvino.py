"""The part of a pass that needs no gradient, run by OpenVINO on the CPU."""

import threading
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import keras
import numpy as np
from keras import ops

from xai_core.errors import UsageError
from xai_core.probe import backend
from xai_core.surgery import Graph, Step
from xai_core.typing import FloatArray, Tensor


def openvino() -> ModuleType:
    """The package.

    Raises:
        UsageError: it is not installed, or Keras runs on another backend than TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise UsageError(
            f"the engine 'openvino' reads programs of TensorFlow, and Keras runs on the backend "
            f"{keras.backend.backend()!r}; expected tensorflow: set KERAS_BACKEND (--backend) to "
            "it, or take another engine"
        )
    try:
        import openvino as package
    except ImportError as error:
        raise UsageError(
            "the engine 'openvino' needs the package openvino, which is not installed; expected "
            "it from: pip install 'xai-core[openvino]'"
        ) from error
    return package  # type: ignore[no-any-return]


class Inference:
    """A compiled forward pass from the pictures to one step of a graph.

    Args:
        graph: The model.
        end: The step whose output is wanted.
        weights: Variables and the values that are built in.
        precision: `f32` or `bf16`, in which the CPU computes.
    """

    def __init__(
        self,
        graph: Graph,
        end: Step,
        weights: Sequence[tuple[Any, FloatArray]],
        precision: str,
    ) -> None:
        self._package = openvino()
        self._graph = graph
        self.end = end
        self._weights = weights
        self._precision = precision
        self._programs: dict[tuple[int, ...], Any] = {}
        self._lock = threading.Lock()

    def __call__(self, images: Tensor) -> Tensor:
        """The output of the step, for images (N, H, W, C)."""
        fed = backend().to_host(images)
        with self._lock:
            if fed.shape not in self._programs:
                self._programs[fed.shape] = self._compile(fed.shape, fed.dtype)
            # A request holds the buffers of its answer: one at a time, and a copy.
            found = self._programs[fed.shape].infer([fed])
            return ops.convert_to_tensor(np.array(next(iter(found.values()))))

    def _compile(self, shape: tuple[int, ...], dtype: Any) -> Any:
        def forward(images: Tensor) -> Tensor:
            weights = [(each, ops.convert_to_tensor(values)) for each, values in self._weights]
            end = self.end.outputs[0]
            entered = self._graph.enter(images)
            return self._graph.run({self._graph.input: entered}, [end], weights)[end]

        program = backend().traced(forward, shape, dtype)
        model = self._package.convert_model(program)
        hints = {"INFERENCE_PRECISION_HINT": self._precision, "PERFORMANCE_HINT": "LATENCY"}
        return self._package.Core().compile_model(model, "CPU", hints).create_infer_request()
