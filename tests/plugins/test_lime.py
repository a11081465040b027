"""LIME: the fit worked out again from what was asked, and its error against the spread."""

import keras
import numpy as np
import pytest
from keras import layers

from xai_core import Study
from xai_core.errors import ParameterError
from xai_plugins.perturbation import LIME

PLAYERS = 9
WEIGHTS = np.random.default_rng(1).normal(size=PLAYERS)
PAIRS = np.random.default_rng(2).normal(size=(PLAYERS, PLAYERS))


def additive(shown):
    return 3 + shown @ WEIGHTS


def interacting(shown):
    return 3 + np.tanh(shown @ WEIGHTS) + 0.3 * np.sum((shown @ PAIRS) * shown, axis=1)


class Recorded:
    """A game that keeps the coalitions that it was asked about."""

    def __init__(self, game):
        self.game = game

    def __call__(self, shown):
        self.shown = shown
        return self.game(shown)


def weighed(method, game):
    recorded = Recorded(game)
    whole = float(game(np.ones((1, PLAYERS)))[0])
    return method.weigh(PLAYERS, whole, recorded), recorded.shown


@pytest.mark.parametrize("width", [0.1, 0.25, 5.0])
def test_what_is_additive_is_found_without_a_ridge(width):
    found, _ = weighed(LIME(samples=300, ridge=0, width=width), additive)
    np.testing.assert_allclose(found.values, WEIGHTS, rtol=1e-9)
    np.testing.assert_allclose(found.variances, 0, atol=1e-20)
    assert found.facts["r2"] == pytest.approx(1)


@pytest.mark.parametrize("ridge", [0.0, 1.0, 30.0])
def test_the_weights_are_those_of_the_penalised_fit(ridge):
    found, shown = weighed(LIME(samples=200, ridge=ridge, width=0.3), interacting)
    ones = np.ones(PLAYERS)
    norms = np.linalg.norm(shown, axis=1) * np.linalg.norm(ones)
    cosine = np.divide(shown @ ones, norms, out=np.zeros(200), where=norms > 0)
    proximity = np.exp(-((1 - cosine) ** 2) / 0.3**2)
    # The intercept is free of the penalty, which is a row for each weight that wants it to be 0.
    root = np.sqrt(proximity)[:, None]
    design = np.concatenate([np.ones((200, 1)), shown], axis=1)
    rows = np.concatenate([root * design, np.sqrt(ridge) * np.eye(PLAYERS + 1)[1:]])
    wanted = np.concatenate([root[:, 0] * interacting(shown), np.zeros(PLAYERS)])
    expected = np.linalg.lstsq(rows, wanted, rcond=None)[0]
    np.testing.assert_allclose(found.values, expected[1:], rtol=1e-8)


def test_every_number_of_superpixels_is_as_likely_and_so_is_every_superpixel():
    _, shown = weighed(LIME(samples=20000), additive)
    sizes = np.bincount(shown.sum(axis=1).astype(int), minlength=PLAYERS + 1) / 20000
    np.testing.assert_allclose(sizes, 1 / (PLAYERS + 1), atol=5 * (0.1 * 0.9 / 20000) ** 0.5)
    np.testing.assert_allclose(shown.mean(axis=0), 0.5, atol=5 * 0.5 / 20000**0.5)
    # Of those that show two, all 36 pairs are there.
    assert len(np.unique(shown[shown.sum(axis=1) == 2], axis=0)) == 36


def test_r2_falls_with_what_is_not_additive():
    found, shown = weighed(LIME(samples=400, ridge=0), interacting)
    assert 0.3 < found.facts["r2"] < 0.98
    assert len(shown) == LIME(samples=400).queries == 400


@pytest.mark.parametrize("ridge", [0.0, 10.0])
def test_the_standard_error_is_the_spread_over_seeds(ridge):
    runs = [weighed(LIME(samples=300, ridge=ridge, seed=n), interacting)[0] for n in range(60)]
    spread = np.sqrt(np.stack([run.values for run in runs]).var(axis=0, ddof=1))
    said = np.sqrt(np.mean([run.variances for run in runs], axis=0))
    np.testing.assert_allclose(said, spread, rtol=0.35)
    assert np.mean(said / spread) == pytest.approx(1, abs=0.12)


def test_in_a_study_it_finds_the_part_that_counts(registry):
    # The model looks at the upper right only; it is linear, and there is no ridge.
    model = keras.Sequential(
        [
            keras.Input((6, 9, 3), dtype="float64"),
            layers.Flatten(dtype="float64"),
            layers.Dense(2, activation="softmax", dtype="float64"),
        ]
    )
    kernel = np.zeros((6, 9, 3, 2))
    kernel[:3, 6:, :, 1] = 1.0
    model.layers[-1].set_weights([kernel.reshape(-1, 2), np.zeros(2)])
    picture = np.full((6, 9, 3), 51, np.uint8)
    study = Study(model, preprocess="unit", registry=registry)
    method = LIME(samples=100, segments=6, ridge=0, baseline="black")
    one = study.explain(picture, method, target=1)
    expected = np.zeros((6, 9))
    expected[:3, 6:] = 3 * 3 * 3 * 0.2
    np.testing.assert_allclose(one.map, expected, atol=1e-9)
    assert set(one.facts) == {"superpixels", "standard error", "r2", "queries"}
    assert one.facts["queries"] == 100
    assert one.method.signed


def test_a_width_of_zero_is_refused():
    with pytest.raises(ParameterError, match="lime: received width 0"):
        LIME(width=0.0)
