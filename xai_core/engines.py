"""How the passes over a model are run, and when its weights may be built into a program."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

import keras

from xai_core.errors import UsageError
from xai_core.probe import Way
from xai_core.probe.openvino import openvino
from xai_core.typing import FloatArray

Engine: TypeAlias = Literal["auto", "eager", "compiled", "frozen", "openvino", "openvino-bf16"]
"""How passes are run.

`eager`: layer by layer, with nothing to wait for: for a single map. `compiled`: one program for
each pass, which reads the weights whenever it runs. `frozen`: the weights are built into the
program, which takes longer to compile and is faster. `auto`: compiled, and frozen once enough
pictures went through a pass to be worth it. `openvino`: what needs no gradient is run by
OpenVINO, in float32, or with `openvino-bf16` in bfloat16, which CPUs with AMX multiply fastest;
the rest is run as with `frozen`. Explainers that are traceable become programs too: with `auto`
once that is worth it, with `eager` never.

Weights are built in only where no one else holds the model: where the study loaded it, and has not
handed it out.
"""

ENGINES: tuple[Engine, ...] = get_args(Engine)

PRECISIONS: Mapping[Engine, str] = MappingProxyType({"openvino": "f32", "openvino-bf16": "bf16"})
"""In what the engines that run OpenVINO compute."""

WORTH_FREEZING = 256
"""Pictures after which a pass is worth compiling once more: a longer wait than for the first
program, some seconds, against a tenth to a third of the time of each picture."""

WORTH_TRACING = 32
"""Pictures after which explainers are worth compiling: some hundredths of a second for each,
against a millisecond of each map."""

_LARGEST = 16 * 2**20
"""Bytes. Larger weights are those of dense layers, which are read once a picture however they are
kept; built in, each program would have its own copy."""


class Freezer:
    """Decides for each pass whether the weights are built into its program.

    Args:
        model: The model.
        engine: What the user chose.
        owned: Whether the study loaded the model itself.
    """

    def __init__(self, model: keras.Model, engine: Engine, *, owned: bool) -> None:
        if engine not in ENGINES:
            raise UsageError(f"received engine {engine!r}; expected one of {', '.join(ENGINES)}")
        if engine not in ("auto", "eager", "compiled") and not owned:
            raise UsageError(
                f"received engine {engine!r} with a model from outside, whose weights may change "
                "at any time; expected a family's name or a file, which the study loads itself. "
                "Save the model and pass the file's name, or use the engine 'auto'."
            )
        if engine in PRECISIONS:
            openvino()
        self._model = model
        self._engine = engine
        self._owned = owned
        self._seen: Counter[Hashable] = Counter()

    def hand_out(self) -> None:
        """The model is given to someone who may change it."""
        self._owned = False

    def freezes(self, key: Hashable, pictures: int) -> bool:
        """Whether the weights are built in, now that some more pictures go through a pass."""
        self._seen[key] += pictures
        worth = self._engine == "auto" and self._seen[key] > WORTH_FREEZING
        return self._owned and (worth or self._engine not in ("auto", "eager", "compiled"))

    def traces(self, key: Hashable, pictures: int) -> bool:
        """Whether explainers become a program, now that some more pictures go through them."""
        self._seen[key] += pictures
        worth = self._engine != "auto" or self._seen[key] > WORTH_TRACING
        return worth and self._engine != "eager"

    @property
    def way(self) -> Way:
        """Whether passes are compiled."""
        return "eager" if self._engine == "eager" else "compiled"

    @property
    def precision(self) -> str | None:
        """In what OpenVINO computes what needs no gradient; None where it is not to."""
        return PRECISIONS.get(self._engine) if self._owned else None

    def weights(self) -> Sequence[tuple[Any, FloatArray]]:
        """The weights to build in, with their values."""
        return [(each, values) for each, values in self.all_weights() if values.nbytes <= _LARGEST]

    def all_weights(self) -> Sequence[tuple[Any, FloatArray]]:
        """Every weight, with its values."""
        held = ((each, keras.ops.convert_to_numpy(each.value)) for each in self._model.weights)
        return [(each, values) for each, values in held if values.dtype.kind == "f"]
