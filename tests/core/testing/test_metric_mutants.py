"""For every law of metrics, one that breaks it: the kit must catch each."""

import math
import random
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from xai_core import Metric, Score
from xai_core.errors import MetricError, UsageError
from xai_core.metrics import Curve
from xai_core.testing import ConformanceError, Kit, check_metric
from xai_core.testing.metrics import METRICS
from xai_plugins.metrics import METRICS as BUILT_IN
from xai_plugins.metrics import (
    CascadingRandomisation,
    Completeness,
    Deletion,
    EffectiveArea,
    Insertion,
    MuFidelity,
    RandomLogit,
    Road,
    SensitivityN,
)


@dataclass(frozen=True)
class Drop(Metric):
    """The drop of the score without the upper half of the map: nothing is wrong with it."""

    name: ClassVar[str] = "drop"
    family: ClassVar[str] = "faithfulness"
    summary: ClassVar[str] = "what the highest half takes away"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    scale: float = 1.0

    @property
    def queries(self):
        return 1

    def score(self, trial):
        ties = trial.generator().random(trial.attribution.size)
        order = np.lexsort((ties, -trial.attribution.ravel()))
        kept = np.ones(trial.attribution.size)
        kept[order[: order.size // 2]] = 0
        shown = trial.pixels * kept.reshape(trial.attribution.shape)[..., None]
        return Score(trial.probability - float(trial.probabilities(shown[None])[0]))


MUTANTS = []


def mutant(law, **attributes):
    """Register a function as the score of a metric that breaks one law."""

    def register(function):
        kind = type(function.__name__, (Drop,), {"score": function} | attributes)
        MUTANTS.append((law, dataclass(frozen=True)(kind)(), function.__name__))
        return function

    return register


for law, attributes in (
    ("interface", {"higher_is_better": 1}),
    ("interface", {"bounds": [0, 1]}),
    ("interface", {"summary": "two\nlines"}),
    ("interface", {"queries": 1.5}),
    ("interface", {"presumes": "COMPLETE"}),
    ("scores", {"bounds": (0.5, 1.0)}),
    ("direction", {"higher_is_better": False}),
    ("questions", {"queries": 0}),
):
    changed = dataclass(frozen=True)(type("Changed", (Drop,), attributes))()
    MUTANTS.append((law, changed, str(attributes)))


@dataclass(frozen=True)
class Unwritten(Drop):
    by: Any = None


MUTANTS.append(("interface", Unwritten(), "a parameter that no text stands for"))


@mutant("scores")
def divides_by_the_sum_of_the_map(self, trial):
    with np.errstate(invalid="ignore", divide="ignore"):
        return Score(float(np.clip(trial.attribution.sum() / trial.attribution.sum(), -1, 1)))


@mutant("scores")
def takes_three_channels_for_granted(self, trial):
    red, _, _ = np.moveaxis(trial.pixels, -1, 0)
    return Score(float(red.mean() / 255))


@mutant("scores")
def exchanges_height_and_width(self, trial):
    height, width = trial.attribution.shape
    return Score(float((trial.attribution * np.ones((width, height))).mean()))


@mutant("scores")
def returns_a_number(self, trial):
    return Drop().score(trial).value


@mutant("scores")
def returns_half_a_curve(self, trial):
    score = Drop().score(trial)
    return replace(score, curve=Curve(np.zeros(3), np.zeros(2), "x", "y"))


@mutant("scores")
def refuses_every_map(self, trial):
    raise MetricError("no")


@mutant("scores")
def fails_on_a_map_of_zeros(self, trial):
    return Score(Drop().score(trial).value + 0 // int(np.ptp(trial.attribution) > 0))


@mutant("repeat")
def draws_from_numpys_global_state(self, trial):
    return Score(Drop().score(trial).value + 0.01 * np.random.random())  # noqa: NPY002


@mutant("repeat")
def draws_from_pythons_global_state(self, trial):
    return Score(Drop().score(trial).value + 0.01 * random.random())


@mutant("untouched")
def sorts_the_map_in_place(self, trial):
    score = Drop().score(trial)
    trial.attribution.flags.writeable = True
    trial.attribution.sort(axis=0)
    return score


@mutant("untouched")
def blackens_the_picture_in_place(self, trial):
    score = Drop().score(trial)
    trial.pixels[0] = 0
    return score


@mutant("direction")
def takes_the_lowest_first(self, trial):
    return Drop().score(replace(trial, attribution=-trial.attribution))


@mutant("direction")
def does_not_look_at_the_map(self, trial):
    return Score(trial.probability)


@mutant("alone")
def keeps_the_first_score_that_it_saw(self, trial):
    object.__setattr__(self, "first", getattr(self, "first", trial.probability))
    return Score(Drop().score(trial).value * self.first)


@mutant("questions")
def asks_about_other_sizes(self, trial):
    trial.probabilities(np.pad(trial.pixels, ((0, 1), (0, 0), (0, 0)))[None])
    return Score(Drop().score(trial).value)


@mutant("questions")
def asks_for_maps_without_saying_so(self, trial):
    trial.maps(trial.pixels[None])
    return Drop().score(trial)


# One of each family, right and the wrong way round.
FAMILIES = {}


def of_family(name):
    """Register a score of which higher is better in that family, and its opposite as a mutant."""

    def register(function):
        for sign, found in ((1, FAMILIES.setdefault(name, [])), (-1, None)):
            attributes = {
                "family": name,
                "maps": property(lambda self: 9),
                "queries": property(lambda self: 2),
                "bounds": (-1e9, 1e9),
                "score": lambda self, trial, sign=sign: Score(sign * float(function(trial))),
            }
            kind = dataclass(frozen=True)(type(function.__name__, (Drop,), attributes))
            if found is None:
                MUTANTS.append(("direction", kind(), f"{function.__name__} the wrong way round"))
            else:
                found.append(kind())
        return function

    return register


@of_family("localisation")
def share_in_the_mask(trial):
    return trial.attribution[trial.mask].mean() - trial.attribution[~trial.mask].mean()


@of_family("robustness")
def sameness_under_noise(trial):
    shifted = np.clip(trial.pixels + trial.generator().uniform(-1, 1, trial.pixels.shape), 0, 255)
    return -np.abs(trial.maps(shifted[None])[0] - trial.attribution).mean()


@of_family("randomisation")
def change_on_the_way_down(trial):
    rungs = trial.randomised(3)
    return np.mean([np.abs(rung.attribution - trial.attribution).mean() for rung in rungs])


@of_family("numerical")
def nearness_to_float64(trial):
    return -np.abs(trial.precise() - trial.raw).max()


@of_family("complexity")
def emptiness(trial):
    return (trial.attribution == 0).mean()


@of_family("axiom")
def nearness_of_the_sum(trial):
    picture, black = trial.scores(np.stack([trial.pixels, 0 * trial.pixels]))
    return -abs(trial.raw.sum() - (picture - black))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_metric_of_each_family_conforms(kit, name):
    (metric,) = FAMILIES[name]
    check_metric(metric, kit)


def test_a_map_that_is_the_same_everywhere_may_be_refused(kit):
    def score(self, trial):
        if np.ptp(trial.attribution) == 0:
            raise MetricError("a map of one value has no order")
        return Drop().score(trial)

    check_metric(dataclass(frozen=True)(type("Choosy", (Drop,), {"score": score}))(), kit)


def test_no_direction_is_known_of_a_family_of_ones_own(kit):
    kind = type("Own", (Drop,), {"family": "own", "score": lambda self, trial: Score(0.0)})
    check_metric(dataclass(frozen=True)(kind)(), kit)


@pytest.fixture(scope="module")
def kit():
    return Kit()


def test_nothing_is_wrong_with_what_they_were_made_of(kit):
    check_metric(Drop(), kit)
    assert [each.law for each in kit.examine_metric(Drop())] == [each.law for each in METRICS]


@pytest.mark.parametrize("metric", BUILT_IN, ids=lambda metric: metric.name)
def test_every_metric_conforms(kit, metric):
    check_metric(metric, kit)


@pytest.mark.parametrize("baseline", ["black", "mean", "blur"])
@pytest.mark.parametrize("steps", [7, 300])
def test_with_other_parameters_they_conform_as_well(kit, baseline, steps):
    check_metric(Deletion(steps=steps, baseline=baseline), kit)
    check_metric(Insertion(steps=steps, baseline=baseline), kit)


@pytest.mark.parametrize(
    "metric",
    [
        Road(shares=1, noise=0.0),
        Road(shares=2, noise=0.1),
        MuFidelity(subsets=40, grid=None, baseline="mean"),
        MuFidelity(grid=3, share=0.5, baseline="blur"),
        SensitivityN(sizes=3, grid=4, most=0.5, baseline="mean"),
        Completeness(baseline="mean"),
        Completeness(baseline="blur"),
        EffectiveArea(mass=0.5),
    ],
    ids=str,
)
def test_metrics_with_other_parameters_conform(kit, metric):
    check_metric(metric, kit)


@pytest.mark.parametrize("similarity", ["spearman-abs", "ssim", "hog"])
def test_by_other_similarities_they_conform_as_well(kit, similarity):
    check_metric(CascadingRandomisation(similarity=similarity, rungs=2), kit)
    check_metric(RandomLogit(similarity=similarity), kit)


def test_every_law_has_a_mutant():
    assert {law for law, *_ in MUTANTS} == {check.law for check in METRICS}


@pytest.mark.parametrize(
    ("law", "wrong", "told"), MUTANTS, ids=[f"{law}-{i}" for i, (law, *_) in enumerate(MUTANTS)]
)
def test_it_is_caught_and_told_why(kit, law, wrong, told):
    with pytest.raises(ConformanceError) as caught:
        check_metric(wrong, kit)
    message = str(caught.value)
    assert law in [each.law for each in caught.value.findings], message
    (finding,) = [each for each in caught.value.findings if each.law == law]
    for said in (finding.statement, finding.broken, finding.mistake, finding.read):
        assert said
        assert said in message


def test_what_is_not_tried_is_named(kit):
    (finding,) = kit.examine_metric(
        dataclass(frozen=True)(type("Bad", (Drop,), {"bounds": (math.nan,)}))()
    )
    assert finding.law == "interface"
    assert finding.untried == tuple(each.law for each in METRICS[1:])


def test_a_class_is_no_metric(kit):
    with pytest.raises(UsageError, match="expected an instance of a Metric, such as Deletion"):
        list(kit.examine_metric(Deletion))


def test_the_global_random_states_are_left_as_they_were(kit):
    before = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    check_metric(Drop(), kit)
    assert random.getstate() == before[0]
    after = np.random.get_state()[1]  # noqa: NPY002
    np.testing.assert_array_equal(after, before[1])
