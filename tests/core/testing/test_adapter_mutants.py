"""For every law of adapters, one that breaks it: the kit must catch each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import keras
import numpy as np
import pytest
from keras import layers

from xai_core import FeatureLayer, ModelAdapter, Preprocessing
from xai_core.errors import LayerError, ModelError
from xai_core.preprocessing import SCHEMES
from xai_core.surgery import deepest_per_resolution, stride
from xai_core.testing import ConformanceError, check_adapter
from xai_core.testing.adapters import ADAPTERS

FILTERS = (7, 9)


@dataclass(frozen=True)
class Small(ModelAdapter):
    """A family of two convolutions: nothing is wrong with it."""

    name: str = "small"
    summary: str = "two convolutions"
    input_size: tuple[int, int] | None = (24, 32)
    preprocessing: Preprocessing | None = SCHEMES["tf"]
    fit: str = "crop"

    def build(self, weights):
        if weights != "random":
            raise ModelError(f"no weights {weights!r}; expected random")
        inputs = keras.Input((24, 32, 3))
        x = layers.Conv2D(7, 3, strides=2, padding="same", activation="relu", name="low")(inputs)
        branch = layers.Conv2D(7, 3, padding="same", name="inside")(x)
        x = layers.Add(name="around")([x, branch])
        x = layers.Conv2D(9, 3, strides=2, padding="same", activation="relu", name="high")(x)
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        return keras.Model(inputs, layers.Dense(5, "softmax")(x))

    def matches(self, graph):
        try:
            found = [graph.step(name) for name in ("low", "high")]
        except LayerError:
            return False
        return [graph.shape(step)[-1] for step in found] == list(FILTERS)

    def feature_layers(self, graph):
        return tuple(
            FeatureLayer(graph.step(name).path, stride)
            for name, stride in (("low", 2), ("high", 4))
        )

    def labels(self, classes: int) -> Sequence[str] | None:
        return ("a", "b", "c", "d", "e") if classes == 5 else None


@dataclass(frozen=True)
class FallBack(Small):
    """One that describes what it does not build: nothing is wrong with it either."""

    name: str = "fall-back"
    rank: int = -2
    input_size: tuple[int, int] | None = None
    preprocessing: Preprocessing | None = None

    def build(self, weights):
        raise ModelError("builds nothing; pass a model")

    def matches(self, graph):
        return bool(deepest_per_resolution(graph))

    def feature_layers(self, graph):
        path = deepest_per_resolution(graph)[-1]
        return (FeatureLayer(path, round(stride(graph, graph.step(path)))),)

    def labels(self, classes):
        return None


MUTANTS = []


def mutant(law, method, of=Small):
    """Register a function as a method of an adapter that breaks one law."""

    def register(function):
        kind = type(function.__name__, (of,), {method: function})
        MUTANTS.append((law, dataclass(frozen=True)(kind)(), function.__name__))
        return function

    return register


for law, change in (
    ("interface", {"name": "Small Net"}),
    ("interface", {"summary": "two\nlines"}),
    ("interface", {"summary": " "}),
    ("interface", {"input_size": [24, 32]}),
    ("interface", {"input_size": (3, 24, 32)}),
    ("interface", {"preprocessing": np.copy}),
    ("interface", {"fit": "squash"}),
    ("builds", {"input_size": (32, 24)}),
):
    MUTANTS.append((law, Small(**change), str(change)))


@mutant("builds", "build")
def builds_whatever_weights_were_asked_for(self, weights):
    return Small().build("random")


@mutant("builds", "build")
def raises_what_open_raises(self, weights):
    if weights != "random":
        raise FileNotFoundError(weights)
    return Small().build(weights)


@mutant("builds", "build")
def builds_no_classifier_but_feature_maps(self, weights):
    model = Small().build(weights)
    return keras.Model(model.inputs[0], model.get_layer("high").output)


@mutant("builds", "build", of=FallBack)
def a_fall_back_that_builds_something(self, weights):
    return Small().build(weights)


@mutant("recognises", "matches")
def nothing_is_recognised(self, graph):
    return False


@mutant("recognises", "matches")
def looks_for_names_at_the_top_of_the_model(self, graph):
    return {"low", "high"} <= {step.path for step in graph.steps}


@mutant("no-other", "matches")
def all_that_has_a_convolution_is_recognised(self, graph):
    return any(step.kind == "Conv2D" for step in graph.steps)


@mutant("no-other", "matches")
def what_a_model_does_not_have_is_looked_up_all_the_same(self, graph):
    return graph.shape(graph.step("high"))[-1] == 9


@mutant("no-other", "matches", of=FallBack)
def a_fall_back_that_raises_on_a_model_without_pictures(self, graph):
    return graph.shapes[graph.input][3] > 0


def features(*layers_and_strides):
    def feature_layers(self, graph):
        return [FeatureLayer(graph.step(name).path, stride) for name, stride in layers_and_strides]

    return feature_layers


for told, given in (
    ("inside a branch", (("inside", 2), ("high", 4))),
    ("without places", (("low", 2), ("pool", 4))),
    ("deep to shallow", (("high", 4), ("low", 2))),
    ("twice the same", (("high", 4), ("high", 4))),
    ("a stride of a relative", (("low", 2), ("high", 8))),
    ("none", ()),
):
    kind = type("Mutant", (Small,), {"feature_layers": features(*given)})
    MUTANTS.append(("layers", dataclass(frozen=True)(kind)(), told))


@mutant("layers", "feature_layers")
def paths_that_hold_only_where_the_model_is_flat(self, graph):
    return [FeatureLayer("low", 2), FeatureLayer("no such layer", 4)]


def in_place(images):
    images /= images.dtype.type(127.5)
    images -= images.dtype.type(1)
    return images


for told, function in (
    ("in place", in_place),
    ("another shape", lambda images: images[:, :-1]),
    ("whole numbers", lambda images: images.astype(np.uint8)),
    ("not finite", lambda images: np.log(images - 20)),
    ("another each time", lambda images: images + np.random.default_rng().random(1, images.dtype)),
    ("a mean over the batch", lambda images: images - images.mean(axis=0)),
):
    MUTANTS.append(("preprocessing", Small(preprocessing=Preprocessing(told, function, "")), told))


@mutant("labels", "labels")
def its_own_names_for_any_number_of_classes(self, classes):
    return ("a", "b", "c", "d", "e")


@mutant("labels", "labels")
def numbers_for_names(self, classes):
    return list(range(classes))


@mutant("labels", "labels")
def knows_two_counts_alone(self, classes):
    return {5: ("a", "b", "c", "d", "e"), 2: None}[classes]


@mutant("explains", "build")
def weights_that_overflow(self, weights):
    model = Small().build(weights)
    for weight in model.weights:
        weight.assign(np.full(weight.shape, 1e38))
    return model


def test_nothing_is_wrong_with_what_they_were_made_of(kit):
    check_adapter(Small(), kit)
    check_adapter(replace(Small(), preprocessing=None, input_size=None), kit)
    check_adapter(FallBack(), kit)


def test_every_law_has_a_mutant():
    assert {law for law, *_ in MUTANTS} == {check.law for check in ADAPTERS}


@pytest.mark.filterwarnings("ignore:(divide by zero|invalid value):RuntimeWarning")
@pytest.mark.parametrize(
    ("law", "wrong", "told"), MUTANTS, ids=[f"{law}-{i}" for i, (law, *_) in enumerate(MUTANTS)]
)
def test_it_is_caught_and_told_why(kit, law, wrong, told):
    with pytest.raises(ConformanceError) as caught:
        check_adapter(wrong, kit)
    message = str(caught.value)
    assert [each.law for each in caught.value.findings] == [law], message
    (finding,) = caught.value.findings
    assert message.startswith(f"{wrong.name!r} does not keep to {law}\n")
    for said in (finding.statement, finding.broken, finding.mistake, finding.read):
        assert said
        assert said in message
