"""The family: the laws that every adapter is held to, and numbers worked out by hand."""

from pathlib import Path

import numpy as np
import pytest
import xai_core
from xai_core.errors import ModelError
from xai_core.testing import check_adapter

from example_cam.adapter import ExampleCamNet, architecture


def test_it_keeps_to_the_laws() -> None:
    check_adapter(ExampleCamNet())


def test_an_upright_edge_by_hand() -> None:
    # Right less left is 1 in the two columns at the edge, of 30: their mean is the logit.
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:, 16:] = 255
    study = xai_core.Study("example-cam-net", weights="by-hand")
    upright, level = study.predict(pixels).classes
    assert (upright.label, level.label) == ("upright edges", "level edges")
    assert upright.logit == pytest.approx(2 / 30)
    assert level.logit == 0
    shown = study.explain(pixels, "grad-cam").map
    expected = np.zeros((30, 30))
    expected[:, 14:16] = 1 / 30**2
    np.testing.assert_allclose(shown, expected, rtol=1e-5)


def test_weights_come_from_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "mine.weights.h5"
    model = architecture()
    model.save_weights(path)
    for mine, read in zip(
        model.get_weights(), ExampleCamNet().build(str(path)).get_weights(), strict=True
    ):
        np.testing.assert_array_equal(mine, read)


def test_weights_that_cannot_be_had_are_an_error_that_says_what_to_pass(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.weights.h5"
    wrong.write_text("no weights")
    for weights in ("imagenet", str(wrong)):
        with pytest.raises(ModelError, match="expected"):
            ExampleCamNet().build(weights)
