"""Large dense layers in pieces: the numbers of Keras' own, forwards and back."""

import keras
import numpy as np
import pytest
from alike import assert_same
from keras import layers, ops
from plain import array, drawn

from xai_core import Study
from xai_core.probe import dense
from xai_core.probe.dense import PICTURES, in_pieces
from xai_core.surgery import read_graph, variables_of

CHANNELS = 192
"""Three pieces of 64 rows."""


class Mine(layers.Dense):
    """Anyone's layer, which may do anything."""


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch):
    monkeypatch.setattr(dense, "WEIGHTS", CHANNELS * 5)


def around(layer, shape=(CHANNELS,)):
    inputs = keras.Input(shape)
    return read_graph(drawn(keras.Model(inputs, layer(inputs)), seed=3))


TAKEN = {
    "plain": lambda: layers.Dense(5),
    "rectified": lambda: layers.Dense(7, activation="relu", bias_initializer="normal"),
    "no bias": lambda: layers.Dense(5, use_bias=False),
}
LEFT = {
    "a layer derived from it": (lambda: Mine(5), CHANNELS),
    "half precision": (lambda: layers.Dense(5, dtype="mixed_bfloat16"), CHANNELS),
    "a small one": (lambda: layers.Dense(4), CHANNELS),
    "rows that make no pieces": (lambda: layers.Dense(5), CHANNELS + 1),
}


@pytest.mark.parametrize("pictures", [1, PICTURES - 1, PICTURES, 9])
@pytest.mark.parametrize("case", TAKEN)
def test_the_function_and_its_gradient_are_the_same(case, pictures):
    graph = around(TAKEN[case]())
    other = in_pieces(graph)
    assert other.steps[-1].kind == "function"
    assert list(map(id, variables_of(other))) == list(map(id, variables_of(graph)))
    assert_same(graph, other, (pictures, CHANNELS), within=2e-6)


def test_by_hand():
    layer = layers.Dense(5)
    graph = around(layer)
    kernel = np.zeros((CHANNELS, 5))
    kernel[[0, 63, 64, 191], [0, 1, 2, 4]] = [2, 3, 5, 7]
    layer.set_weights([kernel, np.full(5, 0.5)])
    given = np.arange(4)[:, None] * CHANNELS + np.arange(CHANNELS)[None]
    fed = ops.convert_to_tensor(given.astype(np.float32))
    other = in_pieces(graph)
    found = array(other.run({other.input: fed}, [other.output])[other.output])
    # Of picture 1: 2 x 192, 3 x (192 + 63), 5 x (192 + 64), nothing, 7 x (192 + 191).
    assert found[1].tolist() == [384.5, 765.5, 1280.5, 0.5, 2681.5]
    assert found[:, 3].tolist() == [0.5] * 4


@pytest.mark.parametrize("case", LEFT)
def test_what_is_left_alone(case):
    layer, channels = LEFT[case]
    graph = around(layer(), (channels,))
    assert all(one is two for one, two in zip(graph.steps, in_pieces(graph).steps, strict=True))


def test_an_adapted_layer_is_left_alone():
    layer = layers.Dense(5)
    inputs = keras.Input((CHANNELS,))
    model = keras.Model(inputs, layer(inputs))
    layer.enable_lora(2)
    graph = read_graph(model)
    assert in_pieces(graph).steps[-1].operation is layer


def test_more_axes_are_multiplied_as_ever():
    layer = layers.Dense(5)
    graph = around(layer, (3, CHANNELS))
    other = in_pieces(graph)
    draw = np.random.default_rng(1)
    given = ops.convert_to_tensor(draw.normal(size=(4, 3, CHANNELS)).astype(np.float32))
    one, two = (
        array(each.run({each.input: given}, [each.output])[each.output]) for each in (graph, other)
    )
    assert one.shape == (4, 3, 5)
    np.testing.assert_array_equal(two, one)


@pytest.mark.tensorflow
def test_a_study_has_them_where_no_one_else_holds_the_model(registry, tmp_path):
    inputs = keras.Input((9, 14, 3))
    x = layers.Conv2D(16, 3, name="conv")(inputs)
    x = layers.Dense(5, name="large")(layers.Flatten()(layers.MaxPooling2D((3, 1))(x)))
    model = drawn(keras.Model(inputs, x), seed=2)
    model.save(tmp_path / "model.keras")
    draw = np.random.default_rng(2)
    pictures = [draw.integers(0, 256, (9, 14, 3), dtype=np.uint8) for _ in range(5)]
    kinds, maps = [], []
    for source in (tmp_path / "model.keras", model):
        study = Study(source, registry=registry, preprocess="unit")
        maps.append([each.map for each in study.compare(pictures, ["saliency"], [0, 3])])
        (probe,) = study._programs.kinds.values()
        kinds.append(probe._graph.step("large").kind)
    assert kinds == ["function", "Dense"]
    for one, two in zip(*maps, strict=True):
        assert np.abs(two).max() > 1e-4
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-5 * np.abs(two).max())
