"""The maps of one picture on the way down, as numbers and as a figure."""

from dataclasses import dataclass
from typing import ClassVar

import keras
import numpy as np
import pytest
from keras import layers, ops
from PIL import Image

from xai_core import Explainer, Needs, Study, evaluating
from xai_core.errors import ExplainerError, PictureError, TargetError, UsageError
from xai_core.rank_correlation import spearman
from xai_plugins.metrics import CascadingRandomisation, Deletion

SIZE = (12, 20)
PICTURE = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


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
class Broken(Explainer):
    """Raises."""

    name: ClassVar[str] = "broken"
    needs: ClassVar[Needs] = Needs.NOTHING

    def explain(self, evidence):
        raise LookupError("no way")


def make(**options):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((*SIZE, 3))
    made = layers.Conv2D(4, 3, activation="tanh", name="low")(inputs)
    made = layers.Conv2D(4, 3, strides=2, activation="tanh", name="mid")(made)
    made = layers.Dense(3, name="head", **options)(layers.GlobalAveragePooling2D()(made))
    return keras.Model(inputs, made, name="ladder-test")


@pytest.fixture(scope="module")
def study(registry):
    return Study(make(), preprocess="unit", registry=registry)


def test_each_rung_is_what_the_copy_explains(study):
    found = study.ladder_maps(PICTURE, [Slope(), "saliency"], target=1, seed=5)
    copy, ladder = study.ladder(5)
    assert [len(row) for row in found.rows] == [4, 4]
    for row, method in zip(found.rows, (Slope(), "saliency"), strict=True):
        own = study.explain(PICTURE, method, target=1).map
        assert row[0].layers == ()
        assert row[0].similarity is None
        np.testing.assert_allclose(row[0].cell.map, own, rtol=1e-5, atol=1e-9)
        for standing, (each, name) in enumerate(
            zip(row[1:], ("head", "mid", "low"), strict=True), start=1
        ):
            ladder.stand(standing)
            made = copy.explain(PICTURE, method, target=1).map
            assert (each.layers, each.reason) == ((name,), None)
            np.testing.assert_allclose(each.cell.map, made, rtol=1e-5, atol=1e-9)
            assert each.similarity == pytest.approx(spearman(own, made), abs=0.01)


def test_it_is_what_the_metric_measures(study):
    found = study.ladder_maps(PICTURE, Slope(), rungs=2, target=1, seed=5)
    told = study.evaluate(PICTURE, Slope(), CascadingRandomisation(rungs=2), 1, seed=5)
    curve = told.measurements[0].score.curve
    alike = [abs(each.similarity) for each in found.rows[0][1:]]
    np.testing.assert_allclose(alike, curve.y[1:])
    assert [len(each.layers) for each in found.rows[0]] == [0, 2, 1]


def test_the_class_is_that_of_the_model_as_it_is(study):
    own = study.explain(PICTURE, "saliency").target.index
    for seed in range(3):
        for each in study.ladder_maps(PICTURE, "saliency", seed=seed).rows[0]:
            assert each.cell.target.index == own


def test_the_users_model_is_left_alone(registry):
    model = make()
    before = model.get_weights()
    Study(model, preprocess="unit", registry=registry).ladder_maps(PICTURE, "saliency")
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


def test_a_method_that_fails_has_its_row_and_a_flat_map_no_similarity(registry):
    study = Study(make(kernel_initializer="zeros"), preprocess="unit", registry=registry)
    with keras.device("cpu:0"):
        study.model.layers[-1].kernel.assign(np.eye(4, 3))
    found = study.ladder_maps(PICTURE, [Broken(), Slope()], target=0)
    broken, slope = found.rows
    assert {each.similarity for each in broken} == {None}
    assert "no way" in broken[0].reason
    assert [each.reason for each in slope] == [None] + ["all values are the same"] * 3
    assert found.to_dict()["methods"][1] == {
        "method": "slope",
        "rungs": [
            {"layers": [name], "similarity": None, "reason": "all values are the same"}
            for name in ("head", "mid", "low")
        ],
    }
    texts = words(found.figure())
    assert texts.count("no map") == 4 + 3
    assert texts.count("all values are the same") == 3


def words(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_the_figure_says_what_is_where(study):
    found = study.ladder_maps(PICTURE, [Slope(), "grad-cam"], rungs=2, target=2, seed=9)
    figure = found.figure()
    assert len(figure.axes) == 2 * 4
    texts = words(figure)
    for title in (
        "slope",
        "grad-cam",
        "as it is",
        "2 of 3 layers, to\nmid",
        "3 of 3 layers, to\nlow",
    ):
        assert title in texts
    for row in found.rows:
        for each in row[1:]:
            told = f"Spearman {each.similarity:.2f} · "
            assert any(text.replace("\n", " ").startswith(told) for text in texts)
    (caption,) = (text.get_text() for text in figure.texts)
    for said in ("ladder-test", "class 2", "seed 9", "each map on its own scale"):
        assert said in caption.replace("\n", " ")


def test_no_text_overlaps_another(study):
    figure = study.ladder_maps(PICTURE, [Slope(), "grad-cam", "saliency"]).figure()
    figure.canvas.draw()
    drawn = [text for axes in figure.axes for text in axes.texts if text.get_text()]
    boxes = [text.get_window_extent() for text in [*drawn, *figure.texts]]
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])


def test_it_is_saved_as_the_name_says(study, tmp_path):
    found = study.ladder_maps(PICTURE, "saliency", rungs=1)
    with Image.open(found.save(tmp_path / "ladder.png")) as image:
        assert image.format == "PNG"
        assert (np.asarray(image.convert("RGB")) < 200).any(axis=-1).mean() > 0.05
    assert found.save(tmp_path / "ladder.svg").read_text().startswith("<?xml")
    with pytest.raises(UsageError, match=r"cannot save a ladder as 'a.npz'; expected a name that"):
        found.save(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ({"rungs": 0}, UsageError, "received rungs 0; expected a whole number, at least 1"),
        ({"seed": -1}, UsageError, "received seed -1; expected a whole number, 0 to"),
        ({"methods": []}, UsageError, "received no methods; expected at least one"),
        ({"methods": Broken()}, ExplainerError, "raised LookupError: no way"),
        ({"target": 3}, TargetError, "received class 3; expected 0 to 2"),
    ],
)
def test_what_is_refused(study, given, error, told):
    with pytest.raises(error, match=told):
        study.ladder_maps(PICTURE, **{"methods": "saliency", **given})


def test_progress_counts_the_rungs(study):
    told = []
    study.ladder_maps(PICTURE, "saliency", progress=lambda *each: told.append(each))
    assert told == [
        (0, 4, "the model as it is"),
        (1, 4, "1 layers drawn anew"),
        (2, 4, "2 layers drawn anew"),
        (3, 4, "3 layers drawn anew"),
        (4, 4, ""),
    ]


# ------------------------------------------------------------------- those of an evaluation

ASKED = ([Slope(), "saliency"], [CascadingRandomisation(rungs=2), Deletion(steps=3)])
SECOND = np.random.default_rng(1).integers(0, 256, (16, 20, 3), dtype=np.uint8)


@pytest.fixture
def ladders(monkeypatch):
    """Counts the copies that are made."""
    made = []
    make = Study.ladder

    def counted(self, seed=0):
        made.append(seed)
        return make(self, seed)

    monkeypatch.setattr(Study, "ladder", counted)
    return made


def held_alike(found, expected):
    """The same maps of the same picture."""
    assert (found.model, found.seed) == (expected.model, expected.seed)
    for row, other in zip(found.rows, expected.rows, strict=True):
        for one, two in zip(row, other, strict=True):
            assert (one.layers, one.reason) == (two.layers, two.reason)
            assert one.similarity == two.similarity
            np.testing.assert_array_equal(one.cell.map, two.cell.map)
            assert str(one.cell.method) == str(two.cell.method)
            assert one.cell.region == two.cell.region
            np.testing.assert_array_equal(one.cell.picture.pixels, two.cell.picture.pixels)


def test_an_evaluation_has_the_maps_that_its_metric_asked_for(study, ladders):
    found = study.evaluate([SECOND, PICTURE], *ASKED, 1, seed=5)
    told = []
    shown = found.ladder_maps(progress=lambda *each: told.append(each))
    assert (ladders, told) == ([5], [])
    expected = study.ladder_maps(SECOND, ASKED[0], rungs=2, target=1, seed=5)
    held_alike(shown, expected)
    assert {each.cell.picture.pixels.shape for row in shown.rows for each in row} == {(16, 20, 3)}
    assert found.ladder_maps() is shown


def test_after_a_journal_they_are_made_when_they_are_wanted(study, ladders, tmp_path):
    journal = tmp_path / "run.jsonl"
    first = study.evaluate([SECOND, PICTURE], *ASKED, 1, seed=5, journal=journal)
    again = study.evaluate([SECOND, PICTURE], *ASKED, 1, seed=5, journal=journal)
    assert ladders == [5]
    told = []
    shown = again.ladder_maps(progress=lambda *each: told.append(each))
    assert ladders == [5, 5]
    assert told[0] == (0, 3, "the model as it is")
    held_alike(shown, first.ladder_maps())
    assert again.ladder_maps() is shown


def test_with_a_part_from_a_journal_it_is_still_the_first_picture_with_all_methods(
    study, ladders, tmp_path
):
    journal = tmp_path / "run.jsonl"
    whole = study.evaluate([SECOND, PICTURE], *ASKED, 1, seed=5)
    study.evaluate(SECOND, Slope(), ASKED[1], 1, seed=5, journal=journal)
    part = study.evaluate([SECOND, PICTURE], *ASKED, 1, seed=5, journal=journal)
    held_alike(part.ladder_maps(), whole.ladder_maps())


def test_it_is_the_first_picture_that_could_be_measured(study, tmp_path):
    (tmp_path / "broken.png").write_text("no picture")
    found = study.evaluate([tmp_path / "broken.png", PICTURE], *ASKED, [2, 0], seed=5)
    one = found.ladder_maps().rows[0][0].cell
    assert (one.picture.name, one.target.index) == ("array", 2)


def test_an_evaluation_without_the_metric_has_none(study, ladders):
    assert study.evaluate(PICTURE, ASKED[0], Deletion(steps=3), 1).ladder_maps() is None
    assert ladders == []


def test_after_an_interrupt_nothing_is_made(study, ladders, tmp_path, monkeypatch):
    journal = tmp_path / "run.jsonl"
    study.evaluate(PICTURE, *ASKED, 1, seed=5, journal=journal)
    run = evaluating.run_plan

    def interrupted(study, plan, sources, *rest):
        if sources[0].name == "array (2)":
            raise KeyboardInterrupt
        return run(study, plan, sources, *rest)

    monkeypatch.setattr(evaluating, "run_plan", interrupted)
    found = study.evaluate([PICTURE, SECOND], *ASKED, 1, seed=5, journal=journal)
    assert found.is_interrupted
    assert found.ladder_maps() is None
    page = found.save(tmp_path / "page.html").read_text()
    assert "The maps are not shown: the evaluation was interrupted." in page
    assert ladders == [5]
    # What was made before the interrupt is there.
    fresh = study.evaluate([PICTURE, SECOND], *ASKED, 1, seed=5)
    assert fresh.is_interrupted
    assert len(fresh.ladder_maps().rows) == 2


def test_a_picture_that_is_gone_takes_no_page_away(study, tmp_path):
    path, journal = tmp_path / "one.png", tmp_path / "run.jsonl"
    Image.fromarray(PICTURE).save(path)
    study.evaluate(path, *ASKED, 1, seed=5, journal=journal)
    found = study.evaluate(path, *ASKED, 1, seed=5, journal=journal)
    path.unlink()
    with pytest.raises(PictureError, match=r"one\.png"):
        found.ladder_maps()
    page = found.save(tmp_path / "page.html").read_text()
    assert "The maps are not shown: they could not be made again: " in page


def test_a_method_that_fails_has_no_maps_and_the_others_have(study):
    found = study.evaluate(PICTURE, [Broken(), Slope()], ASKED[1], 1, seed=5)
    broken, slope = found.ladder_maps().rows
    assert ["no way" in each.reason for each in broken] == [True] * 3
    assert [each.reason for each in slope] == [None] * 3
