"""`Study.evaluate` with masks, mosaics, noise and float64, on models whose answers are known."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import keras
import numpy as np
import pytest
from keras import layers, ops

from xai_core import Box, Explainer, Metric, Needs, Score, Study
from xai_core.errors import UsageError
from xai_core.references import REFERENCES
from xai_plugins.metrics import (
    Deletion,
    Float64Distance,
    GridPointingGame,
    MaxSensitivity,
    PointingGame,
    RelevanceMass,
    RelevanceRank,
    Stability,
)

SIZE = (6, 10)
PATCH = (slice(1, 4), slice(2, 6))
WRONG = (slice(4, 6), slice(4, 10))
BOX = Box(2, 1, 6, 4)
"""The patch."""
LOCAL = (PointingGame(tolerance=0), RelevanceMass(), RelevanceRank())
LOCAL_NAMES = ("pointing-game(tolerance=0)", "relevance-mass", "relevance-rank")


@dataclass(frozen=True)
class Planted(Explainer):
    """A map that is known."""

    name: ClassVar[str] = "planted"
    needs: ClassVar[Needs] = Needs.NOTHING
    what: Literal["true", "wrong", "inverted"] = "true"

    def explain(self, evidence):
        maps = np.zeros((evidence.targets.shape[0], *SIZE))
        maps[(slice(None), *(WRONG if self.what == "wrong" else PATCH))] = 1
        return 1 - maps if self.what == "inverted" else maps


@dataclass(frozen=True)
class Product(Explainer):
    """The gradient by the input times the input, summed over the channels."""

    name: ClassVar[str] = "product"
    needs: ClassVar[Needs] = Needs.INPUT_GRADIENTS
    factor: float = 1.0

    def explain(self, evidence):
        return self.factor * ops.sum(evidence.input_gradients * evidence.inputs, axis=-1)


@dataclass(frozen=True)
class Red(Explainer):
    """The red of the picture, whatever the model is."""

    name: ClassVar[str] = "red"
    needs: ClassVar[Needs] = Needs.NOTHING

    def explain(self, evidence):
        return evidence.inputs[..., 0]


@dataclass(frozen=True)
class Narrow(Explainer):
    """Rounded to float16, but in float64."""

    name: ClassVar[str] = "narrow"
    needs: ClassVar[Needs] = Needs.INPUT_GRADIENTS

    def explain(self, evidence):
        made = ops.sum(evidence.input_gradients * evidence.inputs, axis=-1)
        made = np.asarray(ops.convert_to_numpy(made))
        return made.astype(np.float16).astype(np.float32) if made.dtype == np.float32 else made


def patch(dtype="float64"):
    """Two classes: four times the mean of the patch over 255, and 0."""
    inputs = keras.Input((*SIZE, 3), dtype=dtype)
    head = layers.Dense(2, "softmax", dtype=dtype)
    model = keras.Model(inputs, head(layers.Flatten(dtype=dtype)(inputs)))
    kernel = np.zeros((*SIZE, 3, 2))
    kernel[(*PATCH, slice(None), 0)] = 4 / 255 / 36
    head.set_weights([kernel.reshape(180, 2), np.zeros(2)])
    return model


def noise(count, shape=SIZE, seed=2):
    draw = np.random.default_rng(seed)
    return [draw.integers(60, 256, (*shape, 3), dtype=np.uint8) for _ in range(count)]


def true(shape=SIZE, where=PATCH):
    mask = np.zeros(shape, bool)
    mask[where] = True
    return mask


@pytest.fixture(scope="module")
def study(registry):
    return Study(patch(), preprocess="none", registry=registry)


@pytest.fixture(scope="module")
def narrow(registry):
    return Study(patch("float32"), preprocess="none", registry=registry)


def value(found, metric, row, number=0):
    return list(found.values(metric, row).values())[number]


def test_the_perfect_map_wins_and_the_wrong_patch_loses(study):
    methods = [Planted("wrong"), Planted(), Planted("inverted"), Product()]
    found = study.evaluate(noise(8), methods, LOCAL, 0, masks=[BOX] * 8)
    assert found.failures == ()
    for metric in LOCAL_NAMES:
        ranking = {each.row.name: each for each in found.ranking(metric)}
        assert ranking["planted"].value.mean == 1
        assert ranking["product"].value.mean == 1
        # The peak of the blob in the middle is on the patch.
        is_there = metric == LOCAL_NAMES[0]
        assert ranking["planted"].words == (
            "beats random, edges and uniform; no difference shown to centre-gaussian"
            if is_there
            else "beats random, centre-gaussian, edges and uniform"
        )
        assert ranking["planted(what=wrong)"].value.mean == 0
        assert ranking["planted(what=inverted)"].value.mean == 0
        assert ranking["uniform"].value.mean == pytest.approx(12 / 60)
        assert not ranking["planted(what=wrong)"].beats_all


def test_masks_of_every_kind_are_the_same(study):
    from PIL import Image

    mask = true()
    kinds = [mask, mask.astype(np.float32), Image.fromarray(mask), BOX, (BOX,),
             (Box(2, 1, 6, 3), Box(2, 2, 6, 4))]  # fmt: skip
    found = study.evaluate(noise(6), Product(), RelevanceRank(), 0, masks=kinds)
    for row in ("product", "uniform", "random"):
        alone = study.evaluate(noise(6), Product(), RelevanceRank(), 0, masks=[mask] * 6)
        assert found.values("relevance-rank", row) == alone.values("relevance-rank", row)


def test_one_picture_takes_one_mask_without_a_list(study):
    for mask in (BOX, true()):
        found = study.evaluate(noise(1)[0], Product(), RelevanceMass(), 0, masks=mask)
        assert value(found, "relevance-mass", "product") == 1


def test_a_mask_is_cropped_or_stretched_as_the_picture_is(study):
    """18 x 40 onto 6 x 10: of a crop columns 5 to 35, in blocks of 3 x 3; else all, of 3 x 4."""
    mask = np.zeros((18, 40), bool)
    mask[3:12, 5 + 6 : 5 + 18] = True
    pictures = noise(1, (18, 40))
    crop, stretch = (
        Study(study.model, preprocess="none", fit=fit, registry=study.registry)
        for fit in ("crop", "stretch")
    )
    found = crop.evaluate(pictures, [Planted(), Planted("wrong")], LOCAL, 0, masks=[mask])
    for metric in LOCAL_NAMES:
        assert value(found, metric, "planted") == 1
        assert value(found, metric, "planted(what=wrong)") == 0
        assert value(found, metric, "uniform") == pytest.approx(0.2)
    # Columns 11 to 23 in fours: three quarters of the third column are not in it.
    other = stretch.evaluate(pictures, Planted(), RelevanceMass(), 0, masks=[mask])
    assert value(other, "relevance-mass", "planted") == pytest.approx(3 / 4)
    assert value(other, "relevance-mass", "uniform") == pytest.approx(9 / 60)


def test_one_bad_mask_fails_only_what_needs_it_for_its_picture(study, tmp_path):
    masks = [BOX, tmp_path / "none.png", np.ones((3, 3)), None, np.zeros(SIZE)]
    metrics = [RelevanceMass(), Deletion(steps=5)]
    found = study.evaluate(noise(5), Planted(), metrics, 0, masks=masks)
    assert len(found.measurements) == 5 * 5 * 2
    assert {each.metric for each in found.failures} == {"relevance-mass"}
    assert len(found.failures) == 4 * 5
    told = {each.picture: each.message for each in found.failures}
    assert list(told) == ["array (2)", "array (3)", "array (4)", "array (5)"]
    assert told["array (2)"].startswith("The mask of array (2): There is no file '")
    assert told["array (3)"].startswith("The mask of array (3) is 3 x 3 pixels; expected 10 x 6")
    assert told["array (4)"].startswith("there is no mask of this picture; expected one that says")
    assert told["array (5)"].startswith("The mask of array (5) has 0 object pixels")
    assert len(found.values("deletion(steps=5)", "planted")) == 5
    assert found.notices == ("no mask was given for array (4): metrics that need one fail there",)
    assert not found.is_interrupted


def test_without_masks_the_trial_has_none_and_with_one_it_cannot_be_written_into(study):
    seen = []

    @dataclass(frozen=True)
    class Look(Metric):
        name: ClassVar[str] = "look"
        summary: ClassVar[str] = "keeps the mask"
        higher_is_better: ClassVar[bool] = True
        bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

        def score(self, trial):
            seen.append(trial.mask)
            return Score(0.0)

    mine = true()
    assert study.evaluate(noise(2), Planted(), Look(), 0).notices == ()
    assert seen == [None] * 10
    seen.clear()
    study.evaluate(noise(1), Planted(), Look(), 0, masks=[mine])
    for each in seen:
        np.testing.assert_array_equal(each, true())
        with pytest.raises(ValueError, match="read-only"):
            each[0, 0] = True
    mine[0, 0] = True  # the caller's own is not sealed
    np.testing.assert_array_equal(seen[0], true())


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ([BOX], "received 1 masks for 2 pictures; expected one for each, and None where there is "
                "none. Put several boxes of one picture into a tuple of their own"),
        (BOX, "received 1 masks for 2 pictures"),
        ([None] * 3, "received 3 masks for 2 pictures"),
        ([], "received no masks; expected at least one"),
    ],
)  # fmt: skip
def test_a_wrong_count_is_refused_before_anything_is_run(study, masks, message):
    with pytest.raises(UsageError) as caught:
        study.evaluate(noise(2), Planted(), RelevanceMass(), 0, masks=masks)
    assert message in str(caught.value)


# ------------------------------------------------------------------------------- mosaics


@pytest.fixture(scope="module")
def colours(registry):
    """Four classes: red, green, blue, and none of them."""
    inputs = keras.Input((*SIZE, 3))
    head = layers.Dense(4, "softmax")
    model = keras.Model(inputs, head(layers.Flatten()(inputs)))
    kernel = np.zeros((*SIZE, 3, 4))
    for channel in range(3):
        kernel[..., channel, channel] = 8 / 255 / 60
    head.set_weights([kernel.reshape(180, 4), np.asarray([0, 0, 0, 1.0])])
    return Study(model, preprocess="none", registry=registry)


def painted():
    """Two of each class, not all alike."""
    found = []
    for strength in (255, 200):
        for channel in range(4):
            pixels = np.zeros((*SIZE, 4), np.uint8)
            pixels[..., channel] = strength
            pixels[0, 0] = 9
            found.append(np.ascontiguousarray(pixels[..., :3]))
    return found


def test_a_mosaic_has_its_class_in_one_cell(colours):
    pictures = [each for number, each in enumerate(painted()) if number % 4 < 3]
    pictures.append(painted()[3])
    methods = [Product(), Product(factor=-1.0)]
    found = colours.evaluate(pictures, methods, GridPointingGame())
    assert found.failures == ()
    for number in range(6):
        # Of the other three pictures, each has one pixel of 9 in its corner.
        assert value(found, "grid-pointing-game", "product", number) > 0.99
        assert value(found, "grid-pointing-game", "product(factor=-1.0)", number) == 0
        assert value(found, "grid-pointing-game", "uniform", number) == pytest.approx(1 / 4)
        assert 0.05 < value(found, "grid-pointing-game", "random", number) < 0.5
    one = found.measurements[0]
    assert (one.maps, one.asked) == (1, 1)
    # z = 8 x 255 / 255 / 4 of its own and about as much of each other; 1 of none of them.
    own, none = np.exp(2), np.exp(1)
    assert one.score.facts["probability of the class for the mosaic"] == pytest.approx(
        own / (3 * own + none), rel=0.3
    )


def test_too_few_classes_for_a_mosaic_are_told(colours):
    found = colours.evaluate(painted()[:3], Product(), [GridPointingGame(), Deletion(steps=3)])
    assert {each.message for each in found.failures} == {
        "3 other pictures of classes of their own are asked for, and the evaluation has 2; "
        "expected more pictures, of more classes"
    }
    assert len(found.failures) == 3 * 5


# ---------------------------------------------------------------------- noise and float64


def test_sensitivity_is_what_the_noise_of_the_trial_does(study):
    """The map is w x: the distance is that of the noise, summed over channels, in the patch."""
    pictures = noise(3)
    found = study.evaluate(pictures, [Product(), Planted()], MaxSensitivity(), 0)
    for number, pixels in enumerate(pictures):
        (one,) = [
            each for each in found.measurements
            if each.row == "product" and each.picture == found.pictures[number]
        ]  # fmt: skip
        drawn = np.random.default_rng(one.seed).uniform(-5, 5, (10, *SIZE, 3))
        noisy = np.clip(pixels + drawn, 0, 255)
        moved, own = (each[..., *PATCH, :].sum(axis=-1) for each in (noisy - pixels, 1.0 * pixels))
        expected = np.sqrt((moved**2).sum(axis=(1, 2)).max() / (own**2).sum())
        assert one.score.value == pytest.approx(expected, rel=1e-6)
        assert value(found, "max-sensitivity", "planted", number) == 0
        assert value(found, "max-sensitivity", "uniform", number) == 0
        assert value(found, "max-sensitivity", "random", number) > 0.5


def test_a_map_that_moves_with_the_picture_is_more_stable_than_noise(study):
    found = study.evaluate(noise(6), [Red()], Stability(shift=2), 0)
    for each in found.measurements:
        facts = each.score.facts
        if each.row == "red":
            assert [facts[name] for name in facts if name != "JPEG"] == [1] * 4
            assert facts["JPEG"] > 0.2
        if each.row == "uniform":
            assert each.score.value == 1
    ranking = {each.row.name: each for each in found.ranking("stability(shift=2)")}
    assert abs(ranking["random"].value.mean) < 0.1
    assert ranking["red"].words.startswith("beats random")


def test_maps_of_changed_pictures_are_made_in_one_pass_for_all_methods(study, monkeypatch):
    passes = []
    compare = Study.compare

    def counted(self, pictures, methods, *args, **kwargs):
        passes.append((len(pictures), len(methods)))
        return compare(self, pictures, methods, *args, **kwargs)

    monkeypatch.setattr(Study, "compare", counted)
    metrics = [MaxSensitivity(samples=4), Stability(shift=1)]
    methods = (Product(), Product(factor=2.0), Red())
    found = study.evaluate(noise(1), methods, metrics, 0)
    assert found.failures == ()
    assert passes == [(4, 3), (5, 3)]
    by_row = {each.row: each.score.value for each in found.measurements[:6:2]}
    assert by_row["product"] == pytest.approx(by_row["product(factor=2.0)"], rel=1e-6)


def test_the_exact_map_wins_and_the_rounded_loses(narrow):
    found = narrow.evaluate(noise(6), [Narrow(), Product()], Float64Distance(), 0)
    assert found.failures == ()
    for number in range(6):
        rounded = value(found, "float64-distance", "narrow", number)
        exact = value(found, "float64-distance", "product", number)
        assert exact < 1e-6
        assert 1e-5 < rounded <= 2**-11 * 1.01
        assert {value(found, "float64-distance", row, number) for row in REFERENCES} == {0}
    assert found.ranking("float64-distance")[-1].row.name == "narrow"
