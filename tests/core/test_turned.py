"""The way back by turned kernels: by hand, held to the definition of a convolution, in studies."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from plain import array, drawn, gradient

from xai_core import Study
from xai_core.probe import backend
from xai_core.probe.turned import Axis, Turned, turned
from xai_core.surgery import read_graph, variables_of
from xai_core.surgery.weights import Weights

SIZE = (11, 14)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def around(convolution, channels=6, size=SIZE):
    inputs = keras.Input((*size, channels), dtype=convolution.dtype)
    return drawn(keras.Model(inputs, convolution(inputs)), seed=3)


def both(model):
    graph = read_graph(model)
    return graph, Turned(Weights(backend().to_host, backend().keep))(graph, graph.steps)


def run(graph, given):
    return graph.run({graph.input: given}, [graph.output])[graph.output]


def by_definition(upstream, kernel, shape, strides, padding):
    """What each tap read, place by place, gets of each place that was made of it."""
    (_, height, width, _), size = shape, kernel.shape[:2]
    before = (0, 0)
    if padding == "same":
        missing = [
            max((count - 1) * step + taps - side, 0)
            for count, step, taps, side in zip(
                upstream.shape[1:3], strides, size, (height, width), strict=True
            )
        ]
        before = [each // 2 for each in missing]
    found = np.zeros(shape)
    for y, x, i, j in np.ndindex(*upstream.shape[1:3], *size):
        row, column = strides[0] * y + i - before[0], strides[1] * x + j - before[1]
        if 0 <= row < height and 0 <= column < width:
            found[:, row, column] += upstream[:, y, x] @ kernel[i, j].T
    return found


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("channels", [2, 6], ids=["few channels", "more"])
@pytest.mark.parametrize(
    ("size", "strides"),
    [
        ((1, 1), (1, 1)),
        ((3, 3), (1, 1)),
        ((2, 5), (1, 1)),
        ((1, 3), (1, 1)),
        ((1, 1), (2, 2)),
        ((3, 3), (2, 2)),
        ((7, 7), (2, 2)),
        ((2, 3), (3, 2)),
        ((3, 1), (4, 3)),
        ((2, 2), (5, 4)),
        ((4, 4), (4, 4)),
        ((11, 14), (1, 1)),
    ],
)
def test_it_is_the_transpose_of_a_convolution(size, strides, channels, padding):
    convolution = layers.Conv2D(
        5, size, strides=strides, padding=padding, dtype="float64", bias_initializer="normal"
    )
    model = around(convolution, channels)
    graph, other = both(model)
    assert other.step(convolution.name).kind == "function"
    pictures = draw(2, *SIZE, channels)
    given = ops.convert_to_tensor(pictures)
    made = array(run(graph, given))
    np.testing.assert_allclose(array(run(other, given)), made, rtol=0, atol=1e-12)
    upstream = draw(*made.shape, seed=1)
    found = gradient(lambda at: ops.sum(upstream * run(other, at)), pictures)
    kernel = array(convolution.kernel)
    expected = by_definition(upstream, kernel, pictures.shape, strides, padding)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("side", range(5, 14))
@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
def test_every_side_and_step(side, step):
    """With padding before the first place, and steps longer than the taps."""
    convolution = layers.Conv2D(4, 3, strides=step, padding="same", dtype="float64")
    _, other = both(around(convolution, 5, (side, 3)))
    pictures = draw(1, side, 3, 5)
    made = array(run(other, ops.convert_to_tensor(pictures)))
    upstream = draw(*made.shape, seed=1)
    found = gradient(lambda at: ops.sum(upstream * run(other, at)), pictures)
    kernel = array(convolution.kernel)
    expected = by_definition(upstream, kernel, pictures.shape, (step, step), "same")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_places_that_nothing_reads_are_not_made():
    """Of four places in steps of 2 one is: what is made has as many channels as are read."""
    axis = Axis(side=8, count=4, taps=1, step=2, before=0, block=2)
    assert turned(np.ones((1, 1, 5, 7)), (axis, axis)).shape == (1, 1, 7, 5)


def test_by_hand():
    """Steps of 2 with three taps over five places: two are made, one of them read twice."""
    axis = Axis(side=5, count=2, taps=3, step=2, before=0, block=2)
    # Places 0 and 1 of a block have tap 2 of the place before, or taps 0 and 1 of their own.
    assert (axis.first, axis.size, axis.blocks, axis.filled) == (-1, 2, 3, 2)
    taps = [[axis.tap(number, place) for place in range(2)] for number in range(2)]
    assert taps == [[2, None], [0, 1]]
    point = Axis(side=1, count=1, taps=1, step=1, before=0, block=1)
    kernel = np.array([1.0, 10.0, 100.0]).reshape(3, 1, 1, 1)
    assert turned(kernel, (axis, point)).reshape(2, 2).tolist() == [[100, 0], [1, 10]]
    model = around(layers.Conv2D(1, (3, 1), strides=(2, 1), use_bias=False), 1, (5, 1))
    model.set_weights([kernel])
    _, other = both(model)
    upstream = np.array([[[[3.0]], [[7.0]]]], np.float32)
    found = gradient(lambda at: ops.sum(upstream * run(other, at)), np.ones((1, 5, 1, 1), "f"))
    assert found.ravel().tolist() == [3, 30, 300 + 7, 70, 700]


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_an_activation_stays_where_it_is_and_carries_back_as_ever(activation):
    convolution = layers.Conv2D(7, 3, activation=activation, padding="same", dtype="float64")
    graph, other = both(around(convolution))
    assert [id(each) for each in variables_of(other)][:2] == [
        id(each) for each in variables_of(graph)
    ]
    assert len(variables_of(other)) == 3
    pictures, upstream = draw(2, *SIZE, 6), draw(2, *SIZE, 7, seed=1)
    one, two = (
        gradient(lambda at, graph=graph: ops.sum(upstream * run(graph, at)), pictures)
        for graph in (graph, other)
    )
    assert np.abs(one).max() > 1
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-12)


class Mine(layers.Conv2D):
    """Anyone's convolution, which may do anything."""


LEFT = {
    "a layer derived from it": lambda: Mine(6, 3),
    "dilated": lambda: layers.Conv2D(6, 3, dilation_rate=2),
    "in groups": lambda: layers.Conv2D(6, 3, groups=2),
    "half precision": lambda: layers.Conv2D(6, 3, dtype="mixed_bfloat16"),
    "another one": lambda: layers.DepthwiseConv2D(3),
}


@pytest.mark.parametrize("case", LEFT)
def test_what_is_left_alone(case):
    graph, other = both(around(LEFT[case]()))
    assert all(one is two for one, two in zip(graph.steps, other.steps, strict=True))


def test_a_layer_that_is_used_at_two_sizes_has_a_kernel_for_each():
    """Where it pads otherwise: 7 places in steps of 2 begin outside, 8 do not."""
    inputs = keras.Input((7, 8, 3), dtype="float64")
    shared = layers.Conv2D(3, 3, strides=2, padding="same", dtype="float64")
    model = drawn(keras.Model(inputs, shared(shared(inputs))), seed=5)
    graph, other = both(model)
    pictures = draw(2, 7, 8, 3)
    one, two = (
        gradient(lambda at, graph=graph: ops.sum(run(graph, at) ** 2), pictures)
        for graph in (graph, other)
    )
    assert np.abs(one).max() > 0.1
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-12)


def test_a_kernel_is_turned_once_for_all_passes():
    graph = read_graph(around(layers.Conv2D(6, 3)))
    turns = Turned(Weights(backend().to_host, backend().keep))
    one, two = (turns(graph, graph.steps).steps[-1].weights for _ in range(2))
    assert [id(each) for each in one] == [id(each) for each in two]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    inputs = keras.Input((26, 31, 3))
    x = layers.Conv2D(8, 5, strides=2, name="first")(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2D(16, 1, strides=2, name="middle")(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.SeparableConv2D(12, 3, name="separable")(layers.ReLU()(x))
    x = layers.Conv2D(12, 2, activation="relu", name="last")(x)
    x = layers.GlobalAveragePooling2D()(x)
    path = tmp_path_factory.mktemp("turned") / "model.keras"
    drawn(keras.Model(inputs, layers.Dense(4)(x)), seed=2).save(path)
    return path


NAMES = ("first", "middle", "separable", "last")
PICTURES = np.random.default_rng(4).integers(0, 256, (3, 26, 31, 3), dtype=np.uint8)


def replaced(study):
    """The layers that go back by kernels of their own, by what a pass was for."""
    return {
        kind.needs.name: [
            name for name in NAMES if len(probe._graph.step(name).weights) > 2 + (name == NAMES[2])
        ]
        for kind, probe in study._programs.kinds.items()
    }


@pytest.mark.tensorflow
def test_a_study_has_them_where_gradients_go_back_and_nowhere_else(registry, file):
    study = Study(file, registry=registry, preprocess="unit")
    study.explain(PICTURES[0], "saliency", target=0)
    study.compare(PICTURES[0], ["layercam"], [0], layers=["middle"])
    study.compare(PICTURES[0], ["eigen-cam"], layers=["middle"])
    study.explain(PICTURES[0], "occlusion", target=0)
    assert replaced(study) == {
        "INPUT_GRADIENTS": list(NAMES),
        "ACTIVATIONS|ACTIVATION_GRADIENTS": ["separable", "last"],
        "ACTIVATIONS": [],
        "NOTHING": [],
    }


@pytest.mark.tensorflow
@pytest.mark.parametrize("engine", ["compiled", "eager"])
def test_weights_that_are_read_each_time_are_never_turned(registry, file, engine):
    study = Study(file, registry=registry, preprocess="unit", engine=engine)
    study.explain(PICTURES[0], "saliency", target=0)
    assert replaced(study) == {"INPUT_GRADIENTS": []}


@pytest.mark.tensorflow
def test_a_model_that_was_handed_out_may_change(registry, file):
    study = Study(file, registry=registry, preprocess="unit")
    before = study.explain(PICTURES[0], "saliency", target=0).map
    assert replaced(study) == {"INPUT_GRADIENTS": list(NAMES)}
    model = study.model
    model.get_layer("last").kernel.assign(2 * model.get_layer("last").kernel)
    model.get_layer("last").bias.assign(2 * model.get_layer("last").bias)
    after = study.explain(PICTURES[0], "saliency", target=0).map
    assert replaced(study) == {"INPUT_GRADIENTS": []}
    assert before.max() > 1e-4
    np.testing.assert_allclose(after, 2 * before, rtol=0, atol=1e-5 * before.max())


def test_maps_are_the_same(registry, file):
    methods = ["saliency", "gradient-x-input", "guided-backprop", "layercam", "grad-cam"]
    auto, plain = (
        Study(file, registry=registry, preprocess="unit", engine=engine)
        for engine in ("auto", "eager")
    )
    found, one, exact = (
        study.compare(PICTURES, methods, [0, 3], layers=["middle"])
        for study in (auto, plain, plain.in_float64())
    )
    assert not found.failures
    for coarse, fine, true in zip(one, found, exact, strict=True):
        top = np.abs(true.map).max()
        assert top > 1e-4
        np.testing.assert_allclose(coarse.map, true.map, rtol=0, atol=1e-5 * top)
        np.testing.assert_allclose(fine.map, true.map, rtol=0, atol=1e-5 * top)
