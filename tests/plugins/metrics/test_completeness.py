"""Completeness: gaps by hand, and of methods that promise it."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers
from patches import SIZE, bright, mask
from trials import make_trial

from xai_core import Study
from xai_core.errors import MetricError
from xai_plugins.gradients import IntegratedGradients
from xai_plugins.metrics import Completeness


def ten(pixels):
    """10 for 255 in every pixel of the patch, and 3 for black."""
    return 3 + 7 * (pixels * mask()[..., None]).sum(axis=(1, 2, 3)) / (36 * 255)


GAIN = 7 * 240 / 255
"""Of 240 in the patch over black."""


def trial(attribution, scores=ten):
    return make_trial(bright(), attribution, lambda each: np.zeros(len(each)), scores=scores)


@pytest.mark.parametrize(
    ("times", "gap"), [(1, 0), (2, 1), (0, 1), (0.5, 0.5), (-1, 2), (1.1, 0.1)]
)
def test_the_gap_is_a_share_of_the_change(times, gap):
    score = Completeness().score(trial(times * GAIN * mask() / 12))
    assert score.value == pytest.approx(gap, abs=1e-6)
    assert dict(score.facts) == {
        "sum of the map": pytest.approx(times * GAIN, abs=1e-6),
        "change of the score": pytest.approx(GAIN, abs=1e-6),
    }


def test_where_the_score_falls_from_the_baseline_it_is_a_share_too():
    score = Completeness().score(trial(-GAIN * mask() / 8, lambda pixels: -ten(pixels)))
    assert score.value == pytest.approx(0.5, abs=1e-6)


def test_where_the_values_lie_does_not_count():
    assert Completeness().score(trial(GAIN * np.eye(*SIZE) / 6)).value == pytest.approx(0, abs=1e-6)


def test_the_map_is_summed_as_the_method_made_it():
    """A coarse one of 2 x 3 has a tenth of the pixels: enlarged, it would sum to ten times it."""
    given = replace(trial(np.full(SIZE, GAIN / 6)), raw=np.full((2, 3), GAIN / 6, np.float32))
    assert Completeness().score(given).value == pytest.approx(0, abs=1e-6)


def test_the_mean_colour_as_baseline_by_hand():
    """The mean of 12 pixels of 240 and 48 of 40 is 80."""
    gain = 7 * 160 / 255
    found = Completeness(baseline="mean").score(trial(gain * mask() / 12))
    assert found.value == pytest.approx(0, abs=1e-6)


def test_where_the_score_is_that_of_the_baseline_nothing_is_a_share_of_it():
    with pytest.raises(MetricError) as caught:
        Completeness().score(trial(mask(), lambda pixels: np.full(len(pixels), 3.5)))
    assert str(caught.value) == (
        "the score of the picture and that of the baseline, black, are the same, 3.5: no gap is a "
        "share of 0. Expected them to differ: try another baseline"
    )


@pytest.fixture(scope="module")
def study(registry):
    """Smooth, so that the quadrature converges."""
    keras.utils.set_random_seed(5)
    inputs = keras.Input((*SIZE, 3))
    x = layers.Conv2D(4, 3, activation="tanh")(inputs)
    x = layers.Dense(3, "softmax")(layers.Flatten()(x))
    return Study(keras.Model(inputs, x), preprocess="unit", registry=registry)


def test_integrated_gradients_keep_what_they_promise(study):
    """And say themselves by how much they miss it; the gradient times the input does not."""
    picture = np.random.default_rng(3).integers(0, 256, (*SIZE, 3), np.uint8)
    methods = [IntegratedGradients(), IntegratedGradients(steps=1), "gradient-x-input"]
    found = study.evaluate(picture, methods, Completeness(), 0)
    assert found.failures == ()
    assert found.metrics[0].left_out == ("gradient-x-input",)
    gaps = {each.row: each.score.value for each in found.measurements}
    assert gaps["integrated-gradients"] < 1e-5
    told = study.explain(picture, methods[1], target=0).facts
    own = told["completeness gap"] / abs(told["change of the score"])
    assert gaps["integrated-gradients(steps=1)"] == pytest.approx(own, rel=1e-3)
    assert own > 1e-4
    assert "gradient-x-input" not in gaps
    assert {each.asked for each in found.measurements} == {2}


def test_from_another_baseline_it_is_asked_of_every_method(study):
    """Which of them promise that sum, no law says. Those that start from it come near."""
    picture = np.random.default_rng(3).integers(0, 256, (*SIZE, 3), np.uint8)
    methods = [IntegratedGradients(baseline="mean"), "integrated-gradients", "gradient-x-input"]
    found = study.evaluate(picture, methods, Completeness(baseline="mean"), 0)
    assert found.metrics[0].left_out == ()
    gaps = {each.row: each.score.value for each in found.measurements}
    assert gaps["integrated-gradients(baseline=mean)"] < 1e-5
    assert gaps["gradient-x-input"] > 0.01 < gaps["integrated-gradients"]
