"""What a run measures, and under which conditions: plain data that a worker is told as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Self

from xai_core import backends
from xai_core.errors import UsageError

DEVICES = ("cpu", "gpu")
BACKENDS = tuple(backends.BACKENDS)
POLICIES: Mapping[str, str] = MappingProxyType({"float32": "float32", "bfloat16": "mixed_bfloat16"})
"""In what a model computes, and Keras's name for it: weights are kept in float32 in any case."""


@dataclass(frozen=True)
class Conditions:
    """What a number depends on, beside the machine and the code. Held to what there is."""

    device: str = "cpu"
    backend: str = "tensorflow"
    engine: str = "auto"
    """Of the studies; see `xai_core.engines.Engine`."""
    threads: int = 1
    """Cores the whole process may use."""
    samples: int = 9
    """Of each time that a bar is set for, at least; of other times, and of an evaluation, at most
    5."""
    seed: int = 0
    """Of the weights, and of the order in which what is compared takes its turns."""
    dtype: str = "float32"
    tf32: bool = False
    """Whether a GPU may multiply float32 in TF32, in studies too."""

    def __post_init__(self) -> None:
        """Refuse what cannot be measured."""
        for name, known in (("device", DEVICES), ("backend", BACKENDS), ("dtype", tuple(POLICIES))):
            value = getattr(self, name)
            if value not in known:
                raise UsageError(f"received {name} {value!r}; expected {' or '.join(known)}")
        if self.tf32 and self.device != "gpu":
            raise UsageError(
                f"received --tf32 with device {self.device!r}; expected device 'gpu': nothing else "
                "multiplies in it"
            )
        for name in ("threads", "samples"):
            if getattr(self, name) < 1:
                raise UsageError(f"received {name} {getattr(self, name)}; expected at least 1")

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """From JSON; what it does not say has its default."""
        return cls(**{each.name: data[each.name] for each in fields(cls) if each.name in data})


@dataclass(frozen=True)
class Extent:
    """Which cases the scenarios are made for."""

    models: tuple[str, ...]
    """Those that bars are set for."""
    batches: tuple[int, ...]
    """Pictures to a call."""
    sweep_model: str
    """What is varied one at a time is varied on this one, and other libraries are run on it."""
    ranked_models: tuple[str, ...]
    """With weights that mean something, so that places have an order worth keeping."""
    first_model: str
    """Of the time from the start of a process to its first map."""
    memory_batches: tuple[int, ...]
    """Pictures to a call, where memory is looked at."""
    sweep_batches: tuple[int, ...]
    sizes: tuple[int, ...]
    """Sides of square pictures, in pixels."""
    classes: tuple[int, ...]
    peaks: tuple[str, ...]
    """What is run in a process of its own for its peak of memory."""
    repeated: tuple[tuple[str, int], ...]
    """What memory must not grow by, and how often it is done."""
    matrix: int
    """Side of the matrices whose product shows the machine's peak."""
    steps: int = 100
    """Of deletion and insertion."""
    seconds: float = 45
    """Where a bar is set, up to thrice as many samples are taken, for about so long in all: single
    calls of less than a tenth of a second vary most."""

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """From JSON, where tuples are lists."""
        return cls(**{name: _as_tuples(value) for name, value in data.items()})


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value


FULL = Extent(
    models=("vgg16", "resnet50", "xception"),
    batches=(1, 8),
    sweep_model="resnet50",
    ranked_models=("efficientnet-lite0",),
    first_model="efficientnet-lite0",
    memory_batches=(1, 8),
    sweep_batches=(1, 4, 16, 64),
    sizes=(224, 448, 672, 896),
    classes=(1, 2, 5, 10, 20),
    peaks=("forward", "gradient", "Grad-CAM", "saliency"),
    repeated=(("calls", 1000), ("studies", 50)),
    matrix=4096,
)
"""What bars are set for, and what is drawn; more than an hour on two cores."""

_GPU_BATCHES = (1, 8, 32, 128)

FULL_GPU = replace(FULL, batches=_GPU_BATCHES, memory_batches=_GPU_BATCHES, matrix=8192)
"""A GPU has room for more, and smaller matrices do not fill it."""

QUICK = Extent(
    models=("tiny",),
    batches=(2,),
    sweep_model="tiny",
    ranked_models=(),
    first_model="tiny",
    memory_batches=(2,),
    sweep_batches=(1, 2),
    sizes=(32, 48),
    classes=(1, 2),
    peaks=("forward", "Grad-CAM"),
    repeated=(),  # two processes more, for what two calls cannot show
    matrix=256,
    steps=3,
    seconds=0,
)
"""A model of a few kilobytes: to see that everything works, not how fast."""

QUICK_SAMPLES = 1
