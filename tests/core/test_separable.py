"""Separable convolutions as products: the numbers of Keras' own, forwards and back."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from plain import array, drawn, gradient

from xai_core import Study
from xai_core.probe import backend
from xai_core.probe.separable import Products
from xai_core.surgery import read_graph, variables_of
from xai_core.surgery.weights import Weights

SIZE = (9, 14)


class Mine(layers.SeparableConv2D):
    """Anyone's convolution, which may do anything."""


REPLACED = {
    "plain": lambda: layers.SeparableConv2D(7, 3),
    "steps": lambda: layers.SeparableConv2D(7, (3, 2), strides=2, padding="same"),
    "dilated": lambda: layers.SeparableConv2D(4, 3, dilation_rate=2),
    "multiplied": lambda: layers.SeparableConv2D(5, 3, depth_multiplier=2),
    "rectified": lambda: layers.SeparableConv2D(7, 3, activation="relu", bias_initializer="normal"),
    "no bias": lambda: layers.SeparableConv2D(7, 1, use_bias=False),
}
LEFT = {
    "a layer derived from it": lambda: Mine(7, 3),
    "half precision": lambda: layers.SeparableConv2D(7, 3, dtype="mixed_bfloat16"),
    "another one": lambda: layers.Conv2D(7, 1),
}


def around(convolution):
    inputs = keras.Input((*SIZE, 3))
    return drawn(keras.Model(inputs, convolution(inputs)), seed=3)


def products():
    return Products(Weights(backend().to_host, backend().keep))


def both(convolution, goes_back=False):
    graph = read_graph(around(convolution))
    return graph, products()(graph, graph.steps if goes_back else ())


@pytest.mark.parametrize("goes_back", [False, True], ids=["as it is", "turned round before"])
@pytest.mark.parametrize("case", REPLACED)
def test_the_function_and_its_gradient_are_the_same(case, goes_back):
    convolution = REPLACED[case]()
    graph, other = both(convolution, goes_back)
    assert other.step(convolution.name).kind == "function"
    own, (*shared, last) = ([id(each) for each in variables_of(each)] for each in (graph, other))
    assert (shared == own) if goes_back else ([*shared, last] == own)
    draw = np.random.default_rng(1)
    pictures = draw.normal(size=(2, *SIZE, 3)).astype(np.float32)
    given = ops.convert_to_tensor(pictures)
    one, two = (
        array(each.run({each.input: given}, [each.output])[each.output]) for each in (graph, other)
    )
    assert np.abs(one).max() > 0.1
    np.testing.assert_allclose(two, one, rtol=0, atol=2e-6 * np.abs(one).max())
    weights = ops.convert_to_tensor(draw.normal(size=one.shape).astype(np.float32))

    def back(graph):
        return gradient(
            lambda at: ops.sum(
                weights * graph.run({graph.input: at}, [graph.output])[graph.output]
            ),
            pictures,
        )

    expected = back(graph)
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(back(other), expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def test_by_hand():
    convolution = layers.SeparableConv2D(1, (1, 2))
    inputs = keras.Input((1, 3, 2))
    model = keras.Model(inputs, convolution(inputs))
    convolution.set_weights(
        [
            np.array([[[[1.0], [10.0]], [[2.0], [20.0]]]]),  # taps 1 and 2, of the channels
            np.array([[[[3.0], [5.0]]]]),
            np.array([7.0]),
        ]
    )
    graph = products()(read_graph(model))
    picture = ops.convert_to_tensor(np.array([[[[1, 1], [0, 2], [1, 0]]]], np.float32))
    found = array(graph.run({graph.input: picture}, [graph.output])[graph.output])
    # 3 (1 + 0) + 5 (10 + 40) + 7, and 3 (0 + 2) + 5 (20 + 0) + 7
    assert found.ravel().tolist() == [260, 113]


def test_by_hand_and_back():
    """The gradient takes the turned matrix: of weighted sums of two filters."""
    convolution = layers.SeparableConv2D(2, 1, use_bias=False)
    inputs = keras.Input((1, 2, 3))
    model = keras.Model(inputs, convolution(inputs))
    pointwise = np.array([[1, 10], [2, 20], [3, 30]], np.float32)
    convolution.set_weights([np.full((1, 1, 3, 1), 2, np.float32), pointwise[None, None]])
    graph = read_graph(model)
    turns = products()
    graph = turns(graph, graph.steps)
    turned = variables_of(graph)[-1]
    assert array(turned.value).tolist() == pointwise.T.tolist()
    upstream = ops.convert_to_tensor(np.array([[[[5, 0], [1, 7]]]], np.float32))
    found = gradient(
        lambda at: ops.sum(upstream * graph.run({graph.input: at}, [graph.output])[graph.output]),
        np.ones((1, 1, 2, 3), np.float32),
    )
    # 2 (5 * 1), 2 (5 * 2), 2 (5 * 3); 2 (1 * 1 + 7 * 10), ...
    assert found.ravel().tolist() == [10, 20, 30, 142, 284, 426]
    # It, not the kernel as it lies, is what is gone back by; and it is turned but once.
    turned.assign(0 * turned.value)
    again = turns(read_graph(model), graph.steps)
    found = gradient(
        lambda at: ops.sum(upstream * again.run({again.input: at}, [again.output])[again.output]),
        np.ones((1, 1, 2, 3), np.float32),
    )
    assert not found.any()


@pytest.mark.parametrize("case", LEFT)
def test_what_is_left_alone(case):
    graph, other = both(LEFT[case]())
    assert all(one is two for one, two in zip(graph.steps, other.steps, strict=True))


@pytest.mark.compiles
def test_a_study_has_them_where_no_one_else_holds_the_model(registry, tmp_path):
    inputs = keras.Input((*SIZE, 3))
    x = layers.SeparableConv2D(6, 3, name="conv")(inputs)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    model = drawn(keras.Model(inputs, layers.Dense(4)(x)), seed=2)
    model.save(tmp_path / "model.keras")
    picture = np.random.default_rng(2).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    kinds, maps = [], []
    for source in (tmp_path / "model.keras", model):
        study = Study(source, registry=registry, preprocess="unit")
        maps.append(study.explain(picture, "grad-cam", target=0).map)
        (probe,) = study._programs.kinds.values()
        kinds.append(probe._graph.step("conv").kind)
    assert kinds == ["function", "SeparableConv2D"]
    assert maps[1].max() > 1e-4
    np.testing.assert_allclose(maps[0], maps[1], rtol=0, atol=1e-5 * maps[1].max())
