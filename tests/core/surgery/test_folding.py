"""Normalisations folded into convolutions: the same function, and the layers as they were."""

import keras
import numpy as np
import pytest
from keras import layers
from plain import array

from xai_core import Study
from xai_core.probe import backend
from xai_core.surgery import read_graph, variables_of
from xai_core.surgery.folding import LARGE, Folding
from xai_core.surgery.weights import Weights

SIZE = (9, 14)


class Mine(layers.Conv2D):
    """Anyone's convolution, which may do anything."""

    def call(self, inputs):
        return 2 * super().call(inputs)


CONVOLUTIONS = {
    "conv": lambda: layers.Conv2D(5, 3, strides=2, padding="same"),
    "conv without bias": lambda: layers.Conv2D(5, (1, 3), use_bias=False),
    "grouped": lambda: layers.Conv2D(6, 3, groups=3),
    "dilated": lambda: layers.Conv2D(4, 3, dilation_rate=2),
    "depthwise": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
    "depthwise without bias": lambda: layers.DepthwiseConv2D(3, use_bias=False),
    "separable": lambda: layers.SeparableConv2D(7, 3),
}
NORMALISATIONS = {
    "all": {},
    "no scale": {"scale": False},
    "no centre": {"center": False},
    "neither": {"scale": False, "center": False},
    "small variance": {"epsilon": 1e-2},
}


def shake(model, seed=3):
    draw = np.random.default_rng(seed)
    for weight in model.weights:
        low, high = (0.01, 2) if "variance" in weight.path else (-1, 1)
        weight.assign(draw.uniform(low, high, weight.shape))
    return model


def around(convolution, normalisation, dtype="float64", after=lambda x: x):
    inputs = keras.Input((*SIZE, 3), dtype=dtype)
    x = layers.Activation("tanh", dtype=dtype)(inputs)
    x = after(normalisation(convolution(x)))
    x = layers.ReLU(dtype=dtype)(x)
    return shake(keras.Model(inputs, layers.GlobalAveragePooling2D(dtype=dtype)(x)))


def made(convolution, **norm):
    with Policy("float64"):
        return around(convolution(), layers.BatchNormalization(**norm))


class Policy:
    """A default dtype for layers, for a while."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self.name)

    def __exit__(self, *_):
        keras.config.set_dtype_policy(self.before)


def pictures(dtype="float64"):
    return np.random.default_rng(1).normal(size=(4, *SIZE, 3)).astype(dtype)


def output(graph, images):
    return array(
        graph.run({graph.input: keras.ops.convert_to_tensor(images)}, [graph.output])[graph.output]
    )


def folded(model, kept=()):
    graph = read_graph(model)
    folding = Folding(Weights(backend().to_host, backend().keep))
    return graph, folding(graph, kept), folding


def changed(graph, other):
    pairs = zip(graph.steps, other.steps, strict=True)
    return [one.path for one, two in pairs if one.operation is not two.operation]


@pytest.mark.parametrize("kind", CONVOLUTIONS)
@pytest.mark.parametrize("norm", NORMALISATIONS)
def test_the_function_is_the_same(kind, norm):
    model = made(CONVOLUTIONS[kind], **NORMALISATIONS[norm])
    before = model.get_weights()
    graph, other, _ = folded(model)
    assert len(changed(graph, other)) == 2
    expected = output(graph, pictures())
    assert np.abs(expected).max() > 0.05
    np.testing.assert_allclose(output(other, pictures()), expected, rtol=1e-12, atol=1e-12)
    for one, two in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_by_hand():
    inputs = keras.Input((1, 1, 1))
    conv, norm = layers.Conv2D(1, 1), layers.BatchNormalization(epsilon=1.0)
    model = keras.Model(inputs, layers.Flatten()(norm(conv(inputs))))
    conv.set_weights([np.full((1, 1, 1, 1), 3.0), np.array([5.0])])
    norm.set_weights([np.array([4.0]), np.array([7.0]), np.array([2.0]), np.array([3.0])])
    _, other, _ = folded(model)
    # 4 (3 x + 5 - 2) / sqrt(3 + 1) + 7 = 6 x + 13
    stand_in = other.step(conv.name).operation
    assert float(stand_in.kernel[0, 0, 0, 0]) == 6
    assert float(stand_in.bias[0]) == 13
    assert output(other, np.full((1, 1, 1, 1), 10.0, np.float32)) == 73
    assert list(variables_of(other)) == [stand_in._kernel, stand_in.bias]


LEFT = {
    "an activation": lambda: (layers.Conv2D(5, 3, activation="relu"), layers.BatchNormalization()),
    "a layer derived from it": lambda: (Mine(5, 3), layers.BatchNormalization()),
    "another axis": lambda: (layers.Conv2D(5, 3), layers.BatchNormalization(axis=1)),
    "another normalisation": lambda: (layers.Conv2D(5, 3), layers.LayerNormalization()),
    "transposed": lambda: (layers.Conv2DTranspose(5, 3), layers.BatchNormalization()),
    "half precision": lambda: (
        layers.Conv2D(5, 3, dtype="mixed_bfloat16"),
        layers.BatchNormalization(dtype="mixed_bfloat16"),
    ),
    "precisions that differ": lambda: (
        layers.Conv2D(5, 3, dtype="float32"),
        layers.BatchNormalization(dtype="float64"),
    ),
}


@pytest.mark.parametrize("case", LEFT)
def test_what_is_left_alone(case):
    model = around(*LEFT[case](), dtype="float32")
    graph, other, _ = folded(model)
    assert changed(graph, other) == []


def test_a_low_rank_adaptation_is_left_alone():
    conv = layers.Conv2D(5, 3)
    model = around(conv, layers.BatchNormalization(), dtype="float32")
    conv.enable_lora(2)
    graph, other, _ = folded(model)
    assert changed(graph, other) == []


def test_what_something_else_reads_is_left_alone():
    inputs = keras.Input((*SIZE, 3))
    x = layers.Conv2D(5, 3)(inputs)
    both = layers.Add()([layers.BatchNormalization()(x), x])
    graph, other, _ = folded(keras.Model(inputs, layers.GlobalAveragePooling2D()(both)))
    assert changed(graph, other) == []


def test_what_is_read_from_outside_is_left_alone():
    model = around(layers.Conv2D(5, 3, name="conv"), layers.BatchNormalization(), dtype="float32")
    graph = read_graph(model)
    folding = Folding(Weights(backend().to_host, backend().keep))
    kept = graph.step("conv").outputs[0]
    assert changed(graph, folding(graph, {kept})) == []
    assert len(changed(graph, folding(graph, {graph.output}))) == 2


def test_a_layer_that_is_called_twice_is_folded_twice():
    inputs = keras.Input((*SIZE, 3))
    conv = layers.Conv2D(3, 3, padding="same")
    x = layers.BatchNormalization()(conv(inputs))
    x = layers.BatchNormalization()(conv(layers.ReLU()(x)))
    model = shake(keras.Model(inputs, layers.GlobalAveragePooling2D()(x)))
    graph, other, _ = folded(model)
    assert len(changed(graph, other)) == 4
    expected = model.predict(pictures("float32"), verbose=0)
    np.testing.assert_allclose(output(other, pictures("float32")), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("filters", "size", "is_copied"),
    [(768, SIZE, False), (767, SIZE, True), (768, (32, 17), True)],
    ids=["large", "smaller", "large, of many places"],
)
def test_a_large_kernel_is_not_copied_where_it_makes_little(filters, size, is_copied):
    """3 * 2^20 values are large; 32 x 17 x 768 places are more than an eighth of them."""
    assert LARGE == 4096 * 768
    inputs = keras.Input((*size, 4096), dtype="float64")
    conv, norm = (
        layers.Conv2D(filters, 1, dtype="float64"),
        layers.BatchNormalization(dtype="float64"),
    )
    model = shake(keras.Model(inputs, layers.GlobalAveragePooling2D()(norm(conv(inputs)))))
    graph, other, _ = folded(model)
    expected = [conv.name, norm.name] if is_copied else [norm.name]
    assert changed(graph, other) == expected
    given = np.random.default_rng(1).normal(size=(1, *size, 4096))
    one, two = output(graph, given), output(other, given)
    assert np.abs(one).max() > 0.05
    np.testing.assert_allclose(two, one, rtol=1e-12, atol=1e-12)
    kernels = [each for each in variables_of(other) if len(each.shape) == 4]
    assert [each is conv._kernel for each in kernels] == [not is_copied]


def test_what_was_folded_once_is_kept():
    graph, other, folding = folded(made(CONVOLUTIONS["conv"]))
    again = folding(graph, {graph.input})
    assert [one.operation for one in again.steps] == [two.operation for two in other.steps]


def test_a_map_at_the_convolution_is_of_what_it_makes_and_not_of_what_is_folded(registry, tmp_path):
    inputs = keras.Input((*SIZE, 3))
    x = layers.Conv2D(5, 3, name="conv")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    model = shake(keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling2D()(x))))
    model.save(tmp_path / "model.keras")
    picture = np.random.default_rng(2).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    found = {}
    for engine in ("compiled", "auto", "frozen"):
        study = Study(tmp_path / "model.keras", registry=registry, preprocess="unit", engine=engine)
        asked = {"methods": ["hirescam", "eigen-cam", "saliency"], "targets": [1, 3]}
        found[engine] = [
            *study.compare(picture, **asked, layers="conv"),
            *study.compare(picture, **asked, layers="norm"),
            *study.compare(picture, **asked, layers=["conv", "norm"]),
        ]
    for engine in ("auto", "frozen"):
        for one, other in zip(found["compiled"], found[engine], strict=True):
            peak = np.abs(one.map).max()
            assert peak > 0
            np.testing.assert_allclose(other.map, one.map, atol=3e-6 * peak, rtol=0)
