"""What torch leaves behind where one does not take care: graphs, hooks, gradients."""

import gc
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from xai_core import Needs, Study

pytestmark = pytest.mark.torch

SIZE = (10, 14)
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def build():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((*SIZE, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="first")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.Dense(5, name="last")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, x)


@pytest.fixture(scope="module")
def model():
    return build()


def compare(study):
    draw = np.random.default_rng(0)
    pictures = [draw.integers(0, 256, (*SIZE, 3), dtype=np.uint8) for _ in range(2)]
    methods = ["grad-cam", "saliency", "integrated-gradients", "guided-backprop", "score-cam"]
    made = study.compare(pictures, methods, [0, 3])
    assert not made.failures
    return made


def what_is_left(registry, model):
    """The shapes of all tensors that can be reached and lead back to what they were made of."""
    import torch

    study = Study(model, registry=registry, preprocess="unit")
    made = compare(study)
    needs = Needs.ACTIVATIONS | Needs.ACTIVATION_GRADIENTS | Needs.INPUT_GRADIENTS
    layer = study.graph.step("first")
    held = study.read(study.black, np.asarray([[0, 3]], np.int32), needs, [layer])
    assert len(held.shared) == 1
    gc.collect()
    tensors = [each for each in gc.get_objects() if issubclass(type(each), torch.Tensor)]
    assert len(made.cells) == 20
    return [each.shape for each in tensors if each.grad_fn is not None]


def test_nothing_is_left_that_leads_back_through_the_model():
    """In a process of its own, where no other test has left anything."""
    done = subprocess.run(
        [sys.executable, __file__], capture_output=True, text=True, check=False, env=ENVIRONMENT
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr[-2000:]


def test_the_weights_are_as_they_were(registry, model):
    before = [
        (each.value.requires_grad, each.value.grad, each.value._version) for each in model.variables
    ]
    values = model.get_weights()
    compare(Study(model, registry=registry, preprocess="unit"))
    after = [
        (each.value.requires_grad, each.value.grad, each.value._version) for each in model.variables
    ]
    assert after == before
    assert any(requires for requires, _, _ in before)
    for one, other in zip(values, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_hook_is_left(registry, model):
    compare(Study(model, registry=registry, preprocess="unit"))
    for layer in (model, *model.layers):
        hooks = (layer._forward_hooks, layer._forward_pre_hooks, layer._backward_hooks)
        assert [len(each) for each in hooks] == [0, 0, 0]


def test_the_way_back_is_recorded_from_where_it_is_wanted_on(registry, model, monkeypatch):
    """Not for the trunk of a class activation map, whose activations would all be kept."""
    import torch

    recorded = []
    for layer in model.layers:
        call = layer.call

        def spy(*args, _layer=layer, _call=call, **kwargs):
            recorded.append((_layer.name, torch.is_grad_enabled()))
            return _call(*args, **kwargs)

        monkeypatch.setattr(layer, "call", spy)
    study = Study(model, registry=registry, preprocess="unit", layer="first")
    study.explain(np.zeros((*SIZE, 3), np.uint8), "grad-cam", target=0)
    by_name = dict(recorded)
    assert by_name["first"] is False
    assert by_name["last"] is True


if __name__ == "__main__":
    from xai_core.registry import Registry

    print(what_is_left(Registry.discover(), build()))
