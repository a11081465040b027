"""Small models under study, and an explainer that is tried on them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, cast

import keras
import numpy as np

from xai_core.engines import Engine
from xai_core.errors import ModelError, XaiError
from xai_core.images import Fit
from xai_core.interfaces import Explainer, ModelAdapter
from xai_core.needs import Needs
from xai_core.preprocessing import Preprocessing
from xai_core.probe import backend
from xai_core.study import Study
from xai_core.surgery import FeatureLayer, Graph, deepest_per_resolution, stride
from xai_core.surgery.rewire import Rule
from xai_core.testing.models import FEATURES, HEAD, TINY_MODELS, same_chance
from xai_core.testing.watch import Log, Watched, Watching
from xai_core.types import Explanation, Failure
from xai_core.typing import FloatArray

PICTURES = 4
"""How many there are for each model."""
_SCHEMES: Mapping[str, str] = MappingProxyType({"gap-dense": "unit", "shiftable": "unit"})
"""With the others black is not 0, which many a formula takes it for."""


@dataclass(frozen=True)
class AnyModel(ModelAdapter):
    """Knows of a small model what its graph says."""

    name: str = "tiny"
    summary: str = "the conformance kit's own models"
    rank: int = -1
    input_size: tuple[int, int] | None = None
    preprocessing: Preprocessing | None = None
    fit: Fit = "stretch"

    def build(self, weights: str) -> keras.Model:
        """There is nothing to build."""
        raise ModelError(f"{self.name} has no weights {weights!r}: take one of TINY_MODELS")

    def matches(self, graph: Graph) -> bool:
        """Every graph."""
        return True

    def feature_layers(self, graph: Graph) -> tuple[FeatureLayer, ...]:
        """The deepest layer of each resolution."""
        paths = deepest_per_resolution(graph)
        return tuple(
            FeatureLayer(path, round(stride(graph, graph.step(path)) or 1)) for path in paths
        )

    def labels(self, classes: int) -> Sequence[str] | None:
        """They have none."""
        return None


@dataclass(frozen=True)
class Bench:
    """A small model under study, with pictures."""

    name: str
    model: keras.Model
    study: Study
    pictures: tuple[FloatArray, ...]
    """RGB or grey 20..255, float32 (H, W, C), of the model's own size."""
    before: Mapping[str, Any]
    """The model as it was made."""

    @staticmethod
    def build(name: str) -> "Bench":
        """One of `TINY_MODELS`, as it is made."""
        with same_chance():
            model = TINY_MODELS[name]()
        study = _study(name, model, "auto")
        pictures = tuple(draw(study.input.size, study.input.channels, n) for n in range(PICTURES))
        return Bench(name, model, study, pictures, snapshot(model))

    @cached_property
    def compiled(self) -> Study:
        """The same, where explainers are compiled when they first run."""
        return _study(self.name, self.model, "compiled")

    def fed(self, number: int) -> FloatArray:
        """What the model is fed for a picture, (1, H, W, C)."""
        return self.study.input.feed(self.pictures[number][None].astype(np.float64))

    @property
    def black(self) -> FloatArray:
        """What the model is fed for a black picture, (1, H, W, C)."""
        return self.study.input.black()

    @cached_property
    def _logits(self) -> Callable[[Any], Any]:
        """The model less its last activation, run layer by layer by Keras and not by the core."""
        head = self.model.get_layer(HEAD)
        until = keras.Model(self.model.inputs[0], head.input)
        return lambda images: until(images) @ head.kernel + head.bias

    def scores(self, images: FloatArray) -> FloatArray:
        """Logits (N, classes) of what is fed, (N, H, W, C)."""
        return np.asarray(backend().to_host(self._logits(images)))

    def features(self, number: int) -> FloatArray:
        """The activations of the layer before the head or its pooling, (h, w, K)."""
        layer = self.model.get_layer(FEATURES)
        found = keras.Model(self.model.inputs[0], layer.output)(self.fed(number))
        features: FloatArray = np.asarray(backend().to_host(found))[0]
        return features

    def head(self) -> tuple[FloatArray, FloatArray]:
        """Kernel (features, classes) and bias (classes,) of the last layer."""
        kernel, bias = self.model.get_layer(HEAD).get_weights()
        return kernel, bias


def _study(name: str, model: keras.Model, engine: Engine) -> Study:
    scheme = _SCHEMES.get(name, "tf")
    registry = Watching([])
    return Study(model, adapter=AnyModel(), preprocess=scheme, registry=registry, engine=engine)


def draw(size: tuple[int, int], channels: int, seed: int) -> FloatArray:
    """A picture of nothing in particular: noise under a light from one side, and a patch.

    Returns:
        float32 (H, W, C), whole numbers 20..255: nowhere black.
    """
    generator = np.random.default_rng(100 + seed)
    height, width = size
    light = np.linspace(0.4, 1, height)[:, None] * np.linspace(1, 0.3, width)[None]
    pixels = generator.uniform(30, 200, (height, width, channels)) * light[..., None]
    top, left = generator.integers(1, height // 2), generator.integers(1, width // 2)
    pixels[top : top + height // 3, left : left + width // 3] += generator.uniform(
        20, 120, channels
    )
    return np.clip(np.rint(pixels), 20, 255).astype(np.float32)


def snapshot(model: keras.Model, path: str = "") -> dict[str, Any]:
    """All of a model that a method could change, by layer."""
    found = {}
    for layer in model.layers:
        name = f"{path}{layer.name}"
        config = {key: repr(value) for key, value in layer.get_config().items()}
        found[name] = {
            "configuration": config,
            "weights": [weight.tobytes() for weight in layer.get_weights()],
            "nodes": (len(layer._inbound_nodes), len(layer._outbound_nodes)),
            "losses": len(layer.losses),
            "trainable": layer.trainable,
            "call": id(vars(layer).get("call")),
            "activation": id(vars(layer).get("activation")),
        }
        if isinstance(layer, keras.Model):
            found |= snapshot(layer, f"{name}/")
    return found


class Benches:
    """Small models under study, each built when it is first needed, and kept."""

    def __init__(self) -> None:
        self._built: dict[str, Bench] = {}

    def __getitem__(self, name: str) -> Bench:
        if name not in self._built:
            self._built[name] = Bench.build(name)
        return self._built[name]

    def clear(self) -> None:
        """Build all anew the next time."""
        self._built.clear()


ENOUGH = 300
"""Queries for a map: a method that asks more is tried with smaller counts."""
_COUNTED = "flatten-dense"
"""Where that is counted."""


@dataclass
class Subject:
    """An explainer that is being tried."""

    explainer: Explainer
    benches: Benches
    used: dict[str, None] = field(default_factory=dict)
    """The models it was tried on, in order, since this was last emptied."""
    read: Needs = Needs.NOTHING
    """What it has read in all its runs."""
    changed: set[str] = field(default_factory=set)
    """The evidence that it has changed."""
    returned: list[Any] = field(default_factory=list, repr=False)
    """What it returned for maps in its last run, right or wrong."""
    note: str = ""
    """With which parameters it is tried, where they are not those it was given."""
    _known: dict[tuple[str, int, int], Explanation] = field(default_factory=dict)

    def save_queries(self) -> None:
        """Halve the counts that its queries grow with, until it asks about `ENOUGH`.

        Only as far as it allows and goes on declaring the same laws.
        """
        asked, changed = self._asked(self.explainer), {}
        for each in fields(cast("Any", self.explainer)):
            count = getattr(self.explainer, each.name)
            while type(count) is int and count > 1 and asked > ENOUGH:
                count //= 2
                try:
                    fewer = replace(cast("Any", self.explainer), **{each.name: count})
                    cost = self._asked(fewer)
                except XaiError:
                    break
                if fewer.laws != self.explainer.laws or cost >= asked:
                    break
                self.explainer, asked, changed[each.name] = fewer, cost, count
        self.note = "".join(f"with {name}={value}, " for name, value in changed.items())

    def _asked(self, explainer: Explainer) -> float:
        """What a map costs: what the method says, or else what is counted."""
        if explainer.queries is not None:
            return explainer.queries
        try:
            (one,) = self.run(_COUNTED, explainer=explainer)
        except XaiError:
            return 0  # told by the laws
        return one.facts.get("queries", 0)

    def bench(self, name: str) -> Bench:
        """A small model."""
        self.used[name] = None
        return self.benches[name]

    def fits(self, name: str) -> bool:
        """Whether the model has what the method's rule is about."""
        rule = self.explainer.rule
        return rule is Rule.PLAIN or self.benches[name].study.rectifiers(rule) > 0

    def one(self, bench: str, picture: int = 0, target: int = 1) -> Explanation:
        """One map, made once."""
        key = bench, picture, target
        if key not in self._known:
            (self._known[key],) = self.run(bench, (picture,), (target,))
        self.used[bench] = None
        return self._known[key]

    def run(
        self,
        bench: str,
        pictures: Sequence[int] = (0,),
        targets: Sequence[int] = (1,),
        *,
        explainer: Explainer | None = None,
        batch: int = 8,
        log: Log | None = None,
    ) -> list[Explanation]:
        """Maps made anew, of every picture and, for each, every target.

        Raises:
            XaiError: the method failed.
        """
        at = self.bench(bench)
        return self.show(
            bench,
            [at.pictures[number] for number in pictures],
            targets,
            explainer=explainer,
            batch=batch,
            log=log,
        )

    def show(
        self,
        bench: str,
        pictures: Sequence[FloatArray],
        targets: Sequence[int] = (1,),
        *,
        explainer: Explainer | None = None,
        batch: int = 8,
        log: Log | None = None,
    ) -> list[Explanation]:
        """Maps of pictures that are not the bench's own."""
        log = Log() if log is None else log
        method = Watched(explainer or self.explainer, log)
        study = self.bench(bench).study
        cells = study.compare(list(pictures), [method], list(targets), batch=batch).cells
        self.read |= log.read
        self.changed |= log.changed
        self.returned = log.returned
        for cell in cells:
            if isinstance(cell, Failure):
                raise cell.error
        return [cell for cell in cells if isinstance(cell, Explanation)]
