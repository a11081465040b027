"""The recipe of an evaluation is run, in Python and on the command line: the same numbers again."""

import json
import re
import subprocess

import keras
import numpy as np
import pytest
from PIL import Image

import xai_core as xai
from xai_core import Box
from xai_core.cli import main
from xai_core.report.evaluation_recipe import evaluation_recipe

NAMES = ("one.png", "it's two.png", "three.png")
METRICS = [
    xai.metric("deletion", steps=5, baseline="mean"),
    "pointing-game",
    xai.metric("cascading-randomisation", rungs=2),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A model, pictures of 20 x 30, and a mask for each."""
    keras.utils.set_random_seed(4)
    layers = [
        keras.Input((12, 20, 3)),
        keras.layers.Conv2D(4, 3, activation="tanh", name="low"),
        keras.layers.Conv2D(4, 3, strides=2, activation="tanh", name="high"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3, activation="softmax"),
    ]
    keras.Sequential(layers).save(tmp_path / "my model.keras")
    random = np.random.default_rng(2)
    (tmp_path / "my masks").mkdir()
    for number, name in enumerate(NAMES):
        pixels = random.integers(0, 256, (20, 30, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
        mask = np.zeros((20, 30), np.uint8)
        mask[4 : 10 + number, 5 : 20 + number] = 255
        Image.fromarray(mask).save(tmp_path / "my masks" / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def measure(folder, masks, metrics=METRICS, **options):
    study = xai.Study("my model.keras", preprocess="tf", engine="eager", **options)
    return study.evaluate(NAMES, ["saliency", "grad-cam"], metrics, 1, masks=masks, seed=3)


def recipe(found):
    return evaluation_recipe(found, found.origin())


def numbers(measurements):
    return [(e["picture"], e["row"], e["metric"], e["value"], e["facts"]) for e in measurements]


def again(script):
    """What the script makes."""
    names = {}
    exec(compile(script, "recipe", "exec"), names)
    return names["evaluation"]


def command(script):
    """The shell lines of the command in a script."""
    _, _, told = script.partition("# The same on the command line:\n")
    return "\n".join(line.removeprefix("# ") for line in told.splitlines())


SEVERAL = (Box(2, 3, 9, 12), Box(20, 10, 30, 20))
MASKS = [f"my masks/{name}" for name in NAMES]


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        (None, ""),
        (MASKS, "    masks=[\"my masks/one.png\", \"my masks/it's two.png\", "),
        ([Box(1, 2, 7, 9), None, SEVERAL], "    masks=[xai.Box(1, 2, 7, 9), None, (xai.Box("),
        ([*MASKS[:2], Box(1, 2, 7, 9)], "xai.Box(1, 2, 7, 9)],"),
    ],
    ids=["none", "folder", "boxes", "both"],
)  # fmt: skip
def test_the_script_measures_the_same(folder, masks, said):
    found = measure(folder, masks)
    script = recipe(found)
    assert said in script
    assert ("masks=" in script) == (masks is not None)
    assert '    engine="eager",' in script
    assert f'    device="{found.origin()["device"]}",' in script
    assert f"# with KERAS_BACKEND={keras.backend.backend()} in the environment" in script
    other = again(script)
    assert numbers(other.to_dict()["measurements"]) == numbers(found.to_dict()["measurements"])
    assert other.masks == found.masks


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        (None, ""),
        (MASKS, "--masks 'my masks'"),
        ([Box(1, 2, 7, 9), None, SEVERAL], "--boxes evaluation-boxes.csv"),
    ],
    ids=["none", "folder", "boxes"],
)
def test_the_command_measures_the_same(folder, masks, said):
    """The shell runs what writes the boxes, and splits the words."""
    found = measure(folder, masks)
    told = command(recipe(found))
    assert said in told
    assert "--engine eager" in told
    words = folder / "words"
    shell = f"xai() {{ printf '%s\\0' \"$@\" > words; }}\n{told}\n"
    subprocess.run(["bash", "-eu", "-c", shell], check=True, cwd=folder)
    arguments = words.read_text().split("\0")[:-1]
    assert main([*arguments[:-1], "again.json"]) in (0, 1)
    document = json.loads((folder / "again.json").read_text())
    expected = json.loads(json.dumps(found.to_dict()["measurements"]))
    assert numbers(document["measurements"]) == numbers(expected)


def test_the_file_of_boxes_by_hand(folder):
    told = command(recipe(measure(folder, [Box(1, 2, 7, 9), None, SEVERAL], "pointing-game")))
    assert told.splitlines()[0] == (
        r"printf '%s\n' picture,left,top,right,bottom one.png,1,2,7,9 three.png,2,3,9,12 "
        "three.png,20,10,30,20 > evaluation-boxes.csv"
    )


def test_what_a_folder_must_not_have_is_said(folder):
    told = command(recipe(measure(folder, [None, *MASKS[1:]], "pointing-game")))
    assert told.startswith("# where 'my masks' has no one.png\nxai evaluate ")


@pytest.mark.parametrize(
    "masks",
    [
        [np.ones((20, 30)), None, None],
        [*MASKS[:2], Box(1, 2, 7, 9)],
        [MASKS[1], MASKS[0], MASKS[2]],
        ["one.png", None, None],
    ],
    ids=["in memory", "beside boxes", "other names", "the picture itself"],
)
def test_masks_that_no_command_can_give(folder, masks):
    script = recipe(measure(folder, masks, "pointing-game"))
    assert "command line" not in script
    assert "    masks=[" in script
    is_said = "your_mask" not in script
    assert is_said == (not isinstance(masks[0], np.ndarray) and masks[0] != "one.png")


def test_a_mask_in_a_folder_would_be_that_of_both(folder):
    """Of two pictures of one name, of which one has no mask."""
    Image.open("one.png").save("one.bmp")
    study = xai.Study("my model.keras", preprocess="tf")
    pictures = ["one.png", "one.bmp"]
    for masks, has_command in (([MASKS[0], None], False), ([MASKS[0], MASKS[0]], True)):
        found = study.evaluate(pictures, "saliency", "pointing-game", 1, masks=masks)
        assert ("command line" in recipe(found)) == has_command


def test_the_page_and_the_document_say_where_the_object_is(folder):
    found = measure(folder, [MASKS[0], None, SEVERAL], "pointing-game")
    assert found.to_dict()["masks"] == ["my masks/one.png", None, "2 3 9 12; 20 10 30 20"]
    text = found.save("page.html").read_text()
    cells = re.findall(r"<td><bdi>([^<]*)</bdi></td></tr>", text)
    assert cells == ["my masks/one.png", "not said", "2 3 9 12; 20 10 30 20"]
    plain = measure(folder, None, xai.metric("deletion", steps=3)).save("plain.html").read_text()
    assert "Where the object is" not in plain
