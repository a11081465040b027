"""`Study.evaluate` on a model that reads one patch: every area is known."""

import gc
import json
import weakref
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal

import keras
import numpy as np
import pytest
from keras import layers

from xai_core import Explainer, Law, Metric, Needs, Score, Study, evaluating
from xai_core.errors import MetricError, UnknownNameError, UsageError
from xai_core.probe import Probe
from xai_core.references import REFERENCES
from xai_core.room import QUERY_BATCH
from xai_core.witness import Answers
from xai_plugins.metrics import Deletion, Insertion, MuFidelity, RelevanceMass, RelevanceRank

SIZE = (6, 10)
PATCH = (slice(1, 4), slice(2, 6))
WRONG = (slice(4, 6), slice(4, 10))
S = 12 / 60
"""The share of the patch, 12 of 60 pixels, as many as the wrong one has."""


def patch(activation, gain=1.0, dtype="float64"):
    """Outputs: the mean of the patch over 255 times a gain, and 0."""
    inputs = keras.Input((*SIZE, 3), dtype=dtype)
    flat = layers.Flatten(dtype=dtype)(inputs)
    head = layers.Dense(2, activation, dtype=dtype)
    model = keras.Model(inputs, head(flat))
    kernel = np.zeros((*SIZE, 3, 2))
    kernel[(*PATCH, slice(None), 0)] = gain / 255 / 36
    head.set_weights([kernel.reshape(180, 2), np.zeros(2)])
    return model


@dataclass(frozen=True)
class Planted(Explainer):
    """A map that is known."""

    name: ClassVar[str] = "planted"
    needs: ClassVar[Needs] = Needs.NOTHING
    what: Literal["true", "wrong", "inverted", "coarse", "broken", "nan"] = "true"

    def explain(self, evidence):
        if self.what == "broken":
            raise LookupError("no way")
        maps = np.zeros((evidence.targets.shape[0], *SIZE))
        maps[(slice(None), *(WRONG if self.what == "wrong" else PATCH))] = 1
        if self.what == "nan":
            maps[:, 0, 0] = np.nan
        if self.what == "coarse":
            return maps[:, ::2, ::2]
        return -maps if self.what == "inverted" else maps


@dataclass(frozen=True)
class Wild(Metric):
    """Returns anything."""

    name: ClassVar[str] = "wild"
    summary: ClassVar[str] = "anything"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    what: Literal["two", "nan", "number", "raise", "shape", "infinite", "interrupt"] = "two"

    def score(self, trial):
        match self.what:
            case "nan":
                return Score(float("nan"))
            case "number":
                return 0.5
            case "raise":
                raise LookupError("no way")
            case "shape":
                trial.probabilities(trial.pixels)
            case "infinite":
                trial.probabilities(np.full((1, *trial.pixels.shape), np.inf))
            case "interrupt":
                raise KeyboardInterrupt
        return Score(2.0)


def flat(value=204):
    return np.full((*SIZE, 3), value, np.uint8)


def noise(count):
    draw = np.random.default_rng(2)
    return [draw.integers(60, 256, (*SIZE, 3), dtype=np.uint8) for _ in range(count)]


@pytest.fixture(scope="module")
def linear(registry):
    """Its output itself is read: no softmax or sigmoid can be undone."""
    return Study(patch("relu"), preprocess="none", registry=registry)


@pytest.fixture(scope="module")
def softmax(registry):
    return Study(patch("softmax", gain=4.0), preprocess="none", registry=registry)


PIXELWISE = (Deletion(steps=60), Insertion(steps=60, baseline="black"))
D, INS = "deletion(steps=60)", "insertion(steps=60, baseline=black)"


def value(found, metric, row, number=0):
    return list(found.values(metric, row).values())[number]


# ------------------------------------------------------------------------------- the areas


def test_areas_of_known_maps_on_a_linear_model_by_hand(linear):
    """v = 204 / 255 = 0.8. Deleted: v s / 2, inverted v (1 - s / 2); inserted the other way."""
    methods = [Planted(), Planted("inverted")]
    found = linear.evaluate(flat(), methods, PIXELWISE, 0)
    assert found.failures == ()
    assert value(found, D, "planted") == pytest.approx(0.8 * S / 2, abs=1e-6)
    assert value(found, INS, "planted") == pytest.approx(0.8 * (1 - S / 2), abs=1e-6)
    assert value(found, D, "planted(what=inverted)") == pytest.approx(0.8 * (1 - S / 2), abs=1e-6)
    assert value(found, INS, "planted(what=inverted)") == pytest.approx(0.8 * S / 2, abs=1e-6)


def test_areas_behind_a_softmax_by_summing_its_values(softmax):
    """p = 1 / (1 + exp(-z)), z = 3.2 (1 - k / 12) after k pixels of the patch, 0 from 12 on."""
    found = softmax.evaluate(flat(), Planted(), Deletion(steps=60), 0)
    p = [1 / (1 + np.exp(-3.2 * max(0, 1 - k / 12))) for k in range(61)]
    area = sum((a + b) / 2 for a, b in pairwise(p)) / 60
    assert value(found, D, "planted") == pytest.approx(area, abs=1e-6)
    (one,) = [each for each in found.measurements if each.row == "planted"]
    np.testing.assert_allclose(one.score.curve.y, p, atol=1e-6)


def test_a_coarse_map_is_brought_to_the_input_as_it_is_drawn(linear):
    """By the library's one resampling: the same as giving the large map."""
    from xai_core.render import resize

    coarse = Planted("coarse").explain(type("E", (), {"targets": np.zeros(1)}))[0]

    @dataclass(frozen=True)
    class Large(Planted):
        name: ClassVar[str] = "large"

        def explain(self, evidence):
            return resize(coarse, *SIZE)[None]

    found = linear.evaluate(noise(1), [Planted("coarse"), Large()], Deletion(steps=60), 0)
    assert value(found, D, "planted(what=coarse)") == value(found, D, "large")


# ------------------------------------------------------------------------------ rankings


def test_the_perfect_map_wins_and_the_wrong_patch_loses(softmax):
    methods = [Planted("wrong"), Planted(), Planted("inverted")]
    found = softmax.evaluate(noise(8), methods, PIXELWISE, 0)
    for metric in (D, INS):
        ranking = found.ranking(metric)
        by_name = {each.row.name: each for each in ranking}
        assert ranking[0].row.name == "planted"
        assert ranking[-1].row.name == "planted(what=inverted)"
        assert by_name["planted"].words == "beats random, centre-gaussian, edges and uniform"
        assert by_name["planted"].beats_all
        assert by_name["planted(what=inverted)"].words == (
            "is worse than random, centre-gaussian, edges and uniform"
        )
        assert not by_name["planted(what=wrong)"].beats_all
        assert {each.row.name for each in ranking if each.row.is_reference} == set(REFERENCES)
        assert ranking[0].next.against == ranking[1].row.name
        assert ranking[0].next.word == "beats"
        assert ranking[-1].next is None


def test_the_same_map_twice_is_no_difference(softmax):
    @dataclass(frozen=True)
    class Twin(Planted):
        name: ClassVar[str] = "twin"

    found = softmax.evaluate(noise(6), [Planted(), Twin()], Deletion(steps=20), 0)
    first, second = found.ranking("deletion(steps=20)")[:2]
    assert {first.row.name, second.row.name} == {"planted", "twin"}
    assert (first.next.word, first.next.gain.low) == ("no difference shown", 0)


def test_uniform_and_random_are_no_different(softmax):
    found = softmax.evaluate(noise(12), Planted(), Deletion(steps=60), 0)
    (uniform,) = [each for each in found.ranking(D) if each.row.name == "uniform"]
    assert "no difference shown to random" in uniform.words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "one picture: no interval"),
        (5, "no difference shown: 5 pictures, fewer than 6"),
        (6, "beats random, centre-gaussian, edges and uniform"),
    ],
)
def test_few_pictures_show_nothing(softmax, count, words):
    found = softmax.evaluate(noise(count), Planted(), Deletion(steps=20), 0)
    (standing,) = [
        each for each in found.ranking("deletion(steps=20)") if each.row.name == "planted"
    ]
    assert standing.words == words
    if 1 < count < 6:
        assert str(standing.next).startswith("no difference shown to ")
    assert (standing.value.low is None) == (count == 1)


def test_the_interval_is_over_pictures_not_over_classes(softmax):
    found = softmax.evaluate(noise(2), Planted(), Deletion(steps=10), [0, 1])
    assert len(found.measurements) == 2 * 2 * 5
    (standing,) = [
        each for each in found.ranking("deletion(steps=10)") if each.row.name == "planted"
    ]
    assert standing.value.count == 2
    # Two classes: what one has, the other lacks.
    assert standing.value.mean == pytest.approx(0.5, abs=1e-6)


# ------------------------------------------------------------------------- what is asked


def test_identical_pictures_are_run_once(softmax):
    """Deletion of a map is insertion of the inverted one: 61 pictures, the same backwards.

    Without ties: of equal values the order is not the opposite.
    """

    @dataclass(frozen=True)
    class Ramp(Explainer):
        name: ClassVar[str] = "ramp"
        needs: ClassVar[Needs] = Needs.NOTHING
        sign: Literal[1, -1] = 1

        def explain(self, evidence):
            return self.sign * np.arange(60.0).reshape(1, *SIZE)

    found = softmax.evaluate(noise(1), [Ramp(), Ramp(-1)], PIXELWISE, 0)
    first = found.measurements[:4]
    assert [(each.row, each.metric) for each in first] == [
        ("ramp", D),
        ("ramp", INS),
        ("ramp(sign=-1)", D),
        ("ramp(sign=-1)", INS),
    ]
    assert [each.asked for each in first] == [61] * 4
    # The picture itself, which begins a curve or ends it, is known from the trial.
    assert [each.queries for each in first] == [61, 59, 0, 0]
    assert first[0].score.value == pytest.approx(first[3].score.value, abs=1e-12)
    assert first[1].score.value == pytest.approx(first[2].score.value, abs=1e-12)


def test_what_was_asked_for_one_class_is_known_for_the_others(softmax):
    """The subsets are the same for both, and a pass tells the scores of all classes."""
    found = softmax.evaluate(noise(1), Planted(), MuFidelity(subsets=20), [0, 1])
    first, second = (
        [each for each in found.measurements if each.target.index == index] for index in (0, 1)
    )
    assert [each.asked for each in (*first, *second)] == [21] * 10
    assert [each.queries for each in first] == [21, 0, 0, 0, 0]
    assert [each.queries for each in second] == [0] * 5
    alone = softmax.evaluate(noise(1), Planted(), MuFidelity(subsets=20), 1).measurements
    assert [each.score.value for each in second] == [each.score.value for each in alone]


def test_the_same_picture_counts_once(softmax):
    """However often it is given, and under whatever name."""
    one, other = noise(2)
    found = softmax.evaluate([one, other, one.copy(), one], Planted(), Deletion(steps=5), 0)
    assert len(found.pictures) == 2
    assert [each.picture for each in found.measurements] == [
        name for name in found.pictures for _ in range(5)
    ]
    first, copies = found.pictures[0], [each.split(" is the same")[0] for each in found.notices]
    assert len({*copies, *found.pictures}) == 4
    assert found.notices == tuple(
        f"{name} is the same picture as {first}, and counts once: it is left out" for name in copies
    )
    assert found.ranking("deletion(steps=5)")[0].value.count == 2


def test_it_counts_once_with_another_mask_too(softmax):
    """Most metrics see no mask: their scores would be there twice."""
    masks = [np.eye(*SIZE, dtype=bool), np.ones(SIZE, bool)]
    found = softmax.evaluate([noise(1)[0]] * 2, Planted(), RelevanceRank(), 0, masks=masks)
    assert len(found.notices) == len(found.masks) == len(found.pictures) == 1
    once = softmax.evaluate(noise(1), Planted(), RelevanceRank(), 0, masks=masks[:1])
    assert found.values("relevance-rank", "planted") == once.values("relevance-rank", "planted")


def test_a_copy_is_no_picture_that_differences_are_shown_by(softmax, tmp_path):
    found = softmax.evaluate([*noise(2)] * 3, Planted(), Deletion(steps=5), 0)
    path = found.save(tmp_path / "e.html")
    assert "With fewer than 6 pictures no difference can be shown." in path.read_text()
    assert not any(each.beats_all for each in found.ranking("deletion(steps=5)"))


def test_they_are_run_in_batches_of_one_shape(softmax, monkeypatch):
    shapes = []
    run = Probe.__call__

    def watched(probe, images, wanted):
        shapes.append((tuple(images.shape), len(wanted)))
        return run(probe, images, wanted)

    monkeypatch.setattr(Probe, "__call__", watched)
    softmax.evaluate(noise(1), Planted(), Deletion(steps=60), 0)
    # The map's own pass, the picture as it is, and 61 questions about each of five maps.
    assert shapes == [((1, *SIZE, 3), 1)] + (1 + 5 * 2) * [((34, *SIZE, 3), 34)]


@pytest.mark.parametrize("metric", [Deletion(), Insertion()])
def test_a_curve_leaves_next_to_nothing_of_its_passes_unused(metric):
    passes = -(-metric.queries // QUERY_BATCH)
    assert passes * QUERY_BATCH <= 1.02 * metric.queries


def test_a_score_does_not_depend_on_the_other_pictures(softmax):
    pictures = noise(3)
    together = softmax.evaluate(pictures, Planted("wrong"), PIXELWISE, 0)
    alone = softmax.evaluate(pictures[2], Planted("wrong"), PIXELWISE, 0)
    for metric in (D, INS):
        for row in ("planted(what=wrong)", *REFERENCES):
            assert value(together, metric, row, 2) == pytest.approx(
                value(alone, metric, row), abs=1e-12
            )


def test_a_seed_makes_the_same_and_another_other_ties(softmax):
    def areas(seed):
        found = softmax.evaluate(noise(1), Planted(), Deletion(steps=60), 0, seed=seed)
        return [each.score.value for each in found.measurements]

    assert areas(3) == areas(3)
    assert areas(3)[1] != areas(4)[1]


def test_it_tells_how_far_it_is(softmax):
    told = []
    softmax.evaluate(
        noise(2), Planted(), Deletion(steps=10), 0, progress=lambda *each: told.append(each)
    )
    assert told[:3] == [(0, 10, "array: the maps"), (0, 10, "array"), (0, 10, "array: planted")]
    assert told[-1] == (10, 10, "")
    # 2 fewer than it asked for: of the last pixels all maps without an opinion think alike.
    assert (9, 10, "array (2): deletion(steps=10) of uniform, 45 queries") in told


# ------------------------------------------------------------------------------ failures


def test_one_broken_method_or_picture_loses_nothing(softmax, tmp_path):
    missing = tmp_path / "none.png"
    pictures = [noise(2)[0], missing, noise(2)[1]]
    methods = [Planted("broken"), Planted(), Planted("nan")]
    found = softmax.evaluate(pictures, methods, Deletion(steps=10), 0)
    assert len(found.measurements) == 3 * 7
    assert len(found.failures) == 7 + 2 * 2
    by_row = {}
    for each in found.failures:
        by_row.setdefault((each.picture, each.row), each.message)
    assert "raised LookupError: no way" in by_row["array", "planted(what=broken)"]
    assert by_row["array", "planted(what=nan)"] == (
        "1 of 60 values of the map are NaN or infinite; expected finite ones, since its pixels "
        "have no order"
    )
    assert "There is no file" in by_row["none.png", "planted"]
    ranking = found.ranking("deletion(steps=10)")
    assert ranking[0].value.count == 2
    assert [each.words for each in ranking[-2:]] == ["failed on every picture"] * 2
    text = found.to_markdown()
    assert "## What failed" in text
    assert "| planted(what=broken) |  |  | 0 | failed on every picture |  |" in text.replace(
        "\\", ""
    )


@pytest.mark.parametrize("fails", ["method", "metric"])
def test_what_fails_keeps_nothing_of_its_picture(softmax, monkeypatch, fails):
    """The answers of a picture are as large as all that was asked about it."""
    made = []

    class Watched(Answers):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(weakref.ref(self))

    monkeypatch.setattr(evaluating, "Answers", Watched)
    method = Planted("broken") if fails == "method" else Planted()
    metric = Deletion(steps=5) if fails == "method" else Wild("raise")
    found = softmax.evaluate(noise(2), method, metric, 0)
    gc.collect()
    assert {each.row for each in found.failures} >= {str(found.rows[0].name)}
    assert [each() for each in made] == [None, None]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("two", "metric 'wild' of module {module} returned 2.0; expected a finite value within"),
        ("nan", "metric 'wild' of module {module} returned nan; expected a finite value within"),
        ("number", "metric 'wild' of module {module} returned float; expected an xai_core.Score"),
        ("raise", "metric 'wild' of module {module} raised LookupError: no way"),
        ("shape", "received pictures as float64 of shape (6, 10, 3); expected numbers of shape "
         "(Q, 6, 10, 3), like the pixels of the trial"),
        ("infinite", "received pictures that hold NaN or infinity; expected finite values in"),
    ],
)  # fmt: skip
def test_a_broken_metric_is_told_and_the_others_measure(softmax, what, message):
    found = softmax.evaluate(noise(1), Planted(), [Wild(what), Deletion(steps=5)], 0)
    assert [each.score is None for each in found.measurements] == [True, False] * 5
    for each in found.failures:
        assert isinstance(each.outcome, MetricError)
        assert each.message.startswith(message.format(module=__name__))


def test_an_interrupt_loses_nothing_that_was_measured(softmax):
    calls = []

    @dataclass(frozen=True)
    class Late(Wild):
        name: ClassVar[str] = "late"

        def score(self, trial):
            calls.append(trial)
            if len(calls) == 8:
                raise KeyboardInterrupt
            return Score(0.5)

    found = softmax.evaluate(noise(3), Planted(), Late(), 0)
    assert len(found.measurements) == 7
    assert found.notices == (
        "interrupted: 1 of 3 pictures are whole, and what was measured of the next is kept",
    )
    assert "interrupted: 1 of 3" in found.to_markdown()


@pytest.mark.parametrize(
    ("arguments", "named", "message"),
    [
        ((["planted"],), {}, "no explainer is called 'planted'"),
        ((Planted(), "deletio"), {}, "no metric is called 'deletio'; near it: deletion"),
        ((Planted(), 3), {}, "received 3 as a metric; expected a name, or an instance of a Metric"),
        (
            ([Planted(), Planted()],),
            {},
            "received methods with 'planted' twice; expected each once",
        ),
        ((Planted(), [Deletion(), "deletion"]), {}, "received metrics with 'deletion' twice"),
        ((Planted(), []), {}, "received no metrics; expected at least one"),
        ((Planted(),), {"seed": -1}, "received seed -1; expected a whole number, 0 to 2**31 - 1"),
        ((Planted(),), {"seed": 0.5}, "received seed 0.5; expected a whole number"),
        ((Planted(), "deletion", 7), {}, "class 7"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_run(softmax, arguments, named, message):
    with pytest.raises(UsageError) as caught:
        softmax.evaluate(
            noise(1),
            *(arguments[:1]),
            **dict(zip(("metrics", "targets"), arguments[1:], strict=False)),
            **named,
        )
    assert message in str(caught.value)


def test_a_method_by_the_name_of_a_reference_row(softmax):
    @dataclass(frozen=True)
    class Random(Planted):
        name: ClassVar[str] = "random"

    with pytest.raises(UsageError) as caught:
        softmax.evaluate(noise(1), Random())
    assert str(caught.value) == (
        "received methods with 'random' twice (a reference row has that name); expected each once"
    )


# ---------------------------------------------------------------- methods that promise what is held


@dataclass(frozen=True)
class Sums(Metric):
    """The sum of a map, of methods that promise one."""

    name: ClassVar[str] = "sums"
    summary: ClassVar[str] = "the sum"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1e9)

    @property
    def presumes(self):
        return Law.COMPLETE | Law.LINEAR

    def score(self, trial):
        return Score(float(trial.raw.sum()))


@dataclass(frozen=True)
class Half(Planted):
    """Promises one of both."""

    name: ClassVar[str] = "half"
    laws: ClassVar[Law] = Law.COMPLETE


@dataclass(frozen=True)
class Whole(Planted):
    """Promises both and more."""

    name: ClassVar[str] = "whole"
    laws: ClassVar[Law] = Law.COMPLETE | Law.LINEAR | Law.CONSTANT


@pytest.fixture(scope="module")
def presumed(softmax):
    seen = []
    found = softmax.evaluate(
        noise(6),
        [Half(), Planted(), Whole()],
        [Sums(), RelevanceMass()],
        0,
        masks=[patch_mask()] * 6,
        progress=lambda done, total, what: seen.append((done, total)),
    )
    return found, seen


def patch_mask():
    mask = np.zeros(SIZE, bool)
    mask[PATCH] = True
    return mask


def test_a_metric_is_asked_of_methods_that_promise_what_it_presumes(presumed):
    found, seen = presumed
    measured = [(each.row, each.metric) for each in found.measurements]
    assert {row for row, metric in measured if metric == "sums"} == {"whole", *REFERENCES}
    assert {row for row, metric in measured if metric == "relevance-mass"} == {
        *("half", "planted", "whole"), *REFERENCES,
    }  # fmt: skip
    assert (value(found, "sums", "whole"), len(measured)) == (12, 6 * (5 + 7))
    assert seen[-1] == (72, 72)
    assert [each.left_out for each in found.metrics] == [("half", "planted"), ()]


def test_it_ranks_those_alone_beside_the_reference_rows(presumed):
    found, _ = presumed
    rows = {each.row.name: each for each in found.ranking("sums")}
    assert set(rows) == {"whole", *REFERENCES}
    assert {each.against for each in rows["whole"].contests} == set(REFERENCES)
    assert {each.price.row.name for each in found.pareto("sums")} == set(rows)
    assert found.agreement() == ()


def test_what_it_was_not_asked_of_is_told_everywhere(presumed):
    from xai_core.report.evaluation import render_evaluation

    found, _ = presumed
    told = "Not asked of methods that do not promise it: half and planted."
    text = found.to_markdown()
    ranking = text[text.index("## sums") : text.index("## relevance-mass")]
    assert told in ranking
    assert "| half |" not in ranking
    costs = text[text.index("## What the maps cost") :]
    assert [line.split(" | ")[4] for line in costs.splitlines() if line.startswith("| half ")] == [
        "not asked of it"
    ]
    page = render_evaluation(found)
    assert page.count(told) == 1
    assert page.count(">not asked</span>") == 2
    assert found.to_dict()["metrics"][0]["left_out"] == ("half", "planted")
    assert "failed on every picture" not in page


def test_of_no_method_that_promises_it_the_reference_rows_are_left(softmax):
    found = softmax.evaluate(noise(1), Planted(), Sums(), 0)
    assert [each.row.name for each in found.ranking("sums")] == [
        *sorted(REFERENCES, key=lambda row: -value(found, "sums", row))
    ]
    assert "Not asked of methods that do not promise it: planted." in found.to_markdown()


# -------------------------------------------------------------------------------- output


@pytest.fixture(scope="module")
def made(softmax):
    metrics = [Deletion(steps=20), Insertion(steps=20)]
    return softmax.evaluate(noise(6), [Planted(), "saliency"], metrics, seed=5)


def test_a_markdown_table_for_each_metric(made):
    text = made.to_markdown()
    lines = text.splitlines()
    assert "## deletion(steps=20)" in lines
    assert "## insertion(steps=20)" in lines
    header = (
        "| row | mean | 95 % interval | pictures | against the reference rows | "
        "against the next row |"
    )
    assert lines.count(header) == 2
    assert sum(line.startswith("| (") for line in lines) == 8  # four reference rows for each
    assert "| (uniform) |" in text
    assert "beats random, centre-gaussian, edges and uniform" in text
    assert "6 of 6 pictures; seed 5;" in text
    assert "2,000 resamples" in text


def test_everything_is_in_the_json(made, tmp_path):
    path = made.save(tmp_path / "table.json")
    document = json.loads(path.read_text())
    assert document["seed"] == 5
    assert len(document["measurements"]) == 6 * 6 * 2
    one = document["measurements"][0]
    assert set(one) == {
        *("picture", "target", "row", "metric", "asked", "queries", "seconds", "seed"),
        *("maps", "map_queries", "map_seconds", "pass_seconds"),
        *("value", "facts", "curve", "error"),
    }
    assert one["seed"][0] == 5
    assert len(one["curve"]["x"]) == 21
    assert document["rankings"]["deletion(steps=20)"][0]["row"]["name"] == "planted"
    assert document["provenance"]["weights_sha256"]
    assert document["metrics"][0]["parameters"] == {"steps": "20", "baseline": "black"}
    assert made.queries == sum(each["queries"] for each in document["measurements"])


def test_files_by_their_ending(made, tmp_path):
    from PIL import Image

    assert made.save(tmp_path / "t.md").read_text() == made.to_markdown()
    with Image.open(made.save(tmp_path / "t.png")) as picture:
        assert picture.size[0] > 1000
    with pytest.raises(UsageError, match=r"cannot save an evaluation as .t\.csv."):
        made.save(tmp_path / "t.csv")


def test_the_curves_are_means_over_pictures(made):
    axes = made.figure().axes
    assert [each.get_title() for each in axes] == [
        "deletion(steps=20): lower is better",
        "insertion(steps=20): higher is better",
    ]
    lines = {line.get_label().split()[0]: line for line in axes[0].lines}
    assert set(lines) == {"planted", "saliency", *REFERENCES}
    curves = [
        each.score.curve.y
        for each in made.measurements
        if (each.row, each.metric) == ("planted", "deletion(steps=20)")
    ]
    np.testing.assert_allclose(lines["planted"].get_ydata(), np.mean(curves, axis=0))


def test_there_may_be_no_curve(softmax):
    found = softmax.evaluate(noise(1), Planted(), Wild(), 0)
    with pytest.raises(UsageError, match="there is no curve to draw"):
        found.figure()


def test_a_metric_that_was_not_used(made):
    with pytest.raises(
        UnknownNameError, match=r"received the metric 'x'; expected one of deletion"
    ):
        made.ranking("x")


def test_the_model_and_the_picture_are_as_they_were(registry):
    model = patch("softmax")
    weights = model.get_weights()
    picture = noise(1)[0]
    before = picture.copy()
    Study(model, preprocess="none", registry=registry).evaluate(picture, Planted(), PIXELWISE)
    np.testing.assert_array_equal(picture, before)
    for one, other in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_random_map_is_not_what_ties_are_broken_by(softmax):
    """Or the rows `random` and `uniform` were one order and its opposite."""
    trials = []

    @dataclass(frozen=True)
    class Look(Wild):
        name: ClassVar[str] = "look"

        def score(self, trial):
            trials.append(trial)
            return Score(0.5)

    found = softmax.evaluate(noise(1), Planted(), Look(), 0)
    assert found.rows[1].name == "random"
    ties = trials[1].generator().random(60)
    assert abs(np.corrcoef(trials[1].attribution.ravel(), ties)[0, 1]) < 0.5
    assert all((each.generator().random(60) == ties).all() for each in trials)
