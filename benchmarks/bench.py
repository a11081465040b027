"""The workbench: what scenarios measure with. It keeps a model until another one is wanted."""

import gc
import json
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import machine, models
from benchmarks.frameworks import Framework
from benchmarks.models import Spec
from benchmarks.results import Measurement
from benchmarks.settings import Conditions, Extent
from benchmarks.timing import Tell, Turns, Way, alternate

SWEEP = 5
"""The most samples that are taken of what no bar is set for, and of what takes a minute a call."""

_AT_ONCE = 8
"""Pictures to a call, where only that they were seen matters."""

ROOT = Path(__file__).parents[1]
"""Where `python -m benchmarks` can be run."""


class Bench:
    """Models, pictures and a clock, under some conditions.

    Args:
        conditions: Under which all is measured.
        extent: Which cases there are.
        folder: For files that are needed meanwhile.
        tell: Told how far it is.
    """

    def __init__(
        self,
        conditions: Conditions,
        extent: Extent,
        folder: Path,
        tell: Tell = lambda done, total, what: None,
    ) -> None:
        self.conditions = conditions
        self.extent = extent
        self.folder = folder
        self.tell = tell
        self._spec: Spec | None = None
        self._studies: dict[tuple[Spec, str], Any] = {}
        self._models: dict[Spec, Any] = {}

    @cached_property
    def framework(self) -> Framework:
        """What the backend runs on, held to the conditions."""
        return machine.framework(self.conditions)

    def hold(self) -> None:
        """Hold it to the conditions: before Keras imports it, and anything runs."""
        _ = self.framework

    def spec(self, name: str) -> Spec:
        """A model by its name."""
        return models.spec(name)

    def model(self, spec: Spec) -> Any:
        """The Keras model, built without xai-core; a study never sees it."""
        self._use(spec)
        if spec not in self._models:
            self._models[spec] = self.new_model(spec)
        return self._models[spec]

    def new_model(self, spec: Spec) -> Any:
        """The same, but another one: for those who leave marks on it."""
        self._seed()
        return spec.build(spec.size)

    def study(self, spec: Spec, engine: str | None = None) -> Any:
        """A study that loaded its model itself, so that it may build its weights in.

        It has seen so many pictures already that it takes its model for one worth compiling for.
        """
        self._use(spec)
        key = (spec, engine or self.conditions.engine)
        if key not in self._studies:
            self._studies[key] = self.new_study(*key)
            self.show_enough(self._studies[key], spec)
        return self._studies[key]

    def new_study(self, spec: Spec, engine: Any) -> Any:
        """The same, but another one; all have the same weights."""
        from xai_core import Study

        self._seed()
        return Study(**spec.source(self.folder), engine=engine)

    def show_enough(
        self,
        study: Any,
        spec: Spec,
        at_once: int = _AT_ONCE,
        methods: Sequence[str] = ("grad-cam",),
    ) -> None:
        """Have a study see more pictures than it takes until minimal filtering is worth it."""
        from xai_core.engines import WORTH_FILTERING

        see = self.explain(study, self.pictures(spec, at_once), methods)
        for _ in range(WORTH_FILTERING // at_once + 1):
            see()

    def pictures(self, spec: Spec, count: int) -> list[NDArray[np.uint8]]:
        """Photographs (size, size, 3), RGB 0..255: parts of the two that come with xai-core."""
        from PIL import Image

        from xai_core import demo
        from xai_core.images import display_pixels

        draw = np.random.default_rng(self.conditions.seed)
        photographs = [
            Image.fromarray(display_pixels(each)) for each in (demo.cat(), demo.coffee())
        ]
        found = []
        for number in range(count):
            image = photographs[number % len(photographs)]
            side = int(draw.integers(min(image.size) // 2, min(image.size), endpoint=True))
            left, top = (int(draw.integers(0, each - side, endpoint=True)) for each in image.size)
            part = image.crop((left, top, left + side, top + side))
            found.append(np.asarray(part.resize((spec.size, spec.size), Image.Resampling.BICUBIC)))
        return found

    def prepared(self, spec: Spec, count: int) -> NDArray[np.float32]:
        """The same pictures as a model is fed them, (count, size, size, 3)."""
        from xai_core.preprocessing import scheme

        self.hold()
        pixels = np.stack(self.pictures(spec, count)).astype(np.float32)
        return np.asarray(scheme(spec.scheme).apply(pixels))

    def fed(self, spec: Spec, count: int) -> Any:
        """The same, on the device."""
        return self.tensor(self.prepared(spec, count))

    def noise(self, spec: Spec, count: int) -> Any:
        """As many inputs of the same shape, made without xai-core."""
        draw = np.random.default_rng(self.conditions.seed)
        values = draw.random((count, spec.size, spec.size, 3), np.float32)
        return self.tensor(2 * values - 1)

    def tensor(self, values: Any, dtype: str = "float32") -> Any:
        """Numbers on the device."""
        self.hold()
        from keras import ops

        return ops.convert_to_tensor(values, dtype)

    def array(self, tensor: Any) -> NDArray[Any]:
        """Numbers from the device."""
        self.hold()
        from keras import ops

        return np.asarray(ops.convert_to_numpy(tensor))

    def forward(self, spec: Spec, images: Any) -> Callable[[], Any]:
        """One forward pass as the framework runs it best, from inputs on the device to logits."""
        return partial(self.framework.forward(self.model(spec)), images)

    def explain(
        self, study: Any, pictures: Sequence[Any], methods: Sequence[Any], **options: Any
    ) -> Callable[[], Any]:
        """A whole call, from pictures as users have them to maps on the host, in one batch."""

        def call() -> Any:
            made = study.compare(pictures, methods, batch=len(pictures), **options)
            for failure in made.failures:
                raise failure.error
            return made

        return call

    def alternate(
        self, ways: Sequence[Way], samples: int | None = None, warm_ups: int = 2
    ) -> tuple[Measurement, ...]:
        """Time some ways in turns: at least as many samples as bars ask for, or at most so many."""
        asked, seed = self.conditions.samples, self.conditions.seed
        if samples is None:
            turns = Turns(asked, seed, warm_ups, self.extent.seconds)
        else:
            turns = Turns(min(samples, asked), seed, warm_ups)
        return alternate(ways, turns, self.wait, self.tell)

    def wait(self, made: Any = None) -> None:
        """Wait for what was made, or until the device has nothing left to do."""
        if "framework" in vars(self):  # lean processes have none
            self.framework.wait(made)

    def apart(self, task: str, spec: Spec, **options: Any) -> dict[str, Any]:
        """Run a task of `benchmarks.apart` in a process of its own; what it found."""
        asked = {
            "task": task,
            "model": spec.name,
            "conditions": vars(self.conditions),
            "folder": str(self.folder),
            **options,
        }
        found: dict[str, Any] = json.loads(run(["-m", "benchmarks.apart", json.dumps(asked)]))
        return found

    def _use(self, spec: Spec) -> None:
        """Drop what is loaded of other models: together they do not fit into every machine."""
        if self._spec != spec:
            self._spec = spec
            self._studies.clear()
            self._models.clear()
            gc.collect()

    def _seed(self) -> None:
        """Seed what Keras draws the seeds of its weights with.

        Not by `keras.utils.set_random_seed`, which imports TensorFlow on any backend: half a GiB
        that would be held against us.
        """
        self.hold()
        random.seed(self.conditions.seed)


def until_compiled(pictures: int) -> int:
    """How many calls after its first there are until a study compiles nothing more for them.

    With the engine `auto`, explainers become a program when they have made more than some maps: a
    call makes at least one of each picture, and is followed by more calls than that.
    """
    from xai_core.engines import WORTH_TRACING

    return WORTH_TRACING // pictures


def run(arguments: Sequence[str]) -> str:
    """Run this Python with some arguments; the last line that it prints.

    Raises:
        RuntimeError: it failed; says how it ended.
    """
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=ROOT
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["without a word"]
        raise RuntimeError(f"the process ended with {done.returncode}: {last[0]}")
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""
