"""`xai randomise`: a table, a figure, and what has no map is said."""

import keras
import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def run(xai, small):
    def run(*arguments):
        return xai("randomise", *arguments, "--model", small)

    return run


def test_a_table_and_a_figure(run, noise, tmp_path):
    result = run(noise, "--methods", "saliency,grad-cam")
    assert result.code == 0, result.err
    lines = [" ".join(line.split()) for line in result.out.splitlines()]
    assert lines[0] == "Spearman's correlation with the map of the model as it is"
    assert lines[1] == "layers drawn anew down to saliency grad-cam"
    assert lines[2].startswith("1 classes ")
    assert lines[3].startswith("2 conv ")
    for line in lines[2:4]:
        assert all(told == "no map" or -1 <= float(told) <= 1 for told in line.split()[2:4])
    assert "Wrote noise.randomise.png" in result.out
    with Image.open(tmp_path / "noise.randomise.png") as image:
        assert image.format == "PNG"


def test_numbers_for_machines(run, noise):
    document = run(
        noise, "--methods", "saliency", "--rungs", "1", "--seed", "7", "--out", "l.svg", "--json"
    ).json
    assert document["files"] == {"figure": "l.svg"}
    (method,) = document["methods"]
    (rung,) = method["rungs"]
    assert (document["seed"], method["method"], rung["layers"]) == (
        7, "saliency", ["classes", "conv"],
    )  # fmt: skip
    assert -1 <= rung["similarity"] <= 1


def test_what_has_no_map_is_said(xai, noise, tmp_path):
    inputs = keras.Input((16, 24, 3))
    made = keras.layers.GlobalAveragePooling2D()(inputs)
    head = keras.layers.Dense(3, kernel_initializer="zeros", name="head")
    model = keras.Model(inputs, head(made))
    head.kernel.assign(np.eye(3))
    model.save(tmp_path / "flat.keras")
    result = xai(
        "randomise", noise, "--model", tmp_path / "flat.keras", "--methods", "gradient-x-input"
    )
    assert result.code == 0, result.err
    assert "1 head no map" in result.words
    assert "no map gradient-x-input, down to head: all values are the same" in result.words


def test_what_is_refused(run, noise, pictures):
    for arguments, told in (
        (
            (noise, "--out", "l.npz"),
            "received --out 'l.npz'; expected a name that ends in .png, .svg",
        ),
        ((noise, "--rungs", "0"), "--rungs"),
        ((noise, "--methods", "none-such"), "none-such"),
        ((noise, "--out", noise), "is the picture itself"),
    ):
        result = run(*arguments)
        assert result.code == 2
        assert told in " ".join(result.err.split())
    assert run(pictures / "broken.png").code == 1
