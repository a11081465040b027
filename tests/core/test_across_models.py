"""One picture through several models."""

import keras
import numpy as np
import pytest

import xai_core as xai
from xai_core.errors import UnknownNameError, UsageError
from xai_core.types import Failure


def make_model(name, seed, classes=3):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((10, 14, 3)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(classes),
        ],
        name=name,
    )


@pytest.fixture
def picture():
    return np.random.default_rng(1).integers(0, 256, (10, 14, 3), dtype=np.uint8)


def test_each_model_gives_its_own_maps(registry, picture):
    models = [make_model("one", 1), make_model("two", 2)]
    many = xai.compare(picture, models, ["grad-cam"], [0, 1], registry=registry, preprocess="unit")
    assert [(c.model, c.target.index) for c in many.cells] == [
        ("one", 0), ("one", 1), ("two", 0), ("two", 1)
    ]  # fmt: skip
    for model in models:
        study = xai.Study(model, registry=registry, preprocess="unit")
        for cell in many.select(model=model.name).cells:
            alone = study.explain(picture, target=cell.target.index)
            np.testing.assert_array_equal(cell.map, alone.map)
    assert [each.model for each in many.predictions] == ["one", "two"]


def test_a_model_that_fails_leaves_the_others(registry, picture):
    models = [make_model("wide", 1, classes=5), "missing.keras", make_model("narrow", 2)]
    many = xai.compare(
        picture, models, ["grad-cam", "saliency"], [4], registry=registry, preprocess="unit"
    )
    assert [(c.model, type(c) is Failure) for c in many.cells] == [
        ("wide", False), ("wide", False), ("missing.keras", True), ("missing.keras", True),
        ("narrow", True), ("narrow", True),
    ]  # fmt: skip
    assert "'missing.keras' is not there" in many.cells[2].message
    assert "received class 4; expected 0 to 2" in many.cells[4].message
    assert sum(bool(axes.images) for axes in many.figure().axes) == 3


def test_the_only_model_that_fails_is_an_error(registry, picture):
    with pytest.raises(UnknownNameError, match="no model is called 'vgg17'"):
        xai.compare(picture, ["vgg17"], registry=registry)


def test_no_models(registry, picture):
    with pytest.raises(UsageError, match="received no models; expected at least one"):
        xai.compare(picture, [], registry=registry)


def test_models_of_one_name_are_told_apart(registry, picture):
    models = [make_model("same", 1), make_model("same", 2)]
    many = xai.compare(picture, models, "grad-cam", [0], registry=registry, preprocess="unit")
    assert [cell.model for cell in many.cells] == ["same", "same (2)"]
    assert [each.model for each in many.predictions] == ["same", "same (2)"]
    alone = xai.Study(models[1], registry=registry, preprocess="unit").explain(picture, target=0)
    np.testing.assert_array_equal(many.cells[1].map, alone.map)
