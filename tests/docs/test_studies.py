"""What the published study stands on: scenes whose evidence is where it is said to be."""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

STUDIES = Path(__file__).parents[2] / "docs" / "studies"


@pytest.fixture(scope="module")
def synthetic():
    sys.path.insert(0, str(STUDIES))
    try:
        import synthetic

        yield synthetic
    finally:
        sys.path.remove(str(STUDIES))


@pytest.fixture(scope="module")
def scenes(synthetic):
    return synthetic.draw(64, 3)


def test_scenes_are_the_same_with_the_same_seed(synthetic, scenes):
    again, other = synthetic.draw(64, 3), synthetic.draw(64, 4)
    for name in ("pictures", "classes", "masks"):
        np.testing.assert_array_equal(getattr(again, name), getattr(scenes, name))
    assert (other.pictures != scenes.pictures).mean() > 0.9


def test_there_are_as_many_of_each_class(scenes):
    assert np.bincount(scenes.classes).tolist() == [16] * 4
    assert scenes.pictures.shape == (64, 48, 64, 3)
    assert scenes.pictures.dtype == np.uint8


def test_objects_lie_in_the_picture_and_cover_a_part_of_it(scenes):
    share = scenes.masks.mean(axis=(1, 2))
    assert share.min() > 0.04
    assert share.max() < 0.3
    border = np.ones((48, 64), bool)
    border[1:-1, 1:-1] = False
    assert not scenes.masks[:, border].any()


def test_outside_the_object_nothing_depends_on_the_class(synthetic):
    """Of one state of the generator, the classes differ inside the mask and nowhere else."""
    for seed in range(12):
        made = [
            synthetic._scene(pattern, np.random.default_rng(seed)) for pattern in synthetic.PATTERNS
        ]
        for (one, mask), (other, other_mask) in pairwise(made):
            np.testing.assert_array_equal(mask, other_mask)
            np.testing.assert_array_equal(one[~mask], other[~mask])
            assert (one[mask] != other[mask]).mean() > 0.5


def test_a_network_learns_the_patterns_and_nothing_from_outside(synthetic):
    """On pictures whose object is cut out it is as good as chance."""
    model, right = synthetic.train(0)
    assert right > 0.98
    asked = synthetic.draw(400, 11)
    grey = np.where(asked.masks[..., None], 128, asked.pictures).astype(np.uint8)
    found = model.predict(grey, verbose=0).argmax(axis=1)
    assert 0.15 < (found == asked.classes).mean() < 0.35
