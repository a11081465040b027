"""How the passes over a model are run, and when its weights may be built into a program."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

import keras

from xai_core.errors import UsageError
from xai_core.probe import backend, values_of
from xai_core.probe.openvino import check
from xai_core.typing import FloatArray, Way

Engine: TypeAlias = Literal["auto", "eager", "compiled", "frozen", "openvino", "openvino-bf16"]
"""How passes are run.

`eager`: layer by layer, with nothing to wait for: for a single map. `compiled`: one program for
each pass, which reads the weights whenever it runs. `auto`: compiled, with each normalisation
folded into the convolution before it, with kernels that are turned round once for the way back
where the backend turns them each time, and, once that is worth it, with large convolutions of size
3 by fewer multiplications. `frozen`: all of it from the first pass on, and the weights are built
into the program as well, which is faster for single pictures and takes longer to compile, and ten
times the memory of the weights. `openvino`: what needs no gradient is run by OpenVINO, in float32,
or with `openvino-bf16` in bfloat16, which CPUs with AMX multiply fastest, and so are large dense
layers behind it, where one class is explained; the rest is run as with `auto`. It takes some
seconds to compile, and is for many maps. Explainers that are
traceable become programs too: with `auto` once that is worth it, with `eager` never.

Weights are folded, turned and built in only where no one else holds the model: where the study
loaded it, and has not handed it out. Otherwise `auto` is `compiled`. `frozen` and the engines of
OpenVINO refuse a model from outside; once a study's own is handed out, `compiled` takes their
place: a warning tells so, and the provenance names it.
"""

ENGINES: tuple[Engine, ...] = get_args(Engine)

PRECISIONS: Mapping[Engine, str] = MappingProxyType({"openvino": "f32", "openvino-bf16": "bf16"})
"""In what the engines that run OpenVINO compute."""

ON_CPU: tuple[Engine, ...] = tuple(PRECISIONS)
"""The engines that are for the CPU alone."""

_READS_WEIGHTS: tuple[Engine, ...] = ("eager", "compiled")
"""The engines that take the weights as they are when a pass runs."""

WORTH_TRACING = 8
"""Maps after which explainers are worth compiling: some hundredths of a second for each explainer,
against half a millisecond of each map."""

WORTH_FILTERING = 64
"""Pictures after which minimal filtering is worth compiling: two or three seconds for VGG16, seven
for OpenVINO, where it saves some hundredths of a second of each."""

_LARGEST = 16 * 2**20
"""Bytes. Larger weights are those of dense layers, which are read once a picture however they are
kept; built in, each program would have its own copies."""

Weights: TypeAlias = Literal["read", "folded", "built in"]
"""How a program comes by the weights: it reads them, or those with normalisations folded in, or
has the latter inside."""


def fastest_once() -> Engine:
    """The engine that comes to the end of a single pass first, with what it compiles for it."""
    once: Engine = backend().ONCE
    return once


class Policy:
    """Decides how programs come by the weights, and which explainers become programs.

    Args:
        model: The model.
        engine: What the user chose.
        owned: Whether the study loaded the model itself.
    """

    def __init__(self, model: keras.Model, engine: Engine, *, owned: bool) -> None:
        if engine not in ENGINES:
            raise UsageError(f"received engine {engine!r}; expected one of {', '.join(ENGINES)}")
        if engine not in ("auto", *_READS_WEIGHTS) and not owned:
            raise UsageError(
                f"received engine {engine!r} with a model from outside, whose weights may change "
                "at any time; expected a family's name or a file, which the study loads itself. "
                "Save the model and pass the file's name, or use the engine 'auto'."
            )
        if engine in PRECISIONS:
            check(PRECISIONS[engine])
        self._model = model
        self._engine = engine
        self._owned = owned
        self._seen: Counter[Hashable] = Counter()
        self._passed = 0

    def hand_out(self) -> None:
        """The model is given to someone who may change it."""
        self._owned = False
        if self._engine not in ("auto", *_READS_WEIGHTS):
            self._engine = "compiled"  # nothing is left of what sets the others apart

    @property
    def engine(self) -> Engine:
        """The engine in use: the one that was asked for, or what took its place."""
        return self._engine

    @property
    def way(self) -> Way:
        """Whether passes are compiled."""
        return "eager" if self._engine == "eager" else "compiled"

    @property
    def weights(self) -> Weights:
        """How programs come by the weights."""
        if not self._owned or self._engine in _READS_WEIGHTS:
            return "read"
        return "built in" if self._engine == "frozen" else "folded"

    @property
    def precision(self) -> str | None:
        """In what OpenVINO computes what needs no gradient; None where it is not to."""
        return PRECISIONS.get(self._engine)

    def traces(self, key: Hashable, maps: int) -> bool:
        """Whether explainers become a program, now that they make some more maps."""
        self._seen[key] += maps
        worth = self._engine != "auto" or self._seen[key] > WORTH_TRACING
        return worth and self._engine != "eager"

    def filters(self, pictures: int) -> bool:
        """Whether convolutions are filtered minimally, now that some more pictures pass."""
        self._passed += pictures
        worth = self.weights == "built in" or self._passed > WORTH_FILTERING
        return worth and self.weights != "read"


def worth_building_in(variables: Sequence[Any]) -> Sequence[tuple[Any, FloatArray]]:
    """Those that are not too large to have copies of."""
    return [(each, values) for each, values in values_of(variables) if values.nbytes <= _LARGEST]
