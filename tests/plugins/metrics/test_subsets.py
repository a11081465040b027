"""Mu-fidelity and sensitivity-n where the score is a sum: correlations are known."""

import keras
import numpy as np
import pytest
from keras import layers
from patches import PATCH, SIZE, WRONG, flat, mask, reads
from trials import make_trial

from xai_core import Study
from xai_plugins.gradients import Saliency
from xai_plugins.metrics import MuFidelity, SensitivityN
from xai_plugins.metrics.subsets import Cells, correlation

WEIGHTS = np.random.default_rng(1).normal(size=(*SIZE, 3))
PIXELS = np.random.default_rng(2).uniform(20, 250, (*SIZE, 3))
COMPLETE = (WEIGHTS * PIXELS).sum(axis=-1)
"""What each pixel adds to the score over black."""


def linear(pixels):
    return np.einsum("qhwc,hwc->q", pixels, WEIGHTS)


def trial(attribution, scores=linear, pixels=PIXELS, seed=(0,)):
    return make_trial(
        pixels, attribution, lambda each: np.zeros(len(each)), scores=scores, seed=seed
    )


EVERY = (
    MuFidelity(),
    MuFidelity(grid=None),
    MuFidelity(grid=3, share=0.5),
    SensitivityN(),
    SensitivityN(grid=4, sizes=4),
)


@pytest.mark.parametrize("metric", EVERY, ids=str)
def test_of_a_linear_score_the_complete_map_has_one_and_its_opposite_minus_one(metric):
    assert metric.score(trial(COMPLETE)).value == pytest.approx(1, abs=1e-9)
    assert metric.score(trial(-COMPLETE)).value == pytest.approx(-1, abs=1e-9)


@pytest.mark.parametrize("metric", EVERY, ids=str)
def test_scale_is_not_seen(metric):
    draw = np.random.default_rng(3).normal(size=SIZE)
    one = metric.score(trial(COMPLETE + 300 * draw)).value
    assert 0.05 < one < 0.999
    for scale in (1e-25, 1e30):
        many = metric.score(trial(scale * (COMPLETE + 300 * draw))).value
        assert many == pytest.approx(one, abs=1e-9)


@pytest.mark.parametrize("baseline", ["mean", "blur"])
def test_another_baseline_has_another_complete_map(baseline):
    from xai_plugins.metrics.canvas import canvas

    gained = (WEIGHTS * (PIXELS - canvas(baseline, PIXELS))).sum(axis=-1)
    metric = MuFidelity(baseline=baseline, grid=None)
    assert metric.score(trial(gained)).value == pytest.approx(1, abs=1e-9)
    assert SensitivityN(baseline=baseline).score(trial(gained)).value == pytest.approx(1, abs=1e-9)
    assert metric.score(trial(COMPLETE)).value < 0.999


def test_maps_of_a_patch_by_the_hypergeometric_distribution():
    """The drop counts how many of the 12 pixels of the patch are in S. With as many of another
    patch, both from the same draws, that goes by -12 / 48; with what is not in the patch, by -1."""
    metric = MuFidelity(subsets=4000, grid=None)
    for found, expected in (
        (mask(), 1),
        (1 - mask(), -1),
        (mask(WRONG), -0.25),
        (2 * mask() + mask(WRONG), 1.75 / np.sqrt(4 + 1 - 4 * 0.25)),
    ):
        score = metric.score(trial(found, reads(), flat()))
        # Of 4000 pairs, a correlation has a deviation of 0.016 at most.
        assert score.value == pytest.approx(expected, abs=0.05 if abs(expected) < 1 else 1e-9)


def test_the_order_of_maps_whose_worth_is_known():
    random = np.random.default_rng(5).random(SIZE)
    for metric in (MuFidelity(grid=None), SensitivityN()):
        perfect, middling, wrong, inverted = (
            metric.score(trial(each, reads(), flat())).value
            for each in (mask(), random, mask(WRONG), -mask())
        )
        assert perfect > middling > inverted
        assert perfect > 0.8
        assert wrong < 0
        assert inverted < -0.8


@pytest.mark.parametrize("score", [linear, lambda pixels: np.full(len(pixels), 3.7)])
@pytest.mark.parametrize("level", [0, 1, 0.1, -1e-20])
def test_where_a_side_is_the_same_there_is_no_correlation_and_it_is_told(score, level):
    """Cells of 3 x 5 pixels are of one size; single pixels too."""
    for metric in (MuFidelity(grid=2), MuFidelity(grid=None)):
        found = metric.score(trial(np.full(SIZE, level), score))
        assert found.value == 0
        assert found.facts["spread of the sums"] == 0
    found = SensitivityN(sizes=5).score(trial(np.full(SIZE, level), score))
    assert found.value == 0
    assert dict(found.facts) == {"sizes without a correlation": 5}


def test_a_map_that_is_uniform_but_for_rounding_is_uniform():
    """As one that was resampled in float32."""
    rounded = 0.3 + 1e-8 * np.random.default_rng(0).normal(size=SIZE)
    assert MuFidelity(grid=None).score(trial(rounded)).value == 0
    assert SensitivityN().score(trial(rounded)).value == 0
    nearly = 0.3 + 1e-4 * np.random.default_rng(0).normal(size=SIZE)
    assert MuFidelity(grid=None).score(trial(nearly)).value != 0


def test_one_cell_at_least_is_taken_and_one_is_left():
    for share, size in ((0.0, 1), (0.001, 1), (0.5, 30), (1.0, 59)):
        taken, _, _ = taken_of(MuFidelity(grid=None, share=share), COMPLETE)
        assert set(taken.sum(axis=(1, 2))) == {size}
    found = SensitivityN(most=1.0, sizes=3).score(trial(COMPLETE))
    assert found.curve.x.tolist() == [1, 8, 59]
    assert found.value == pytest.approx(1, abs=1e-9)


def test_where_the_score_does_not_change_there_is_none_either():
    same = trial(COMPLETE, lambda pixels: np.full(len(pixels), 3.7))
    found = MuFidelity().score(same)
    assert (found.value, found.facts["spread of the drops"]) == (0, 0)
    assert found.facts["spread of the sums"] > 1
    assert SensitivityN().score(same).value == 0


def test_a_uniform_map_on_cells_of_two_sizes_says_how_large_they_are():
    """6 x 10 pixels in 4 x 4 cells. Where the score is the sum of the pixels, that is right."""
    plain = trial(np.ones(SIZE), lambda pixels: pixels.sum(axis=(1, 2, 3)), flat())
    assert MuFidelity(grid=4).score(plain).value == pytest.approx(1, abs=1e-9)


def test_cells_are_as_even_as_the_sides_allow():
    down, across = Cells.of(SIZE, 4).labels // 4, Cells.of(SIZE, 4).labels % 4
    assert down[:, 0].tolist() == [0, 0, 1, 2, 2, 3]
    assert across[0].tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]
    assert Cells.of(SIZE, 8).count == 6 * 8
    assert Cells.of(SIZE, None).labels.ravel().tolist() == list(range(60))
    sums = Cells.of(SIZE, 2).sums(np.arange(60.0).reshape(SIZE))
    assert sums.tolist() == [180, 255, 630, 705]


def test_subsets_have_their_size_and_each_cell_is_as_likely():
    drawn = Cells.of(SIZE, None).draw(np.random.default_rng(0), 4000, 15)
    assert set(drawn.sum(axis=1)) == {15}
    # A share of 1/4 of 4000 has a deviation of 0.0068.
    np.testing.assert_allclose(drawn.mean(axis=0), 0.25, atol=0.03)


def taken_of(metric, attribution, pixels=PIXELS):
    """Which pixels were black, (Q, H, W), and the scores, as they were asked about."""
    asked = []

    def ask(given):
        asked.append(given.copy())
        return np.sqrt(given[(slice(None), *PATCH)].sum(axis=(1, 2, 3)))

    found = metric.score(trial(attribution, ask, pixels))
    given = np.concatenate(asked)
    np.testing.assert_array_equal(given[0], pixels)
    return (given == 0).all(axis=3)[1:], ask(given), found


@pytest.mark.parametrize("grid", [None, 5])
def test_mu_fidelity_is_numpys_correlation_over_what_it_asked_about(grid):
    attribution = np.random.default_rng(6).normal(size=SIZE)
    taken, scores, found = taken_of(MuFidelity(grid=grid, share=0.3), attribution)
    sums, drops = (taken * attribution).sum(axis=(1, 2)), scores[0] - scores[1:]
    assert len(taken) == 200
    assert found.value == pytest.approx(np.corrcoef(sums, drops)[0, 1], abs=1e-9)
    assert dict(found.facts) == {
        "spread of the sums": pytest.approx(sums.std()),
        "spread of the drops": pytest.approx(drops.std()),
    }
    if grid is None:
        assert set(taken.sum(axis=(1, 2))) == {18}


def test_sensitivity_n_is_numpys_correlation_for_each_n():
    """From 1 to 48 of 60 pixels: 1, 2.63, 6.93, 18.2, 48."""
    attribution = np.random.default_rng(6).normal(size=SIZE)
    taken, scores, found = taken_of(SensitivityN(sizes=5), attribution)
    sums, drops = (taken * attribution).sum(axis=(1, 2)), scores[0] - scores[1:]
    assert found.curve.x.tolist() == [1, 3, 7, 18, 48]
    expected = []
    for number, n in enumerate(found.curve.x):
        part = slice(100 * number, 100 * number + 100)
        assert set(taken[part].sum(axis=(1, 2))) == {n}
        expected.append(np.corrcoef(sums[part], drops[part])[0, 1])
    np.testing.assert_allclose(found.curve.y, expected, atol=1e-9)
    assert found.value == pytest.approx(np.mean(expected), abs=1e-9)
    assert (found.curve.x_label, found.curve.y_label) == ("pixels taken away", "correlation")
    assert dict(found.facts) == {"sizes without a correlation": 0}


def test_sizes_that_round_to_the_same_are_one():
    found = SensitivityN(sizes=40, grid=2, subsets=7).score(trial(COMPLETE))
    assert found.curve.x.tolist() == [1, 2, 3]
    assert found.curve.x_label == "cells taken away"


def test_of_one_cell_nothing_is_learnt():
    assert MuFidelity(grid=1).score(trial(COMPLETE)).value == 0
    assert SensitivityN(grid=1).score(trial(COMPLETE)).value == 0


@pytest.mark.parametrize(
    "metric", [MuFidelity(subsets=300), SensitivityN(sizes=5, subsets=70)], ids=str
)
def test_what_it_asks_is_what_it_says(metric):
    asked = []

    def ask(pixels):
        asked.append(len(pixels))
        return np.zeros(len(pixels))

    metric.score(trial(COMPLETE, ask))
    assert sum(asked) == metric.queries
    assert max(asked) <= 128


def test_a_map_that_says_nothing_has_none_on_average():
    draw = np.random.default_rng(8)
    found = [MuFidelity().score(trial(draw.normal(size=SIZE), seed=(n,))).value for n in range(200)]
    assert np.mean(found) == pytest.approx(0, abs=4 * np.std(found) / np.sqrt(200))
    # 48 cells: the map's values by chance go with what they are worth by 1 / sqrt(47).
    assert np.std(found) == pytest.approx(np.sqrt(1 / 47 + 1 / 199), rel=0.2)


def test_a_correlation_is_within_one_whatever_the_rounding():
    draw = np.random.default_rng(9)
    cells, taken = draw.normal(size=40), draw.random((50, 40)) < 0.5
    for scale in (1e-12, 1.0, 1e15):
        found = correlation(cells, taken, scale * (taken @ cells))
        assert 1 - 1e-9 < found.value <= 1


@pytest.fixture(scope="module")
def study(registry):
    inputs = keras.Input((*SIZE, 3))
    x = layers.Conv2D(4, 3, activation="relu")(inputs)
    model = keras.Model(inputs, layers.Dense(3, "softmax")(layers.Flatten()(x)))
    keras.utils.set_random_seed(3)
    return Study(model, preprocess="unit", registry=registry)


def test_all_rows_after_the_first_cost_nothing(study):
    """The subsets are the same for every method: 201 and at most 501 pictures in all."""
    pictures = [np.random.default_rng(n).integers(0, 256, (*SIZE, 3), np.uint8) for n in (0, 1)]
    metrics = (MuFidelity(grid=None), SensitivityN(sizes=5))
    found = study.evaluate(pictures, [Saliency(), "gradient-x-input"], metrics, 0)
    assert found.failures == ()
    for metric, gauge in zip(metrics, found.metrics, strict=True):
        mine = [each for each in found.measurements if each.metric == str(gauge)]
        assert len(mine) == 2 * 6
        assert {each.asked for each in mine} <= {metric.queries, metric.queries + 1}
        for number, picture in enumerate(found.pictures):
            first, *others = (each for each in mine if each.picture == picture)
            # Of 60 pixels there are only 60 of size 1: some subsets are drawn twice.
            assert metric.queries * 0.8 < first.queries <= metric.queries, number
            assert {each.queries for each in others} == {0}
