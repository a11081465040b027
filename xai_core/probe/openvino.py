"""The part of a pass that needs no gradient, run by OpenVINO on the CPU."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from types import ModuleType
from typing import Any

import keras
import numpy as np
from keras import ops

from xai_core.errors import UsageError
from xai_core.probe import backend, values_of
from xai_core.probe.winograd import FOUR, TWO, Filtering
from xai_core.surgery import Graph, Step, variables_of
from xai_core.typing import FloatArray, Tensor

_SIDE = 64
_BY_VECTORS = "avx512_bf16"


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


def capabilities() -> Sequence[str]:
    """What OpenVINO says it can do on this CPU: `FP32`, and `BF16` where it has bfloat16."""
    return tuple(openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def check(precision: str) -> None:
    """That OpenVINO can be had, and computes in `f32` or `bf16` on this CPU.

    Raises:
        UsageError: it cannot, or not in bfloat16.
    """
    openvino()
    if precision != "bf16":
        return
    can = capabilities()
    if "BF16" not in can:  # OpenVINO takes bfloat16 for a hint, and would compute in float32
        raise UsageError(
            "received the engine 'openvino-bf16' on a CPU where OpenVINO does not compute in "
            f"bfloat16: it names {', '.join(can)}; expected BF16 among them. Take the engine "
            "'openvino', which computes in float32"
        )


def worth_filtering(precision: str) -> Sequence[Filtering]:
    """The minimal filtering that is faster: where products take their time, beside sums of tiles.

    In bfloat16 that is where vectors are multiplied, as by AVX-512. Units for matrices, as AMX
    has, are many times as fast, and not worth sparing. OpenVINO tells by the name of what it
    would multiply by. Larger tiles would lose digits there, which bfloat16 has too few of.
    """
    if precision == "f32":
        return FOUR, TWO
    return (TWO,) if by_vectors(precision) else ()


@cache
def by_vectors(precision: str) -> bool:
    """Whether bfloat16 is multiplied by vectors, not by units for matrices."""
    return any(_BY_VECTORS in name for name in multiplied_by(precision))


def multiplied_by(precision: str) -> Sequence[str]:
    """What OpenVINO calls the steps of a program that multiplies two matrices."""
    opset = openvino().opset13
    given = opset.parameter([_SIDE, _SIDE], np.float32)
    product = opset.matmul(given, opset.constant(np.ones((_SIDE, _SIDE), np.float32)), False, True)
    program = compiled(openvino().Model([opset.result(product)], [given]), precision)
    steps = program.get_runtime_model().get_ops()
    return [step.get_rt_info()["primitiveType"].astype(str) for step in steps]


def compiled(model: Any, precision: str, hint: str = "LATENCY") -> Any:
    """A program of OpenVINO's for the CPU.

    Args:
        model: What it is to compute.
        precision: `f32` or `bf16`, in which it does.
        hint: `LATENCY`, or `THROUGHPUT` for several questions at once.
    """
    hints = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": hint}
    return openvino().Core().compile_model(model, "CPU", hints)


class Inference:
    """A compiled forward pass from the pictures to one step of a graph.

    Several pictures are run side by side, each by itself, as many as OpenVINO has streams: none
    waits for the others after every operation, and each finds what it made in its core's cache.
    Those that are left over are one batch, on all cores.

    The weights are built in as they are then: it is for models that no one changes.

    Args:
        graph: The model.
        end: The step whose output is wanted.
        precision: `f32` or `bf16`, in which the CPU computes.
    """

    def __init__(self, graph: Graph, end: Step, precision: str) -> None:
        self._package = openvino()
        self._graph = replace(graph, steps=graph.between(graph.input, end.outputs[0]))
        self.end = end
        self._weights = values_of(variables_of(self._graph))
        self._precision = precision
        self._streams: dict[tuple[int, ...], Any] = {}
        """By the shape of a picture."""
        self._requests: dict[tuple[int, ...], Any] = {}
        """By the shape of a batch."""
        self._lock = threading.Lock()

    def __call__(self, images: Tensor) -> Tensor:
        """The output of the step, for images (N, H, W, C)."""
        fed = backend().to_host(images)
        with self._lock:
            if len(fed) == 1:
                return ops.convert_to_tensor(self._together(fed))
            streams = self._streams_for(fed)
            left = len(fed) % len(streams)
            found = _side_by_side(streams, fed[: len(fed) - left])
            if left:
                found.append(self._together(fed[-left:]))
            return ops.convert_to_tensor(np.concatenate(found))

    def _together(self, fed: FloatArray) -> FloatArray:
        """A batch as one; a copy, since a request holds the buffers of its answer."""
        if fed.shape not in self._requests:
            program = self._compile(fed.shape, fed.dtype, "LATENCY")
            self._requests[fed.shape] = program.create_infer_request()
        return np.array(next(iter(self._requests[fed.shape].infer([fed]).values())))

    def _streams_for(self, fed: FloatArray) -> Any:
        shape = (1, *fed.shape[1:])
        if shape not in self._streams:
            program = self._compile(shape, fed.dtype, "THROUGHPUT")
            self._streams[shape] = self._package.AsyncInferQueue(program)
        return self._streams[shape]

    def _compile(self, shape: tuple[int, ...], dtype: Any, hint: str) -> Any:
        def forward(images: Tensor, *weights: Tensor) -> Tensor:
            constants = [
                (each, value) for (each, _), value in zip(self._weights, weights, strict=True)
            ]
            end = self.end.outputs[0]
            entered = self._graph.enter(images)
            return self._graph.run({self._graph.input: entered}, [end], constants)[end]

        built_in = {f"weights_{at}": values for at, (_, values) in enumerate(self._weights)}
        shapes = {name: (values.shape, values.dtype) for name, values in built_in.items()}
        program = backend().traced(forward, {"images": (shape, dtype), **shapes})
        model = self._package.convert_model(program)
        _build_in(model, built_in)
        return compiled(model, self._precision, hint)


def _build_in(model: Any, values: Mapping[str, FloatArray]) -> None:
    """Put values in the place of parameters, by their names.

    Only now: in TensorFlow's program each would be copied, and once more when that is read.
    """
    opset = openvino().opset13
    for each in model.get_parameters():
        if each.get_friendly_name() in values:
            kept = opset.constant(values[each.get_friendly_name()], shared_memory=True)
            each.output(0).replace(kept.output(0))
            model.remove_parameter(each)


def _side_by_side(streams: Any, fed: FloatArray) -> list[FloatArray]:
    """The answers of an `AsyncInferQueue` about each picture."""
    found: dict[int, FloatArray] = {}

    def keep(request: Any, at: int) -> None:
        found[at] = np.array(request.get_output_tensor().data)

    streams.set_callback(keep)
    for at in range(len(fed)):
        streams.start_async([fed[at : at + 1]], at)
    streams.wait_all()
    return [found[at] for at in range(len(fed))]
