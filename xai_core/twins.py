"""Copies of a model: in another precision, or with weights drawn anew."""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

import keras
import numpy as np

from xai_core.errors import ModelError
from xai_core.probe import backend
from xai_core.surgery import read_graph


def in_float64(model: keras.Model) -> keras.Model:
    """The same model on the same weights, where all is computed in float64.

    Raises:
        ModelError: it cannot be made again from its configuration.
    """
    made = _again(model, _widened)
    made.set_weights([backend().to_host(each.value) for each in model.weights])
    return made


class Ladder:
    """A copy of a model, whose layers lose what they learnt one after the other.

    From the logits down: Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018,
    section 3.1 (cascading randomisation). The new weights are drawn by each layer's own
    initialisers.

    Args:
        model: It is left alone.
        seed: Of the new weights.

    Raises:
        ModelError: the model cannot be made again from its configuration.
    """

    def __init__(self, model: keras.Model, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self.model = _again(model, partial(_seeded, generator=generator))
        """The copy, with the weights of the rung where it stands."""
        self._learnt = [backend().to_host(each.value) for each in model.weights]
        self._new = [np.array(backend().to_host(each.value)) for each in self.model.weights]
        number = {id(each): number for number, each in enumerate(self.model.weights)}
        layers: dict[int, tuple[str, tuple[int, ...]]] = {}
        for step in read_graph(self.model).steps:
            if step.weights:  # a layer that is called twice is one layer
                places = tuple(number[id(each)] for each in step.weights)
                layers.setdefault(id(step.operation), (step.path, places))
        self._layers = tuple(layers.values())[::-1]

    def rungs(self, count: int) -> tuple[tuple[str, ...], ...]:
        """The paths of the layers that lose their weights at each of some rungs, in that order."""
        ends = np.linspace(0, len(self._layers), min(count, len(self._layers)) + 1)
        paths = [path for path, _ in self._layers]
        return tuple(tuple(paths[a:b]) for a, b in pairwise(np.rint(ends).astype(int)))

    def stand(self, layers: int) -> None:
        """Give the copy new weights in so many layers from the logits down, learnt ones below."""
        new = {place for _, places in self._layers[:layers] for place in places}
        for place, variable in enumerate(self.model.weights):
            variable.assign((self._new if place in new else self._learnt)[place])


def _again(model: keras.Model, change: Callable[[Any], Any]) -> keras.Model:
    """A model made again, with weights of its own, from a changed configuration."""
    kinds = {step.kind: type(step.operation) for step in read_graph(model).steps}
    told = (
        f"{model.name!r} cannot be made again from its configuration: %s. Expected every layer to "
        "have a get_config() of which its from_config() makes the same layer"
    )
    try:
        with keras.utils.custom_object_scope(kinds):
            made: keras.Model = type(model).from_config(change(model.get_config()))
    except Exception as error:
        raise ModelError(told % f"{type(error).__name__}: {error}".rstrip(".")) from error
    was, now = ([tuple(each.shape) for each in which.weights] for which in (model, made))
    if was != now:
        raise ModelError(told % f"its weights were {len(was)}, and are {len(now)} of other shapes")
    return made


def _widened(config: Any) -> Any:
    """A configuration with float64 for every floating dtype."""
    if isinstance(config, str):
        return "float64" if config in _NARROW else config
    return _throughout(config, lambda _, value: _widened(value))


def _seeded(config: Any, generator: np.random.Generator) -> Any:
    """A configuration with a seed for whatever would draw its own."""

    def seed(key: Any, value: Any) -> Any:
        if key == "seed" and value is None:
            return int(generator.integers(2**31))
        return _seeded(value, generator)

    return _throughout(config, seed)


def _throughout(config: Any, change: Callable[[Any, Any], Any]) -> Any:
    if isinstance(config, Mapping):
        return {key: change(key, value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(change(None, each) for each in config)
    return config


_NARROW = frozenset({"float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16"})
