"""The laws of metrics, on trials whose model reads one patch: no model is run.

What is beside the patch speaks a little against the class, so that it can be too much.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from xai_core.errors import MetricError, XaiError
from xai_core.evaluating import scored
from xai_core.interfaces import Explainer, Metric
from xai_core.laws import Law
from xai_core.metrics import Other, Rung, Trial, Witness
from xai_core.parameters import parameters
from xai_core.rank_correlation import is_level
from xai_core.registry import breach_of_metric
from xai_core.testing.laws import Breaches, Check
from xai_core.typing import FloatArray

_READ = "Metric, on the reference's page of plugins"


@dataclass(frozen=True)
class Scene:
    """A picture of which one patch is bright, for a model that tells it from what is beside it."""

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

    @property
    def noise(self) -> FloatArray:
        """Normal noise, float64 (H, W)."""
        return np.random.default_rng(self.seed + 1).normal(size=self.size[:2])

    def maps(self) -> Mapping[str, FloatArray]:
        """Maps of all kinds, by what they are."""
        return {
            "the true mask": self.mask,
            "the inverted mask": 1 - self.mask,
            "noise": self.noise,
            "zeros": np.zeros(self.size[:2]),
            "tiny values": 1e-20 * self.noise,
        }

    def answers(self, pixels: FloatArray) -> FloatArray:
        """What the patch's mean says for the class and the rest's against it, in 0..1, (Q,)."""
        places = np.asarray(pixels, np.float64).mean(axis=3) / 255
        inside = places[(slice(None), *self.patch)]
        total, patch = places.sum(axis=(1, 2)), inside.sum(axis=(1, 2))
        rest = (total - patch) / (places[0].size - inside[0].size)
        found: FloatArray = 0.2 + 0.8 * patch / inside[0].size - 0.2 * rest
        return found

    @property
    def complete(self) -> FloatArray:
        """The mask so high that it sums to what the score gains over black."""
        both = Answering(self, self.mask).scores(np.stack([0 * self.pixels, self.pixels]), 1)
        found: FloatArray = self.mask * (np.ptp(both) / self.mask.sum())
        return found

    def trial(self, attribution: FloatArray, witness: "Answering | None" = None) -> Trial:
        """One map, with copies that nothing else holds."""
        return Trial(
            pixels=self.pixels,
            raw=attribution.copy(),
            attribution=attribution.copy(),
            target=1,
            classes=10,
            probability=float(self.answers(self.pixels[None])[0]),
            seed=(7, self.seed),
            witness=witness or Answering(self, attribution),
            mask=self.mask > 0,
        )


Made: TypeAlias = Callable[[FloatArray], FloatArray]
"""Of one picture (H, W, C), a map (H, W)."""


class Answering(Witness):
    """Answers in the place of the model that reads a scene's patch, and of a method.

    Args:
        scene: What is read.
        attribution: The map that is scored.
        again: What the method makes of other pictures; by default that map.
        elsewise: What it makes for other classes than 1; by default as for that one.
        untaught: What it makes at each rung, by its number; by default that map.
        wide: What it makes in float64; by default that map.
    """

    def __init__(
        self,
        scene: Scene,
        attribution: FloatArray,
        *,
        again: Made | None = None,
        elsewise: Made | None = None,
        untaught: Callable[[int], FloatArray] | None = None,
        wide: FloatArray | None = None,
    ) -> None:
        self._scene = scene
        self._attribution = attribution
        self._again = again or (lambda pixels: attribution)
        self._elsewise = elsewise or self._again
        self._untaught = untaught or (lambda number: attribution)
        self._wide = attribution if wide is None else wide
        self.asked = 0
        """The pictures that it was asked about."""
        self.made = 0
        """The maps that it was asked for."""
        self.shapes: list[tuple[int, ...]] = []
        """Of all that either was asked about."""

    def probabilities(self, pixels: FloatArray, target: int) -> FloatArray:
        """What the patch says for class 1, what is missing to 1 for any other."""
        self.shapes.append(np.shape(pixels))
        self.asked += len(pixels)
        found = self._scene.answers(pixels)
        return found if target == 1 else 1 - found

    def scores(self, pixels: FloatArray, target: int) -> FloatArray:
        """Four times as much."""
        return 4 * self.probabilities(pixels, target)

    def maps(self, pixels: FloatArray, target: int) -> FloatArray:
        """The method on other pictures."""
        self.shapes.append(np.shape(pixels))
        self.made += len(pixels)
        make = self._again if target == 1 else self._elsewise
        made = [make(np.asarray(each, np.float64)) for each in pixels]
        return np.stack(made) if made else np.zeros((0, *self._scene.size[:2]))

    def randomised(self, rungs: int) -> tuple[Rung, ...]:
        """Of a model with three layers."""
        count = min(rungs, 3)
        self.made += count
        made = (self._untaught(number) for number in range(count))
        return tuple(
            Rung((f"layer_{number}",), each, "all values are the same" if is_level(each) else None)
            for number, each in enumerate(made)
        )

    def precise(self) -> FloatArray:
        """The method in float64."""
        self.made += 1
        return np.asarray(self._wide, np.float64)

    def others(self, count: int) -> tuple[Other, ...]:
        """Dark noise, of the classes from 2 on."""
        draw = np.random.default_rng(self._scene.seed + 2)
        dark = (draw.uniform(5, 60, self._scene.size).astype(np.float32) for _ in range(count))
        return tuple(Other(each, 2 + number) for number, each in enumerate(dark))


def _bright(pixels: FloatArray) -> FloatArray:
    """1 where a picture is bright, as a method that found the patch would say."""
    found: FloatArray = (pixels.mean(axis=2) > 125).astype(np.float64)
    return found


def _better_and_worse(family: str, scene: Scene) -> tuple[Trial, Trial] | None:
    """Two trials of which a metric of that family must prefer the first; None where none is known.

    The map is the true mask, and the method finds bright pixels; but one thing about the second.
    For an axiom, the mask is so high that it is complete.
    """
    if family == "axiom":
        return scene.trial(scene.complete), scene.trial(2 * scene.complete)
    mask, noise = scene.mask, scene.noise
    good = Answering(
        scene,
        mask,
        again=_bright,
        elsewise=lambda pixels: noise,
        untaught=lambda number: np.roll(noise, number),
        wide=mask,
    )
    draw = np.random.default_rng(scene.seed + 3)
    inverted = Answering(scene, 1 - mask, again=lambda pixels: 1 - _bright(pixels))
    restless = Answering(scene, mask, again=lambda pixels: draw.normal(size=mask.shape))
    stubborn = Answering(scene, mask, again=_bright)
    inexact = Answering(scene, mask, wide=mask + 0.1 * noise)
    everywhere = np.ones_like(mask)
    worse = {
        "faithfulness": (1 - mask, inverted),
        "localisation": (1 - mask, inverted),
        "robustness": (mask, restless),
        "randomisation": (mask, stubborn),
        "numerical": (mask, inexact),
        "complexity": (everywhere, Answering(scene, everywhere)),
    }
    if family not in worse:
        return None
    return scene.trial(mask, good), scene.trial(*worse[family])


SCENES = (
    Scene("a colour picture of 12 x 20", (12, 20, 3), (slice(2, 6), slice(11, 17)), 1),
    Scene("a grey picture of 9 x 7", (9, 7, 1), (slice(5, 8), slice(1, 4)), 2),
    Scene("a colour picture of 10 x 8", (10, 8, 3), (slice(0, 3), slice(0, 8)), 3),
)


_LARGE = (
    Scene("a colour picture of 48 x 80", (48, 80, 3), (slice(8, 24), slice(44, 68)), 1),
    Scene("a grey picture of 36 x 28", (36, 28, 1), (slice(20, 32), slice(4, 16)), 2),
    Scene("a colour picture of 40 x 32", (40, 32, 3), (slice(0, 12), slice(0, 32)), 3),
)
"""The same four times as large."""

_DIRECTED: Mapping[str, tuple[Scene, ...]] = MappingProxyType({"localisation": _LARGE})
"""Where a direction is tried, by family, if not on `SCENES`: localisation has tolerances in pixels,
within which all of a small picture lies."""


@dataclass
class Measured:
    """A metric that is being tried."""

    metric: Metric
    used: dict[str, None] = field(default_factory=dict)
    note: str = ""

    def trials(self) -> Iterator[tuple[str, Scene, FloatArray]]:
        """Every map of every picture, and what to call them; less those that it may refuse."""
        for scene in SCENES:
            self.used[scene.name] = None
            for what, made in scene.maps().items():
                if not is_level(made) or not self._refuses(scene.trial(made)):
                    yield f"on {scene.name}, {what}", scene, made

    def _refuses(self, trial: Trial) -> bool:
        """Whether it says in words that there is nothing to score."""
        try:
            self.fresh().score(trial)
        except MetricError:
            return True
        except Exception:  # noqa: BLE001 - whoever scores it is told
            return False
        return False

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
    for what, asked in (("queries", metric.queries), ("maps", metric.maps)):
        if not (asked is None or (type(asked) is int and asked >= 0)):
            yield f"{what} = {asked!r}; expected a whole number, at least 0, or None"
    if not isinstance(metric.presumes, Law):
        yield f"presumes = {metric.presumes!r}; expected an xai_core.Law"
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
    """What is better by what the metric's family is about scores better."""
    metric = measured.metric
    for scene in _DIRECTED.get(metric.family, SCENES):
        both = _better_and_worse(metric.family, scene)
        if both is None:
            continue
        measured.used[scene.name] = None
        better, worse = map(measured.value, both)
        if (better <= worse) if metric.higher_is_better else (better >= worse):
            yield (
                f"on {scene.name}, {_ABOUT[metric.family]} scores {better:.6g}, and {worse:.6g} "
                f"otherwise; expected the first to be "
                f"{'higher' if metric.higher_is_better else 'lower'}"
            )


_ABOUT: Mapping[str, str] = MappingProxyType(
    {
        "faithfulness": "the map of the patch that the model reads",
        "localisation": "the map of the patch that the model reads",
        "robustness": "a method that finds the patch again in other pictures",
        "randomisation": "a method whose map goes with the class and what the model learnt",
        "numerical": "a map that is the same in float64",
        "complexity": "the map of one patch",
        "axiom": "a map that sums to what the score gains over black",
    }
)
"""What is better, by the family of the metric: the other is the opposite map, noise made anew, the
same map in any case, another map in float64, a map of everything, twice the map."""


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
    metric = measured.metric
    for told, scene, made in measured.trials():
        witness = Answering(scene, made)
        measured.value(scene.trial(made, witness))
        if metric.queries is not None and witness.asked > metric.queries:
            yield (
                f"{told}: it asked about {witness.asked} pictures; it says at most {metric.queries}"
            )
        if metric.maps is not None and witness.made > metric.maps:
            yield f"{told}: it asked for {witness.made} maps; it says at most {metric.maps}"
        odd = [shape for shape in witness.shapes if tuple(shape[1:]) != scene.size]
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
        "everywhere, have ties or tiny values, of grey and colour pictures that are not square. "
        "A map that is the same everywhere may be refused with a `MetricError`.",
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
        "Where a model reads one patch, what is better by what the metric's family is about scores "
        "better, in the direction that is declared: the map of that patch than its opposite "
        "(faithfulness, localisation), and than a map of everything (complexity); a method that "
        "finds the patch in other pictures than noise (robustness); one whose map does not outlive "
        "what the model learnt, and is another for another class (randomisation); one that is the "
        "same in float64 (numerical); a map that sums to what the score gains over black than "
        "twice that map (axiom).",
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
        "It asks about at most as many pictures as `queries` says and for as many maps as `maps` "
        "says, each of a picture of the size of the one that it was given.",
        "`queries` left at a constant beside a parameter that sets how many there are; both ends "
        "of a curve counted once.",
        "Metric.queries, on the reference's page of plugins",
        questions,
    ),
)
"""In the order in which they are tried."""
