"""`xai evaluate --masks` and `--boxes`."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from xai_core.cli.masks import masks_of
from xai_core.masks import Box

HEADER = "picture,left,top,right,bottom\n"


@pytest.fixture
def run(xai, small):
    def run(*arguments):
        return xai("evaluate", *arguments, "--model", small, "--methods", "grad-cam", "--metrics",
                   "relevance-mass,relevance-rank", "--out", "t.json")  # fmt: skip

    return run


@pytest.fixture
def two(noise, tmp_path):
    """Two pictures of 30 x 20, which the model sees at 16 x 16."""
    shutil.copy(noise, tmp_path / "one.png")
    with Image.open(noise) as picture:
        picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(tmp_path / "two.jpg")
    return tmp_path / "one.png", tmp_path / "two.jpg"


@pytest.fixture
def left():
    """White in the left half."""
    levels = np.zeros((20, 30), np.uint8)
    levels[:, :15] = 255
    return Image.fromarray(levels)


def chances(folder):
    document = json.loads((folder / "t.json").read_text())
    return [each["facts"].get("chance") for each in document["measurements"]]


def test_a_folder_of_masks_of_the_same_names(run, two, left, tmp_path):
    (tmp_path / "masks").mkdir()
    for name in ("one", "two"):
        left.save(tmp_path / "masks" / f"{name}.png")
    result = run(*two, "--masks", tmp_path / "masks")
    assert result.code == 0, result.err
    assert chances(tmp_path) == [0.5] * 20
    assert "no mask" not in result.out


def test_a_picture_without_a_mask_is_told(run, two, left, tmp_path):
    (tmp_path / "masks").mkdir()
    left.save(tmp_path / "masks" / "two.png")
    result = run(*two, "--masks", tmp_path / "masks")
    assert result.code == 1
    assert "no mask was given for one.png: metrics that need one fail there" in result.words
    assert chances(tmp_path) == [None] * 10 + [0.5] * 10


def test_a_file_of_boxes(run, two, tmp_path):
    """A quarter, and two boxes that are the left half together."""
    (tmp_path / "boxes.csv").write_text(
        HEADER + "one.png,0,0,15,10\ntwo.jpg,0,0,15,10\nelsewhere.png,1,2,3,4\ntwo.jpg,0,8,15,20\n"
    )
    result = run(*two, "--boxes", tmp_path / "boxes.csv")
    assert result.code == 0, result.err
    found = chances(tmp_path)
    assert found[:10] == [0.25] * 10
    assert found[10:] == [0.5] * 10


def test_columns_may_stand_in_any_order_beside_others(tmp_path):
    file = tmp_path / "boxes.csv"
    file.write_text("\ufeffbottom,class,right,top,left,picture\n4,cat,3,2,1,a b.png\n", "utf-8")
    assert masks_of(["x/a b.png", "c.png"], None, str(file)) == [(Box(1, 2, 3, 4),), None]


def test_a_row_may_name_the_folder_of_its_picture(tmp_path):
    file = tmp_path / "boxes.csv"
    file.write_text(HEADER + "cat/1.png,0,0,1,1\ndog/1.png,0,0,2,2\n")
    assert masks_of(["in/cat/1.png", "in/dog/1.png"], None, str(file)) == [
        (Box(0, 0, 1, 1),),
        (Box(0, 0, 2, 2),),
    ]


def test_nothing_asked_for_is_nothing():
    assert masks_of(["a.png"], None, None) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("picture,left,top\n", "whose first line lacks right, bottom; expected picture,left,top,"),
        ("", "whose first line lacks picture, left, top, right, bottom; expected"),
        (HEADER + "one.png,1,2,3\n", "line 2: left,top,right,bottom are '1,2,3,'; expected four "
         "whole numbers, the picture's pixels"),
        (HEADER + "\none.png,1,2,3,x\n", "line 3: left,top,right,bottom are '1,2,3,x'; expected"),
        (HEADER + "one.png,5,2,3,4\n", "line 2: received a box with left 5, top 2, right 3, bottom "
         "4; expected whole numbers from 0 on, left below right"),
        (HEADER + "three.png,1,2,3,4\n", "where no picture has a row; expected one.png in the "
         "column picture, and so on"),
        (HEADER + ",1,2,3,4\n", "where no picture has a row; expected one.png"),
        (b"\xff\xfe\x00", "which cannot be read ('utf-8' codec can't decode"),
        (HEADER + '"' + "x" * 200_000 + '",1,2,3,4\n', "which cannot be read (field larger than"),
        (None, "which cannot be read ([Errno 2] No such file"),
    ],
)  # fmt: skip
def test_boxes_that_cannot_be_read_are_told_before_anything_is_run(
    run, two, tmp_path, text, message
):
    file = tmp_path / "boxes.csv"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    result = run(*two, "--boxes", file)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"error: received --boxes '{file}'")
    assert message in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--masks", "nowhere"), "received --masks 'nowhere', which is no folder; expected one "
         "with a mask of the same name as each picture, ending in .png"),
        (("--masks", "."), "received --masks '.', where no picture has a mask; expected "
         "two.png for two.jpg, and so on"),
        (("--masks", ".", "--boxes", "b.csv"), "received --masks and --boxes; expected one of "
         "them"),
    ],
)  # fmt: skip
def test_a_folder_that_has_none_is_told(run, two, arguments, message):
    result = run(two[1], *arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"error: {message}")


def test_a_mask_is_never_written_over(xai, small, two, left, tmp_path):
    (tmp_path / "masks").mkdir()
    left.save(tmp_path / "masks" / "one.png")
    before = (tmp_path / "masks" / "one.png").read_bytes()
    result = xai("evaluate", two[0], "--model", small, "--masks", tmp_path / "masks", "--out",
                 tmp_path / "masks" / "one.png")  # fmt: skip
    assert result.code == 2
    assert "is the picture itself; expected another place to write to" in result.err
    assert (tmp_path / "masks" / "one.png").read_bytes() == before


def test_a_mask_of_another_size_fails_where_it_is_needed(run, two, left, tmp_path):
    (tmp_path / "masks").mkdir()
    left.save(tmp_path / "masks" / "one.png")
    left.resize((15, 10)).save(tmp_path / "masks" / "two.png")
    result = run(*two, "--masks", tmp_path / "masks")
    assert result.code == 1
    assert "failed two.jpg, grad-cam, relevance-mass: The mask of two.jpg is 15 x 10 pixels" in (
        result.words
    )
    assert chances(tmp_path) == [0.5] * 10 + [None] * 10
