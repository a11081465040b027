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

from xai_core.errors import MetricError
from xai_core.metrics import Other
from xai_core.twins import Ladder
from xai_plugins.metrics import (
    AverageDrop,
    AverageIncrease,
    CascadingRandomisation,
    Completeness,
    Deletion,
    EffectiveArea,
    Entropy,
    GridPointingGame,
    Insertion,
    MaxSensitivity,
    PointingGame,
    RandomLogit,
    RelevanceMass,
    RelevanceRank,
    Road,
    Sparseness,
)
from xai_plugins.metrics.imputation import imputed
from xai_plugins.metrics.pixels import ranks
from xai_plugins.metrics.pointing import grown
from xai_plugins.metrics.similarity import structure
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


@pytest.mark.parametrize("lowest", [0.0, 0.2, None])
def test_xpliques_drop_and_increase_scale_magnitudes_from_their_smallest(
    fidelity, attribution, lowest
):
    """Ours cuts off what is below 0, and divides by the largest value: the same where no value is
    below 0 and the smallest is 0. It multiplies what the model is fed, whose 0 is black here."""
    model = build(3, "softmax")
    targets = np.eye(5, dtype=np.float32)[[TARGET]]
    size = np.abs(attribution)
    from_0 = (size - size.min()) / (np.ptp(size) + 1e-8)
    made = attribution if lowest is None else from_0 + np.float32(lowest)
    drops, rose = [], set()
    for seed in range(8):
        for theirs, ours in (
            (fidelity.AverageDropMetric, AverageDrop()),
            (fidelity.AverageIncreaseMetric, AverageIncrease()),
        ):
            found = theirs(model, picture(3, seed)[None], targets).evaluate(made[None])
            expected = ours.score(trial(model, 3, from_0, seed)).value
            assert found == pytest.approx(expected, abs=1e-5)
            if ours.name == "average-drop":
                drops.append(abs(found - ours.score(trial(model, 3, made, seed)).value))
            else:
                rose.add(found)
    assert rose == {0, 1}
    assert max(drops) < 1e-5 if lowest == 0 else max(drops) > 1e-3


def test_xpliques_complexity_and_sparseness_are_entropy_and_sparseness(fidelity, attribution):
    """To the sum and in the logarithm 1e-8 is added: the entropy of a map of zeros is 0, which is
    that of a single pixel, and that of small values is less."""
    model = build(1, "softmax")
    complexity = importlib.import_module("xplique.metrics.complexity")
    for metric, ours in (
        (complexity.Complexity(), Entropy()),
        (complexity.Sparseness(), Sparseness()),
    ):
        found = metric.evaluate(attribution[None])
        assert found == pytest.approx(ours.score(trial(model, 1, attribution)).value, abs=1e-4)
        small = metric.evaluate(1e-10 * attribution[None])
        if ours.name == "entropy":
            shares = np.abs(1e-10 * np.float64(attribution))
            shares /= shares.sum() + 1e-8
            assert small == pytest.approx(-(shares * np.log(shares + 1e-8)).sum(), abs=1e-4)
            assert small < found - 0.5
        else:
            assert small == pytest.approx(found, abs=1e-4)
    assert complexity.Complexity().evaluate(0 * attribution[None]) == pytest.approx(0, abs=1e-6)


# ------------------------------------------------------------------------------ the localisation


@pytest.fixture(scope="module")
def masks():
    """Three, of which the first holds the highest value of the map, and the others do not."""
    found = np.zeros((3, *SIZE), bool)
    found[0, 2:12, 1:14] = True
    found[1, :4, 3:9] = True
    found[2, 10:, 12:] = True
    return found


def located(peer, attribution, mask, **how):
    (found,) = peer(**{**RAW, **how})(
        model=build(1, None), **given(1, attribution), s_batch=np.array(mask)[None, None]
    )
    return found


def marked(attribution, mask):
    return make_trial(255 * picture(1), attribution, mask=mask)


def test_the_pointing_game_is_quantus_without_a_tolerance(quantus, attribution, masks):
    """It has none: the tolerance is drawn around the mask by hand."""
    hits = set()
    for mask in masks:
        for tolerance in (0, 2, 5):
            theirs = located(quantus.PointingGame, attribution, grown(mask, tolerance))
            ours = PointingGame(tolerance=tolerance).score(marked(attribution, mask)).value
            assert theirs == ours
            hits.add((bool(theirs), tolerance))
    assert len(hits) > 3


def test_its_pointing_game_hits_by_any_of_the_highest(quantus, attribution, masks):
    """Ours is the share of them that hit, as the probability that one drawn at random does."""
    flat = np.minimum(attribution, np.quantile(attribution, 0.8)).astype(np.float32)
    highest = flat == flat.max()
    for mask in masks:
        ours = PointingGame(tolerance=0).score(marked(flat, mask)).value
        assert ours == pytest.approx(highest[mask].sum() / highest.sum())
        assert 0 < ours < 1
        assert located(quantus.PointingGame, flat, mask) == highest[mask].any() == 1


def test_its_pointing_game_is_a_truth_value_that_holds_no_weight_and_no_nan(
    quantus, attribution, masks
):
    """Of an empty mask, for which its comment promises NaN, the picture is a hit."""
    assert located(quantus.PointingGame, attribution, 0 * masks[0]) == 1
    hit = PointingGame(tolerance=0).score(marked(attribution, masks[0])).value
    assert hit == 1
    with pytest.raises(TypeError, match="input has 2 dimensions"):
        located(quantus.PointingGame, attribution, masks[0], weighted=True)


def test_relevance_mass_is_quantus_where_nothing_is_below_0(quantus, attribution, masks):
    """It sums all values, so that those below 0 are taken off: what is left may be below 0 or
    above 1. The paper's relevance is pooled over the colours first, after which none is below 0."""
    peer = quantus.RelevanceMassAccuracy
    outside = []
    for mask in masks:
        positive = np.maximum(attribution, 0)
        ours = RelevanceMass().score(marked(attribution, mask)).value
        assert located(peer, positive, mask) == pytest.approx(ours, abs=1e-6)
        theirs = located(peer, attribution, mask)
        assert theirs == pytest.approx(attribution[mask].sum() / attribution.sum(), rel=1e-4)
        assert abs(theirs - ours) > 0.05
        outside.append(not 0 <= theirs <= 1)
    assert any(outside)
    nothing = attribution - attribution.max()
    assert RelevanceMass().score(marked(nothing, masks[0])).value == 0
    assert located(peer, nothing, masks[0]) > 0.1
    assert np.isnan(located(peer, attribution, 0 * masks[0]))


def test_relevance_rank_is_quantus_where_no_values_are_equal(quantus, attribution, masks):
    """Of equal ones it takes those that its sorting happens to leave first."""
    peer, apart = quantus.RelevanceRankAccuracy, []
    for mask in masks:
        ours = RelevanceRank().score(marked(attribution, mask)).value
        assert located(peer, attribution, mask) == pytest.approx(ours, abs=1e-6)
    rectified = np.maximum(attribution - np.quantile(attribution, 0.99), 0).astype(np.float32)
    for mask in masks:
        ours = RelevanceRank().score(marked(rectified, mask)).value
        theirs = located(peer, rectified, mask)
        first = np.argsort(-rectified.ravel())[: mask.sum()]
        assert theirs == pytest.approx(mask.ravel()[first].mean())
        apart.append(abs(theirs - ours))
    assert max(apart) > 0.05
    assert np.isnan(located(peer, attribution, 0 * masks[0]))


def always(made):
    return lambda pixels: np.repeat(made[None], len(pixels), axis=0)


@pytest.mark.parametrize("size", [(12, 16), (13, 15)])
def test_focus_is_the_grid_pointing_game_of_one_cell_of_four(quantus, size):
    """Its own paper (Arias-Duart et al. 2022) has two pictures of the class in a mosaic of four. It
    adds 1e-9 to the sum, and mosaics of 3 x 3 it has not."""
    generator = np.random.default_rng(2)
    one = generator.normal(size=size).astype(np.float32)
    own, *rest = generator.uniform(0, 255, (4, *size, 3)).astype(np.float32)
    others = tuple(Other(each, 1 + place) for place, each in enumerate(rest))
    cells, apart = set(), []
    for seed in range(16):
        for made in (one, 1e-11 * one):
            of = make_trial(
                own,
                made,
                lambda pixels: np.full(len(pixels), 0.5),
                seed=(seed,),
                maps=always(made),
                others=others,
            )
            cell = int(of.generator().integers(4))
            (theirs,) = quantus.Focus(**RAW)(
                model=build(3, None),
                x_batch=own[None],
                y_batch=np.array([0]),
                a_batch=made[None].copy(),
                custom_batch=[tuple(np.eye(4)[cell])],
                channel_first=False,
            )
            ours = GridPointingGame().score(of).value
            total = np.maximum(np.float64(made), 0).sum()
            assert theirs == pytest.approx(ours * total / (total + 1e-9), abs=1e-5)
            apart.append(abs(theirs - ours))
        cells.add(cell)
    assert min(apart) < 1e-5
    assert max(apart) > 0.05
    assert cells == {0, 1, 2, 3}


# -------------------------------------------------------------------------------- the robustness


def smooth(channels):
    """Three layers with weights, and no ReLU whose gradient a rounding could turn."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((*SIZE, channels))
    x = layers.Conv2D(4, 3, 2, "same", activation="tanh", name="first")(inputs)
    x = layers.Dense(6, activation="tanh", name="second")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(5, name="last")(x))


def explained(model, pictures, classes):
    """The gradient times the input, (N, H, W)."""
    import tensorflow as tf

    fed = tf.convert_to_tensor(np.float32(pictures))
    with tf.GradientTape() as tape:
        tape.watch(fed)
        scores = tf.gather(model(fed), np.asarray(classes), axis=1, batch_dims=1)
    return (tape.gradient(scores, fed) * fed).numpy().sum(axis=-1)


class Explainer:
    """As both peers call it. What it is asked is kept, and the weights that the model then has."""

    def __init__(self, model=None):
        self.model = model
        self.classes, self.weights, self.maps, self.shapes = [], [], [], []

    def __call__(self, model, inputs, targets):
        self.shapes.append(inputs.shape[1:])
        if inputs.shape[1:3] != SIZE:
            inputs = np.moveaxis(inputs, 1, -1)
        made = explained(model, inputs, targets)
        self.classes.append(list(np.ravel(targets)))
        self.weights.append({each.path: each.numpy() for each in model.weights})
        self.maps.append(made)
        return made

    def explain(self, inputs, targets):
        return self(self.model, np.asarray(inputs), np.argmax(targets, axis=1))


def asking(model, channels, **more):
    """A trial of the maps of a model."""

    def maps(pixels, target):
        return explained(model, np.float32(pixels) / 255, [target] * len(pixels))

    made = maps(255 * picture(channels)[None], TARGET)[0]
    return make_trial(255 * picture(channels), made, target=TARGET, classes=5, maps=maps, **more)


def noise_of(metric, of):
    """What it adds to a picture of 0..1, after clipping."""
    shape = (metric.samples, *of.pixels.shape)
    drawn = of.generator().uniform(-metric.radius, metric.radius, shape)
    return np.float32(np.clip(of.pixels + drawn, 0, 255) - of.pixels) / 255


@pytest.mark.parametrize("channels", [1, 3])
def test_max_sensitivity_is_quantus_given_the_same_noise(quantus, channels):
    """Divided by the map's norm as ours, which the paper's is not."""
    model = smooth(channels)
    of, ours = asking(model, channels), MaxSensitivity(samples=6)
    drawn = iter(np.moveaxis(noise_of(ours, of), -1, 1))

    def same(arr, indices, **_):
        return arr + next(drawn).reshape(1, -1)

    (theirs,) = quantus.MaxSensitivity(nr_samples=6, perturb_func=same, **RAW)(
        model=model, explain_func=Explainer(), **given(channels, of.attribution)
    )
    found = ours.score(of)
    assert theirs == pytest.approx(found.value, rel=1e-4)
    assert theirs > found.facts["mean"] > 0


def test_its_own_noise_leaves_the_range_of_the_picture(quantus):
    """As it comes, 0.2 each way of what the model is fed, not clipped, 200 times."""
    model = smooth(1)
    of = asking(model, 1)
    explainer = Explainer()
    np.random.seed(3)  # noqa: NPY002
    (theirs,) = quantus.MaxSensitivity(nr_samples=4, lower_bound=0.2, **RAW)(
        model=model, explain_func=explainer, **given(1, of.attribution)
    )
    np.random.seed(3)  # noqa: NPY002
    fed = [picture(1)[..., 0] + np.random.uniform(-0.2, 0.2, SIZE) for _ in range(4)]  # noqa: NPY002
    assert min(map(np.min, fed)) < -0.1
    moved = explained(model, np.stack(fed)[..., None], [TARGET] * 4) - of.attribution
    lengths = np.linalg.norm(moved.reshape(4, -1), axis=1)
    assert theirs == pytest.approx(lengths.max() / np.linalg.norm(of.attribution), rel=1e-4)


def test_quantus_refuses_maps_of_one_value_and_maps_below_0(quantus, attribution):
    """Those of a noisy picture or of a rung too, and then there is no score at all."""
    model = build(1, None)
    constant = np.full(SIZE, 0.5, np.float32)
    for made, told in (
        (0 * constant, "all equal to zero"),
        (constant, "uniformly distributed"),
        (-np.abs(attribution), "should not all be less than zero"),
    ):
        with pytest.raises(AssertionError, match=told):
            quantus.MaxSensitivity(nr_samples=2, **RAW)(
                model=model, explain_func=Explainer(), **given(1, made)
            )

        def explain(model, inputs, targets, made=made):
            return made[None]

        for metric in (quantus.MaxSensitivity(nr_samples=2, **RAW), quantus.MPRT(**RAW)):
            with pytest.raises(AssertionError, match=told):
                metric(model=model, explain_func=explain, **given(1, attribution))
        still = make_trial(255 * picture(1), made, maps=always(made))
        assert MaxSensitivity().score(still).value == 0
        if made is not constant:
            continue
        rungs = [made, attribution, attribution]
        facts = (
            CascadingRandomisation()
            .score(make_trial(255 * picture(1), attribution, rungs=rungs))
            .facts
        )
        assert facts["rungs without a map"] == 1
        assert facts["mean spearman"] == pytest.approx(1)


def test_xpliques_stability_is_the_mean_distance_under_noise_of_one_sign(fidelity):
    """Not the greatest, and not divided by the map's norm."""
    model = smooth(3)
    targets = np.eye(5, dtype=np.float32)[[TARGET]]
    metric = fidelity.AverageStability(model, picture(3)[None], targets, nb_samples=6, radius=0.1)
    assert np.min(metric.noisy_masks) >= 0
    assert np.max(metric.noisy_masks) > 0.09
    of, ours = asking(model, 3), MaxSensitivity(samples=6)
    metric.noisy_masks = noise_of(ours, of)
    found = metric.evaluate(Explainer(model).explain)
    facts = ours.score(of).facts
    assert found == pytest.approx(facts["mean"] * facts["norm of the map"], rel=1e-4)


# ---------------------------------------------------------------------------- the randomisation


def asked_for(model, channels, other):
    """Our random logit, by a seed that draws the class."""
    for seed in range(100):
        found = RandomLogit().score(asking(model, channels, seed=(seed,)))
        if found.facts["the other class"] == other:
            return found.facts
    raise AssertionError(f"no seed draws class {other}")


def test_random_logit_is_quantus_with_spearmans_correlation(quantus):
    model, explainer = smooth(3), Explainer()
    own = explained(model, picture(3)[None], [TARGET])[0]
    spearman = quantus.functions.similarity_func.correlation_spearman
    others = set()
    for seed in range(6):
        (theirs,) = quantus.RandomLogit(num_classes=5, seed=seed, similarity_func=spearman, **RAW)(
            model=model, explain_func=explainer, **given(3, own)
        )
        (other,) = explainer.classes[-1]
        others.add(other)
        assert theirs == pytest.approx(asked_for(model, 3, other)["spearman"], abs=1e-4)
    assert TARGET not in others
    assert len(others) > 2


def test_as_it_comes_its_random_logit_compares_lines_of_pixels(quantus):
    """The structural similarity of all rows of a map, one behind the other: seven values to a
    window, from the end of one row into the next, and weighed alike. Of maps on their side it is
    another; ours is not."""
    metrics = pytest.importorskip("skimage.metrics")
    model, explainer = smooth(3), Explainer()
    own = explained(model, picture(3)[None], [TARGET])[0]
    (theirs,) = quantus.RandomLogit(num_classes=5, **RAW)(
        model=model, explain_func=explainer, **given(3, own)
    )
    other = explainer.maps[-1][0]
    both = np.stack([own, other])

    def by_hand(one, other):
        return metrics.structural_similarity(
            one.ravel(), other.ravel(), data_range=float(np.ptp(both))
        )

    assert theirs == pytest.approx(by_hand(own, other), abs=1e-5)
    assert abs(theirs - by_hand(own.T, other.T)) > 1e-3
    assert abs(theirs - structure(own, other).mean()) > 1e-3
    assert structure(own, other).mean() == pytest.approx(structure(own.T, other.T).mean())


def test_as_it_comes_its_random_logit_asks_for_one_of_a_thousand_classes(quantus):
    """Whatever the model has."""
    model, asked = smooth(3), []

    def explain(model, inputs, targets):
        asked.extend(targets)
        return explained(model, inputs, [0])

    quantus.RandomLogit(**RAW)(
        model=model, explain_func=explain, **given(3, explain(model, picture(3)[None], [0])[0])
    )
    assert asked[-1] >= 5


def test_xpliques_random_logit_is_ssim_where_the_window_is_whole(fidelity):
    """And by the range that both maps have together: given maps from -1 to 1, the same."""
    randomisation = importlib.import_module("xplique.metrics.randomization")
    targets = np.eye(5, dtype=np.float32)[[TARGET]]
    generator = np.random.default_rng(8)
    bounded = generator.uniform(-1, 1, (5, *SIZE)).astype(np.float32)
    bounded[:, 0, :2] = -1, 1
    bounded[TARGET] = (bounded[TARGET] + 2 * bounded[0] + 2 * bounded[1]) / 5
    bounded[TARGET, 0, :2] = -1, 1

    class Written:
        model, others = None, []

        def explain(self, inputs, targets):
            self.others.append(int(np.argmax(targets)))
            return bounded[self.others[-1]][None]

    apart = []
    for seed in range(6):
        written = Written()
        theirs = randomisation.RandomLogitMetric(
            build(3, None), picture(3)[None], targets, seed=seed
        ).evaluate(written)
        own, other = bounded[[TARGET, written.others[-1]]]
        assert written.others[-1] != TARGET
        places = structure(own, other)
        assert theirs == pytest.approx(places[5:-5, 5:-5].mean(), abs=1e-5)
        apart.append(abs(theirs - places.mean()))
    assert max(apart) > 1e-3


def descended(quantus, model, channels, **how):
    """What Quantus says of each rung, and what was explained there."""
    explainer = Explainer()
    own = explained(model, picture(channels)[None], [TARGET])[0]
    found = quantus.MPRT(**{**RAW, **how})(
        model=model, explain_func=explainer, **given(channels, own)
    )
    return found, explainer, own


@pytest.mark.parametrize("kind", ["spearman", "spearman-abs"])
def test_cascading_randomisation_is_quantus_mprt_given_its_maps(quantus, kind):
    """By magnitudes, as it comes."""
    how = {} if kind == "spearman-abs" else {"abs": False}
    found, explainer, own = descended(quantus, smooth(3), 3, **how)
    assert list(found) == ["original", "last", "second", "first"]
    rungs = [each[0] for each in explainer.maps[1:]]
    for (theirs,), rung in zip(list(found.values())[1:], rungs, strict=True):
        facts = (
            CascadingRandomisation().score(make_trial(255 * picture(3), own, rungs=[rung])).facts
        )
        assert theirs == pytest.approx(facts[f"{kind} at the last rung"], abs=1e-6)


def test_the_mean_of_its_mprt_counts_the_model_as_it_is(quantus):
    """Of three layers and the learnt model, whose map is compared with itself."""
    model = smooth(3)
    found, explainer, own = descended(quantus, model, 3, abs=False)
    rungs = [each[0] for each in explainer.maps[1:]]
    facts = CascadingRandomisation().score(make_trial(255 * picture(3), own, rungs=rungs)).facts
    theirs = [value for (value,) in found.values()]
    assert facts["mean spearman"] == pytest.approx(np.mean(theirs[1:]), abs=1e-6)
    explainer = Explainer()
    (mean,) = quantus.MPRT(abs=False, return_average_correlation=True, **RAW)(
        model=model, explain_func=explainer, **given(3, own)
    )
    by_hand = [
        CascadingRandomisation()
        .score(make_trial(255 * picture(3), own, rungs=[each[0]]))
        .facts["mean spearman"]
        for each in explainer.maps
    ]
    assert len(by_hand) == 4
    assert by_hand[0] == pytest.approx(1)
    assert mean == pytest.approx(np.mean(by_hand), abs=1e-6)
    assert mean > np.mean(by_hand[1:]) + 0.1


def test_its_mprt_has_lost_all_weights_at_the_first_rung(quantus):
    """`clone_model` draws all anew, and the learnt weights are not copied: what the cascade should
    take away layer by layer is gone when it starts. Each rung then shuffles a layer of that."""
    model = smooth(3)
    _, explainer, _ = descended(quantus, model, 3)
    learnt = {each.path: each.numpy() for each in model.weights}
    start, *rungs = explainer.weights
    assert all(np.array_equal(start[path], learnt[path]) for path in learnt)
    kernels = [path for path in learnt if path.endswith("kernel")]
    assert len(kernels) == 3
    for rung in rungs:
        assert not any(np.isclose(rung[path], learnt[path]).mean() > 0.1 for path in kernels)
    for path in kernels:
        values = [np.sort(rung[path], axis=None) for rung in rungs]
        assert np.array_equal(values[0], values[1])
        assert np.array_equal(values[0], values[2])
    ladder = Ladder(model, seed=0)
    for standing, lost in (
        (1, {"last"}),
        (2, {"last", "second"}),
        (3, {"last", "second", "first"}),
    ):
        ladder.stand(standing)
        changed = {
            path.split("/")[0]
            for path, now in ((each.path, each.numpy()) for each in ladder.model.weights)
            if path in kernels and not np.array_equal(now, learnt[path])
        }
        assert changed == lost


def test_it_shuffles_weights_along_their_first_axis_alone(quantus):
    """Which a convolution of 1 x 1 has but one place of: layer by layer, where the others keep what
    they learnt, it is left as it is."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((*SIZE, 3))
    x = layers.Conv2D(4, 1, activation="tanh", name="first", bias_initializer="ones")(inputs)
    model = keras.Model(inputs, layers.Dense(5, name="last")(layers.Flatten()(x)))
    found, explainer, _ = descended(quantus, model, 3, layer_order="independent")
    assert found["first"] == pytest.approx([1])
    _, first, last = explainer.weights
    for path, learnt in ((each.path, each.numpy()) for each in model.weights):
        assert np.array_equal(first[path], learnt)
        same = np.sort(last[path], axis=0) == np.sort(learnt, axis=0)
        assert same.all()
    drawn = Ladder(model, seed=0)
    drawn.stand(2)
    kernel = next(each for each in drawn.model.weights if each.path == "first/kernel")
    assert not np.array_equal(kernel.numpy(), explainer.weights[0]["first/kernel"])


def test_its_mprt_shows_pictures_of_keras_with_channels_first(quantus):
    """All but the first time, where it makes the maps to compare with itself."""
    model, explainer = smooth(3), Explainer()
    what = given(3, np.zeros(SIZE, np.float32)) | {"a_batch": None}
    quantus.MPRT(**RAW)(model=model, explain_func=explainer, **what)
    assert explainer.shapes == [(*SIZE, 3)] + 4 * [(3, *SIZE)]


def test_one_map_of_one_value_in_a_batch_makes_its_mean_nan(quantus):
    model, calls = smooth(3), []
    pair = explained(model, np.stack([picture(3), picture(3, 1)]), [TARGET, TARGET])
    constant = np.stack([pair[0], np.full(SIZE, 0.5, np.float32)])

    def explain(model, inputs, targets):
        calls.append(0)
        return constant if len(calls) == 2 else pair.copy()

    found = quantus.MPRT(return_average_correlation=True, **RAW)(
        model=model, explain_func=explain, **given(3, *pair, seeds=(0, 1))
    )
    assert found[0] == pytest.approx(1)
    assert np.isnan(found[1])


def test_xpliques_model_randomisation_is_one_rung_of_positive_weights(fidelity):
    """Given its maps, the same similarity. Every weight is drawn from 0 to 1, biases too: from
    the second layer on every unit is saturated here and no gradient is left. Of such a map it says
    0, as of a method that passes; ours has no score."""
    randomisation = importlib.import_module("xplique.metrics.randomization")
    model = smooth(3)
    targets = np.eye(5, dtype=np.float32)[[TARGET]]
    learnt = {each.path: each.numpy() for each in model.weights}
    for share, lost in (
        (0.34, {"last"}),
        (0.67, {"last", "second"}),
        (1.0, {"last", "second", "first"}),
    ):
        explainer = Explainer(model)
        theirs = randomisation.ModelRandomizationMetric(
            model,
            picture(3)[None],
            targets,
            randomization_strategy=randomisation.ProgressiveLayerRandomization(share),
        ).evaluate(explainer)
        (own,), (made,) = explainer.maps
        of = make_trial(255 * picture(3), own, rungs=[made])
        if lost == {"last"}:
            facts = CascadingRandomisation().score(of).facts
            assert theirs == pytest.approx(facts["mean spearman"], abs=1e-4)
        else:
            assert not made.any()
            assert theirs == 0
            with pytest.raises(MetricError, match="all values are the same"):
                CascadingRandomisation().score(of)
        for path, after in explainer.weights[1].items():
            if path.split("/")[0] in lost:
                assert after.min() >= 0
                assert after.max() < 1
                assert not np.array_equal(after, learnt[path])
            else:
                assert np.array_equal(after, learnt[path])
        assert explainer.model is model


def test_as_it_comes_it_randomises_nothing_of_a_model_of_three_layers(fidelity):
    """A quarter of them, rounded down: every method has similarity 1."""
    randomisation = importlib.import_module("xplique.metrics.randomization")
    model = smooth(3)
    targets = np.eye(5, dtype=np.float32)[[TARGET]]
    metric = randomisation.ModelRandomizationMetric(model, picture(3)[None], targets)
    explainer = Explainer(model)
    assert metric.evaluate(explainer) == pytest.approx(1)
    assert np.array_equal(*explainer.maps)


def test_its_grad_cam_goes_on_explaining_the_learnt_model(fidelity):
    """The pass was compiled for it, and the copy is never asked: similarity 1, as if Grad-CAM did
    not depend on the weights. Made anew of the copy, its map is another. The copy of a guided model
    cannot be made."""
    randomisation = importlib.import_module("xplique.metrics.randomization")
    attributions = pytest.importorskip("xplique.attributions", exc_type=ImportError)

    class Anew:
        def __init__(self, model):
            self.model = model

        def explain(self, inputs, targets):
            return attributions.GradCAM(self.model).explain(inputs, targets)

    keras.utils.set_random_seed(0)
    inputs = keras.Input((*SIZE, 3))
    x = layers.Conv2D(8, 3, 1, "same", activation="relu")(inputs)
    x = layers.Conv2D(8, 3, 1, "same", activation="relu")(x)
    model = keras.Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))
    metric = randomisation.ModelRandomizationMetric(
        model,
        picture(3)[None],
        np.eye(5, dtype=np.float32)[[TARGET]],
        randomization_strategy=randomisation.ProgressiveLayerRandomization(1.0),
    )
    assert metric.evaluate(attributions.GradCAM(model)) == pytest.approx(1)
    assert metric.evaluate(Anew(model)) < 0.9
    with pytest.raises(TypeError, match="deserializing"):
        metric.evaluate(attributions.GuidedBackprop(model))
