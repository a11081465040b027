"""Masks and boxes land where the picture's pixels land."""

import numpy as np
import pytest
from PIL import Image

from xai_core import Box, read_picture
from xai_core.errors import PictureError, UsageError
from xai_core.images import fit_picture
from xai_core.masks import mask_seen

FITS = ("crop", "stretch")


def picture(height=9, width=14, seed=0):
    made = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return read_picture(made)


def points(mask):
    return {(int(row), int(column)) for row, column in np.argwhere(mask)}


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(
    ("shape", "size"),
    [((9, 14), (6, 10)), ((20, 13), (6, 10)), ((18, 30), (6, 10)), ((6, 10), (6, 10)),
     ((30, 30), (4, 12)), ((24, 36), (12, 6)), ((5, 7), (15, 21))],
)  # fmt: skip
def test_a_masked_area_lands_where_the_pictures_does(shape, size, fit):
    """A white area on black, and its mask: what the model sees is bright where the mask is."""
    height, width = shape
    for top, left in ((height // 3, width // 3), (height // 4, width // 2), (0, 0)):
        area = (slice(top, top + height // 2), slice(left, left + width // 2))
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[area] = 255
        fitted, region = fit_picture(read_picture(pixels), size, 3, fit)
        found = mask_seen(pixels[..., 0] > 0, read_picture(pixels), size, fit)
        assert found.shape == size
        assert found.dtype == bool
        # Bicubic and area averaging differ at the edge, by less than a pixel of either grid.
        clear = np.abs(fitted[..., 0] - 127.5) > 50
        np.testing.assert_array_equal(found[clear], fitted[clear][:, 0] > 127.5)
        assert (~clear).sum() <= 2 * sum(size)
        assert region.width <= width


@pytest.mark.parametrize(("row", "column"), [(0, 2), (4, 9), (8, 11), (3, 2)])
def test_a_masked_pixel_of_a_crop_is_the_pixel_that_the_model_sees(row, column):
    """14 x 9 cropped to 10 x 9, columns 2 to 12: nothing is resampled."""
    mask = np.zeros((9, 14), bool)
    mask[row, column] = True
    source = picture()
    fitted, region = fit_picture(source, (9, 10), 3, "crop")
    assert (region.left, region.width) == (2, 10)
    found = mask_seen(mask, source, (9, 10), "crop")
    assert points(found) == {(row, column - 2)}
    np.testing.assert_array_equal(fitted[found][0], source.pixels[row, column])


def test_a_pixel_is_the_objects_from_half_of_its_area_on():
    """12 x 4 onto 6 x 1: areas of 2 x 4 pixels, of which 0 to 4 and 8 are in the mask."""
    mask = np.zeros((4, 12), bool)
    for column, count in enumerate((0, 1, 3, 4, 5, 8)):
        block = np.zeros(8, bool)
        block[:count] = True
        mask[:, 2 * column : 2 * column + 2] = block.reshape(4, 2)
    found = mask_seen(mask, picture(4, 12), (1, 6), "stretch")
    assert found.tolist() == [[False, False, False, True, True, True]]


def test_enlarging_by_whole_numbers_repeats():
    mask = np.random.default_rng(0).random((3, 5)) > 0.5
    found = mask_seen(mask, picture(3, 5), (6, 15), "stretch")
    np.testing.assert_array_equal(found, np.repeat(np.repeat(mask, 2, 0), 3, 1))


def test_a_box_holds_its_left_and_top_and_not_its_right_and_bottom():
    found = mask_seen(Box(2, 1, 5, 3), picture(), (9, 14), "crop")
    assert points(found) == {(row, column) for row in (1, 2) for column in (2, 3, 4)}


def test_boxes_are_united():
    found = mask_seen((Box(0, 0, 2, 1), Box(1, 0, 3, 2)), picture(), (9, 14), "crop")
    assert points(found) == {(0, 0), (0, 1), (0, 2), (1, 1), (1, 2)}


def image(levels, mode):
    made = Image.new(mode, (14, 9))
    made.putdata(levels)
    return made


def test_grey_counts_from_half_of_its_range_up(tmp_path):
    levels = [0] * 122 + [127, 128, 255, 1]
    expected = {(8, 11), (8, 12)}
    made = image(levels, "L")
    made.save(tmp_path / "mask.png")
    for source in (made, tmp_path / "mask.png", str(tmp_path / "mask.png")):
        assert points(mask_seen(source, picture(), (9, 14), "crop")) == expected
    sixteen = Image.fromarray(np.asarray(levels, np.uint16).reshape(9, 14) * 257)
    assert points(mask_seen(sixteen, picture(), (9, 14), "crop")) == expected
    bits = Image.fromarray(np.asarray(levels).reshape(9, 14) >= 128)
    assert bits.mode == "1"
    assert points(mask_seen(bits, picture(), (9, 14), "crop")) == expected


def test_any_colour_but_black_counts_as_palettes_of_classes_have_them():
    made = image([0] * 120 + [1, 2, 0, 3, 0, 0], "P")
    made.putpalette([0, 0, 0, 64, 0, 0, 0, 0, 1, 255, 255, 255])
    expected = {(8, 8), (8, 9), (8, 11)}
    for source in (made, made.convert("RGB")):
        assert points(mask_seen(source, picture(), (9, 14), "crop")) == expected


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_of_an_array_all_but_0_counts(dtype):
    array = np.zeros((9, 14), dtype)
    array[2, 3] = 1
    for source in (array, array[..., None]):
        assert points(mask_seen(source, picture(), (9, 14), "crop")) == {(2, 3)}


def test_it_is_turned_upright_as_the_picture_is(tmp_path):
    """Both files say in their EXIF that they are to be turned by a quarter."""
    levels = np.zeros((9, 14), np.uint8)
    levels[:, :3] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("picture.png", "mask.png"):
        Image.fromarray(levels).save(tmp_path / name, exif=exif)
    source = read_picture(tmp_path / "picture.png")
    assert source.pixels.shape == (14, 9, 1)
    found = mask_seen(tmp_path / "mask.png", source, (14, 9), "crop")
    np.testing.assert_array_equal(found, source.pixels[..., 0] == 255)


def test_what_was_given_is_left_alone():
    array = np.ones((9, 14), bool)
    before = array.copy()
    mask_seen(array, picture(), (4, 4), "crop")
    np.testing.assert_array_equal(array, before)


def speck(row, column):
    array = np.zeros((9, 14), bool)
    array[row, column] = True
    return array


@pytest.mark.parametrize(
    ("mask", "size", "message"),
    [
        (np.ones((14, 9)), (9, 14),
         "The mask of array is 9 x 14 pixels; expected 14 x 9, the picture's own size. Give the "
         "mask of the picture as it is before any cut or change of size"),
        (np.ones((9, 14, 3)), (9, 14),
         "The mask of array is an array of float64 of shape (9, 14, 3); expected (H, W) of finite "
         "numbers or bool, where all but 0 is the object"),
        (np.full((9, 14), np.nan), (9, 14), "expected (H, W) of finite numbers"),
        (np.full((9, 14), "x"), (9, 14), "expected (H, W) of finite numbers"),
        (Box(0, 0, 15, 2), (9, 14),
         "The mask of array has a box up to column 15 and row 2; expected 14 and 9 at most, as "
         "large as the picture is. Give the box in the pixels of the picture as it is"),
        (Box(0, 0, 2, 10), (9, 14), "has a box up to column 2 and row 10"),
        (7, (9, 14),
         "The mask of array was given as int; expected a path, a PIL image, an array (H, W), a "
         "Box or several of them, or None"),
        ((), (9, 14), "The mask of array was given as tuple; expected a path"),
        ("none.png", (9, 14), "The mask of array: There is no file 'none.png'; expected the path"),
        (Image.new("L", (14, 9), 1), (9, 14),
         "The mask of array has 0 object pixels, of which 0 are in the part that the model sees "
         "(columns 0 to 14, rows 0 to 9) and 0 are left at its input size (9 x 14); expected at "
         "least 1. Grey counts from half of its range up, any other colour than black does: look "
         "at it"),
        (Image.new("RGBA", (14, 9), (0, 0, 0, 0)), (9, 14),
         "The mask of array is transparent in places, which may be the object or what is around "
         "it; expected black around the object, and white or a colour on it. Save it without "
         "transparency"),
        (speck(4, 1), (9, 10),
         "The mask of array has 1 object pixels, of which 0 are in the part that the model sees "
         "(columns 2 to 12, rows 0 to 9) and 0 are left at its input size (9 x 10); expected at "
         "least 1. Let the model see the whole picture, by the fit stretch"),
        (speck(4, 7), (3, 3),
         "of which 1 are in the part that the model sees (columns 2 to 11, rows 0 to 9) and 0 are "
         "left at its input size (3 x 3); expected at least 1. The object is too small for that: "
         "give a larger part of the picture"),
    ],
)  # fmt: skip
def test_what_is_no_mask_is_refused(mask, size, message):
    with pytest.raises(PictureError) as caught:
        mask_seen(mask, picture(), size, "crop")
    assert message in str(caught.value)


def test_a_damaged_file_is_told(tmp_path):
    (tmp_path / "mask.png").write_bytes(b"not a picture")
    with pytest.raises(PictureError, match=r"The mask of array: .* is not a picture that Pillow"):
        mask_seen(tmp_path / "mask.png", picture(), (9, 14), "crop")


@pytest.mark.parametrize("sides", [(2, 0, 2, 5), (0, 3, 4, 3), (-1, 0, 4, 4), (0, 0, 1.5, 2),
                                   (0, False, 2, 2)])  # fmt: skip
def test_a_box_has_a_pixel(sides):
    with pytest.raises(UsageError) as caught:
        Box(*sides)
    assert str(caught.value) == (
        f"received a box with left {sides[0]}, top {sides[1]}, right {sides[2]}, bottom "
        f"{sides[3]}; expected whole numbers from 0 on, left below right and top below bottom. "
        "Give it in the picture's pixels, right and bottom not included"
    )
