"""Copies of a model: in another precision, or with weights drawn anew."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from types import FunctionType
from typing import Any

import keras
import numpy as np

from xai_core.errors import ModelError
from xai_core.keras_globals import own_chance, own_names, own_policy, without_tensorflow
from xai_core.probe import backend
from xai_core.surgery import Step, read_graph
from xai_core.typing import FloatArray


def in_float64(model: keras.Model) -> keras.Model:
    """The same model on the same weights, where all is computed in float64.

    Raises:
        ModelError: it cannot be made again from its configuration, or a layer of it keeps to
            another precision.
    """
    with own_policy("float64"):
        made, pairs = _again(model, _widened, seed=0)
    for was, now in pairs:
        for learnt, new in zip(was.weights, now.weights, strict=True):
            new.assign(backend().to_host(learnt.value).astype(new.dtype))
    _settle(made)
    narrow = [each.name for each in _layers(made) if each.compute_dtype in _NARROW]
    narrow += [each.path for each in made.weights if each.dtype in _NARROW]
    if narrow:
        raise ModelError(
            f"{model.name!r} cannot be made in float64: {', '.join(narrow[:_SHOWN])} would still "
            f"be narrower. Expected every layer's get_config() to hold its dtype, and its __init__ "
            "to pass it on"
        )
    return made


class Ladder:
    """A copy of a model, whose layers lose what they learnt one after the other.

    From the logits down: Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018,
    section 3.1 (cascading randomisation). The new weights are drawn by each layer's own
    initialisers, by the ladder's seed also where an initialiser has a seed of its own: with that
    one, the weights would be those that the training began with. Statistics of a `Normalization`
    layer are no weights in this sense: they say how pictures are fed, and stay.

    Args:
        model: It is left alone, and so are the global random states. Its weights are those that
            it has now.
        seed: Of the new weights.

    Raises:
        ModelError: the model cannot be made again from its configuration.
    """

    def __init__(self, model: keras.Model, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self.model, pairs = _again(model, partial(_seeded, generator=generator), seed)
        """The copy, with the weights of the rung where it stands."""
        self._layers = _from_the_top(pairs)
        self._standing = len(self._layers)
        drawn = {id(each) for layer in self._layers for each in layer.weights}
        for was, now in pairs:
            for learnt, kept in zip(was.weights, now.weights, strict=True):
                if id(kept) not in drawn:  # statistics
                    kept.assign(_held(learnt.value))
        _settle(self.model)

    def rungs(self, count: int) -> tuple[tuple[str, ...], ...]:
        """The paths of the layers that lose their weights at each of some rungs, in that order."""
        ends = np.linspace(0, len(self._layers), min(count, len(self._layers)) + 1)
        paths = [each.path for each in self._layers]
        return tuple(tuple(paths[a:b]) for a, b in pairwise(np.rint(ends).astype(int)))

    def stand(self, layers: int) -> None:
        """Give the copy new weights in so many layers from the logits down, learnt ones below.

        Only what changes on the way from where it stands is written.
        """
        low, high = sorted((self._standing, layers))
        for each in self._layers[low:high]:
            each.swap()
        self._standing = layers


class _Layer:
    """What loses its weights as one: a layer, wherever it is called.

    Args:
        path: Where it is called first.
        weights: The copy's.
        learnt: The model's.
    """

    def __init__(self, path: str, weights: Sequence[Any], learnt: Sequence[Any]) -> None:
        self.path = path
        self.weights = weights
        self._spare = [_held(each.value) for each in learnt]
        """What the copy does not hold now: the learnt weights, or those drawn anew. With both, a
        large model would be held once more."""

    def swap(self) -> None:
        """Exchange what is held and what is not."""
        for place, weight in enumerate(self.weights):
            held = _held(weight.value)
            weight.assign(self._spare[place])
            self._spare[place] = held


def _from_the_top(pairs: Sequence[tuple[Step, Step]]) -> tuple[_Layer, ...]:
    """The layers with weights, from the logits down; a weight of several is the topmost's."""
    paths: dict[int, str] = {}
    for was, _ in pairs:
        paths.setdefault(id(was.operation), was.path)
    found: list[_Layer] = []
    taken: set[int] = set()
    for was, now in reversed(pairs):
        if isinstance(was.operation, keras.layers.Normalization):
            continue
        both = zip(now.weights, was.weights, strict=True)
        mine = [(new, learnt) for new, learnt in both if id(new) not in taken]
        if mine:
            weights, learnt = zip(*mine, strict=True)
            found.append(_Layer(paths[id(was.operation)], weights, learnt))
            taken.update(map(id, weights))
    return tuple(found)


def _again(
    model: keras.Model, change: Callable[[Any], Any], seed: int
) -> tuple[keras.Model, list[tuple[Step, Step]]]:
    """A model made again, with weights of its own, from a changed configuration.

    Returns:
        The model, and each step of the graph beside that of the new one.
    """
    told = f"{model.name!r} cannot be made again from its configuration: %s. Expected %s"
    expected = "every layer to have a get_config() of which its from_config() makes the same layer"
    for each in _layers(model):
        if isinstance(each, keras.layers.Lambda) and each.function.__name__ == "<lambda>":
            raise ModelError(
                told % (f"the layer {each.name!r} is a Lambda around a Python lambda",
                        "a function with a name in its place, or a layer of your own")
            )  # fmt: skip
    try:
        own = keras.utils.custom_object_scope(_own_objects(model))
        with own_names(), own_chance(seed), without_tensorflow(), own:
            made: keras.Model = type(model).from_config(change(model.get_config()))
    except Exception as error:
        raise ModelError(told % (_reason(error), expected)) from error
    was, now = (read_graph(each).steps for each in (model, made))
    other = [a.path for a, b in zip(was, now, strict=False) if _likeness(a) != _likeness(b)]
    if other or len(was) != len(now):
        which = ", ".join(map(repr, other[:_SHOWN])) or "some layers"
        raise ModelError(told % (f"{which} come out as others", expected))
    for a, b in zip(was, now, strict=True):
        if a.path != b.path:  # of a layer that does not tell its name, or is named anew each time
            layer: Any = b.operation
            layer.name = vars(a.operation)["name"]
    return made, list(zip(was, now, strict=True))


def _likeness(step: Step) -> tuple[str, list[tuple[int, ...]]]:
    """What a step and its copy have in common; they are read in one order, whatever their names."""
    return step.kind, [tuple(each.shape) for each in step.weights]


def _held(tensor: Any) -> FloatArray:
    """A copy: what a backend hands out may be the very memory of the weight."""
    copied: FloatArray = np.array(backend().to_host(tensor))
    return copied


def _layers(model: keras.Model) -> list[Any]:
    """Every layer, those within others included."""
    found: list[Any] = model._flatten_layers()
    return found


def _settle(model: keras.Model) -> None:
    """Have layers read their statistics again, which they keep a second time as constants."""
    for each in _layers(model):
        if isinstance(each, keras.layers.Normalization):
            each.finalize_state()


def _own_objects(model: keras.Model) -> dict[str, Any]:
    """Classes and functions that the model holds and Keras does not know, by name.

    They need not be registered: the model is here, and what it holds was run already.
    """
    held = [value for layer in _layers(model) for value in (layer, *vars(layer).values())]
    kinds = (
        keras.Layer, keras.Initializer, keras.regularizers.Regularizer,
        keras.constraints.Constraint,
    )  # fmt: skip
    found: list[Any] = [type(each) for each in held if isinstance(each, kinds)]
    found += [each for each in held if isinstance(each, FunctionType)]
    return {each.__name__: each for each in found if not each.__module__.startswith("keras.")}


def _reason(error: Exception) -> str:
    """The line that says why: Keras puts what it met behind pages of configuration."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    met = [line for line in lines if line.startswith(_MET)]
    reason = (met[-1:] or lines or ["no reason given"])[0].removeprefix(_MET)
    return f"{type(error).__name__}: {reason[:300].rstrip('.')}"


def _widened(config: Any) -> Any:
    """A configuration with float64 for every floating dtype."""
    if isinstance(config, str):
        return "float64" if config in _NARROW else config
    return _throughout(config, lambda _, value: _widened(value))


def _seeded(config: Any, generator: np.random.Generator, *, draws: bool = False) -> Any:
    """A configuration with seeds by a generator, of all that has none, and all initialisers.

    Args:
        config: Of a model, or what is in it.
        generator: Of the seeds.
        draws: Whether it is an initialiser's.
    """
    here = draws or (isinstance(config, Mapping) and config.get("module") == "keras.initializers")

    def seed(key: Any, value: Any) -> Any:
        if key == "seed" and (here or value is None):
            return int(generator.integers(2**31))
        return _seeded(value, generator, draws=here or str(key).endswith("initializer"))

    return _throughout(config, seed)


def _throughout(config: Any, change: Callable[[Any, Any], Any]) -> Any:
    if isinstance(config, Mapping):
        return {key: change(key, value) for key, value in config.items()}
    if isinstance(config, list):
        return [change(None, each) for each in config]
    if isinstance(config, tuple):
        return tuple(change(None, each) for each in config)
    return config


_NARROW = frozenset({"float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16"})
_MET = "Exception encountered: "
_SHOWN = 5
