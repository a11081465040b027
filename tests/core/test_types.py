"""What flows out of a study: found again by name, saved whole, and told in full."""

import json
import re
from dataclasses import FrozenInstanceError, dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from typing import ClassVar

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

import xai_plugins
from xai_core import Explainer, Needs, Study
from xai_core.errors import ExplainerError, UsageError
from xai_core.models import hash_weights
from xai_core.registry import Plugin, Registry, Source
from xai_core.types import (
    ClassScore,
    Comparison,
    Explanation,
    Failure,
    GradientHealth,
    MapWarning,
    Method,
    Prediction,
    Target,
    short_layer,
    short_number,
)

PICTURE = np.random.default_rng(2).integers(0, 256, (9, 14, 3), np.uint8)


@dataclass(frozen=True)
class Weighted(Explainer):
    """Has parameters, which its provenance must hold."""

    name: ClassVar[str] = "weighted"
    needs: ClassVar[Needs] = Needs.ACTIVATIONS | Needs.INPUT_GRADIENTS
    signed: ClassVar[bool] = True
    gain: float = 2.0
    keep: str = "all"

    def explain(self, evidence):
        return self.gain * keras.ops.sum(evidence.activations, axis=-1)


@lru_cache
def model() -> keras.Model:
    keras.utils.set_random_seed(7)
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="features")(inputs)
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x), name="mine")


@lru_cache
def study(**settings) -> Study:
    registry = Registry([Plugin(Source("xai-core", "0"), xai_plugins)])
    return Study(model(), labels=("cat", "dog", "hare"), registry=registry, **settings)


@lru_cache
def explained() -> Explanation:
    return study(preprocess="tf").explain(PICTURE, Weighted(gain=3.0), target="dog")


def cell(**changes) -> Explanation:
    return replace(explained(), **changes)


def failed(**changes) -> Failure:
    fields = {
        "model": "mine",
        "picture": "array",
        "method": Method("lime", {}, True, "other 2"),
        "layer": None,
        "target": Target(1, "dog", "dog"),
        "error": ExplainerError("explainer 'lime' of other 2 raised ValueError: no luck"),
    }
    return Failure(**{**fields, **changes})


# ---------------------------------------------------------------------------- provenance


def test_the_provenance_has_all_that_makes_the_map_again():
    told = explained().provenance
    assert told["model"] == "mine"
    assert told["model_source"] == "in memory"
    assert told["weights"] == "its own"
    assert told["weights_sha256"] == hash_weights(model())
    assert told["weights_changed"] is False
    assert told["adapter"] == "generic"
    assert told["layer"] == "features"
    assert told["method"] == "weighted"
    assert told["method_source"] == f"module {__name__}"
    assert told["parameters"] == {"gain": 3.0, "keep": "all"}
    assert told["signed"] is True
    assert told["target"] == {"index": 1, "label": "dog", "asked": "dog"}
    assert told["score_kind"] == "logit"
    assert told["score"] == explained().score
    assert told["probability"] == explained().probability
    assert told["picture"] == "array"
    assert re.fullmatch("[0-9a-f]{64}", told["picture_sha256"])
    assert told["picture_sha256"] == explained().picture.sha256
    assert told["picture_notes"] == []
    assert told["picture_size"] == [9, 14]
    assert told["region"] == {"left": 0, "top": 0, "width": 14, "height": 9}
    assert told["preprocessing"] == "tf"
    assert told["preprocessing_reason"] == "as asked for"
    assert (told["input_size"], told["channels"], told["fit"]) == ([8, 8], 3, "stretch")
    assert told["input_dtype"] == "float32"
    assert told["warnings"] == []
    assert told["versions"]["xai-core"] == version("xai-core")
    assert told["versions"]["keras"] == keras.__version__
    assert told["versions"]["numpy"] == np.__version__
    assert {"python", keras.backend.backend(), "pillow"} <= set(told["versions"])


def test_the_provenance_tells_warnings_and_which_score():
    guessed = study(score="probability").explain(PICTURE, "saliency").provenance
    assert guessed["score_kind"] == "probability"
    assert guessed["layer"] is None
    assert guessed["target"]["asked"] == "predicted"
    assert [warning["kind"] for warning in guessed["warnings"]] == ["guessed-preprocessing"]
    assert set(guessed["warnings"][0]) == {"kind", "message"}


def test_weights_that_have_changed_are_never_told_under_the_old_hash():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4, 4, 3))
    mine = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layers.Conv2D(2, 3)(inputs))))
    registry = Registry([Plugin(Source("xai-core", "0"), xai_plugins)])
    fresh = Study(mine, preprocess="none", registry=registry)
    first, second = (fresh.explain(PICTURE, "saliency", target=0) for _ in range(2))
    sha256 = hash_weights(mine)
    assert (first.provenance["weights_sha256"], first.provenance["weights_changed"]) == (
        sha256,
        False,
    )
    mine.set_weights([2 * weight for weight in mine.get_weights()])
    assert (second.provenance["weights_sha256"], second.provenance["weights_changed"]) == (
        None,
        True,
    )


def test_an_explanation_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        explained().map = np.zeros((2, 2))
    with pytest.raises(ValueError, match="read-only"):
        explained().map[0, 0] = 1


# -------------------------------------------------------------------------------- saved


def test_an_archive_has_the_raw_map_and_its_provenance(tmp_path):
    path = explained().save(tmp_path / "cat.npz")
    assert path == tmp_path / "cat.npz"
    with np.load(path, allow_pickle=False) as archive:
        assert sorted(archive) == ["map", "metadata"]
        np.testing.assert_array_equal(archive["map"], explained().map)
        assert archive["map"].dtype == np.float32
        assert archive["map"].shape == (4, 4)  # the method's own resolution
        assert json.loads(str(archive["metadata"])) == explained().provenance


def test_a_map_is_made_again_from_its_archive(tmp_path):
    model().save(tmp_path / "mine.keras")
    Image.fromarray(PICTURE).save(tmp_path / "cat.png")
    registry = Registry([Plugin(Source("xai-core", "0"), xai_plugins)])
    first = Study(tmp_path / "mine.keras", preprocess="caffe", fit="crop", registry=registry)
    first.explain(tmp_path / "cat.png", "grad-cam").save(tmp_path / "cat.npz")
    with np.load(tmp_path / "cat.npz", allow_pickle=False) as archive:
        raw, told = archive["map"], json.loads(str(archive["metadata"]))

    again = Study(
        told["model_source"],
        adapter=told["adapter"],
        preprocess=told["preprocessing"],
        fit=told["fit"],
        score=told["score_kind"],
        layer=told["layer"],
        registry=registry,
    )
    method = replace(registry.explainer(told["method"]), **told["parameters"])
    made = again.explain(tmp_path / told["picture"], method, target=told["target"]["index"])
    np.testing.assert_array_equal(made.map, raw)
    assert made.provenance["weights_sha256"] == told["weights_sha256"]
    assert made.provenance["picture_sha256"] == told["picture_sha256"]


def test_a_map_of_float64_is_saved_as_such(tmp_path):
    raw = np.array([[1 / 3, 0.1]])
    with np.load(cell(map=raw).save(tmp_path / "a.npz"), allow_pickle=False) as archive:
        assert archive["map"].dtype == np.float64
        np.testing.assert_array_equal(archive["map"], raw)


def test_an_overlay_is_saved_at_the_pictures_size(tmp_path):
    path = explained().save(str(tmp_path / "new folder" / "cat.png"))
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.size == (14, 9)
        np.testing.assert_array_equal(np.asarray(image), np.asarray(explained().overlay()))


@pytest.mark.parametrize("name", ["cat.jpg", "cat.svg", "cat", "npz", ".png", "cat.npz.gz"])
def test_an_explanation_in_another_format(tmp_path, name):
    with pytest.raises(UsageError) as caught:
        explained().save(tmp_path / name)
    assert str(caught.value) == (
        f"cannot save an explanation as {name!r}; expected a name that ends in .npz (the raw map) "
        "or .png (the overlay)"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_comparison_in_every_format(tmp_path):
    comparison = Comparison((cell(), failed(), cell(map=np.ones((2, 3), np.float32))))
    for name, start in (
        ("a.png", b"\x89PNG"),
        ("a.svg", b"<?xml"),
        ("a.pdf", b"%PDF"),
        ("a.npz", b"PK"),
    ):
        assert comparison.save(tmp_path / name).read_bytes().startswith(start)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert sorted(archive) == ["map_0", "map_1", "metadata"]  # what failed left no map
        np.testing.assert_array_equal(archive["map_1"], np.ones((2, 3)))
        told = json.loads(str(archive["metadata"]))
    assert [each["method"] for each in told] == ["weighted", "weighted"]
    assert told[0] == explained().provenance


def test_drawing_is_passed_on(tmp_path):
    comparison = Comparison((cell(), cell(map=np.ones((2, 3), np.float32))))
    plain = comparison.save(tmp_path / "plain.png").read_bytes()
    assert comparison.save(tmp_path / "other.png", colour_map="jet").read_bytes() != plain
    (tmp_path / "plain.png").write_bytes(b"old")
    with pytest.raises(UsageError, match="no colour map is called 'rainbows'"):
        comparison.save(tmp_path / "plain.png", colour_map="rainbows")
    assert (tmp_path / "plain.png").read_bytes() == b"old"


@pytest.mark.parametrize("name", ["many.jpg", "many", ".npz"])
def test_a_comparison_in_another_format(tmp_path, name):
    with pytest.raises(UsageError) as caught:
        Comparison((cell(),)).save(tmp_path / name)
    assert str(caught.value).startswith(f"cannot save a comparison as {name!r}; expected a name ")
    assert list(tmp_path.iterdir()) == []


# ----------------------------------------------------------------------- found by name


def grid() -> Comparison:
    other = replace(explained().picture, name="dog.png", file_sha256="1")
    predictions = tuple(
        Prediction(name, picture, (), (), "tf")
        for name in ("mine", "theirs")
        for picture in (explained().picture, other)
    )
    return Comparison(
        (
            cell(),
            cell(target=Target(2, "hare", "rank 2"), layer="other"),
            cell(method=Method("saliency", {}, False, "x 1"), layer=None),
            cell(model="theirs"),
            cell(picture=other),
            failed(),
            failed(picture="dog.png", model="theirs"),
        ),
        predictions,
    )


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ({}, [0, 1, 2, 3, 4, 5, 6]),
        ({"method": "weighted"}, [0, 1, 3, 4]),
        ({"method": "lime"}, [5, 6]),
        ({"method": "weigh"}, []),
        ({"model": "theirs"}, [3, 6]),
        ({"picture": "dog.png"}, [4, 6]),
        ({"layer": "other"}, [1]),
        ({"target": 2}, [1]),
        ({"target": "hare"}, [1]),
        ({"target": "rank 2"}, [1]),
        ({"target": 1, "method": "weighted", "model": "mine", "picture": "array"}, [0]),
        ({"target": "dog", "method": "saliency"}, [2]),
        ({"target": 9}, []),
    ],
)
def test_a_part_of_a_comparison(wanted, places):
    whole = grid()
    part = whole.select(**wanted)
    assert [id(each) for each in part.cells] == [id(whole.cells[place]) for place in places]


def test_a_part_has_the_predictions_of_its_models_and_pictures():
    whole = grid()
    assert len(whole.select(method="lime").predictions) == 4
    assert [p.model for p in whole.select(model="theirs").predictions] == ["theirs", "theirs"]
    (one,) = whole.select(model="mine", picture="dog.png").predictions
    assert (one.model, one.picture.name) == ("mine", "dog.png")


def test_one_map_by_method_and_target():
    whole = Comparison((cell(), cell(target=Target(2, "hare", "rank 2")), failed()))
    assert whole["weighted", 1] is whole.cells[0]
    assert whole["weighted", np.int64(2)] is whole.cells[1]
    assert whole["weighted", "hare"] is whole["weighted", "rank 2"] is whole.cells[1]


def test_no_map_or_several():
    whole = grid()
    with pytest.raises(KeyError) as caught:
        whole["weighted", 1]
    assert caught.value.args == (
        "3 maps for ('weighted', 1); expected one. Narrow them down with select(), or take one "
        "of ('weighted', 1), ('weighted', 2), ('saliency', 1), ('weighted', 1), ('weighted', 1), "
        "('lime', 1), ('lime', 1)",
    )
    with pytest.raises(KeyError, match=r"0 maps for \('grad-cam', 1\); expected one\. Narrow"):
        whole["grad-cam", 1]


def test_a_map_that_failed_says_how():
    assert failed().message == "explainer 'lime' of other 2 raised ValueError: no luck"
    with pytest.raises(ExplainerError, match=r"^explainer 'lime' of other 2 raised ValueError: no"):
        Comparison((cell(), failed()))["lime", "dog"]


def test_only_what_was_made_is_iterated():
    whole = grid()
    assert len(whole) == 5
    assert list(whole) == list(whole.cells[:5])
    assert whole.failures == whole.cells[5:]
    assert len(Comparison(())) == 0


# -------------------------------------------------------------------------------- in words


def test_targets_in_words():
    assert str(Target(285, "Egyptian cat", "cat")) == "285 Egyptian cat"
    assert str(Target(3, None, "3")) == "class 3"
    assert str(Target(-2, None, "rank 2")) == "rank 2"
    assert ClassScore(285, "Egyptian cat", 0.4, 9.1).title == "285 Egyptian cat"
    assert ClassScore(3, None, 0.4, 9.1).title == "class 3"


def test_a_target_answers_to_its_index_its_name_and_what_was_asked():
    target = Target(285, "Egyptian cat", "predicted")
    for asked in (285, "Egyptian cat", "predicted"):
        assert target.answers_to(asked)
    for asked in (284, "285", "egyptian cat", "cat", ""):
        assert not target.answers_to(asked)


def test_methods_and_warnings_in_words():
    assert str(Method("saliency", {}, False, "x 1")) == "saliency"
    # What is at its default is not said.
    assert str(explained().method) == "weighted(gain=3.0)"
    assert explained().method.parameters == {"gain": 3.0, "keep": "all"}
    assert str(MapWarning("all-zero", "nothing is left")) == "all-zero: nothing is left"
    health = GradientHealth("ACTIVATION_GRADIENTS", 0.0123, 0.001, 0.25, 0.5)
    assert str(health) == (
        "gradient at the layer: 25% zeros, largest 0.012, mean 0.001, probability 50% saturated"
    )
    assert str(replace(health, gradient="INPUT_GRADIENTS")).startswith("gradient at the input: ")


def test_facts_in_few_words():
    facts = {
        "standard error": 0.0123,
        "completeness gap": 0.3596,
        "change of the score": -8.8318,
        "queries": 4000.0,
        "correlation with the mean": 0.924,
        "rectifiers replaced": 33.0,
        "{r2}": float("nan"),
    }
    assert cell(facts=facts).told == (
        "± 0.0123",
        "gap 0.36",
        "change -8.83",
        "correlation 0.924",
        "ReLUs replaced 33",
        "{r2} nan",
    )


def test_a_count_keeps_its_digits():
    assert [short_number(n) for n in (0, -3.0, 12345, 0.5, 1234.5, 1e12, float("inf"))] == [
        *("0", "-3", "12345", "0.5", "1.23e+03", "1e+12", "inf"),
    ]


def test_layers_in_few_words():
    told = [short_layer(layer) for layer in (None, "one", "a + b", "a/x + b/y + c/z")]
    assert told == ["", "one", "2 layers, a to b", "3 layers, a/x to c/z"]


def test_the_range_is_that_of_the_finite_values():
    holes = cell(map=np.asarray([[np.nan, np.inf], [-2, 3]], np.float32))
    assert (holes.extent, holes.fault) == ((-2.0, 3.0), None)
    message = "1 of the 1 values that 'lime' of mine 1 returned are NaN or infinite"
    kinds = (MapWarning("random-weights", "why"), MapWarning("non-finite", message))
    nothing = cell(map=np.full((1, 1), np.nan), warnings=kinds)
    assert (nothing.extent, nothing.fault) == (None, message)
    assert replace(nothing, warnings=()).fault == "no value of the map is finite"


@dataclass(frozen=True)
class Tilted(Weighted):
    poles: ClassVar[tuple[str, str]] = ("raises", "lowers")


def test_what_the_signs_say_is_known_and_changes_nothing():
    assert explained().method.poles == ("for", "against")
    tilted = study(preprocess="tf").explain(PICTURE, Tilted(), target=0).method
    assert tilted.poles == ("raises", "lowers")
    assert tilted == replace(tilted, poles=("for", "against"))
    assert "poles" not in explained().provenance


@pytest.mark.parametrize(
    ("name", "poles"),
    [
        ("eigen-cam", ("with the mean", "against the mean")),
        ("eigen-grad-cam", ("with the mean", "against the mean")),
        ("saliency", ("raises", "lowers")),
        ("smoothgrad", ("raises", "lowers")),
        ("guided-backprop", ("above 0", "below 0")),
        ("deconvnet", ("above 0", "below 0")),
        ("guided-grad-cam", ("above 0", "below 0")),
        ("hirescam", ("for", "against")),
        ("integrated-gradients", ("for", "against")),
    ],
)
def test_only_contributions_are_for_or_against_the_class(name, poles):
    assert study(preprocess="tf").registry.explainers[name].item.poles == poles


def test_a_prediction_as_json():
    made = study(preprocess="tf").predict(PICTURE, top=2)
    told = json.loads(json.dumps(made.as_dict()))
    assert (told["model"], told["picture"], told["preprocessing"]) == ("mine", "array", "tf")
    assert told["picture_sha256"] == explained().picture.sha256
    assert told["picture_notes"] == told["warnings"] == []
    assert len(told["classes"]) == 2
    assert set(told["classes"][0]) == {"index", "label", "probability", "logit"}
    assert told["classes"][0]["probability"] >= told["classes"][1]["probability"]
