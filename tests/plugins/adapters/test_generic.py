import dataclasses
import subprocess
import sys

import keras
import pytest
from keras import layers

from xai_core.errors import ModelError
from xai_core.interfaces import ModelAdapter
from xai_core.surgery import FeatureLayer, measure, read_graph
from xai_plugins.adapters import ADAPTERS, Generic


def classifier(size):
    return keras.Sequential(
        [
            keras.Input((size, size, 3)),
            layers.Conv2D(4, 3, padding="same", name="first"),
            layers.ReLU(name="act"),
            layers.MaxPooling2D(name="pool"),
            layers.Conv2D(4, 3, strides=2, padding="same", name="second"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ]
    )


def test_the_deepest_layer_of_each_resolution():
    graph = read_graph(classifier(16))
    assert Generic().matches(graph)
    assert Generic().feature_layers(graph) == (FeatureLayer("act", 1), FeatureLayer("second", 4))


def test_a_model_that_leaves_its_size_open_has_layers_once_it_is_measured():
    graph = read_graph(classifier(None))
    assert Generic().matches(graph)
    assert Generic().feature_layers(measure(graph, (32, 32), 3)) == (
        FeatureLayer("act", 1),
        FeatureLayer("second", 4),
    )


def test_a_model_without_a_picture_has_none():
    graph = read_graph(keras.Sequential([keras.Input((8,)), layers.Dense(2)]))
    assert Generic().feature_layers(graph) == ()


def test_it_builds_nothing():
    with pytest.raises(ModelError, match=r"generic describes models you bring.*keras\.Model"):
        Generic().build("imagenet")


def test_it_knows_nothing_else():
    adapter = Generic()
    assert adapter.rank == -1
    assert adapter.input_size is None
    assert adapter.preprocessing is None
    assert adapter.fit == "stretch"
    assert adapter.labels(1000) is None


def test_all_adapters_are_frozen_dataclasses_of_their_own_name():
    names = [adapter.name for adapter in ADAPTERS]
    assert names == ["efficientnet-lite0", "resnet50", "vgg16", "xception", "generic"]
    for adapter in ADAPTERS:
        assert isinstance(adapter, ModelAdapter)
        assert dataclasses.is_dataclass(adapter)
        assert adapter.summary
        with pytest.raises(dataclasses.FrozenInstanceError):
            adapter.name = "other"


def test_importing_them_builds_no_model():
    code = (
        "import keras\n"
        "def fail(*_, **__): raise SystemExit('built')\n"
        "keras.Layer.__init__ = fail\n"
        "import xai_plugins.adapters\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
