"""The method: the laws that every method is held to, and numbers worked out by hand."""

import keras
import numpy as np
import pytest
import xai_core
from xai_core.testing import check_explainer

from example_cam.explainer import ExampleCam


@pytest.mark.parametrize("channels", [1, 3, 100])
def test_it_keeps_to_the_laws(channels: int) -> None:
    check_explainer(ExampleCam(channels))


@pytest.fixture(scope="module")
def study() -> xai_core.Study:
    """A model whose activations are the picture itself, and whose last layer is known."""
    inputs = keras.Input((1, 2, 3))
    conv = keras.layers.Conv2D(3, 1, use_bias=False, name="conv")
    head = keras.layers.Dense(2)
    outputs = head(keras.layers.GlobalAveragePooling2D()(conv(inputs)))
    model = keras.Model(inputs, outputs)
    conv.set_weights([np.eye(3, dtype=np.float32).reshape(1, 1, 3, 3)])
    head.set_weights([np.array([[8, 0], [2, 0], [-4, 0]], np.float32), np.zeros(2, np.float32)])
    return xai_core.Study(model, preprocess="none")


# The mean over two places makes of the last layer's (8, 2, -4) the weights (4, 1, -2). With the
# channels' means (0.5, 8, 4) they add 2, 8 and -8: the second channel most.
@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (1, [6, 10]),
        (2, [6 + 4 * 1, 10]),
        (3, [6 + 4 * 1 - 2 * 1, 0]),  # 10 - 2 * 7 is below 0
        (9, [6 + 4 * 1 - 2 * 1, 0]),
    ],
)
def test_numbers_by_hand(study: xai_core.Study, channels: int, expected: list[int]) -> None:
    pixels = np.array([[[1, 6, 1], [0, 10, 7]]], np.uint8)
    one = study.explain(pixels, ExampleCam(channels), target=0)
    np.testing.assert_allclose(one.map, [expected], rtol=1e-6)


def test_with_all_channels_it_is_grad_cam(study: xai_core.Study) -> None:
    pixels = np.array([[[30, 5, 7], [1, 0, 3]]], np.uint8)
    both = study.compare(pixels, [ExampleCam(3), "grad-cam"], 0)
    ours, grad_cam = both
    np.testing.assert_allclose(ours.map, grad_cam.map, rtol=1e-6)


def test_xai_core_finds_it_once_it_is_installed() -> None:
    entry = xai_core.Registry.discover().explainers["example-cam"]
    assert entry.item == ExampleCam()
    assert entry.source.distribution == "example-cam"
