"""Which models each adapter recognises, and where it finds its layers."""

from functools import partial
from types import SimpleNamespace

import keras
import pytest
from keras import applications, layers

from xai_core.surgery import read_graph, stride
from xai_plugins.adapters import ADAPTERS, EFFICIENTNET_LITE0, RESNET50, VGG16, XCEPTION
from xai_plugins.adapters.family import convolutions

SIDE = 75


def backbone(application, **changes):
    return application(
        **{"weights": None, "include_top": False, "input_shape": (SIDE, SIDE, 3)} | changes
    )


MODELS = {
    "vgg16": (VGG16, partial(backbone, applications.VGG16)),
    "resnet50": (RESNET50, partial(backbone, applications.ResNet50)),
    "xception": (XCEPTION, partial(backbone, applications.Xception)),
}
LAYERS = {
    "vgg16": ["block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3"],
    "resnet50": [
        "conv1_relu",
        "conv2_block3_out",
        "conv3_block4_out",
        "conv4_block6_out",
        "conv5_block3_out",
    ],
    "xception": ["block1_conv2_act", None, None, None, "block14_sepconv2_act"],
}
STRIDES = {
    "vgg16": [1, 2, 4, 8, 16],
    "resnet50": [2, 4, 8, 16, 32],
    "xception": [2, 4, 8, 16, 32],
}


@pytest.fixture(scope="module", params=list(MODELS))
def family(request):
    """One of the families: its adapter, and one backbone for all tests."""
    adapter, build = MODELS[request.param]
    return SimpleNamespace(name=request.param, adapter=adapter, model=build())


@pytest.fixture(scope="module")
def lite():
    return EFFICIENTNET_LITE0.architecture()


def matching(model):
    graph = read_graph(model)
    return [adapter.name for adapter in ADAPTERS if adapter.matches(graph)]


def headed(model, classes=3):
    """Any backbone with a new head around it."""
    return keras.Sequential(
        [
            keras.Input(model.input_shape[1:]),
            model,
            layers.GlobalAveragePooling2D(),
            layers.Dense(classes, activation="softmax"),
        ],
        name="mine",
    )


def check(model, family, prefix):
    """The family and only it is recognised, with its layers found under `prefix`."""
    graph = read_graph(model)
    assert matching(model) == [family.name, "generic"]
    found = family.adapter.feature_layers(graph)
    assert [layer.stride for layer in found] == STRIDES[family.name]
    for layer, name in zip(found, LAYERS[family.name], strict=True):
        assert layer.name.startswith(prefix)
        if name is not None:
            assert layer.name == prefix + name
        step = graph.step(layer.name)
        assert layer.name in graph.cuts
        assert (name is None) == (step.kind == "Add")
        # Exact but for what odd sides and unpadded convolutions take off.
        assert stride(graph, step) == pytest.approx(layer.stride, rel=0.25)


def test_flat(family):
    check(family.model, family, prefix="")


def test_it_knows_every_convolution_of_the_backbone(family, lite):
    for adapter, model in ((family.adapter, family.model), (EFFICIENTNET_LITE0, lite)):
        assert tuple(convolutions(read_graph(model))) == adapter.convolutions


def test_flat_with_a_head(family):
    x = layers.GlobalAveragePooling2D()(family.model.output)
    model = keras.Model(family.model.input, layers.Dense(2)(x), name="renamed")
    check(model, family, prefix="")


def test_nested(family):
    check(headed(family.model), family, prefix=f"{family.name}/")


def test_nested_twice(family):
    check(headed(headed_features(family.model)), family, prefix=f"features/{family.name}/")


def headed_features(model):
    inputs = keras.Input(model.input_shape[1:])
    return keras.Model(inputs, model(inputs), name="features")


def test_behind_augmentation_and_rescaling(family):
    inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.RandomFlip("horizontal")(inputs)
    x = layers.Rescaling(1 / 127.5, -1)(x)
    x = layers.GlobalAveragePooling2D()(family.model(x))
    check(keras.Model(inputs, layers.Dense(1)(x)), family, prefix=f"{family.name}/")


def test_with_more_convolutions_behind(family):
    x = layers.Conv2D(8, 1)(family.model.output)
    x = layers.GlobalAveragePooling2D()(x)
    check(keras.Model(family.model.input, layers.Dense(2)(x)), family, prefix="")


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_saved_and_loaded(family, tmp_path):
    headed(family.model).save(tmp_path / "mine.keras")
    loaded = keras.saving.load_model(tmp_path / "mine.keras")
    check(loaded, family, prefix=f"{family.name}/")


def test_under_another_name(family):
    clone = keras.models.clone_model(family.model)
    clone.name = "whatever"
    check(headed(clone), family, prefix="whatever/")


def test_in_mixed_precision(family):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = headed(MODELS[family.name][1]())
    finally:
        keras.config.set_dtype_policy(before)
    check(model, family, prefix=f"{family.name}/")


def test_the_whole_classifier_at_the_familys_size():
    """The sums of a second Xception have other names; their places are the same."""
    model = applications.Xception(weights=None)
    graph = read_graph(model)
    found = XCEPTION.feature_layers(graph)
    assert matching(model) == ["xception", "generic"]
    assert [graph.shape(graph.step(layer.name))[1:] for layer in found] == [
        (147, 147, 64),
        (74, 74, 128),
        (37, 37, 256),
        (19, 19, 728),
        (10, 10, 2048),
    ]


LAST = {
    "vgg16": "block5_conv2",
    "resnet50": "conv5_block3_2_relu",
    "xception": "block14_sepconv1_act",
}


def test_not_without_its_last_convolution(family):
    model = keras.Model(family.model.input, family.model.get_layer(LAST[family.name]).output)
    assert matching(model) == ["generic"]


def test_not_with_a_path_around_its_layers(family):
    """As in a U-Net: the last layer is no cut, and to explain there would be wrong."""
    around = family.model.layers[4].output
    x = layers.Concatenate()(
        [layers.GlobalAveragePooling2D()(each) for each in (family.model.output, around)]
    )
    assert matching(keras.Model(family.model.input, layers.Dense(2)(x))) == ["generic"]


def test_not_two_of_it_side_by_side(family):
    """Each layer's name occurs twice: no answer, and no exception."""
    twin = keras.models.clone_model(family.model)
    twin.name = "twin"
    inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.Average()([family.model(inputs), twin(inputs)])
    x = layers.GlobalAveragePooling2D()(x)
    assert matching(keras.Model(inputs, layers.Dense(2)(x))) == ["generic"]


def test_not_behind_another_convolution(family):
    inputs = keras.Input((SIDE * 2, SIDE * 2, 3))
    x = layers.Conv2D(3, 2, strides=2)(inputs)
    x = layers.GlobalAveragePooling2D()(family.model(x))
    assert matching(keras.Model(inputs, layers.Dense(2)(x))) == ["generic"]


def test_not_with_other_layer_names(family):
    def rename(layer):
        return type(layer).from_config({**layer.get_config(), "name": f"my_{layer.name}"})

    clone = keras.models.clone_model(family.model, clone_function=rename)
    assert matching(clone) == ["generic"]


@pytest.mark.parametrize(
    "application",
    [
        applications.VGG19,
        applications.ResNet101,
        applications.ResNet50V2,
        applications.MobileNetV2,
        applications.EfficientNetB0,
        applications.DenseNet121,
    ],
    ids=lambda application: application.__name__,
)
def test_not_a_relative(application):
    assert matching(backbone(application)) == ["generic"]


def test_not_a_small_model():
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(64, 3), layers.Flatten()])
    assert matching(model) == ["generic"]
    assert matching(keras.Sequential([keras.Input((8,)), layers.Dense(2)])) == ["generic"]


def test_lite0_flat_nested_and_with_a_new_head(lite):
    features = keras.Model(lite.input, lite.get_layer("top_activation").output, name="trunk")
    for model, prefix in ((lite, ""), (features, ""), (headed(features), "trunk/")):
        graph = read_graph(model)
        assert matching(model) == ["efficientnet-lite0", "generic"]
        found = EFFICIENTNET_LITE0.feature_layers(graph)
        assert found[-1].name == f"{prefix}top_activation"
        assert found[-1].stride == 32
        assert all(layer.name in graph.cuts for layer in found)


def test_lite0_not_without_its_top(lite):
    model = keras.Model(lite.input, lite.get_layer("block7a_project_bn").output)
    assert matching(model) == ["generic"]
