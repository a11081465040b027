"""Where models are cut: the default layer of known architectures, and what is no cut."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from xai_core import Study
from xai_core.errors import LayerError
from xai_core.surgery import candidates, deepest_per_resolution, describe, measure, read_graph
from xai_core.surgery.cuts import is_spatial, resolve_layer, stride

SIZE = (96, 128)
applications = keras.applications


def by_rule(graph):
    """What is explained by default where no adapter knows better."""
    return deepest_per_resolution(graph)[-1]


# Each with the layer a person would choose, and its stride.
ARCHITECTURES = [
    ("ResNet50", {}, "conv5_block3_out", 32),
    ("Xception", {}, "block14_sepconv2_act", 32),
    ("VGG16", {"include_top": False, "pooling": "avg"}, "block5_conv3", 16),
    ("MobileNetV2", {"alpha": 0.35, "classes": 2}, "out_relu", 32),
    ("DenseNet121", {}, "relu", 32),
    ("EfficientNetB0", {}, "top_activation", 32),
]


@pytest.mark.parametrize(
    ("name", "options", "expected", "ratio"),
    ARCHITECTURES,
    ids=[name for name, *_ in ARCHITECTURES],
)
def test_the_default_layer_of_a_known_architecture(name, options, expected, ratio):
    options = options or {"classes": 2}
    model = getattr(applications, name)(weights=None, input_shape=(*SIZE, 3), **options)
    graph = measure(read_graph(model), SIZE, 3)
    assert by_rule(graph) == expected
    assert stride(graph, graph.step(expected)) == ratio


def test_the_default_layer_of_a_network_whose_blocks_end_in_sums():
    # Keras names the sums by how many it has made before.
    model = applications.ConvNeXtTiny(weights=None, input_shape=(*SIZE, 3), classes=2)
    graph = measure(read_graph(model), SIZE, 3)
    last_sum = [step for step in graph.steps if step.kind == "Add"][-1]
    assert by_rule(graph) == last_sum.path
    assert graph.shape(last_sum) == (None, 3, 4, 768)


def conv(filters=4, name=None, **options):
    return layers.Conv2D(filters, 3, padding="same", name=name, **options)


def classify(x):
    return layers.Dense(3, activation="softmax", name="dense")(
        layers.GlobalAveragePooling2D(name="gap")(x)
    )


def graph_of(model, size=(8, 12)):
    return measure(read_graph(model), size, 3)


def residual():
    """input -> first -> [branch_conv -> branch_relu] + first -> sum -> out -> gap -> dense."""
    inputs = keras.Input((8, 12, 3))
    first = conv(name="first", activation="relu")(inputs)
    x = layers.ReLU(name="branch_relu")(conv(name="branch_conv")(first))
    x = layers.ReLU(name="out")(layers.Add(name="sum")([first, x]))
    return keras.Model(inputs, classify(x), name="residual")


def test_a_relu_that_is_a_layer_is_taken_and_not_the_convolution_before_it():
    inputs = keras.Input((8, 12, 3))
    x = layers.BatchNormalization(name="norm")(conv(name="conv", use_bias=False)(inputs))
    x = layers.MaxPooling2D(name="pool")(layers.ReLU(name="relu")(x))
    x = layers.Dropout(0.1, name="drop")(x)
    assert by_rule(graph_of(keras.Model(inputs, classify(x)))) == "relu"


def test_a_relu_that_is_an_operation_is_taken():
    inputs = keras.Input((8, 12, 3))
    x = ops.relu(conv(name="conv")(inputs) + 1.0)
    graph = graph_of(keras.Model(inputs, classify(x)))
    assert graph.step(by_rule(graph)).kind == "Relu"


def test_a_relu_inside_a_convolution_is_taken_with_it():
    model = keras.Sequential(
        [
            keras.Input((8, 12, 3)),
            conv(name="one", activation="relu"),
            layers.MaxPooling2D(),
            conv(name="two", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    graph = graph_of(model)
    assert deepest_per_resolution(graph) == ("one", "two")
    assert [stride(graph, graph.step(name)) for name in ("one", "two")] == [1, 2]


def test_neither_branch_nor_shortcut_is_taken():
    graph = graph_of(residual())
    assert by_rule(graph) == "out"
    assert [step.path for step in candidates(graph)] == ["first", "sum", "out"]


def test_what_stands_before_the_first_kernel_is_no_feature():
    inputs = keras.Input((8, 12, 3))
    x = layers.RandomFlip(name="flip")(layers.Rescaling(1 / 255, name="rescale")(inputs))
    graph = graph_of(keras.Model(inputs, classify(conv(name="conv")(x))))
    assert {"rescale", "flip"} <= graph.cuts
    assert [step.path for step in candidates(graph)] == ["conv"]


def test_a_map_of_one_place_is_passed_over():
    # As in MobileNet: the pooled features are kept (1, 1, K) and convolved once more.
    inputs = keras.Input((8, 12, 3))
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pooled")(conv(name="conv")(inputs))
    x = layers.Conv2D(3, 1, activation="softmax", name="head")(x)
    graph = graph_of(keras.Model(inputs, layers.Flatten()(x)))
    assert by_rule(graph) == "conv"
    with pytest.raises(LayerError, match=r"layer 'head' has output shape \(None, 1, 1, 3\)"):
        resolve_layer(graph, "head")


def test_one_row_is_a_spatial_extent():
    assert is_spatial((None, 1, 5, 8))
    assert is_spatial((None, 5, 1, 8))
    assert not is_spatial((None, 1, 1, 8))
    assert not is_spatial((None, 8))
    assert not is_spatial((None, 49, 8))


def test_a_model_that_leaves_its_size_open_is_measured():
    inputs = keras.Input((None, None, 3))
    x = conv(name="two", strides=2)(conv(name="one", strides=2)(inputs))
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pooled")(x)
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    graph = measure(read_graph(model), (20, 36), 3)
    assert graph.shape(graph.step("two")) == (None, 5, 9, 4)
    assert graph.shapes[graph.input] == (None, 20, 36, 3)
    assert by_rule(graph) == "two"
    assert stride(graph, graph.step("two")) == 4
    assert [len(layer._inbound_nodes) for layer in model.layers] == [1] * len(model.layers)


def test_a_nested_backbone_is_cut_inside():
    inner = keras.Input((None, None, 3))
    backbone = keras.Model(inner, conv(name="conv", strides=2)(inner), name="backbone")
    inputs = keras.Input((8, 12, 3))
    graph = graph_of(keras.Model(inputs, classify(backbone(inputs))))
    assert by_rule(graph) == "backbone/conv"
    assert graph.shape(graph.step("conv")) == (None, 4, 6, 4)


@pytest.mark.parametrize("layer", ["branch_conv", "branch_relu"])
def test_a_layer_of_a_branch_is_no_cut_and_the_error_names_those_near(registry, layer):
    with pytest.raises(LayerError) as caught:
        Study(residual(), layer=layer, registry=registry)
    assert str(caught.value) == (
        f"layer '{layer}' is no cut of 'residual': there are paths from input to output around "
        "it. Take one of the cuts near it: first, sum"
    )


def test_a_dead_end_is_no_cut(registry):
    inputs = keras.Input((8, 12, 3))
    x = conv(name="shared")(inputs)
    model = keras.Model(inputs, [classify(x), conv(name="aside")(x)])
    inner = keras.Model(inputs, model(inputs)[0], name="outer")
    with pytest.raises(LayerError, match="aside' is no cut of 'outer'"):
        Study(inner, layer="aside", registry=registry)


def test_an_unknown_layer_is_told_what_is_near(registry):
    with pytest.raises(LayerError) as caught:
        Study(residual(), layer="branch_con", registry=registry)
    assert str(caught.value) == (
        "'residual' has no layer 'branch_con'; near it: branch_conv, branch_relu. "
        "`xai layers` lists them all."
    )
    with pytest.raises(LayerError, match=r"'residual' has no layer '!!!'\. `xai layers` lists"):
        Study(residual(), layer="!!!", registry=registry)


@pytest.mark.parametrize(("layer", "shape"), [("gap", (None, 4)), ("dense", (None, 3))])
def test_a_layer_without_spatial_extent_is_refused(registry, layer, shape):
    with pytest.raises(LayerError) as caught:
        Study(residual(), layer=layer, registry=registry)
    assert str(caught.value) == (
        f"layer '{layer}' has output shape {shape}; expected a spatial one, (batch, height, "
        "width, channels), such as out"
    )


def test_a_model_without_spatial_layers_has_no_class_activation_maps(registry):
    model = keras.Sequential(
        [keras.Input((4, 6, 3)), layers.Flatten(), layers.Dense(3, name="dense")], name="flat"
    )
    picture = np.random.default_rng(1).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    study = Study(model, preprocess="unit", registry=registry)
    with pytest.raises(LayerError) as caught:
        study.explain(picture, "grad-cam")
    assert str(caught.value) == (
        "'flat' has no layer with a spatial extent that every path from input to output crosses, "
        "so there is nothing for a class activation map to show; expected a convolutional feature "
        "map (batch, height, width, channels). Use a method that needs no layer, such as saliency."
    )
    kernel = ops.convert_to_numpy(model.get_layer("dense").kernel)
    np.testing.assert_allclose(
        study.explain(picture, "saliency", target=2).map,
        np.abs(kernel[:, 2]).reshape(4, 6, 3).max(axis=-1),
        rtol=1e-6,
    )


def test_every_layer_is_described_in_the_order_it_runs():
    graph = graph_of(residual())
    rows = describe(graph, ("first", "out"))
    assert [row.name for row in rows] == [
        "first", "branch_conv", "branch_relu", "sum", "out", "gap", "dense",
    ]  # fmt: skip
    assert [row.name for row in rows if row.is_cut] == ["first", "sum", "out"]
    assert [row.name for row in rows if row.is_feature] == ["first", "out"]
    assert [row.name for row in rows if row.is_default] == ["out"]
    assert [row.stride for row in rows] == [1, 1, 1, 1, 1, None, None]
    assert rows[0].shape == (None, 8, 12, 4)
    assert rows[0].kind == "Conv2D"
