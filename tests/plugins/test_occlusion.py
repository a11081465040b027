"""Occlusion: numbers worked out by hand, and linear models, on which it is exact."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from xai_core import Evidence, Needs, Study
from xai_core.errors import ExplainerError, ParameterError
from xai_plugins.perturbation import Occlusion


class Oracle:
    """Answers by a function of one picture, and keeps what was asked."""

    def __init__(self, score, black):
        self.score, self._black, self.asked = score, black, []

    def scores(self, images, targets):
        images = ops.convert_to_numpy(images)
        self.asked.extend(images)
        return ops.convert_to_tensor([self.score(image) for image in images], "float64")

    def black(self):
        return self._black


def evidence_for(inputs, score, black=0.0):
    """On pictures (N, H, W, C), with a score that is a function of one of them."""
    return Evidence(
        explainer="occlusion",
        declared=Needs.QUERIES,
        inputs=ops.convert_to_tensor(inputs, "float64"),
        pixels=inputs,
        targets=np.zeros(len(inputs), np.int32),
        score=np.asarray([score(each) for each in inputs]),
        readings={},
        oracle=Oracle(score, ops.full((1, *inputs.shape[1:]), black, "float64")),
    )


def explained(explainer, evidence):
    return ops.convert_to_numpy(explainer.explain(evidence).maps)


def test_windows_that_overlap_by_hand():
    # S is the sum. Two windows of 2 x 2: columns 0 and 1 take 1 + 2 + 4 + 5 = 12 away, columns
    # 1 and 2 take 2 + 3 + 5 + 6 = 16. Spread over 4 pixels: 3 and 4, and between them the mean.
    picture = np.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).reshape(1, 2, 3, 1)
    evidence = evidence_for(picture, np.sum)
    found = explained(Occlusion(window=2, stride=1), evidence)
    np.testing.assert_array_equal(found, [[[3.0, 3.5, 4.0]] * 2])
    asked = np.asarray(evidence.oracle.asked)[..., 0]
    np.testing.assert_array_equal(asked, [[[0, 0, 3], [0, 0, 6]], [[1, 0, 0], [4, 0, 0]]])


def test_the_last_window_lies_against_the_border():
    # Of 5 columns, windows of 2 a stride of 2 apart begin at 0, 2 and 3, not at 4.
    picture = np.asarray([1.0, 2.0, 4.0, 8.0, 16.0]).reshape(1, 1, 5, 1)
    found = explained(Occlusion(window=2, stride=2), evidence_for(picture, np.sum))
    # The height is 1, so a window has two pixels: 3 / 2, 12 / 2, 24 / 2; column 3 is in two.
    np.testing.assert_array_equal(found, [[[1.5, 1.5, 6.0, 9.0, 12.0]]])


def test_the_drop_is_signed_and_black_is_what_the_model_is_fed_for_it():
    # Black is -1: what covers adds -1 -1 in the place of 3 and -2, so the score drops by 3.
    picture = np.asarray([3.0, -2.0]).reshape(1, 1, 2, 1)
    found = explained(Occlusion(window=2), evidence_for(picture, np.sum, black=-1.0))
    np.testing.assert_array_equal(found, [[[1.5, 1.5]]])
    turned = explained(Occlusion(window=2), evidence_for(picture, lambda x: -x.sum(), black=-1.0))
    np.testing.assert_array_equal(turned, -found)


def test_the_picture_is_untouched_outside_the_window():
    # Bit for bit, where black + (x - black) rounds: 0.1 is not -3e8 + (0.1 + 3e8).
    picture = np.full((1, 3, 4, 2), 0.1)
    evidence = evidence_for(picture, np.sum, black=-3e8)
    Occlusion(window=1, stride=1).explain(evidence)
    covered = np.asarray(evidence.oracle.asked) == -3e8
    assert covered.sum() == 12 * 2
    assert (np.asarray(evidence.oracle.asked)[~covered] == 0.1).all()


@pytest.mark.parametrize(
    ("size", "windows"), [((14, 14), 13 * 13), ((14, 30), 13 * 29), ((3, 5), 3 * 5)]
)
def test_by_default_a_window_is_a_seventh_of_the_shorter_side(size, windows):
    # 14 / 7 = 2 with a stride of 1, as 224 / 7 = 32 with one of 16: 13 positions along 14.
    evidence = evidence_for(np.ones((1, *size, 1)), np.sum)
    Occlusion().explain(evidence)
    assert len(evidence.oracle.asked) == windows


def test_a_stride_alone_sets_the_window_too():
    evidence = evidence_for(np.ones((1, 8, 12, 1)), np.sum)
    found = explained(Occlusion(stride=4), evidence)
    assert len(evidence.oracle.asked) == 2 * 3
    np.testing.assert_array_equal(found, np.ones((1, 8, 12)))


def test_too_many_windows_are_counted_and_not_asked_about():
    evidence = evidence_for(np.ones((1, 40, 50, 1)), np.sum)
    with pytest.raises(ExplainerError) as caught:
        Occlusion(window=3, stride=1, budget=1823).explain(evidence)
    assert str(caught.value) == (
        "occlusion: received a window of 3 and a stride of 1 for an input of 40x50, which makes "
        "1,824 windows; expected at most budget 1,823. Raise the stride, or the budget."
    )
    assert not evidence.oracle.asked
    Occlusion(window=3, stride=1, budget=1824).explain(evidence)


def test_a_stride_that_leaves_gaps_is_an_error():
    with pytest.raises(ParameterError, match="received stride 9 and window 8; expected a stride"):
        Occlusion(window=8, stride=9)


def test_a_map_does_not_depend_on_its_batch_neighbours():
    pictures = np.random.default_rng(1).normal(size=(3, 5, 7, 3))
    together = explained(Occlusion(window=3, stride=2), evidence_for(pictures, _bent))
    for number, one in enumerate(together):
        alone = evidence_for(pictures[number : number + 1], _bent)
        np.testing.assert_array_equal(one, explained(Occlusion(window=3, stride=2), alone)[0])


def _bent(picture):
    return np.tanh(picture).sum() ** 2


@pytest.fixture(scope="module")
def linear(registry):
    model = keras.Sequential(
        [
            keras.Input((8, 12, 3), dtype="float64"),
            layers.Flatten(dtype="float64"),
            layers.Dense(4, activation="softmax", dtype="float64"),
        ]
    )
    rng = np.random.default_rng(5)
    kernel = rng.normal(size=(8 * 12 * 3, 4))
    model.layers[-1].set_weights([kernel, rng.normal(size=4)])
    picture = rng.integers(0, 256, (8, 12, 3), dtype=np.uint8)
    # By "tf" the model is fed x / 127.5 - 1, and -1 for black: what a pixel adds over black.
    added = (picture / 127.5)[..., None] * kernel.reshape(8, 12, 3, 4)
    return Study(model, preprocess="tf", registry=registry), picture, added.sum(axis=2)


@pytest.mark.parametrize("target", [0, 3])
def test_on_a_linear_model_windows_side_by_side_are_exact(linear, target):
    study, picture, added = linear
    one = study.explain(picture, Occlusion(window=4, stride=4), target=target)
    expected = added[..., target].reshape(2, 4, 3, 4).sum(axis=(1, 3))
    found = one.map.reshape(2, 4, 3, 4)
    np.testing.assert_allclose(found.sum(axis=(1, 3)), expected, rtol=1e-11)
    np.testing.assert_allclose(one.map.sum(), added[..., target].sum(), rtol=1e-11)
    np.testing.assert_allclose(np.ptp(found, axis=(1, 3)), 0, atol=1e-15)
    assert one.facts == {"queries": 6}


def test_windows_of_one_pixel_are_exact_at_each_place_and_say_so(linear):
    study, picture, added = linear
    method = Occlusion(window=1)
    one = study.explain(picture, method, target=1)
    np.testing.assert_allclose(one.map, added[..., 1], atol=1e-12)
    assert "LINEAR_MODEL" in str(method.laws)
    assert "LINEAR_MODEL" not in str(Occlusion(window=1, baseline="mean").laws)


def test_a_window_larger_than_the_picture_is_cut_and_leaves_a_uniform_map(linear):
    study, picture, added = linear
    one = study.explain(picture, Occlusion(window=500, stride=7), target=2)
    np.testing.assert_allclose(one.map, added[..., 2].mean(), rtol=1e-12)
    assert [warning.kind for warning in one.warnings] == ["uniform"]


def test_another_baseline_covers_with_it(linear):
    # The picture's mean colour: a window loses what its pixels differ from it.
    study, picture, _ = linear
    one = study.explain(picture, Occlusion(window=1, baseline="mean"), target=0)
    kernel = study.model.layers[-1].get_weights()[0][:, 0].reshape(8, 12, 3)
    fed = picture / 127.5 - 1
    expected = ((fed - fed.mean(axis=(0, 1))) * kernel).sum(axis=-1)
    np.testing.assert_allclose(one.map, expected, atol=1e-12)
    noisy = [
        study.explain(picture, Occlusion(window=4, baseline="random", seed=seed), target=0).map
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(noisy[0], noisy[1])
    assert not np.allclose(noisy[0], noisy[2])
