"""Cascading randomisation and random logit: on scripted ladders, and on models known on paper."""

from dataclasses import dataclass
from typing import ClassVar

import keras
import numpy as np
import pytest
from keras import layers, ops
from trials import make_trial

from xai_core import Explainer, Needs, Study
from xai_core.errors import MetricError, ParameterError
from xai_plugins.metrics import CascadingRandomisation, RandomLogit
from xai_plugins.metrics.similarity import SIMILARITIES

SIZE = (24, 37)
ROWS, COLUMNS = 12, 20
KINDS = tuple(SIMILARITIES)


def noise(seed=0, size=SIZE):
    return np.random.default_rng(seed).normal(size=size)


def mask(rows=slice(3, 11), columns=slice(5, 20)):
    found = np.zeros(SIZE)
    found[rows, columns] = 1
    return found


def trial(attribution, **given):
    return make_trial(np.zeros((*SIZE, 3), np.float32), attribution, **given)


# The ladder


@pytest.mark.parametrize("kind", KINDS)
def test_a_map_that_stays_scores_one(kind):
    for made in (mask(), -mask(), noise(), np.abs(noise())):
        score = CascadingRandomisation(kind).score(trial(made, rungs=[made, made, 7 * made]))
        assert score.value == pytest.approx(1)
        np.testing.assert_allclose(score.curve.y, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_map_that_is_drawn_anew_scores_about_nought(kind):
    """Of 888 pixels, the correlation of independent ranks has a deviation of 0.034.

    Histograms of gradients have in common that there are none across an edge of the picture.
    """
    score = CascadingRandomisation(kind).score(
        trial(noise(), rungs=[noise(n) for n in range(1, 7)])
    )
    assert abs(score.value) < (0.3 if kind == "hog" else 0.05)
    assert score.curve.y[0] == 1


def test_the_mean_over_the_rungs_by_hand():
    """Ranks 1 2 3 4: as they are, 1; the middle ones exchanged, 0.8; turned round, -1."""
    learnt = np.array([[1.0, 2, 3, 4]])
    rungs = [np.array([[1.0, 2, 3, 4]]), np.array([[1.0, 3, 2, 4]]), -learnt]
    score = CascadingRandomisation().score(
        make_trial(np.zeros((1, 4, 3), np.float32), learnt, rungs=rungs)
    )
    assert score.value == pytest.approx(2.8 / 3)  # turned round is no other map
    np.testing.assert_allclose(score.curve.x, [0, 1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(score.curve.y, [1, 1, 0.8, 1])
    assert score.facts["mean spearman"] == pytest.approx(0.8 / 3)
    assert score.facts["spearman at the last rung"] == -1
    assert score.facts["spearman-abs at the last rung"] == 1
    assert score.facts["mean spearman-abs"] == pytest.approx(2.8 / 3)
    assert (score.facts["rungs"], score.facts["rungs without a map"]) == (3, 0)
    assert score.curve.x_label == "share of layers drawn anew"
    assert score.curve.y_label == "magnitude of spearman to the map"


@pytest.mark.parametrize("kind", KINDS)
def test_each_similarity_is_the_value_when_it_is_asked_for(kind):
    rungs = [noise() + noise(1), noise(2)]
    score = CascadingRandomisation(kind).score(trial(noise(), rungs=rungs))
    each = [SIMILARITIES[kind](noise(), rung) for rung in rungs]
    assert score.value == pytest.approx(np.mean(np.abs(each)))
    np.testing.assert_allclose(score.curve.y, [1, *np.abs(each)])
    for other in KINDS:
        told = [SIMILARITIES[other](noise(), rung) for rung in rungs]
        assert score.facts[f"mean {other}"] == pytest.approx(np.mean(told))
        assert score.facts[f"{other} at the last rung"] == told[-1]


def test_a_rung_without_a_map_is_counted_and_is_no_score():
    """The second has no map, the last is flat but for rounding: the mean is of the others."""
    learnt = noise()
    level = np.full(SIZE, 0.3, np.float32)
    level[::2] += 3e-8
    assert np.ptp(level) > 0
    score = CascadingRandomisation().score(
        trial(learnt, rungs=[learnt + noise(1), None, learnt + 2 * noise(2), level])
    )
    found = [
        SIMILARITIES["spearman"](learnt, learnt + by * noise(seed)) for by, seed in ((1, 1), (2, 2))
    ]
    assert 0.3 < found[1] < 0.6 < found[0] < 0.9
    assert score.value == pytest.approx(np.mean(found))
    assert score.facts["rungs without a map"] == 2
    assert "spearman at the last rung" not in score.facts
    np.testing.assert_allclose(score.curve.x, [0, 1 / 4, 1 / 2, 3 / 4, 1])
    np.testing.assert_allclose(score.curve.y, [1, found[0], np.nan, found[1], np.nan])


def test_a_mean_over_less_than_half_of_the_rungs_is_no_score():
    """Of three rungs one alone has a map, the one that has lost the least."""
    learnt = noise()
    with pytest.raises(MetricError) as caught:
        CascadingRandomisation().score(trial(learnt, rungs=[learnt, None, np.zeros(SIZE)]))
    assert str(caught.value) == (
        "cascading-randomisation: 1 of 3 rungs have a map that can be compared by spearman; "
        "expected half of them or more: the method failed: no way; all values are the same"
    )


def test_a_flat_map_is_no_score_where_the_structure_has_one():
    """All of one value is like a map in structure by its constants alone."""
    learnt = mask()
    assert SIMILARITIES["ssim"](learnt, np.zeros(SIZE)) > 0.2
    score = CascadingRandomisation("ssim").score(trial(learnt, rungs=[np.zeros(SIZE), learnt]))
    assert score.value == pytest.approx(1)
    np.testing.assert_allclose(score.curve.y, [1, np.nan, 1])


def test_where_no_rung_has_a_map_there_is_no_score():
    with pytest.raises(MetricError) as caught:
        CascadingRandomisation().score(trial(noise(), rungs=[None, np.ones(SIZE), None]))
    assert str(caught.value) == (
        "cascading-randomisation: 0 of 3 rungs have a map that can be compared by spearman; "
        "expected half of them or more: the method failed: no way; all values are the same"
    )


def test_where_magnitudes_have_no_order_another_similarity_has():
    signs = np.sign(noise())
    given = trial(signs, rungs=[np.sign(noise(1))])
    assert abs(CascadingRandomisation().score(given).value) < 0.15
    with pytest.raises(MetricError, match="half of them or more: it is not defined for the"):
        CascadingRandomisation("spearman-abs").score(given)


@pytest.mark.parametrize("metric", [CascadingRandomisation(), RandomLogit()])
def test_a_map_of_one_value_is_refused(metric):
    with pytest.raises(MetricError, match="the map is 0 everywhere; expected one with an order"):
        metric.score(trial(np.zeros(SIZE), rungs=[noise()], maps=lambda pixels: noise()[None]))


def test_a_model_without_weights_is_refused():
    with pytest.raises(MetricError, match="has no layer with weights; expected one whose weights"):
        CascadingRandomisation().score(trial(noise(), rungs=[]))


def test_it_asks_for_as_many_rungs_as_it_is_told():
    rungs = [noise(n) for n in range(9)]
    for count in (1, 4, 9):
        score = CascadingRandomisation(rungs=count).score(trial(noise(20), rungs=rungs))
        assert score.facts["rungs"] == count == CascadingRandomisation(rungs=count).maps


def test_what_is_refused():
    with pytest.raises(ParameterError) as caught:
        CascadingRandomisation(similarity="kendall")
    assert str(caught.value) == (
        "cascading-randomisation: received similarity 'kendall'; expected one of spearman, "
        "spearman-abs, ssim, hog"
    )
    with pytest.raises(ParameterError, match="received rungs 0; expected a whole number, at least"):
        CascadingRandomisation(rungs=0)


# Another class


def by_class(made):
    return lambda pixels, target: np.stack([made[target]] * len(pixels))


@pytest.mark.parametrize("kind", KINDS)
def test_a_map_for_every_class_scores_one_and_another_less(kind):
    metric, own = RandomLogit(kind), mask()
    same = metric.score(trial(own, maps=by_class({1: own, 2: own})))
    other = metric.score(trial(own, maps=by_class({1: noise(1), 2: noise(2)})))
    away = metric.score(trial(own, maps=by_class(dict.fromkeys((1, 2), mask(slice(14, 22))))))
    assert same.value == pytest.approx(1)
    assert other.value < 0.2
    assert away.value < 0.6


def test_the_other_class_is_any_but_its_own_and_the_same_for_every_method():
    drawn = {}
    asked = []

    def maps(pixels, target):
        asked.append(target)
        return noise(3)[None]

    for seed in range(300):
        asked.clear()
        for made in (noise(1), mask()):
            score = RandomLogit().score(trial(made, maps=maps, classes=5, target=2, seed=(seed,)))
            assert score.facts["the other class"] == asked[-1]
        assert asked[0] == asked[1]
        drawn[asked[0]] = drawn.get(asked[0], 0) + 1
    assert sorted(drawn) == [0, 1, 3, 4]
    # 75 of 300 each, give or take 7.5
    assert min(drawn.values()) > 45


def test_of_two_classes_it_is_the_other():
    for target in (0, 1):
        given = trial(noise(), maps=by_class({1 - target: noise(1)}), classes=2, target=target)
        assert RandomLogit().score(given).facts["the other class"] == 1 - target


def test_all_similarities_are_told():
    score = RandomLogit("ssim").score(trial(noise(), maps=by_class({1: noise(1), 2: noise(1)})))
    for kind in KINDS:
        assert score.facts[kind] == SIMILARITIES[kind](noise(), noise(1))
    assert score.value == abs(score.facts["ssim"])


def test_a_map_turned_round_is_no_other_map():
    score = RandomLogit().score(trial(noise(), maps=by_class({1: -noise(), 2: -noise()})))
    assert score.value == pytest.approx(1)
    assert score.facts["spearman"] == pytest.approx(-1)


def test_what_cannot_be_compared_is_told():
    with pytest.raises(MetricError) as caught:
        RandomLogit().score(trial(noise(), classes=1))
    assert str(caught.value) == "random-logit: the model has one class; expected two or more"
    flat = by_class({1: np.ones(SIZE), 2: np.ones(SIZE)})
    with pytest.raises(MetricError, match=r"the map for class [12] is 1 everywhere; expected one"):
        RandomLogit().score(trial(noise(), maps=flat))
    signs = by_class({1: np.sign(noise()), 2: np.sign(noise())})
    with pytest.raises(MetricError, match="spearman-abs is not defined for the map and that for"):
        RandomLogit("spearman-abs").score(trial(noise(), maps=signs))


# Through a study


@dataclass(frozen=True)
class Slope(Explainer):
    """The gradient by the input, summed over the channels."""

    name: ClassVar[str] = "slope"
    needs: ClassVar[Needs] = Needs.INPUT_GRADIENTS

    @property
    def signed(self):
        return True

    def explain(self, evidence):
        return ops.sum(evidence.input_gradients, axis=-1)


@dataclass(frozen=True)
class Deaf(Explainer):
    """The same whatever the weights."""

    name: ClassVar[str] = "deaf"
    needs: ClassVar[Needs] = Needs.NOTHING

    def explain(self, evidence):
        return np.stack([noise(5, (ROWS, COLUMNS))] * len(evidence.targets))


def study_of(kernel, registry, **options):
    inputs = keras.Input((ROWS, COLUMNS, 3))
    head = layers.Dense(kernel.shape[1], name="head", **options)
    model = keras.Model(inputs, head(layers.Flatten()(inputs)))
    head.set_weights([kernel, np.zeros(kernel.shape[1])])
    return Study(model, preprocess="unit", registry=registry), head


@pytest.fixture
def kernel():
    """Class 1 reads the upper half of the picture, class 0 the lower, class 2 as class 0."""
    made = np.zeros((ROWS, COLUMNS, 3, 3), np.float32)
    upper = np.abs(noise(6, (ROWS // 2, COLUMNS, 3)))
    made[: ROWS // 2, ..., 1] = upper
    made[ROWS // 2 :, ..., 0] = made[ROWS // 2 :, ..., 2] = upper
    return made.reshape(-1, 3)


PICTURES = [
    np.random.default_rng(seed).integers(0, 256, (ROWS, COLUMNS, 3), dtype=np.uint8)
    for seed in range(3)
]


@pytest.mark.parametrize("kind", KINDS)
def test_on_a_linear_model(registry, kernel, kind):
    """The gradient is the kernel: at the one rung, that of the weights that were drawn."""
    study, _ = study_of(kernel, registry)
    metric = CascadingRandomisation(kind)
    found = study.evaluate(PICTURES, [Slope(), Deaf()], metric, targets=1)
    (told,) = found.metrics
    values = {row.name: list(found.values(str(told), row.name).values()) for row in found.rows}
    _, ladder = study.ladder(found.seed)
    drawn = np.asarray(ops.convert_to_numpy(ladder.model.layers[-1].kernel), np.float64)
    learnt, anew = (
        each.reshape(ROWS, COLUMNS, 3, 3)[..., 1].sum(axis=2) for each in (kernel, drawn)
    )
    expected = abs(SIMILARITIES[kind](learnt, anew))
    np.testing.assert_allclose(values["slope"], expected, atol=2e-3)
    assert expected < 0.3
    for fixed in ("deaf", "edges", "centre-gaussian"):
        np.testing.assert_allclose(values[fixed], 1, atol=1e-9)
    assert np.abs(values["random"]).max() < 0.35
    assert values["uniform"] == []
    assert {each.row for each in found.failures} == {"uniform"}
    assert {each.maps for each in found.measurements if each.score} == {1}


@pytest.mark.parametrize("kind", KINDS)
def test_on_a_model_of_three_classes(registry, kernel, kind):
    """Two read the same half, one the other: what is drawn decides."""
    study, _ = study_of(kernel, registry)
    found = study.evaluate(PICTURES, [Slope(), Deaf()], RandomLogit(kind), targets=[0, 1, 2])
    of_class = kernel.reshape(ROWS, COLUMNS, 3, 3).sum(axis=2)
    drawn = set()
    for each in found.measurements:
        if each.row == "slope":
            other = int(each.score.facts["the other class"])
            drawn.add((each.target.index, other))
            expected = SIMILARITIES[kind](of_class[..., each.target.index], of_class[..., other])
            assert each.score.value == pytest.approx(abs(expected), abs=1e-3)
            assert each.score.facts[kind] == pytest.approx(expected, abs=1e-3)
            if {each.target.index, other} == {0, 2}:
                assert each.score.value == pytest.approx(1)
            else:  # halves that lie elsewhere: about the inverse of each other
                assert expected < 0.3
        elif each.row == "random":
            assert each.score.value < 0.35
        elif each.row != "uniform":
            assert each.score.value == pytest.approx(1)
    assert len(drawn) >= 3


def test_another_seed_is_another_draw_and_the_same_one_the_same(registry, kernel):
    study, _ = study_of(kernel, registry)
    once, again, other = (
        study.evaluate(PICTURES[0], Slope(), CascadingRandomisation(), 1, seed=seed)
        .measurements[0]
        .score.value
        for seed in (4, 4, 5)
    )
    assert once == again != other


def test_a_layer_whose_initialiser_leaves_nothing_is_no_score(registry, kernel):
    study, _ = study_of(kernel, registry, kernel_initializer="zeros")
    found = study.evaluate(PICTURES[0], Slope(), CascadingRandomisation(), 1)
    assert found.measurements[0].message == (
        "cascading-randomisation: 0 of 1 rungs have a map that can be compared by spearman; "
        "expected half of them or more: all values are the same"
    )


def test_on_one_unit_the_other_class_is_the_map_turned_round(registry, kernel):
    study, _ = study_of(kernel[:, 1:2], registry)
    found = study.evaluate(PICTURES[0], Slope(), RandomLogit(), 1)
    score = found.measurements[0].score
    assert (score.facts["spearman"], score.facts["spearman-abs"], score.value) == (-1, 1, 1)


def test_a_model_of_one_class_is_refused(registry, kernel):
    study, _ = study_of(kernel[:, 1:2], registry, activation="elu")
    found = study.evaluate(PICTURES[0], Slope(), RandomLogit(), 0)
    assert "the model has one class" in {each.row: each.message for each in found.failures}["edges"]
