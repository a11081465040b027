"""The laws of metrics, on trials whose model reads one patch: no model is run."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import numpy as np

from xai_core.errors import XaiError
from xai_core.evaluating import scored
from xai_core.interfaces import Explainer, Metric
from xai_core.metrics import Trial
from xai_core.parameters import parameters
from xai_core.registry import breach_of_metric
from xai_core.testing.laws import Breaches, Check
from xai_core.typing import FloatArray

_READ = "Metric, on the reference's page of plugins"


@dataclass(frozen=True)
class Scene:
    """A picture of which one patch is bright, for a model that reads the mean of that patch."""

    name: str
    size: tuple[int, int, int]
    patch: tuple[slice, slice]
    seed: int

    @property
    def pixels(self) -> FloatArray:
        """Dark noise 5..60, and 190..250 in the patch, float32 (H, W, C)."""
        generator = np.random.default_rng(self.seed)
        pixels = generator.uniform(5, 60, self.size)
        pixels[self.patch] = generator.uniform(190, 250, pixels[self.patch].shape)
        return pixels.astype(np.float32)

    @property
    def mask(self) -> FloatArray:
        """1 in the patch, float64 (H, W)."""
        mask = np.zeros(self.size[:2])
        mask[self.patch] = 1
        return mask

    def maps(self) -> Mapping[str, FloatArray]:
        """Maps of all kinds, by what they are."""
        noise = np.random.default_rng(self.seed + 1).normal(size=self.size[:2])
        return {
            "the true mask": self.mask,
            "the inverted mask": 1 - self.mask,
            "noise": noise,
            "zeros": np.zeros(self.size[:2]),
            "tiny values": 1e-20 * noise,
        }

    def answers(self, pixels: FloatArray) -> FloatArray:
        """The mean of the patch over 255, (Q,), of pictures (Q, H, W, C)."""
        patch = np.asarray(pixels, np.float64)[(slice(None), *self.patch)]
        found: FloatArray = patch.mean(axis=(1, 2, 3)) / 255
        return found

    def trial(self, attribution: FloatArray, ask: Callable[..., Any] | None = None) -> Trial:
        """One map, with copies that nothing else holds."""
        score = float(self.answers(self.pixels[None])[0])
        return Trial(self.pixels, attribution.copy(), 1, score, (7, self.seed), ask or self.answers)


SCENES = (
    Scene("a colour picture of 12 x 20", (12, 20, 3), (slice(2, 6), slice(11, 17)), 1),
    Scene("a grey picture of 9 x 7", (9, 7, 1), (slice(5, 8), slice(1, 4)), 2),
    Scene("a colour picture of 10 x 8", (10, 8, 3), (slice(0, 3), slice(0, 8)), 3),
)


@dataclass
class Measured:
    """A metric that is being tried."""

    metric: Metric
    used: dict[str, None] = field(default_factory=dict)
    note: str = ""

    def trials(self) -> Iterator[tuple[str, Scene, FloatArray]]:
        """Every map of every picture, and what to call them."""
        for scene in SCENES:
            self.used[scene.name] = None
            for what, made in scene.maps().items():
                yield f"on {scene.name}, {what}", scene, made

    def fresh(self) -> Metric:
        """One with the same parameters, which has seen nothing yet."""
        metric: Any = self.metric
        made: Metric = replace(metric)
        return made

    def value(self, trial: Trial, metric: Metric | None = None) -> float:
        """What it says of a trial; by default one that has seen nothing before."""
        return scored(metric or self.fresh(), "the plugin", trial).value


def interface(measured: Measured) -> Breaches:
    """What a metric says of itself."""
    metric: Any = measured.metric
    kind = type(metric)
    frozen = getattr(vars(kind).get("__dataclass_params__"), "frozen", False)
    if not is_dataclass(kind) or not frozen:
        yield f"{kind.__name__} is no frozen dataclass; expected @dataclass(frozen=True)"
        return
    told = breach_of_metric(metric)
    if told:
        yield told
    asked = metric.queries
    if not (asked is None or (type(asked) is int and asked >= 0)):
        yield f"queries = {asked!r}; expected a whole number, at least 0, or None"
    try:
        kind()
    except (TypeError, XaiError) as error:
        yield f"{kind.__name__}() fails: {error}; expected every parameter to have a default"
    for parameter in parameters(metric):
        if not parameter.kind.written(lambda named: issubclass(named, Explainer)):
            yield (
                f"{parameter.name} takes {parameter.expected}, of which `--set` can fill in nothing"
            )
    twin = replace(metric)
    if any(getattr(metric, each.name) != getattr(twin, each.name) for each in fields(kind)):
        yield "dataclasses.replace() with no changes makes one with other parameters"


def scores(measured: Measured) -> Breaches:
    """A score for every map."""
    for told, scene, made in measured.trials():
        try:
            scored(measured.metric, "the plugin", scene.trial(made))
        except XaiError as error:
            yield f"{told}: {error}"


def repeat(measured: Measured) -> Breaches:
    """The same again, whatever the global random states are."""
    before = random.getstate(), np.random.get_state()  # noqa: NPY002 - theirs, not drawn from
    try:
        for told, scene, made in measured.trials():
            found = []
            for seed in (1, 2):
                random.seed(seed)
                np.random.seed(seed)  # noqa: NPY002
                found.append(measured.value(scene.trial(made)))
            if found[0] != found[1]:
                yield f"{told}: it says {found[0]:.9g}, and {found[1]:.9g} the second time"
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002


def untouched(measured: Measured) -> Breaches:
    """What it is given stays."""
    for told, scene, made in measured.trials():
        trial = scene.trial(made)
        measured.value(trial)
        kept = {"pixels": scene.pixels, "attribution": made}
        for what, before in kept.items():
            if not np.array_equal(getattr(trial, what), before):
                yield f"{told}: {what} are not what they were"


def direction(measured: Measured) -> Breaches:
    """The true mask is better than its opposite."""
    metric = measured.metric
    for scene in SCENES:
        measured.used[scene.name] = None
        true, false = (measured.value(scene.trial(each)) for each in (scene.mask, 1 - scene.mask))
        if (true <= false) if metric.higher_is_better else (true >= false):
            better = "higher" if metric.higher_is_better else "lower"
            yield (
                f"on {scene.name} the patch that the model reads scores {true:.6g}, all else "
                f"{false:.6g}; expected the first to be {better}"
            )


def alone(measured: Measured) -> Breaches:
    """A score depends on its own trial alone."""
    every = list(measured.trials())
    lone = [measured.value(scene.trial(made)) for _, scene, made in every]
    one = measured.fresh()
    for number in reversed(range(len(every))):
        told, scene, made = every[number]
        found = measured.value(scene.trial(made), one)
        if found != lone[number]:
            yield (
                f"{told}: it says {found:.9g} after other maps, and {lone[number]:.9g} of that "
                "map alone"
            )


def questions(measured: Measured) -> Breaches:
    """It costs what it says at most, and asks about pictures like the one it was given."""
    most = measured.metric.queries
    for told, scene, made in measured.trials():
        asked: list[Sequence[int]] = []

        def ask(
            pixels: FloatArray, scene: Scene = scene, asked: list[Sequence[int]] = asked
        ) -> FloatArray:
            asked.append(np.shape(pixels))
            return scene.answers(pixels)

        measured.value(scene.trial(made, ask))
        count = sum(shape[0] for shape in asked)
        if most is not None and count > most:
            yield f"{told}: it asked about {count} pictures; it says at most {most}"
        odd = [shape for shape in asked if tuple(shape[1:]) != scene.size]
        if odd:
            yield f"{told}: it asked about pictures of shape {odd[0]}; expected (Q, *{scene.size})"


METRICS = (
    Check(
        "interface",
        "A metric is a frozen dataclass with a name, a one-line summary, which way is better, its "
        "bounds, and parameters that have defaults and can be set by text.",
        "bounds as a list, or the higher first; a property of the class that is left at that of "
        "another metric; a field without a default.",
        _READ,
        interface,
    ),
    Check(
        "scores",
        "Of every map there is a `Score`, finite and within the bounds: of maps that are 0 "
        "everywhere, have ties or tiny values, of grey and colour pictures that are not square.",
        "a division by the map's sum or maximum, which may be 0; three channels taken for granted; "
        "height and width exchanged; bounds that were copied.",
        _READ,
        scores,
    ),
    Check(
        "repeat",
        "The same trial has the same score every time, whatever the global random states are.",
        "`numpy.random` or a generator that was made once: draw from `trial.generator()`, also to "
        "break ties.",
        "Trial, on the reference's page of plugins",
        repeat,
    ),
    Check(
        "untouched",
        "Pixels and attribution are left as they were.",
        "an operation in place, as `-=`, `sort()` or `[...] = 0` on what was given: copy first.",
        "Trial, on the reference's page of plugins",
        untouched,
    ),
    Check(
        "direction",
        "Where a model reads one patch, the map of that patch is better than its opposite, in the "
        "direction that is declared.",
        "`higher_is_better` the wrong way round, or pixels taken from the lowest value up.",
        _READ,
        direction,
    ),
    Check(
        "alone",
        "A score does not depend on the maps and pictures that were scored before.",
        "something kept from one trial to the next: a canvas, a maximum, a running mean.",
        _READ,
        alone,
    ),
    Check(
        "questions",
        "It asks about at most as many pictures as `queries` says, each of the size of the one "
        "that it was given.",
        "`queries` left at a constant beside a parameter that sets how many there are; both ends "
        "of a curve counted once.",
        "Metric.queries, on the reference's page of plugins",
        questions,
    ),
)
"""In the order in which they are tried."""
