"""Predicted against expected, on a model whose answer is known."""

from dataclasses import dataclass
from typing import ClassVar

import keras
import numpy as np
import pytest

from xai_core import Explainer, Needs, Study
from xai_core.errors import ExplainerError, TargetError


@dataclass(frozen=True)
class _Breaks(Explainer):
    name: ClassVar[str] = "breaks"
    needs: ClassVar[Needs] = Needs.NOTHING

    def explain(self, evidence):
        raise RuntimeError("on purpose")


def model_of_two_halves():
    """Class 0 reads red, class 1 reads blue, class 2 nothing; all by their mean."""
    inputs = keras.Input((6, 12, 3))
    x = keras.layers.Conv2D(3, 1, use_bias=False, name="colours")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", use_bias=False)(x))
    kernel = np.zeros((3, 3))
    kernel[0, 0] = kernel[2, 1] = 1
    model.set_weights([np.eye(3)[None, None], kernel])
    return model


def red_left_blue_right():
    picture = np.zeros((6, 12, 3), np.uint8)
    picture[:, :4, 0] = 200
    picture[:, 8:, 2] = 100
    return picture


@pytest.fixture
def study(registry):
    return Study(
        model_of_two_halves(), registry=registry, preprocess="none", labels=["red", "blue", "none"]
    )


def test_maps_scores_and_difference(study):
    found = study.expect(red_left_blue_right(), "blue")
    assert (found.predicted.target.label, found.expected.target.label) == ("red", "blue")
    assert found.predicted.score == pytest.approx(200 / 3)
    assert found.expected.score == pytest.approx(100 / 3)
    # Grad-CAM of GAP + Dense: A W_c / Z, with Z = 72 places.
    np.testing.assert_allclose(found.difference.map[:, :4], 200 / 72, rtol=1e-6)
    np.testing.assert_allclose(found.difference.map[:, 4:8], 0)
    np.testing.assert_allclose(found.difference.map[:, 8:], -100 / 72, rtol=1e-6)
    assert found.difference.method.signed
    assert found.overlap == 0


def test_where_they_part(study):
    words = str(study.expect(red_left_blue_right(), "blue"))
    assert words.startswith("the model says 0 red (logit 66.67, p = 1.000); expected was 1 blue")
    assert "0% of their evidence lies at the same places" in words
    assert "They part most in the upper left, which speaks for 0 red" in words
    assert "in the upper right, which speaks for 1 blue" in words


def test_the_same_class(study):
    assert str(study.expect(red_left_blue_right(), 0)).endswith("they are the same class")


def test_all_overlaps_with_itself(study):
    assert study.expect(red_left_blue_right(), 0).overlap == pytest.approx(1)


def test_an_expected_class_without_evidence(study):
    found = study.expect(red_left_blue_right(), "none")
    assert [warning.kind for warning in found.expected.warnings] == [
        "vanished-gradients",
        "all-zero",
    ]
    np.testing.assert_array_equal(found.difference.map, found.predicted.map)


def test_figure_has_the_picture_and_three_maps(study):
    figure = study.expect(red_left_blue_right(), "blue").figure()
    assert sum(bool(axes.images) for axes in figure.axes) == 4


def test_unknown_class(study):
    with pytest.raises(TargetError, match="no class is called 'green'"):
        study.expect(red_left_blue_right(), "green")


def test_a_method_that_fails_is_an_error(study):
    with pytest.raises(ExplainerError, match="raised RuntimeError: on purpose"):
        study.expect(red_left_blue_right(), "blue", method=_Breaks())
