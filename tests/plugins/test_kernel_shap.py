"""Kernel SHAP: Shapley values by their definition, over all orders of the players."""

from itertools import permutations

import keras
import numpy as np
import pytest
from keras import layers, ops

from xai_core import Study
from xai_plugins.perturbation import KernelSHAP

WEIGHTS = np.random.default_rng(1).normal(size=12)
PAIRS = np.random.default_rng(2).normal(size=(12, 12))


def additive(shown):
    return 3 + shown @ WEIGHTS[: shown.shape[1]]


def interacting(shown):
    """With interactions of two and of more."""
    players = shown.shape[1]
    pairs = np.sum((shown @ PAIRS[:players, :players]) * shown, axis=1)
    return 3 + 2 * np.tanh(shown @ WEIGHTS[:players]) + 0.3 * pairs + 4 * shown[:, :3].prod(axis=1)


def shapley(game, players):
    """What each adds to those before it, in the mean over all orders."""
    total = np.zeros(players)
    orders = list(permutations(range(players)))
    for order in orders:
        shown = np.zeros((players + 1, players))
        for number, player in enumerate(order):
            shown[number + 1 :, player] = 1
        total[list(order)] += np.diff(game(shown))
    return total / len(orders)


class Recorded:
    """A game that keeps the coalitions that it was asked about."""

    def __init__(self, game):
        self.game = game

    def __call__(self, shown):
        self.shown = shown
        return self.game(shown)


def weighed(method, game, players):
    recorded = Recorded(game)
    whole = float(game(np.ones((1, players)))[0])
    return method.weigh(players, whole, recorded), recorded.shown


@pytest.mark.parametrize("players", [1, 2, 3, 6])
@pytest.mark.parametrize("game", [additive, interacting])
def test_with_every_coalition_they_are_the_shapley_values(game, players):
    found, shown = weighed(KernelSHAP(samples=2**6 - 2), game, players)
    np.testing.assert_allclose(found.values, shapley(game, players), atol=1e-12)
    assert not found.variances.any()
    assert not found.few
    # Every coalition once, but for the full one, whose score is known.
    assert len(np.unique(shown, axis=0)) == len(shown) == 2**players - 1


def test_one_sample_less_and_they_are_drawn():
    _, shown = weighed(KernelSHAP(samples=2**6 - 3), interacting, 6)
    assert len(shown) == 2 * 30 + 1
    assert len(np.unique(shown, axis=0)) < 60


def test_sampled_they_are_the_shapley_values_within_their_error():
    exact = shapley(interacting, 7)
    runs = [weighed(KernelSHAP(samples=120, seed=n), interacting, 7)[0] for n in range(80)]
    mean = np.mean([run.values for run in runs], axis=0)
    error = np.sqrt(np.mean([run.variances for run in runs], axis=0) / 80)
    assert error.max() < 0.03
    assert (np.abs(mean - exact) < 4 * error).all()
    many = weighed(KernelSHAP(samples=126), interacting, 7)[0].values
    np.testing.assert_allclose(many, exact, atol=1e-12)


def test_sampled_they_sum_to_the_change_of_the_score_exactly():
    found, shown = weighed(KernelSHAP(samples=60), interacting, 12)
    change = interacting(np.ones((1, 12)))[0] - interacting(np.zeros((1, 12)))[0]
    assert found.facts["change of the score"] == pytest.approx(change, rel=1e-12)
    assert found.values.sum() == pytest.approx(change, rel=1e-12)
    assert (found.variances > 0).all()
    # In pairs: the second half is what the first leaves out; and the empty one.
    np.testing.assert_array_equal(shown[:30], 1 - shown[30:60])
    np.testing.assert_array_equal(shown[60:], np.zeros((1, 12)))


def test_sampled_they_are_those_of_least_squares_under_the_constraint():
    # All 60 coalitions as rows, and a row that costs a million times as much to break.
    found, shown = weighed(KernelSHAP(samples=60), interacting, 12)
    change = found.facts["change of the score"]
    rows = np.concatenate([shown[:60], np.full((1, 12), 1e6)])
    wanted = np.append(interacting(shown)[:60] - interacting(shown)[60], 1e6 * change)
    expected = np.linalg.lstsq(rows, wanted, rcond=None)[0]
    np.testing.assert_allclose(found.values, expected, rtol=1e-6)


def test_sampled_what_is_additive_is_exact():
    found, _ = weighed(KernelSHAP(samples=60), additive, 12)
    np.testing.assert_allclose(found.values, WEIGHTS, rtol=1e-12)
    np.testing.assert_allclose(found.variances, 0, atol=1e-28)


def test_sizes_are_drawn_by_the_mass_of_the_shapley_kernel():
    # Of size k there are C(16, k) coalitions, each with 15 / (C(16, k) k (16 - k)).
    _, shown = weighed(KernelSHAP(samples=40000), lambda shown: shown[:, 0], 16)
    sizes = np.bincount(shown[:-1].sum(axis=1).astype(int), minlength=17)[1:16] / 40000
    mass = 1 / (np.arange(1, 16) * np.arange(15, 0, -1))
    np.testing.assert_allclose(sizes, mass / mass.sum(), rtol=0.12)
    np.testing.assert_allclose(shown[:20000].mean(axis=0), 0.5, atol=5 * 0.5 / 20000**0.5)


def test_the_standard_error_is_the_spread_over_seeds():
    runs = [weighed(KernelSHAP(samples=400, seed=n), interacting, 12)[0] for n in range(60)]
    spread = np.sqrt(np.stack([run.values for run in runs]).var(axis=0, ddof=1))
    said = np.sqrt(np.mean([run.variances for run in runs], axis=0))
    np.testing.assert_allclose(said, spread, rtol=0.4)
    assert np.mean(said / spread) == pytest.approx(1, abs=0.15)


def test_in_a_study_it_is_exact_on_a_model_with_interactions(registry):
    # Six squares of 3 x 3; the score, of the second class, is the product of the first two, as
    # a b = ((a + b)^2 - (a - b)^2) / 4.
    options = {"dtype": "float64"}
    inputs = keras.Input((6, 9, 1), **options)
    means = layers.Flatten(**options)(layers.AveragePooling2D(3, **options)(inputs))
    both = layers.Dense(2, **options)(means)
    model = keras.Model(inputs, layers.Dense(1, **options)(ops.square(both)))
    first = np.zeros((6, 2))
    first[:2] = [[1, 1], [1, -1]]
    model.set_weights([first, np.zeros(2), np.asarray([[0.25], [-0.25]]), np.asarray([5.0])])
    picture = np.full((6, 9), 102, np.uint8)
    study = Study(model, preprocess="unit", registry=registry)
    one = study.explain(picture, KernelSHAP(segments=6), target=1)
    # 0.4 x 0.4, which the first two share; the bias is nobody's.
    expected = np.zeros((6, 9))
    expected[:3, :6] = 0.08
    np.testing.assert_allclose(one.map, expected, atol=1e-12)
    assert one.facts == {
        "superpixels": 6,
        "standard error": 0,
        "change of the score": pytest.approx(0.16),
        "queries": 63,
    }


@pytest.mark.parametrize("samples", [10, 90, 96, 98, 104, 190])
def test_with_hardly_more_pairs_than_superpixels_no_error_is_claimed(samples):
    draw = np.random.default_rng(1)
    weights, pairs = draw.normal(size=48), draw.normal(size=(48, 48)) / 10

    def game(shown):
        return shown @ weights + np.einsum("ni,ij,nj->n", shown, pairs, shown)

    score = float(game(np.ones((1, 48)))[0])
    assert KernelSHAP(samples=samples).weigh(48, score, game).few
    assert not KernelSHAP(samples=2 * 2 * 48).weigh(48, score, game).few


@pytest.mark.parametrize("samples", [192, 300, 1000])
def test_with_twice_as_many_the_error_is_that_over_seeds(samples):
    draw = np.random.default_rng(1)
    weights, triples = draw.normal(size=48), draw.integers(0, 48, (60, 3))

    def game(shown):
        return shown @ weights + shown[:, triples].prod(axis=2).sum(axis=1)

    score = float(game(np.ones((1, 48)))[0])
    found = [KernelSHAP(samples=samples, seed=s).weigh(48, score, game) for s in range(30)]
    spread = np.sqrt(np.mean(np.var([each.values for each in found], axis=0, ddof=1)))
    told = np.sqrt(np.mean([each.variances for each in found]))
    assert 0.8 < told / spread < 1.8
