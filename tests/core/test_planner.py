"""The planner: how many passes it takes, and what it does with what fails."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
import pytest
from keras import ops

from xai_core import Explainer, Needs, Study
from xai_core.errors import LayerError, PictureError, UsageError
from xai_core.types import Explanation, Failure

SIZE = (24, 32)


class Counted(keras.layers.Layer):
    """Counts how often it is called: once for each forward pass in a traced program."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.calls = []

    def call(self, inputs):
        if inputs.shape[0] is not None:  # not the symbolic call that builds the model
            self.calls.append(tuple(inputs.shape))
        return inputs


def make_model():
    """Two feature layers, and a counter before, between and behind them."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((*SIZE, 3))
    x = Counted(name="at_input")(inputs)
    x = keras.layers.Conv2D(5, 3, activation="tanh", name="shallow")(x)
    x = Counted(name="between")(x)
    x = keras.layers.Conv2D(6, 3, strides=2, activation="tanh", name="deep")(x)
    x = Counted(name="in_head")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(7, activation="softmax")(x))


@dataclass(frozen=True)
class Mean(Explainer):
    """The mean activation: needs no gradient."""

    name: ClassVar[str] = "mean"
    needs: ClassVar[Needs] = Needs.ACTIVATIONS

    def explain(self, evidence):
        return ops.mean(evidence.activations, axis=-1)


@dataclass(frozen=True)
class Breaks(Explainer):
    """Always raises."""

    name: ClassVar[str] = "breaks"
    needs: ClassVar[Needs] = Needs.ACTIVATIONS

    def explain(self, evidence):
        raise ZeroDivisionError("on purpose")


def pictures(count):
    rng = np.random.default_rng(5)
    return [rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8) for _ in range(count)]


def study_of(model, registry):
    return Study(model, registry=registry, preprocess="unit")


def forget_calls(model):
    """Those that told the shapes, which JAX traces."""
    for name in ("at_input", "between", "in_head"):
        model.get_layer(name).calls.clear()


def layer_calls(model):
    return {name: len(model.get_layer(name).calls) for name in ("at_input", "between", "in_head")}


def operations(study, kind):
    """How often an operation occurs in the one compiled program of a study."""
    (probe,) = study._programs.kinds.values()
    compiled = probe._pass
    names, cells = compiled.__code__.co_freevars, compiled.__closure__
    (program,) = cells[names.index("programs")].cell_contents.values()
    return sum(op.type == kind for op in program.graph.get_operations())


@pytest.mark.compiles
def test_everything_at_once_takes_one_pass_and_one_forward(registry):
    model = make_model()
    study = study_of(model, registry)
    forget_calls(model)
    many = study.compare(
        pictures(1),
        ["grad-cam", "grad-cam++", "saliency"],
        [0, 3, None],
        layers=["shallow", "deep"],
    )
    assert len(many.cells) == 3 * (2 + 2 + 1)
    assert len(many.passes) == 1
    assert layer_calls(model) == {"at_input": 1, "between": 1, "in_head": 1}


@pytest.mark.tensorflow
def test_class_activation_maps_are_differentiated_through_the_head_alone(registry):
    study = study_of(make_model(), registry)
    study.compare(pictures(1), ["grad-cam", "grad-cam++"], [2])
    assert operations(study, "Conv2D") == 2
    assert operations(study, "Conv2DBackpropInput") == 0


@pytest.mark.tensorflow
def test_a_shallow_layer_costs_one_backward_through_what_is_behind_it(registry):
    study = study_of(make_model(), registry)
    study.compare(pictures(1), ["grad-cam", "grad-cam++"], [2], layers=["deep", "shallow"])
    assert operations(study, "Conv2D") == 2
    assert operations(study, "Conv2DBackpropInput") == 1


@pytest.mark.tensorflow
def test_saliency_beside_them_reuses_forward_and_backward(registry):
    study = study_of(make_model(), registry)
    study.compare(pictures(1), ["grad-cam", "grad-cam++", "saliency"], [2])
    assert operations(study, "Conv2D") == 2
    assert operations(study, "Conv2DBackpropInput") == 2


@pytest.mark.tensorflow
def test_each_further_target_costs_one_backward_and_no_forward(registry):
    study = study_of(make_model(), registry)
    study.compare(pictures(1), ["saliency"], [2, 4, 6])
    assert operations(study, "Conv2D") == 2
    assert operations(study, "Conv2DBackpropInput") == 3 * 2


@pytest.mark.tensorflow
def test_further_targets_go_through_the_head_together(registry):
    found = []
    for targets in ([2, 4], [0, 1, 2, 3, 4, 5]):
        study = study_of(make_model(), registry)
        study.compare(pictures(1), ["grad-cam"], targets, layers="shallow")
        assert operations(study, "Conv2D") == 2
        found.append(operations(study, "Conv2DBackpropInput"))
    # One that runs, and one that it was made from, which nothing reads.
    assert found == [2, 2]


@pytest.mark.tensorflow
def test_maps_without_gradients_take_no_backward(registry):
    study = study_of(make_model(), registry)
    study.compare(pictures(1), [Mean()], [2])
    assert operations(study, "MatMul") == 1


@pytest.mark.compiles
def test_pictures_go_in_batches_of_one_compiled_shape(registry):
    model = make_model()
    study = study_of(model, registry)
    forget_calls(model)
    many = study.compare(pictures(5), "grad-cam", batch=2)
    assert [(each.pictures, each.targets) for each in many.passes] == [(2, 1), (2, 1), (1, 1)]
    assert model.get_layer("at_input").calls == [(2, *SIZE, 3)]
    assert len(many.cells) == len(many.predictions) == 5


def test_maps_do_not_depend_on_batching_or_company(registry):
    study = study_of(make_model(), registry)
    sources = pictures(5)
    together = study.compare(sources, ["grad-cam", "saliency"], batch=3)
    for source, *cells in zip(sources, together.cells[::2], together.cells[1::2], strict=True):
        alone = study.compare(source, ["grad-cam", "saliency"])
        for one, other in zip(alone.cells, cells, strict=True):
            np.testing.assert_allclose(one.map, other.map, atol=1e-6 * np.abs(one.map).max())


def test_several_layers_give_the_maps_of_each_alone(registry):
    study = study_of(make_model(), registry)
    (source,) = pictures(1)
    both = study.compare(source, ["grad-cam", "saliency"], [1, 5], layers=["deep", "shallow"])
    for cell in both.cells:
        layers = () if cell.layer is None else cell.layer
        (alone,) = study.compare(source, cell.method.name, cell.target.index, layers=layers).cells
        np.testing.assert_allclose(cell.map, alone.map, rtol=1e-5, atol=1e-8)
    assert [c.layer for c in both.cells[:3]] == ["shallow", "deep", None]


def test_an_unreadable_picture_fails_in_its_place_and_the_others_are_made(registry, tmp_path):
    study = study_of(make_model(), registry)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    first, second = pictures(2)
    many = study.compare([first, str(broken), second], ["grad-cam", "saliency"])
    made = [cell for cell in many.cells if isinstance(cell, Explanation)]
    failed = [cell for cell in many.cells if isinstance(cell, Failure)]
    assert (len(made), len(failed)) == (4, 2)
    assert all(cell.picture == "broken.png" for cell in failed)
    assert all("is not a picture that Pillow can read" in cell.message for cell in failed)


def test_the_only_picture_that_cannot_be_read_is_an_error(registry):
    with pytest.raises(PictureError, match=r"There is no file 'nowhere\.png'"):
        study_of(make_model(), registry).compare("nowhere.png")


def test_a_method_that_raises_fails_in_its_place(registry):
    many = study_of(make_model(), registry).compare(pictures(2), [Breaks(), "grad-cam"], [1, 2])
    assert [type(cell) for cell in many.cells] == [Failure, Explanation] * 4
    assert many.failures[0].message == (
        f"explainer 'breaks' of module {__name__} raised ZeroDivisionError: on purpose "
        f"(test_planner.py:{line_of(Breaks.explain) + 1}, in explain)"
    )


def line_of(function):
    """Where it begins in this file."""
    return function.__code__.co_firstlineno


def take(values, at):
    return values[at]


def read(text):
    return json.loads(text)


def multiply(one, other):
    return ops.matmul(one, other)


def say_nothing():
    raise NotImplementedError


@dataclass(frozen=True)
class Calls(Explainer):
    """Calls something that raises."""

    name: ClassVar[str] = "calls"
    needs: ClassVar[Needs] = Needs.NOTHING
    called: Any = None

    def explain(self, evidence):
        return self.called()


@pytest.mark.parametrize(
    ("called", "message"),
    [
        (
            lambda: take({}, "boom"),
            f"KeyError: 'boom' (test_planner.py:{line_of(take) + 1}, in take)",
        ),
        # What the libraries raise is told where they were called.
        (lambda: read("{"), f"(test_planner.py:{line_of(read) + 1}, in read)"),
        (
            lambda: multiply(np.ones((2, 3)), np.ones((2, 3))),
            f"(test_planner.py:{line_of(multiply) + 1}, in multiply)",
        ),
        (
            say_nothing,
            "raised NotImplementedError "
            f"(test_planner.py:{line_of(say_nothing) + 1}, in say_nothing)",
        ),
        # A list that is no array fails when nothing of the author's runs any more.
        (lambda: [[1.0], [1.0, 2.0]], "detected shape was (2,) + inhomogeneous part."),
        (lambda: None, "returned None; expected floating maps of shape (1, h, w)"),
        (dict, "returned dict; expected floating maps of shape (1, h, w)"),
    ],
    ids=["helper", "standard library", "library", "no message", "ragged", "none", "dict"],
)
def test_what_a_method_raises_is_told_with_the_place_in_its_own_code(registry, called, message):
    many = study_of(make_model(), registry).compare(pictures(1), [Calls(called)], [1])
    assert many.failures[0].message.endswith(message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch": 0}, "received batch 0; expected at least 1"),
        ({"methods": []}, "received no methods; expected at least one"),
        ({"targets": []}, "received no targets; expected at least one"),
        ({"top": 2, "bottom": 2}, "received top 2 and bottom 2; expected one of them"),
        ({"top": 8}, "received top 8; expected 1 to 7"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_runs(registry, arguments, message):
    with pytest.raises(UsageError, match=message):
        study_of(make_model(), registry).compare(pictures(1), **arguments)


def test_no_pictures_is_an_error(registry):
    with pytest.raises(UsageError, match="received no pictures; expected at least one"):
        study_of(make_model(), registry).compare([])


def test_top_and_bottom_are_the_ranks_of_the_prediction(registry):
    study = study_of(make_model(), registry)
    (source,) = pictures(1)
    order = [each.index for each in study.predict(source, top=7).classes]
    top = study.compare(source, "grad-cam", top=3)
    bottom = study.compare(source, "grad-cam", bottom=3)
    assert [cell.target.index for cell in top.cells] == order[:3]
    assert [cell.target.index for cell in bottom.cells] == order[::-1][:3]


def test_progress_is_told_from_nothing_to_all(registry):
    seen = []
    study_of(make_model(), registry).compare(
        pictures(3), "grad-cam", batch=2, progress=lambda *each: seen.append(each)
    )
    assert seen == [
        (0, 3, "array"),
        (0, 3, "array: grad-cam"),
        (2, 3, "array (3)"),
        (2, 3, "array (3): grad-cam"),
        (3, 3, ""),
    ]


@dataclass(frozen=True)
class Asks(Explainer):
    """Asks about as many black pictures as it says, or does not say."""

    name: ClassVar[str] = "asks"
    needs: ClassVar[Needs] = Needs.QUERIES

    count: int = 40
    says: bool = True

    @property
    def queries(self):
        return self.count if self.says else None

    def explain(self, evidence):
        batch, height, width, channels = evidence.inputs.shape
        asked = ops.zeros((batch, self.count, height, width, channels))
        return ops.zeros((batch, 2, 3)) + evidence.scores(asked)[:, :1, None]


def test_queries_are_counted_and_told(registry):
    seen = []
    study = study_of(make_model(), registry)
    methods = [Asks(), Asks(count=35, says=False)]
    many = study.compare(
        pictures(3), methods, [0], batch=2, progress=lambda *each: seen.append(each[2])
    )
    assert seen == [
        "array",
        "array: asks",
        "array: asks, 34 of 80 queries",
        "array: asks, 68 of 80 queries",
        "array: asks, 80 of 80 queries",
        "array: asks",
        "array: asks, 34 queries",
        "array: asks, 68 queries",
        "array: asks, 70 queries",
        "array (3)",
        "array (3): asks",
        "array (3): asks, 34 of 40 queries",
        "array (3): asks, 40 of 40 queries",
        "array (3): asks",
        "array (3): asks, 34 queries",
        "array (3): asks, 35 queries",
        "",
    ]
    assert [one.facts["queries"] for one in many] == [40, 35] * 3


@dataclass(frozen=True)
class Sees(Explainer):
    """Shows the pictures as they were before preprocessing."""

    name: ClassVar[str] = "sees"
    needs: ClassVar[Needs] = Needs.NOTHING

    def explain(self, evidence):
        np.testing.assert_allclose(evidence.inputs, evidence.pixels / 255, rtol=1e-6)
        again = evidence.pictures([255 - each.astype(np.uint8) for each in evidence.pixels])
        np.testing.assert_allclose(again, 1 - evidence.inputs, atol=1e-6)
        return evidence.pixels.mean(axis=-1)


def test_a_method_may_see_the_picture_before_preprocessing(registry):
    given = pictures(3)
    many = study_of(make_model(), registry).compare(given, [Sees()], [0], batch=2)
    for one, picture in zip(many, given, strict=True):
        np.testing.assert_allclose(one.map, picture.mean(axis=-1), rtol=1e-6)


def test_without_a_layer_the_methods_that_need_none_are_run_all_the_same(registry):
    model = keras.Sequential(
        [keras.Input((*SIZE, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    study = study_of(model, registry)
    many = study.compare(pictures(2), ["grad-cam", "saliency"], [0, None])
    assert [type(cell) for cell in many.cells] == [Failure, Explanation] * 4
    assert all("has no layer with a spatial extent" in each.message for each in many.failures)
    with pytest.raises(LayerError, match="has no layer with a spatial extent"):
        study.compare(pictures(1), ["grad-cam"])


def test_focus_is_said_of_the_picture_not_of_the_crop(registry):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(2, kernel_initializer="ones")(x))
    study = Study(model, registry=registry, preprocess="none", fit="crop")
    spot = np.zeros((8, 24), np.uint8)
    spot[4, 15] = 255  # right in the crop, columns 8 to 15; in the middle of the picture
    one = study.explain(spot, target=0)
    assert one.focus.centre == pytest.approx((4.5 / 8, 15.5 / 24))
    assert str(one.focus).endswith("around the centre")


def test_needs_are_written_as_they_are_declared():
    assert str(Needs.NOTHING) == "NOTHING"
    assert str(Needs.QUERIES) == "QUERIES"
    assert f"{Needs.QUERIES | Needs.ACTIVATIONS}" == "ACTIVATIONS | QUERIES"
