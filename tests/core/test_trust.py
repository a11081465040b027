"""`Study.compare(..., trust=Trust())` on a model that reads one patch: every verdict is known."""

import json
from dataclasses import dataclass
from typing import ClassVar, Literal

import keras
import numpy as np
import pytest
from keras import layers

import xai_plugins.adapters
from xai_core import Curve, Explainer, Metric, Needs, Score, Study, Trust, compare, hookimpl
from xai_core.cli.shared import compared_as_json
from xai_core.errors import BudgetError, UsageError
from xai_core.references import REFERENCES
from xai_core.registry import Plugin, Registry, Source
from xai_core.room import QUERY_BATCH
from xai_core.trust import (
    Likeness,
    Placing,
    Verdict,
    chance,
    choose_steps,
    elsewhere,
    most_queries,
)

SIZE = (12, 20)
PATCH = (slice(3, 6), slice(4, 8))
"""One of the 20 fields of a grid of 4 x 5, so that every other place misses it wholly."""
WRONG = (slice(9, 12), slice(12, 16))
STEPS = 20
"""Each changes as many pixels as the patch has: 12 of 240."""
BUDGET = 3 + 2 * 19 * (20 + 8)
"""For one map in that many steps."""


def patch(activation="softmax", gain=8.0):
    """Outputs: the mean of the patch over 255 times a gain, and 0."""
    inputs = keras.Input((*SIZE, 3), dtype="float64")
    flat = layers.Flatten(dtype="float64")(inputs)
    head = layers.Dense(2, activation, dtype="float64")
    model = keras.Model(inputs, head(flat), name="patch")
    kernel = np.zeros((*SIZE, 3, 2))
    kernel[(*PATCH, slice(None), 0)] = gain / 255 / 36
    head.set_weights([kernel.reshape(-1, 2), np.zeros(2)])
    return model


@dataclass(frozen=True)
class Planted(Explainer):
    """A map that is known, whatever the weights."""

    name: ClassVar[str] = "planted"
    needs: ClassVar[Needs] = Needs.NOTHING
    what: Literal["true", "wrong", "inverted", "flat", "nan", "broken", "noise"] = "true"

    def explain(self, evidence):
        if self.what == "broken":
            raise LookupError("no way")
        maps = np.zeros((evidence.targets.shape[0], *SIZE))
        if self.what != "flat":
            maps[(slice(None), *(WRONG if self.what == "wrong" else PATCH))] = 1
        if self.what == "nan":
            maps[:, 0, 0] = np.nan
        if self.what == "noise":
            maps[:] = np.random.default_rng(5).random(SIZE)
        return -maps if self.what == "inverted" else maps


@dataclass(frozen=True)
class Once(Explainer):
    """Asks, and knows what to make of the answer for the learnt weights alone."""

    name: ClassVar[str] = "once"
    needs: ClassVar[Needs] = Needs.QUERIES
    asks: int = 3
    without: Literal["raise", "flat", "nan", "opposite"] = "raise"

    def explain(self, evidence):
        images = np.zeros((evidence.targets.shape[0], self.asks, *SIZE, 3))
        images[:, :, PATCH[0], PATCH[1]] = 255
        scores = np.asarray(evidence.scores(images))
        maps = np.zeros((evidence.targets.shape[0], *SIZE))
        if abs(scores[0, 0] - 8) < 1e-3:
            maps[(slice(None), *PATCH)] = 1
        elif self.without == "raise":
            raise LookupError("nothing learnt")
        elif self.without == "opposite":
            maps[(slice(None), *PATCH)] = -1
        elif self.without == "nan":
            maps[:] = np.nan
        return maps


def scene(seed=0):
    """Dark noise, and a bright patch."""
    pixels = np.random.default_rng(seed).integers(5, 60, (*SIZE, 3), dtype=np.uint8)
    pixels[PATCH] = 230
    return pixels


@pytest.fixture(scope="module")
def study(registry):
    return Study(patch(), preprocess="none", registry=registry)


@pytest.fixture(scope="module")
def judged(study):
    """Makes verdicts, by method."""

    def judge(*methods, budget=4000, **asked):
        many = study.compare(scene(), list(methods), 0, trust=Trust(budget), **asked)
        return {str(each.method): each.verdict for each in many}

    return judge


# ---------------------------------------------------------------------------- the arithmetic


@pytest.mark.parametrize(
    ("beaten", "tries", "expected"),
    [(19, 19, 1 / 20), (18, 19, 2 / 20), (0, 19, 1), (9, 9, 1 / 10)],
)
def test_the_chance_by_hand(beaten, tries, expected):
    assert chance(beaten, tries) == expected


def test_queries_by_hand():
    """A picture and two canvases; 7 pictures of each of 2 curves, of 3 x 20 + 8 maps."""
    assert most_queries(8, [3]) == 3 + 2 * 7 * 68 == 955
    assert most_queries(8, [3, 0, 1]) == 955 + 3 + 2 * 7 * 28
    assert most_queries(100, [1]) == 3 + 2 * 99 * 28


@pytest.mark.parametrize(
    ("budget", "maps", "steps"),
    [
        (955, [3], 8),
        (955 + 2 * 68 - 1, [3], 8),
        (955 + 2 * 68, [3], 9),
        (2000, [3], 15),
        (10**9, [3], 100),
        (1, [0], 100),
    ],
)
def test_the_budget_chooses_the_steps(budget, maps, steps):
    assert choose_steps(budget, maps) == steps


def test_too_small_a_budget_says_how_much_is_needed():
    told = (
        r"a budget of 1,909 queries to test 6 maps of 2 pictures; expected at least 1,910: for "
        r"each picture 3 and 14 for each of its maps at 20 places and for each of 8 maps that "
        r"know nothing\. Give more with budget \(--budget\), or ask for fewer maps"
    )
    with pytest.raises(BudgetError, match=told):
        choose_steps(1909, [3, 3])
    assert choose_steps(1910, [3, 3]) == 8


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"budget": 0}, "received budget 0; expected a whole number of queries from 1 on"),
        ({"budget": 1e3}, "received budget 1000.0; expected a whole number"),
        ({"budget": True}, "received budget True; expected a whole number"),
        ({"seed": -1}, "received seed -1; expected a whole number, 0 to"),
        ({"seed": 2**31}, "received seed 2147483648; expected a whole number, 0 to"),
    ],
)
def test_bad_requests(asked, told):
    with pytest.raises(UsageError, match=told):
        Trust(**asked)


# -------------------------------------------------------------------------------- elsewhere


def test_the_other_places_are_the_fields_of_a_grid():
    """A map of one field of 4 x 5: at every place another field, never its own."""
    one = np.zeros(SIZE)
    one[PATCH] = 1
    places = elsewhere(one)
    assert len(places) == 19
    fields = {tuple(np.argwhere(each)[0]) for each in places}
    assert fields == {(y, x) for y in (0, 3, 6, 9) for x in range(0, 20, 4)} - {(3, 4)}
    np.testing.assert_array_equal(sum(places) + one, np.ones(SIZE))


def test_a_tall_map_has_its_five_places_downwards():
    one = np.zeros((20, 12))
    one[0, 0] = 1
    places = {tuple(np.argwhere(each)[0]) for each in elsewhere(one)}
    assert places == {(y, x) for y in range(0, 20, 4) for x in (0, 3, 6, 9)} - {(0, 0)}


def test_the_places_are_a_group():
    """From wherever one starts, the same 20 maps are met: none of them is special."""
    draw = np.random.default_rng(0).random(SIZE)
    every = {each.tobytes() for each in [draw, *elsewhere(draw)]}
    assert len(every) == 20
    for start in elsewhere(draw)[:5]:
        assert {each.tobytes() for each in [start, *elsewhere(start)]} == every


# ------------------------------------------------------------------------------- the words


def placing(metric, beaten, equal=0, ahead=(), tries=19):
    """Of value 0.5, better than so many of the tries."""
    sign = -1 if metric == "deletion" else 1
    moved = [0.5 - sign * 0.1] * beaten + [0.5] * equal
    moved += [0.5 + sign * 0.1] * (tries - beaten - equal)
    line = np.array([0.0, 1.0])
    return Placing(
        metric,
        metric == "insertion",
        0.5,
        Curve(line, line, "share", "probability"),
        tuple(moved),
        (line, line),
        {name: (0.5 + sign * (0.1 if name in ahead else -0.1),) for name in REFERENCES},
    )


BOTH = ("deletion", "insertion")


@pytest.mark.parametrize(
    ("beaten", "words"),
    [
        (
            (19, 19),
            "better than the same map put elsewhere in 19 of 19 tries by deletion and 19 of 19 "
            "by insertion",
        ),
        (
            (19, 18),
            "better than the same map put elsewhere by deletion alone (better in 19 of 19 tries "
            "by deletion and 18 of 19 by insertion)",
        ),
        (
            (18, 15),
            "not shown to be better than the same map put elsewhere (better in 18 of 19 tries by "
            "deletion and 15 of 19 by insertion): take where it points for a hint",
        ),
        (
            (18, 14),
            "not shown to be better than the same map put elsewhere (better in 18 of 19 tries by "
            "deletion and 14 of 19 by insertion): do not read much into where it points",
        ),
        (
            (0, 1),
            "not shown to be better than the same map put elsewhere (better in 0 of 19 tries by "
            "deletion and 1 of 19 by insertion): do not read much into where it points",
        ),
        (
            (0, 0),
            "worse than the same map put elsewhere (better in 0 of 19 tries by deletion and 0 of "
            "19 by insertion): it may point away from what counts",
        ),
    ],
)
def test_what_is_said_of_the_place(beaten, words):
    placings = tuple(placing(*each) for each in zip(BOTH, beaten, strict=True))
    assert str(Verdict(placings)) == words


def test_a_tie_is_neither_better_nor_worse():
    tied = placing("deletion", 18, equal=1)
    assert (tied.beaten, tied.chance, tied.is_better) == (18, 0.1, False)
    none = placing("deletion", 0, equal=19)
    assert (none.chance, none.is_better, none.is_worse) == (1, False, False)


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        ([(), ()], ""),
        ([("edges",), ()], ""),
        ([("edges", "random"), ("edges",)], "; edges does better than it"),
        ([("random", "edges"), ("edges", "random")], "; random and edges do better than it"),
    ],
)
def test_what_knows_nothing_and_does_better_by_both_is_named(ahead, words):
    placings = tuple(placing(each, 19, ahead=of) for each, of in zip(BOTH, ahead, strict=True))
    assert str(Verdict(placings)).endswith(f"19 of 19 by insertion{words}")


@pytest.mark.parametrize(
    ("similarity", "moved", "words"),
    [
        (
            0.71,
            [0.9],
            "barely changes when the weights are drawn anew (rank correlation 0.71): it shows "
            "the picture, not the model",
        ),
        (
            0.70,
            [0.69] * 19,
            "goes with the weights, but some of it stays when they are drawn anew (rank "
            "correlation 0.70)",
        ),
        (0.70, [0.69] * 18 + [0.70], "goes with the weights (rank correlation 0.70)"),
        (-0.3, [0.1], "goes with the weights (rank correlation -0.30)"),
    ],
)
def test_what_is_said_of_the_weights(similarity, moved, words):
    assert Likeness(similarity, tuple(moved)).words == words


# ----------------------------------------------------------------- maps whose worth is known


def test_the_true_map_that_goes_with_the_weights(judged):
    """Saliency is the kernel: the patch with the learnt weights, noise with others."""
    verdict = judged("saliency")["saliency"]
    assert str(verdict).startswith(
        "better than the same map put elsewhere in 19 of 19 tries by deletion and 19 of 19 by "
        "insertion; goes with the weights (rank correlation "
    )
    assert abs(verdict.likeness.similarity) < 0.3
    assert [each.chance for each in verdict.placings] == [0.05, 0.05]
    assert [each.ahead for each in verdict.placings] == [(), ()]


def test_a_map_that_ignores_the_weights_is_told_so(judged):
    verdict = judged(Planted())["planted"]
    assert verdict.likeness.similarity == pytest.approx(1)
    assert all(each < 0 for each in verdict.likeness.elsewhere)
    assert str(verdict) == (
        "better than the same map put elsewhere in 19 of 19 tries by deletion and 19 of 19 by "
        "insertion; barely changes when the weights are drawn anew (rank correlation 1.00): it "
        "shows the picture, not the model"
    )


def test_the_wrong_patch_and_the_inverted_map(judged):
    found = judged(Planted("wrong"), Planted("inverted"))
    wrong, inverted = (found[f"planted(what={what})"] for what in ("wrong", "inverted"))
    assert str(wrong).startswith("not shown to be better than the same map put elsewhere (")
    assert max(each.beaten for each in wrong.placings) < 19
    assert str(inverted).startswith("worse than the same map put elsewhere (better in 0 of 19")


def test_figures_by_hand(registry):
    """A linear model of a picture of 204 = 0.8 * 255: the patch goes in the first of 20 steps.

    Deleted it is 0.8 / 20 / 2. Elsewhere the patch goes among the rest, at random, in no step
    at once: it lasts longer. To insert into what is blurred is to change nothing.
    """
    study = Study(patch("relu", gain=1.0), preprocess="none", registry=registry)
    flat = np.full((*SIZE, 3), 204, np.uint8)
    many = study.compare(flat, Planted(), 0, trust=Trust(BUDGET))
    (cell,) = many
    deletion, insertion = cell.verdict.placings
    assert many.accounts[0].steps == STEPS
    assert deletion.value == pytest.approx(0.8 / 20 / 2, abs=1e-9)
    np.testing.assert_allclose(deletion.curve.y, [0.8] + [0] * 20, atol=1e-9)
    assert min(deletion.elsewhere) > 0.2
    low, high = deletion.band
    assert low[0] == high[0] == pytest.approx(0.8)
    assert (low <= high).all()
    assert (low[1:15] > deletion.curve.y[1:15]).all()  # it is of the others alone
    assert (low < high).any()
    assert insertion.value == pytest.approx(0.8, abs=1e-9)
    np.testing.assert_allclose(insertion.elsewhere, 0.8, atol=1e-9)


def test_references_stand_beside_it(judged):
    verdict = judged(Planted())["planted"]
    for each in verdict.placings:
        assert list(each.references) == ["random", "centre-gaussian", "edges", "uniform"]
        assert [len(values) for values in each.references.values()] == [5, 1, 1, 1]
        assert len(set(each.references["random"])) == 5


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("flat", "could not be tested: all values of the map are the same"),
        ("nan", "could not be tested: not all values of the map are finite"),
    ],
)
def test_a_map_that_says_nothing_is_told_so(judged, what, words):
    found = judged(Planted(what), "saliency")
    assert str(found[f"planted(what={what})"]) == words
    assert str(found["saliency"]).startswith("better than")


def test_a_method_that_fails_leaves_its_reason_and_no_verdict(study):
    many = study.compare(scene(), [Planted("broken"), Planted()], 0, trust=Trust())
    assert "no way" in many.cells[0].message
    assert [each.verdict is not None for each in many] == [True]
    assert many.accounts[0].tested == many.accounts[0].maps == 1


@pytest.mark.parametrize(
    ("without", "words"),
    [
        ("raise", "not compared with weights drawn anew: the method failed: explainer 'once' of "),
        ("flat", "not compared with weights drawn anew: then all values of the map are the same"),
        ("nan", "not compared with weights drawn anew: then not all values of the map are finite"),
    ],
)
def test_where_nothing_is_left_without_the_weights_no_score_is_given(judged, without, words):
    (verdict,) = judged(Once(without=without)).values()
    assert verdict.likeness.similarity is None
    assert words in str(verdict)
    assert str(verdict).startswith("better than the same map")


def test_what_is_out_of_bounds_is_told_of_each_metric(registry):
    """An output that is no probability: 0.9 * 8."""
    study = Study(patch("relu"), preprocess="none", registry=registry)
    (cell,) = study.compare(scene(), Planted(), 0, trust=Trust())
    assert cell.verdict.placings == ()
    assert str(cell.verdict).startswith("could not be tested: deletion: metric 'deletion' of ")
    assert "could not be tested: insertion: metric 'insertion' of " in str(cell.verdict)
    assert "expected a finite value within its bounds, 0 to 1" in str(cell.verdict)
    assert "barely changes" in str(cell.verdict)


# ------------------------------------------------------------------------------- the budget


def test_what_is_spent_is_what_the_arithmetic_says(study):
    """All changed pictures differ, so that none is known from before."""
    many = study.compare(scene(), [Planted("noise"), Planted()], 0, trust=Trust(3000))
    (account,) = many.accounts
    assert account.steps == choose_steps(3000, [2])
    assert account.queries <= most_queries(account.steps, [2]) <= 3000
    assert account.queries > 0.9 * most_queries(account.steps, [2])
    assert (account.passes, account.tested, account.maps, account.tries) == (1, 2, 2, 19)


def test_the_passes_are_full(study, monkeypatch):
    """A pass takes as long for few pictures as for 32."""
    run = []
    read = Study.read

    def counted(self, images, *arguments, **more):
        run.append(int(images.shape[0]))
        return read(self, images, *arguments, **more)

    monkeypatch.setattr(Study, "read", counted)
    many = study.compare(scene(), [Planted(), Planted("wrong")], 0, trust=Trust(2000))
    asked = [each for each in run if each == QUERY_BATCH]
    assert len(asked) <= many.accounts[0].queries / QUERY_BATCH + 2


def test_methods_that_ask_are_counted(study):
    least = most_queries(8, [1])
    exact = study.compare(scene(), Once(asks=40), 0, trust=Trust(least + 40))
    assert "the method failed" in str(exact.cells[0].verdict)
    short = study.compare(scene(), Once(asks=40), 0, trust=Trust(least + 39))
    assert (
        "not compared with weights drawn anew: that takes 40 queries, and the budget leaves 39"
    ) in str(short.cells[0].verdict)
    assert short.accounts[0].passes == 0
    made = study.compare(scene(), Once(asks=40, without="flat"), 0, trust=Trust(least + 40))
    assert made.accounts[0].queries <= least + 40
    assert made.accounts[0].queries - short.accounts[0].queries == 40


def test_methods_that_ask_share_what_the_steps_leave(study):
    """Each has room by itself, not both: the first has it, and the steps what is left."""
    both = [Once(asks=40, without="flat"), Once(asks=41, without="flat")]
    least = most_queries(8, [2])
    many = study.compare(scene(), both, 0, trust=Trust(least + 80))
    first, second = (each.verdict.likeness.reason for each in many)
    assert first == "then all values of the map are the same"
    assert second == "that takes 41 queries, and the budget leaves 40"
    plenty = study.compare(scene(), both, 0, trust=Trust(2000))
    assert plenty.accounts[0].steps == choose_steps(2000 - 81, [2]) < choose_steps(2000, [2])


def test_it_is_the_sizes_of_signed_values_that_are_compared(judged):
    """A map whose signs turn round with other weights shows the same places as before."""
    (verdict,) = judged(Once(without="opposite")).values()
    assert verdict.likeness.similarity == pytest.approx(1)


def test_too_small_a_budget_runs_nothing(study, monkeypatch):
    monkeypatch.setattr(Study, "read", lambda *_, **__: pytest.fail("a pass was run"))
    with pytest.raises(BudgetError, match=r"test 4 maps of 2 pictures; expected at least 1,350"):
        study.compare([scene(), scene(1)], [Planted(), "saliency"], 0, trust=Trust(1349))


def test_without_the_metrics_it_says_what_is_missing():
    class Hooks:
        @hookimpl
        def xai_explainers(self):
            return [Planted()]

        @hookimpl
        def xai_adapters(self):
            return xai_plugins.adapters.ADAPTERS

    bare = Registry([Plugin(Source("mine", "1"), Hooks())])
    study = Study(patch(), preprocess="none", registry=bare)
    told = (
        "testing maps takes the metrics deletion and insertion: .*'deletion'.*Install the plugin "
        "that has them, or compare without trust"
    )
    with pytest.raises(UsageError, match=told):
        study.compare(scene(), Planted(), 0, trust=Trust())


def test_metrics_that_do_not_fit_are_told():
    @dataclass(frozen=True)
    class Other(Metric):
        family: ClassVar[str] = "faithfulness"
        summary: ClassVar[str] = "anything"
        higher_is_better: ClassVar[bool] = False
        bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
        name: ClassVar[str] = "deletion"
        steps: int = 3

        def score(self, trial):
            return Score(0.5)

    @dataclass(frozen=True)
    class Asks(Other):
        name: ClassVar[str] = "insertion"

        def score(self, trial):
            trial.precise()
            return Score(0.5)

    class Hooks:
        @hookimpl
        def xai_explainers(self):
            return [Planted()]

        @hookimpl
        def xai_adapters(self):
            return xai_plugins.adapters.ADAPTERS

        @hookimpl
        def xai_metrics(self):
            return [Other(), Asks()]

    study = Study(
        patch(), preprocess="none", registry=Registry([Plugin(Source("mine", "1"), Hooks())])
    )
    (cell,) = study.compare(scene(), Planted(), 0, trust=Trust())
    assert str(cell.verdict).startswith(
        "could not be tested: deletion: metric 'deletion' returned no curve; expected one with "
        "each score; could not be tested: insertion: asked for a map in float64; expected "
        "questions about probabilities alone"
    )


# -------------------------------------------------------------------- several of everything


@pytest.fixture(scope="module")
def convolved(registry):
    keras.utils.set_random_seed(3)
    fed = keras.Input((16, 20, 3))
    low = layers.Conv2D(4, 3, 2, "same", activation="relu", name="low")(fed)
    high = layers.Conv2D(6, 3, 2, "same", activation="relu", name="high")(low)
    out = layers.Dense(3, "softmax")(layers.GlobalAveragePooling2D()(high))
    return Study(keras.Model(fed, out, name="convolved"), preprocess="unit", registry=registry)


def noise(seed):
    return np.random.default_rng(seed).integers(0, 256, (16, 20, 3), dtype=np.uint8)


def test_pictures_classes_and_layers_each_have_their_own_verdict(convolved):
    methods = ["grad-cam", "saliency", "layercam"]
    asked = {"layers": ["high", "low"], "trust": Trust(12000)}
    many = convolved.compare([noise(0), noise(1)], methods, [0, 2], **asked)
    assert len(many.cells) == 2 * 2 * 5
    alone = convolved.compare(noise(1), "saliency", 2, trust=Trust(12000))
    (account,) = many.accounts
    assert (account.tested, account.maps, account.passes) == (20, 20, 2)
    assert account.queries <= 12000
    copy, _ = convolved.ladder(0)
    for each in many:
        new = copy.compare(
            each.picture, each.method.name, each.target.index, layers=each.layer or ()
        )
        expected = new.cells[0].map
        likeness = each.verdict.likeness
        assert (likeness.similarity is None) == (np.ptp(expected) == 0 or np.ptp(each.map) == 0)
    saliency = [e for e in many if e.method.name == "saliency" and e.target.index == 2][1]
    assert saliency.verdict.likeness == alone.cells[0].verdict.likeness


def test_the_predicted_class_differs_from_picture_to_picture(convolved):
    many = convolved.compare([noise(n) for n in range(3)], "saliency", trust=Trust(3000))
    alone = convolved.compare(noise(2), "saliency", trust=Trust(3000))
    assert list(many)[2].verdict.likeness == next(iter(alone)).verdict.likeness


def test_an_unreadable_picture_costs_nothing_of_the_others(convolved, tmp_path):
    (tmp_path / "broken.png").write_text("no picture")
    many = convolved.compare([tmp_path / "broken.png", noise(0)], "saliency", trust=Trust(2000))
    assert [each.verdict is not None for each in many] == [True]
    assert many.accounts[0].steps == choose_steps(2000, [1])


def test_the_same_seed_makes_the_same_figures_and_another_one_others(convolved):
    def figures(seed):
        many = convolved.compare(noise(0), "saliency", 0, trust=Trust(2000, seed))
        return many.cells[0].verdict.to_dict()

    one, again, other = figures(0), figures(0), figures(1)
    assert one == again
    assert one["weights_drawn_anew"] != other["weights_drawn_anew"]
    assert one["tests"][0]["references"]["random"] != other["tests"][0]["references"]["random"]
    assert one["tests"][0]["references"]["edges"] == other["tests"][0]["references"]["edges"]


def test_the_users_model_is_left_alone(registry):
    model = patch()
    before = [each.copy() for each in model.get_weights()]
    Study(model, preprocess="none", registry=registry).compare(
        scene(), "saliency", 0, trust=Trust()
    )
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


def test_an_interrupt_keeps_the_maps_and_the_verdicts_that_are_there(study):
    def stop(done, total, what):
        if done == 1 and "testing" in what:
            raise KeyboardInterrupt

    many = study.compare(
        scene(), [Planted(), Planted("wrong"), "saliency"], 0, trust=Trust(), progress=stop
    )
    assert [each.verdict is not None for each in many] == [True, False, False]
    assert many.notices == ("interrupted: 1 of 3 maps are tested, and all are kept",)
    (account,) = many.accounts
    assert account.is_interrupted
    assert str(account).startswith("1 of 3 maps tested with ")
    assert account.queries > 0


def test_progress_tells_what_runs(study):
    told = []
    study.compare(
        scene(), [Planted(), "saliency"], 0, trust=Trust(), progress=lambda *each: told.append(each)
    )
    tests = [each for each in told if "testing" in each[2]]
    assert {each[:2] for each in tests} == {(0, 2), (1, 2)}
    assert tests[0][2].startswith("array: testing planted, ")
    assert tests[0][2].endswith(" queries")
    assert told[-1] == (2, 2, "")


# ------------------------------------------------------------------------- where it is shown


def test_without_trust_nothing_is_tested(study):
    many = study.compare(scene(), Planted(), 0)
    assert many.accounts == ()
    assert many.cells[0].verdict is None
    assert "verdict" not in many.cells[0].provenance


def test_everything_is_in_json(study, tmp_path):
    many = study.compare(scene(), [Planted(), Planted("flat")], 0, trust=Trust(1500, seed=4))
    document = json.loads(json.dumps(compared_as_json(many, "x.png"), default=str))
    (account,) = document["trust"]
    assert (account["budget"], account["seed"], account["model"]) == (1500, 4, "patch")
    assert {"steps", "tries", "draws", "queries", "passes", "seconds"} <= set(account)
    verdict, flat = (each["verdict"] for each in document["explanations"])
    assert verdict["sentence"] == str(many.cells[0].verdict)
    deletion = verdict["tests"][0]
    assert (deletion["metric"], deletion["better"]) == ("deletion", "lower")
    assert (len(deletion["elsewhere"]), deletion["beaten"], deletion["chance"]) == (19, 19, 0.05)
    assert {len(each) for each in deletion["curve"].values()} == {account["steps"] + 1}
    assert verdict["weights_drawn_anew"]["similarity"] == pytest.approx(1)
    assert flat["tests"] == []
    assert flat["weights_drawn_anew"] is None
    with np.load(many.save(tmp_path / "maps.npz")) as archive:
        stored = json.loads(str(archive["metadata"]))
    assert stored[0]["verdict"]["sentence"] == verdict["sentence"]


def test_a_part_of_a_comparison_keeps_its_verdicts(study):
    many = study.compare(scene(), [Planted(), "saliency"], 0, trust=Trust())
    part = many.select(method="saliency")
    assert part.cells[0].verdict is many.cells[1].verdict
    assert part.accounts == many.accounts


# ------------------------------------------------------------------------------ several models


def test_models_share_the_budget(study, registry):
    other = Study(patch(gain=4.0), preprocess="none", registry=registry)
    many = compare([scene()], [study, other], [Planted()], [0], trust=Trust(2000))
    assert [each.budget for each in many.accounts] == [1000, 1000]
    assert [each.model for each in many.accounts] == list(dict.fromkeys(e.model for e in many))
    assert all(each.verdict for each in many)
    told = "each of 2 models has an equal share of the budget: received a budget of 300 queries"
    with pytest.raises(BudgetError, match=told):
        compare([scene()], [study, other], [Planted()], [0], trust=Trust(601))
    with pytest.raises(BudgetError, match=r"^received a budget of 300 queries"):
        compare([scene()], [study], [Planted()], [0], trust=Trust(300))


def test_an_interrupt_ends_with_the_model_that_it_met(study, registry):
    def stop(done, total, what):
        if "testing" in what:
            raise KeyboardInterrupt

    other = Study(patch(gain=4.0), preprocess="none", registry=registry)
    many = compare([scene()], [study, other], [Planted()], [0], trust=Trust(), progress=stop)
    assert len(many.cells) == 1
    assert many.notices[0].startswith("interrupted: 0 of 1 maps are tested")
    assert many.notices[1].startswith("interrupted before these models were run: patch")
