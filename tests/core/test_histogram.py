"""Gradients counted by magnitude."""

import keras
import numpy as np
import pytest

from xai_core import Study
from xai_core.histogram import count_gradient


def test_counts_by_sign_and_decade():
    found = count_gradient("g", np.asarray([[1.0, -0.5, 0.0, 1e-3], [np.nan, -1e-3, 1e-30, 0.02]]))
    assert (found.zeros, found.broken, found.size) == (2 - 1, 1, 8)
    assert (found.positive.sum(), found.negative.sum()) == (4, 2)
    assert found.edges[-1] == pytest.approx(1.0)
    assert found.edges[0] == pytest.approx(1e-12)
    top = found.positive[-1]  # (10^-0.25, 1]
    assert top == 1
    assert found.negative[-2] == 1  # 0.5 lies in (10^-0.5, 10^-0.25]
    assert found.positive[0] == 1  # 1e-30: the first bin holds all below


def test_all_zero():
    found = count_gradient("g", np.zeros((3, 4)))
    assert (found.zeros, found.positive.sum(), found.negative.sum()) == (12, 0, 0)


def test_of_a_model_whose_gradients_are_known(registry):
    inputs = keras.Input((4, 6, 1))
    x = keras.layers.Conv2D(1, 1, use_bias=False, name="twice")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(2, use_bias=False)(x))
    model.set_weights([np.full((1, 1, 1, 1), 2.0), np.asarray([[1.0, -24.0]])])
    study = Study(model, registry=registry, preprocess="none")
    layer, source = study.gradients(np.ones((4, 6)), 1)
    assert layer.title == "logit of class 1, by twice"
    assert source.title == "logit of class 1, by the input"
    # dS/dA = -24 / 24 = -1 at 24 places; dS/dx = -2.
    assert (layer.negative[-1], layer.positive.sum(), layer.edges[-1]) == (24, 0, 1.0)
    assert (source.negative.sum(), source.edges[-1]) == (24, 10.0)
    shown = source.figure()
    assert sum(patch.get_height() for patch in shown.axes[0].patches) == -24


def test_health_of_the_same_gradients(registry):
    inputs = keras.Input((2, 3, 1))
    x = keras.layers.Conv2D(2, 1, use_bias=False, name="pair")(inputs)
    x = keras.layers.Flatten()(x)
    model = keras.Model(inputs, keras.layers.Dense(2, use_bias=False)(x))
    kernel = np.zeros((12, 2))
    kernel[0, 1], kernel[5, 1] = 3.0, -1.0
    model.set_weights([np.ones((1, 1, 1, 2)), kernel])
    study = Study(model, registry=registry, preprocess="none")
    one = study.explain(np.ones((2, 3)), target=1)
    (health,) = one.health
    assert health.gradient == "ACTIVATION_GRADIENTS"
    assert (health.largest, health.mean, health.zeros) == pytest.approx((3, 4 / 12, 10 / 12))
    p = one.probability
    assert health.saturation == pytest.approx(1 - 4 * p * (1 - p))
    assert str(health) == (
        "gradient at the layer: 83% zeros, largest 3, mean 0.33, "
        f"probability {1 - 4 * p * (1 - p):.0%} saturated"
    )
