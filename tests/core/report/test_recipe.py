"""The recipe is run, in Python and on the command line, and makes the same maps again."""

import json
import re
import shlex
from dataclasses import dataclass
from typing import ClassVar

import keras
import numpy as np
import pytest
from PIL import Image

import xai_core as xai
from xai_core import Explainer, Needs
from xai_core.cli import main
from xai_core.report.data import collect
from xai_core.report.recipe import recipe

UNSEEN = "\N{RIGHT-TO-LEFT OVERRIDE}.png"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A model and two pictures in files."""
    keras.utils.set_random_seed(4)
    layers = [
        keras.Input((16, 16, 3)),
        keras.layers.Conv2D(4, 3, activation="tanh", name="low"),
        keras.layers.Conv2D(4, 3, strides=2, activation="tanh", name="high"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3),
    ]
    keras.Sequential(layers).save(tmp_path / "my model.keras")
    random = np.random.default_rng(2)
    for name in ("one.png", "it's two.png", UNSEEN):
        pixels = random.integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def study(folder):
    return xai.Study("my model.keras", preprocess="tf")


@dataclass(frozen=True)
class Mine(Explainer):
    """Of no plugin."""

    name: ClassVar[str] = "mine"
    needs: ClassVar[Needs] = Needs.NOTHING
    power: float = 1.0

    def explain(self, evidence):
        return evidence.inputs[..., 0] ** self.power


def again(script):
    """What the script makes."""
    names = {}
    exec(compile(script, "recipe", "exec"), names)
    return names["many"]


def command(script):
    """The command in a script, on one line."""
    _, _, told = script.partition("# The same on the command line:\n")
    assert told, script
    return re.sub(r" \\\n# +", " ", told.removeprefix("# ")).strip()


def same(one, other):
    assert len(one.cells) == len(other.cells) > 0
    for a, b in zip(one, other, strict=True):
        for of in ("layer", "target", "method"):
            assert getattr(a, of) == getattr(b, of)
        assert a.picture.name == b.picture.name
        assert str(a.verdict) == str(b.verdict)
        np.testing.assert_array_equal(a.map, b.map)


METHODS = [
    "grad-cam",
    xai.explainer("smoothgrad", samples=3, sigma=0.25, of="saliency(values=signed)"),
    xai.explainer("integrated-gradients", steps=4, baseline="mean"),
]


@pytest.mark.parametrize(
    "asked",
    [
        {"targets": [0, 2]},
        {},
        {"top": 2},
        {"bottom": 2},
        {"targets": 1, "layers": ["low", "high"]},
        {"trust": xai.Trust(budget=2000, seed=3)},
    ],
    ids=str,
)
def test_python_and_the_command_make_the_same_maps(study, folder, asked):
    many = study.compare(["one.png", "it's two.png"], METHODS, **asked)
    script = recipe(collect(many))
    same(many, again(script))
    program, *arguments = shlex.split(command(script))
    assert program == "xai"
    (folder / "report.html").unlink()
    assert main([*arguments[:-1], "maps.npz"]) == 0
    with np.load("maps.npz") as found:
        told = json.loads(str(found["metadata"]))
        for number, each in enumerate(many):
            np.testing.assert_array_equal(found[f"map_{number}"], each.map)
            assert told[number].get("verdict") == (each.verdict and each.verdict.to_dict())


def test_changed_parameters_are_written_as_they_are_set(study):
    script = recipe(collect(study.compare("one.png", METHODS)))
    assert (
        'xai.explainer("smoothgrad", samples=3, sigma=0.25, of="saliency(values=signed)")' in script
    )
    assert 'xai.explainer("integrated-gradients", steps=4, baseline="mean")' in script
    assert "--methods grad-cam,smoothgrad,integrated-gradients" in script
    assert "--set smoothgrad.samples=3" in script
    assert "--set 'smoothgrad.of=saliency(values=signed)'" in script
    assert "--set integrated-gradients.baseline=mean" in script
    assert "steps=4, tolerance=None, most_steps=512" in script  # in the comment: all of them


def test_a_method_of_several_layers_asks_for_them_or_for_the_default(study):
    both = study.compare("one.png", ["layercam-fused", "grad-cam"], layers=["low", "high"])
    assert '    layers=["low", "high"],' in recipe(collect(both))
    default = study.compare("one.png", ["layercam-fused", "grad-cam"])
    assert [cell.layer for cell in default.cells] == ["low + high", "high"]
    assert "layers=" not in recipe(collect(default))
    same(default, again(recipe(collect(default))))


@pytest.mark.parametrize(
    ("arguments", "picture", "asked"),
    [
        ({}, "one.png", {"methods": [Mine(power=2.0)]}),
        ({"labels": ["a", "b", "c"]}, "one.png", {}),
        ({"preprocess": lambda images: images / 255}, "one.png", {}),
        ({}, "one.png", {"targets": [None, 2]}),
        ({}, UNSEEN, {}),
    ],
    ids=["own method", "labels", "function", "predicted beside", "unseen"],
)
def test_what_only_python_can_do_has_no_command(folder, arguments, picture, asked):
    study = xai.Study("my model.keras", **{"preprocess": "tf", **arguments})
    script = recipe(collect(study.compare(picture, **asked)))
    assert "command line" not in script
    assert "many = study.compare(" in script


def test_a_method_of_no_plugin_is_told_but_cannot_be_made(study):
    script = recipe(collect(study.compare("one.png", [Mine(power=2.0), "grad-cam"])))
    assert f'# "mine", of module {__name__}, ran with power=2.0' in script
    assert '    methods=["mine", "grad-cam"],' in script


def test_models_in_memory_have_no_command(folder):
    model = keras.saving.load_model("my model.keras")
    script = recipe(collect(xai.Study(model, preprocess="tf").compare("one.png", "saliency")))
    assert "command line" not in script
