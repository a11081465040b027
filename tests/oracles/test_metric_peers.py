"""Our metrics beside those of Quantus and Xplique, on one small Keras 3 model, as numbers.

Optional, as `test_peers.py`: without a peer, its tests are skipped. All are given the same maps,
none are normalised, and where subsets are drawn at random all take the same. Where the numbers
differ, the test makes the peer's change to the definition by hand and must then arrive at the
peer's number: nothing else is different.
"""

import importlib.util
from dataclasses import replace

import keras
import numpy as np
import pytest
import scipy.stats
from keras import layers
from trials import make_trial

from xai_plugins.metrics import (
    Completeness,
    Deletion,
    EffectiveArea,
    Entropy,
    Insertion,
    Road,
    Sparseness,
)
from xai_plugins.metrics.imputation import imputed
from xai_plugins.metrics.pixels import ranks
from xai_plugins.metrics.subsets import Cells, correlation

if keras.backend.backend() != "tensorflow":
    pytest.skip("the peers run on TensorFlow", allow_module_level=True)
if not any(map(importlib.util.find_spec, ("quantus", "xplique"))):
    pytest.skip("no peer is installed: see requirements.txt", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore")

SIZE = (12, 16)
MANY = 12 * 16
TARGET = 3


@pytest.fixture
def quantus():
    return pytest.importorskip("quantus", exc_type=ImportError)


@pytest.fixture
def fidelity():
    return pytest.importorskip("xplique.metrics", exc_type=ImportError)


def build(channels, last):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((*SIZE, channels))
    x = layers.Conv2D(8, 3, 2, "same", activation="relu")(inputs)
    x = layers.Dense(5, activation=last)(layers.Flatten()(x))
    return keras.Model(inputs, x)


def picture(channels, seed=0):
    """0..1, and 0 somewhere: Quantus' black is the picture's smallest value."""
    found = np.random.default_rng(seed).uniform(0, 1, (*SIZE, channels)).astype(np.float32)
    found[0, 0] = 0
    return found


@pytest.fixture(scope="module")
def attribution():
    """No two values are equal."""
    return np.random.default_rng(5).normal(size=SIZE).astype(np.float32)


def trial(model, channels, attribution, seed=0):
    """Pictures 0..255, whatever the model's output for both questions."""

    def ask(pixels):
        return model.predict(np.float32(pixels) / 255, verbose=0)[:, TARGET]

    return make_trial(255 * picture(channels, seed), attribution, ask, target=TARGET)


def given(channels, *maps, seeds=(0,)):
    """The arguments of a metric of Quantus."""
    return {
        "x_batch": np.stack([picture(channels, seed) for seed in seeds]),
        "y_batch": np.full(len(seeds), TARGET),
        "a_batch": np.stack(maps).copy(),
        "channel_first": False,
    }


RAW = {"normalise": False, "disable_warnings": True}


# ------------------------------------------------------------------------------- the complexity


def test_sparseness_is_quantus_but_for_what_it_adds(quantus, attribution):
    """Quantus adds 1e-7 to each magnitude, so that zeros divide by something."""
    model = build(1, "softmax")
    for scale, near in ((1, 1e-6), (1e-6, None)):
        (theirs,) = quantus.Sparseness(**RAW)(model=model, **given(1, scale * attribution))
        ours = Sparseness().score(trial(model, 1, scale * attribution)).value
        added = np.abs(scale * attribution) + 1e-7
        by_hand = Sparseness().score(trial(model, 1, added)).value
        assert theirs == pytest.approx(by_hand, abs=1e-6)
        if near:
            assert ours == pytest.approx(theirs, abs=near)
        else:
            assert abs(ours - theirs) > 0.02


def test_entropy_is_quantus_complexity(quantus, attribution):
    model = build(1, "softmax")
    (theirs,) = quantus.Complexity(**RAW)(model=model, **given(1, attribution))
    assert Entropy().score(trial(model, 1, attribution)).value == pytest.approx(theirs, abs=1e-5)
    with pytest.raises(AssertionError, match="all equal to zero"):
        quantus.Complexity(**RAW)(model=model, **given(1, 0 * attribution))
    found = Entropy().score(trial(model, 1, 0 * attribution)).value
    assert found == pytest.approx(np.log(MANY))


def test_effective_complexity_counts_what_is_above_a_threshold(quantus, attribution):
    """It is about the map's scale, not about its mass."""
    model = build(1, "softmax")
    for scale in (1, 1e-5):
        (theirs,) = quantus.EffectiveComplexity(**RAW)(model=model, **given(1, scale * attribution))
        assert theirs == (np.abs(scale * attribution) > 1e-5).sum()
    assert 0 < theirs < MANY
    areas = [
        EffectiveArea().score(trial(model, 1, scale * attribution)).value for scale in (1, 1e-5)
    ]
    assert areas[0] == areas[1]


# ------------------------------------------------------------------------------ the faithfulness


def test_faithfulness_correlation_is_mu_fidelity_on_pixels_given_its_subsets(quantus, attribution):
    model = build(1, None)
    runs, size = 60, 40
    np.random.seed(7)  # noqa: NPY002 - Quantus draws from it
    found = quantus.FaithfulnessCorrelation(
        nr_runs=runs, subset_size=size, return_aggregate=False, **RAW
    )(model=model, softmax=False, **given(1, attribution))
    np.random.seed(7)  # noqa: NPY002
    taken = np.zeros((runs, MANY), bool)
    for each in taken:
        # Each draw is followed by one for a baseline that is not used.
        each[np.random.choice(MANY, size, replace=False)] = True  # noqa: NPY002
        np.random.uniform(size=1)  # noqa: NPY002
    cells = Cells.of(SIZE, None)
    drops = cells.drops(trial(model, 1, attribution), taken, "black")
    ours = correlation(cells.sums(attribution), taken, drops)
    assert found[0] == pytest.approx(ours.value, abs=1e-5)


def test_in_colour_its_features_are_single_channels_of_pixels(quantus, attribution):
    """Three of them have the value of one place of the map each."""
    model = build(3, None)
    runs, size = 60, 100
    np.random.seed(7)  # noqa: NPY002
    found = quantus.FaithfulnessCorrelation(
        nr_runs=runs, subset_size=size, return_aggregate=False, **RAW
    )(model=model, softmax=False, **given(3, attribution))
    np.random.seed(7)  # noqa: NPY002
    wide = np.broadcast_to(attribution, (3, *SIZE)).ravel()
    channels_first = np.moveaxis(picture(3), -1, 0)
    sums, asked = [], [picture(3)]
    for _ in range(runs):
        places = np.random.choice(3 * MANY, size, replace=False)  # noqa: NPY002
        np.random.uniform(size=1)  # noqa: NPY002
        changed = channels_first.copy().ravel()
        changed[places] = 0
        asked.append(np.moveaxis(changed.reshape(3, *SIZE), 0, -1))
        sums.append(wide[places].sum())
    scores = model.predict(np.stack(asked), verbose=0)[:, TARGET]
    assert found[0] == pytest.approx(np.corrcoef(sums, scores[0] - scores[1:])[0, 1], abs=1e-4)


def test_its_sensitivity_n_draws_no_subsets(quantus, attribution):
    """It takes pixels away in the order of the map, and correlates over the pictures of a batch
    what each step adds: with two pictures, each step has 1 or -1."""
    model = build(1, "softmax")
    seeds, steps = (0, 1, 2, 3), 8
    maps = [np.roll(attribution, seed, axis=1) * (1 + seed) for seed in seeds]
    found = quantus.SensitivityN(
        features_in_step=MANY // steps, n_max_percentage=1.0, return_aggregate=False, **RAW
    )(model=model, **given(1, *maps, seeds=seeds))
    sums, drops = [], []
    for seed, made in zip(seeds, maps, strict=True):
        of = trial(model, 1, made, seed)
        rank = ranks(made, of.generator())
        ends = np.arange(1, steps + 1) * MANY // steps
        taken = (rank < ends[:, None, None]).reshape(steps, MANY)
        drops.append(Cells.of(SIZE, None).drops(of, taken, "black"))
        sums.append(np.diff(taken @ made.ravel(), prepend=0))
    expected = [
        np.corrcoef(np.asarray(drops)[:, step], np.asarray(sums)[:, step])[0, 1]
        for step in range(steps)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_pixel_flipping_is_the_curve_of_deletion_after_its_start(quantus, attribution):
    """In grey, and where no two values are equal."""
    model = build(1, "softmax")
    found = quantus.PixelFlipping(features_in_step=MANY // 24, **RAW)(
        model=model, **given(1, attribution)
    )
    ours = Deletion(steps=24).score(trial(model, 1, attribution)).curve.y
    np.testing.assert_allclose(np.ravel(found), ours[1:], atol=1e-6)


def test_its_area_does_not_run_on_numpy_2_4(quantus, attribution):
    if hasattr(np, "trapz"):
        pytest.skip("this NumPy has trapz")
    metric = quantus.PixelFlipping(features_in_step=8, return_auc_per_sample=True, **RAW)
    with pytest.raises(AttributeError, match="trapz"):
        metric(model=build(1, "softmax"), **given(1, attribution))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_linear_imputation_is_that_of_the_authors(quantus, attribution, channels, share):
    """Quantus has it from their code."""
    indices = np.argsort(-attribution.ravel())[: int(share * MANY)]
    first = np.moveaxis(picture(channels), -1, 0).astype(np.float64)
    theirs = quantus.functions.perturb_func.noisy_linear_imputation(first, indices, noise=0)
    removed = np.zeros(MANY, bool)
    removed[indices] = True
    ours = imputed(255 * picture(channels), removed.reshape(SIZE))
    np.testing.assert_allclose(ours, 255 * np.moveaxis(theirs, 0, -1), atol=1e-3)


def test_its_road_counts_predictions_where_ours_has_probabilities(quantus, attribution):
    """In grey: of one picture, 1 or 0 by whether the class is still the first."""
    model = build(1, "softmax")
    shares = [25, 50, 75]
    found = quantus.ROAD(percentages=shares, noise=0.0, **RAW)(model=model, **given(1, attribution))
    asked = []

    def ask(pixels):
        asked.append(np.float32(pixels) / 255)
        return np.zeros(len(pixels))

    Road(shares=3, noise=0.0).score(make_trial(255 * picture(1), attribution, ask, target=TARGET))
    most = asked[-2]
    expected = model.predict(most, verbose=0).argmax(axis=1) == TARGET
    assert {share: bool(value) for share, value in found.items()} == dict(
        zip(shares, expected.tolist(), strict=True)
    )


def test_its_road_does_not_run_in_colour(quantus, attribution):
    """It ranks all channels of all pixels, and takes their numbers for those of pixels."""
    metric = quantus.ROAD(percentages=[50], **RAW)
    with pytest.raises(IndexError, match="out of bounds"):
        metric(model=build(3, "softmax"), **given(3, attribution))


def test_its_completeness_is_whether_two_floats_are_equal(quantus, attribution):
    """A map that sums to the change within rounding may be incomplete."""
    model = build(1, None)
    of = trial(model, 1, attribution)
    change = Completeness().score(of).facts["change of the score"]
    complete = (attribution - attribution.mean() + change / MANY).astype(np.float32)
    assert Completeness().score(replace(of, raw=complete)).value < 1e-5
    for made in (complete, attribution):
        (theirs,) = quantus.Completeness(return_aggregate=False, **RAW)(
            model=model, softmax=False, **given(1, made)
        )
        scores = model.predict(np.stack([picture(1), 0 * picture(1)]), verbose=0)[:, TARGET]
        assert theirs == (made.sum() == scores[0] - scores[1])


def test_xpliques_mu_fidelity_is_spearmans_on_subsets_of_about_the_size(fidelity, attribution):
    model = build(3, None)
    metric = fidelity.MuFidelity(
        model,
        picture(3)[None],
        np.eye(5, dtype=np.float32)[[TARGET]],
        batch_size=50,
        grid_size=4,
        nb_samples=50,
    )
    _, kept = metric._perturb_samples(picture(3)[None], 50)
    sizes = 16 - np.asarray(kept)[0, :, ::3, ::4, 0].sum(axis=(1, 2))
    assert len(set(sizes)) > 3  # about a fifth of 16
    cells = Cells.of(SIZE, 4)
    taken = cells.draw(np.random.default_rng(0), 50, 3)
    masks = 1 - taken[:, cells.labels][None, ..., None].astype(np.float32)

    def same(inputs, count):
        return np.reshape(np.asarray(inputs)[:, None] * masks, (-1, *SIZE, 3)), masks

    metric._perturb_samples = same
    drops = cells.drops(trial(model, 3, attribution), taken, "black")
    sums = taken @ cells.sums(attribution)
    expected = scipy.stats.spearmanr(drops, sums)[0]
    assert metric.evaluate(attribution[None]) == pytest.approx(expected, abs=1e-6)
    assert abs(correlation(cells.sums(attribution), taken, drops).value - expected) > 1e-3


def test_xpliques_deletion_and_insertion_are_ours(fidelity, attribution):
    """Where the steps divide the pixels, and no two values are equal."""
    model = build(3, "softmax")
    inputs, targets = picture(3)[None], np.eye(5, dtype=np.float32)[[TARGET]]
    for theirs, ours in (
        (fidelity.Deletion, Deletion(steps=24)),
        (fidelity.Insertion, Insertion(steps=24, baseline="black")),
    ):
        found = theirs(model, inputs, targets, steps=24).evaluate(attribution[None])
        expected = ours.score(trial(model, 3, attribution)).value
        assert found == pytest.approx(expected, abs=1e-6)
