"""LayerCAM fused over several layers: by hand, and through a study."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from plain import array

from xai_core import Evidence, Needs, Study
from xai_plugins.cam import FusedLayerCAM

F64 = {"dtype": "float64"}
NEEDS = FusedLayerCAM.needs

# One channel and gradients of 1, so that LayerCAM is ReLU(A).
SHALLOW = [[4.0, 2.0, -1.0], [1.0, 0.0, 8.0]]
DEEP = [[5.0, 0.0, 10.0], [0.0, 1.0, 0.0]]


def stage(activations, at_layers=()):
    made = ops.convert_to_tensor(np.asarray([activations], np.float64))[..., None]
    readings = {Needs.ACTIVATIONS: made, Needs.ACTIVATION_GRADIENTS: ops.ones_like(made)}
    nothing = dict.fromkeys(("inputs", "pixels", "score", "targets", "oracle"))
    return Evidence(
        explainer="x", declared=NEEDS, readings=readings, at_layers=at_layers, **nothing
    )


def fused(*stages, **parameters):
    whole = stage(SHALLOW, tuple(map(stage, stages)))
    return ops.convert_to_numpy(FusedLayerCAM(**parameters).explain(whole))[0]


def test_by_hand():
    # tanh(2 M / 8) of the first, M / 10 of the second, the larger of the two at each place.
    expected = [[np.tanh(1.0), np.tanh(0.5), 1.0], [np.tanh(0.25), 0.1, np.tanh(2.0)]]
    np.testing.assert_allclose(fused(SHALLOW, DEEP, shallow=1), expected, rtol=1e-12)


def test_gamma_and_the_number_of_shallow_layers():
    # The deepest is never raised.
    both = np.maximum(np.tanh(3 * np.maximum(SHALLOW, 0) / 8), np.asarray(DEEP) / 10)
    np.testing.assert_allclose(fused(SHALLOW, DEEP, gamma=3.0, shallow=2), both, rtol=1e-12)
    np.testing.assert_allclose(fused(SHALLOW, shallow=5), np.maximum(SHALLOW, 0) / 8, rtol=1e-12)
    none = np.maximum(np.maximum(SHALLOW, 0) / 8, np.asarray(DEEP) / 10)
    np.testing.assert_allclose(fused(SHALLOW, DEEP, shallow=0), none, rtol=1e-12)


def test_a_coarse_layer_is_brought_to_the_finest_and_an_empty_one_adds_nothing():
    coarse = [[3.0]]
    empty = np.zeros((2, 3))
    np.testing.assert_allclose(fused(empty, coarse, empty, shallow=1), np.ones((2, 3)))
    np.testing.assert_array_equal(fused(empty, empty), empty)


@pytest.fixture(scope="module")
def study(registry):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((12, 20, 3), **F64)
    x = inputs
    for name in ("low", "middle", "high"):
        x = layers.Conv2D(4, 3, 2, "same", activation="relu", name=name, **F64)(x)
    x = layers.GlobalAveragePooling2D(**F64)(x)
    model = keras.Model(inputs, layers.Dense(3, **F64)(x))
    return Study(model, registry=registry, preprocess="unit")


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(4).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def test_it_is_made_of_the_maps_at_the_layers_asked_for(study, picture):
    method = FusedLayerCAM(shallow=1)
    many = study.compare(picture, ["layercam", method], [1], layers=["middle", "low"])
    cells = {(each.method.name, each.layer): each.map for each in many}
    low, middle = cells["layercam", "low"], cells["layercam", "middle"]
    assert low.shape == (6, 10)
    assert middle.shape == (3, 5)
    both = cells["layercam-fused", "low + middle"]
    raised = np.tanh(2 * low / low.max())
    repeated = ops.image.resize((middle / middle.max())[None, ..., None], (6, 10))
    # TensorFlow resizes in float32 whatever it is given.
    np.testing.assert_allclose(both, np.maximum(raised, array(repeated)[0, ..., 0]), rtol=1e-6)
    assert [each.layers for each in many.passes] == [("low", "middle")]


def test_by_default_it_works_on_the_familys_layers_beside_methods_at_their_own(study, picture):
    many = study.compare(picture, ["grad-cam", "layercam-fused"], [0])
    names = [feature.name for feature in study.feature_layers]
    assert [each.layer for each in many] == [study.layer, " + ".join(names)]
    assert len(many.passes) == 1
    one = study.explain(picture, "grad-cam", target=0)
    np.testing.assert_allclose(many["grad-cam", 0].map, one.map, rtol=1e-12)
    assert len(names) > 1


def test_one_layer_alone_is_not_fused_with_itself(study, picture):
    many = study.compare(picture, ["layercam-fused"], [0], layers=["low"])
    assert many.cells[0].layer == " + ".join(each.name for each in study.feature_layers)
