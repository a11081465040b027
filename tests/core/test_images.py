"""Pictures: what is read is what was meant, and what cannot be read says why."""

import hashlib
import os
import struct
import sys
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xai_core import demo, images
from xai_core.errors import PictureError, UsageError
from xai_core.images import MAX_PIXELS, Picture, Region, display_pixels, fit_picture, read_picture

STORED = np.array([[10, 20, 30], [40, 50, 60]], np.uint8)
UPRIGHT = {  # written out from the EXIF standard: where the stored row 0 and column 0 belong
    1: [[10, 20, 30], [40, 50, 60]],
    2: [[30, 20, 10], [60, 50, 40]],
    3: [[60, 50, 40], [30, 20, 10]],
    4: [[40, 50, 60], [10, 20, 30]],
    5: [[10, 40], [20, 50], [30, 60]],
    6: [[40, 10], [50, 20], [60, 30]],
    7: [[60, 30], [50, 20], [40, 10]],
    8: [[30, 60], [20, 50], [10, 40]],
}


def noise(height: int, width: int, channels: int = 3) -> np.ndarray:
    rng = np.random.default_rng(7)
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_header(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"none") + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.fixture
def saved(tmp_path):
    def save(content: bytes, name: str = "picture.bin") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return save


# Modes


def palette_image() -> Image.Image:
    image = Image.new("P", (2, 1))
    image.putpalette([200, 100, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    return image


WHITE_NOTE = ("transparency shown over white",)
BIT16_NOTE = ("16-bit scaled to 0..255",)
BIT16 = Image.fromarray(np.array([[0, 257, 1000, 65535]], np.uint16))


def band(mode: str, *values: object) -> Image.Image:
    image = Image.new(mode, (len(values), 1))
    image.putdata(values)
    return image


@pytest.mark.parametrize(
    ("image", "kind", "options", "row", "notes"),
    [
        (band("RGB", (1, 2, 3), (250, 0, 9)), "PNG", {}, [[1, 2, 3], [250, 0, 9]], ()),
        (band("L", 0, 7, 255), "PNG", {}, [[0], [7], [255]], ()),
        (band("1", 0, 255), "PNG", {}, [[0], [255]], ()),
        (band("LA", (100, 128), (9, 255)), "PNG", {}, [[177], [9]], WHITE_NOTE),
        (band("LA", (100, 255), (9, 255)), "PNG", {}, [[100], [9]], ()),
        (
            band("RGBA", (200, 100, 0, 128), (9, 8, 7, 0), (1, 2, 3, 255)),
            "PNG",
            {},
            [[227, 177, 127], [255, 255, 255], [1, 2, 3]],
            WHITE_NOTE,
        ),
        (band("RGBA", (1, 2, 3, 255)), "PNG", {}, [[1, 2, 3]], ()),
        (palette_image(), "PNG", {}, [[200, 100, 0], [0, 0, 255]], ()),
        (
            palette_image(),
            "PNG",
            {"transparency": bytes([128])},
            [[227, 177, 127], [0, 0, 255]],
            WHITE_NOTE,
        ),
        (
            palette_image(),
            "GIF",
            {"transparency": 1},
            [[200, 100, 0], [255, 255, 255]],
            WHITE_NOTE,
        ),
        (
            band("RGB", (1, 2, 3), (4, 5, 6)),
            "PNG",
            {"transparency": (1, 2, 3)},
            [[255, 255, 255], [4, 5, 6]],
            WHITE_NOTE,
        ),
        (band("L", 7, 8), "PNG", {"transparency": 7}, [[255], [8]], WHITE_NOTE),
        (band("CMYK", (10, 20, 30, 40)), "TIFF", {}, [[207, 198, 190]], ()),
        (BIT16, "PNG", {}, [[0], [1], [1000 / 257], [255]], BIT16_NOTE),
        (BIT16, "TIFF", {}, [[0], [1], [1000 / 257], [255]], BIT16_NOTE),
        (
            BIT16,
            "PNG",
            {"transparency": 257},
            [[0], [255], [1000 / 257], [255]],
            BIT16_NOTE + WHITE_NOTE,
        ),
        (band("I", 0, 514, 65535), "TIFF", {}, [[0], [2], [255]], BIT16_NOTE),
    ],
)
def test_each_mode_from_a_file(saved, image, kind, options, row, notes):
    content = encoded(image, kind, **options)
    picture = read_picture(saved(content, "some.picture"))
    np.testing.assert_array_equal(picture.pixels, np.array([row], np.float32))
    assert picture.pixels.dtype == (np.float32 if BIT16_NOTE[0] in notes else np.uint8)
    assert picture.notes == notes
    assert picture.name == "some.picture"
    assert picture.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("image", "row"),
    [
        (band("YCbCr", (76, 85, 255)), [[254, 0, 0]]),
        (band("HSV", (0, 255, 200)), [[200, 0, 0]]),
        (band("RGBX", (1, 2, 3, 0)), [[1, 2, 3]]),
        (band("La", (50, 128)), [[177]]),
        (band("RGBa", (0, 0, 0, 0)), [[255, 255, 255]]),
        (band("PA", (0, 0)), [[255, 255, 255]]),
    ],
)
def test_modes_that_only_images_in_memory_have(image, row):
    picture = read_picture(image)
    np.testing.assert_array_equal(picture.pixels, np.array([row], np.float32))
    assert picture.name == "image"


@pytest.mark.parametrize(("level", "told"), [(-1, r"-1\.\.5"), (65536, r"5\.\.65536")])
def test_grey_beyond_16_bits_is_refused(level, told):
    with pytest.raises(PictureError, match=rf"grey levels {told}; expected 0\.\.65535.*Scale"):
        read_picture(band("I", 5, level))


def test_mode_f_is_refused(saved):
    path = saved(encoded(Image.new("F", (3, 2), 0.5), "TIFF"))
    with pytest.raises(PictureError, match=r"mode F.*range is unknown.*float RGB array.*0\.\.255"):
        read_picture(path)


# Orientation and frames


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_exif_orientation(saved, orientation, kind):
    content = encoded(Image.fromarray(STORED), kind, exif=oriented(orientation))
    for picture in (read_picture(saved(content)), read_picture(Image.open(BytesIO(content)))):
        np.testing.assert_array_equal(picture.pixels[..., 0], UPRIGHT[orientation])
        turned = ("turned upright by its EXIF orientation",)
        assert picture.notes == (() if orientation == 1 else turned)


def test_exif_orientation_of_a_jpeg_in_colour(saved):
    stored = np.zeros((16, 32, 3), np.uint8)
    stored[:, :16, 0] = 255  # the stored left is the top, once turned
    path = saved(encoded(Image.fromarray(stored), "JPEG", exif=oriented(6), quality=100))
    pixels = read_picture(path).pixels
    assert pixels.shape == (32, 16, 3)
    np.testing.assert_allclose(pixels[:12], np.broadcast_to([255, 0, 0], (12, 16, 3)), atol=3)
    np.testing.assert_allclose(pixels[20:], 0, atol=3)


def test_exif_orientation_of_16_bits(saved):
    image = Image.fromarray(STORED.astype(np.uint16) * 257)
    picture = read_picture(saved(encoded(image, "PNG", exif=oriented(6))))
    np.testing.assert_array_equal(picture.pixels[..., 0], UPRIGHT[6])
    assert picture.notes == ("turned upright by its EXIF orientation", *BIT16_NOTE)


@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12"])
def test_broken_exif_leaves_the_pixels(saved, exif):
    path = saved(encoded(Image.fromarray(STORED), "PNG", exif=exif))
    np.testing.assert_array_equal(read_picture(path).pixels[..., 0], STORED)


def test_an_animation_shows_its_first_frame_and_says_so(saved):
    frames = [Image.new("RGB", (3, 2), colour) for colour in ("red", "lime", "blue")]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    picture = read_picture(saved(content))
    np.testing.assert_array_equal(picture.pixels, np.broadcast_to([255, 0, 0], (2, 3, 3)))
    assert picture.notes == ("first of 3 frames",)


def test_an_image_at_another_frame_is_taken_and_left_there():
    frames = [Image.new("RGB", (3, 2), colour) for colour in ("red", "lime", "blue")]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    with Image.open(BytesIO(content)) as image:
        image.seek(2)
        picture = read_picture(image)
        assert image.tell() == 2
    np.testing.assert_array_equal(picture.pixels, np.broadcast_to([0, 0, 255], (2, 3, 3)))
    assert picture.notes == ()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "I;16"])
def test_an_image_is_not_changed(mode):
    image = Image.new(mode, (3, 2), 5 if mode in ("P", "L", "I;16") else "teal")
    image.getexif()[0x0112] = 6
    before = (image.mode, image.size, image.tobytes(), dict(image.info), dict(image.getexif()))
    assert read_picture(image).pixels.shape[:2] == (3, 2)
    after = (image.mode, image.size, image.tobytes(), dict(image.info), dict(image.getexif()))
    assert after == before


# Arrays


def test_a_float_array_comes_through_exactly():
    array = np.random.default_rng(0).uniform(0, 255, (5, 7, 3)).astype(np.float32)
    picture = read_picture(array)
    np.testing.assert_array_equal(picture.pixels, array)
    assert (picture.name, picture.notes) == ("array", ())


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.uint16, np.float16, np.float64, ">f4"])
def test_every_number_type(dtype):
    array = np.array([[[0, 128, 255], [1, 2, 3]]], dtype)
    picture = read_picture(array)
    np.testing.assert_array_equal(picture.pixels, [[[0, 128, 255], [1, 2, 3]]])
    assert picture.pixels.dtype == (np.uint8 if dtype is np.uint8 else np.dtype("f4"))


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1)])
def test_a_grey_array_keeps_one_channel(shape):
    picture = read_picture(STORED.reshape(shape))
    assert picture.pixels.shape == (2, 3, 1)
    np.testing.assert_array_equal(picture.pixels[..., 0], STORED)


@pytest.mark.parametrize("array", [noise(4, 5).astype(np.float32), np.asfortranarray(noise(4, 5))])
def test_the_array_is_copied_and_the_copy_is_sealed(array):
    before = array.copy()
    picture = read_picture(array)
    array[...] = 0
    np.testing.assert_array_equal(picture.pixels, before)
    assert array.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        picture.pixels[0, 0, 0] = 1


def test_pixels_from_files_and_images_are_sealed_too(saved):
    path = saved(encoded(Image.fromarray(noise(2, 2)), "PNG"))
    assert not read_picture(path).pixels.flags.writeable
    assert not read_picture(Image.fromarray(noise(2, 2))).pixels.flags.writeable


def test_the_hash_tells_arrays_apart():
    sources = [
        np.zeros((2, 3, 1), np.uint8),
        np.zeros((3, 2, 1), np.uint8),
        np.zeros((2, 3, 1), np.int8),
        np.ones((2, 3, 1), np.uint8),
    ]
    assert len({read_picture(source).sha256 for source in sources}) == 4
    assert read_picture(sources[0]) == read_picture(sources[0].copy())
    assert read_picture(Image.fromarray(STORED)) == read_picture(Image.fromarray(STORED))


def test_floats_from_0_to_1_are_taken_but_told():
    array = np.array([[[0, 0.25, 1]]])
    picture = read_picture(array)
    np.testing.assert_array_equal(picture.pixels, [[[0, 0.25, 1]]])
    assert picture.notes == ("values lie in 0..1; expected 0..255",)
    assert read_picture(np.zeros((2, 2, 3))).notes == ()
    assert read_picture(np.ones((2, 2, 3), np.uint8)).notes == ()
    assert read_picture(np.full((2, 2, 3), 1.5)).notes == ()


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros((4, 5, 4)), r"shape \(4, 5, 4\).*expected \(H, W, 3\).*without alpha"),
        (np.zeros((3, 9, 9)), r"shape \(3, 9, 9\).*channels last"),
        (np.zeros((1, 4, 5, 3)), r"shape \(1, 4, 5, 3\).*without a batch axis"),
        (np.zeros(5), r"shape \(5,\) is not a picture"),
        (np.zeros((0, 5, 3)), r"The array is 5 x 0 pixels; expected at least 1 x 1"),
        (np.broadcast_to(np.uint8(0), (9460, 9460)), r"array is too large: 9460 x 9460"),
        (np.full((2, 2, 3), 255.5), r"values lie in 255\.5\.\.255\.5; expected 0\.\.255"),
        (np.array([[-1, 256]]), r"values lie in -1\.\.256; expected 0\.\.255.*preprocessing"),
        (np.array([[-0.1, 3]]), r"values lie in -0\.1\.\.3\.0"),
        (np.array([[1, np.nan]]), r"NaN or infinity; expected finite values"),
        (np.array([[1, np.inf]]), r"NaN or infinity"),
        (np.array([[-np.inf, 1]]), r"NaN or infinity"),
        (np.array([[True]]), r"An array of bool is not a picture; expected integers or floats"),
        (np.array([[1j]]), r"An array of complex128"),
        (np.array([[None]]), r"An array of object"),
    ],
)
def test_arrays_that_are_no_pictures(array, match):
    with pytest.raises(PictureError, match=match):
        read_picture(array)


@pytest.mark.parametrize("source", [None, 5, b"cat.png", [[1, 2], [3, 4]]])
def test_what_is_no_source_at_all(source):
    told = f"given as {type(source).__name__}; expected a path, a PIL image or a NumPy array"
    with pytest.raises(PictureError, match=told):
        read_picture(source)


# Files that cannot be read


def test_a_path_may_be_a_string(saved):
    path = saved(encoded(Image.fromarray(STORED), "PNG"))
    assert read_picture(str(path)) == read_picture(path)


def test_missing_file(tmp_path):
    with pytest.raises(PictureError, match=r"There is no file '.*gone\.png'; expected.*Check"):
        read_picture(tmp_path / "gone.png")


def test_folder(tmp_path):
    with pytest.raises(PictureError, match=r"is a folder; expected a picture file\. Name one"):
        read_picture(tmp_path)


def test_empty_file(saved):
    with pytest.raises(PictureError, match=r"is empty \(0 bytes\); expected a picture\. Copy"):
        read_picture(saved(b""))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_fifo_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(PictureError, match=r"is a pipe or a device; expected a regular file"):
        read_picture(tmp_path / "pipe.png")


def test_a_device_is_refused():
    with pytest.raises(PictureError, match="is a pipe or a device"):
        read_picture(os.devnull)


@pytest.mark.parametrize("name", ["n" * 5000, "nul\0l.png"])
def test_impossible_paths(tmp_path, name):
    with pytest.raises(PictureError, match=r"cannot be opened \(.*; expected a file that you may"):
        read_picture(str(tmp_path / name))


def test_no_permission(saved, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = saved(b"content")
    monkeypatch.setattr(Path, "open", refuse)  # chmod does not hold root back
    with pytest.raises(PictureError, match=r"cannot be opened.*Permission denied.*permissions"):
        read_picture(path)


def test_text_is_no_picture(saved):
    path = saved(b"a cat, described in words", "cat.jpg")
    with pytest.raises(PictureError, match=r"'.*cat\.jpg' is not a picture.*expected JPEG, PNG"):
        read_picture(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
def test_a_file_cut_short_anywhere_is_refused_or_whole(saved, kind):
    content = encoded(Image.fromarray(noise(9, 11)), kind)
    whole = read_picture(saved(content)).pixels
    refused = 0
    for length in range(1, len(content), 5):
        try:
            pixels = read_picture(saved(content[:length])).pixels
        except PictureError:
            refused += 1
        else:  # only a trailer was lost
            np.testing.assert_array_equal(pixels, whole)
    assert refused > 0.9 * len(range(1, len(content), 5))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_half_a_file(saved, kind):
    content = encoded(Image.fromarray(noise(64, 64)), kind)
    with pytest.raises(PictureError, match=r"is damaged or cut short \(.*decoded to its end.*Copy"):
        read_picture(saved(content[: len(content) // 2]))


def test_damage_in_the_middle_of_a_png(saved):
    path = saved(png_header(3, 2))  # its compressed data are none
    with pytest.raises(PictureError, match="is damaged or cut short"):
        read_picture(path)


def test_a_damaged_image_in_memory():
    content = encoded(Image.fromarray(noise(64, 64)), "PNG")
    with pytest.raises(PictureError, match="The image is damaged or cut short"):
        read_picture(Image.open(BytesIO(content[:500])))


@pytest.mark.parametrize("side", [9460, 15000, 2**31 - 1])
def test_a_bomb_is_refused_by_its_header(saved, side):
    path = saved(png_header(side, side))
    assert path.stat().st_size < 100
    with pytest.raises(PictureError, match=r"is too large: .*Make it smaller"):
        read_picture(path)


def test_the_bound_holds_where_others_lifted_pillows(saved, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    told = rf"is too large: 9460 x 9461 pixels; expected at most {MAX_PIXELS} in all"
    with pytest.raises(PictureError, match=told):
        read_picture(saved(png_header(9460, 9461)))


def test_the_bound_is_on_the_area(saved, monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 12)
    assert read_picture(np.zeros((3, 4), np.uint8)).pixels.shape == (3, 4, 1)
    assert read_picture(Image.new("L", (12, 1))).pixels.shape == (1, 12, 1)
    with pytest.raises(PictureError, match="too large: 13 x 1 pixels; expected at most 12"):
        read_picture(Image.new("L", (13, 1)))


@pytest.mark.filterwarnings("ignore:Image was not the expected size")
def test_an_icon_that_holds_more_than_its_header_says(saved, monkeypatch):
    icon = bytearray(encoded(Image.new("RGB", (32, 32)), "ICO", sizes=[(32, 32)]))
    icon[6:8] = [16, 16]
    monkeypatch.setattr(images, "MAX_PIXELS", 300)
    with pytest.raises(PictureError, match="too large: 32 x 32 pixels"):
        read_picture(saved(bytes(icon)))


def test_a_file_with_too_many_bytes_is_not_read(saved, monkeypatch):
    path = saved(encoded(Image.fromarray(STORED), "PNG"))
    size = path.stat().st_size
    monkeypatch.setattr(images, "MAX_BYTES", size)
    read_picture(path)
    monkeypatch.setattr(images, "MAX_BYTES", size - 1)
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("opened"))
    with pytest.raises(PictureError, match=r"has \d+ bytes; expected at most \d+\. Save it"):
        read_picture(path)


def test_a_picture_without_pixels():
    with pytest.raises(PictureError, match="The image is 0 x 4 pixels; expected at least 1 x 1"):
        read_picture(Image.new("RGB", (0, 4)))


def test_a_program_for_ghostscript_is_not_run(saved):
    content = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 5 5\n%%EndComments\nshowpage\n%%EOF\n"
    with pytest.raises(PictureError, match=r"is EPS, drawing instructions.*Save it as PNG"):
        read_picture(saved(content))


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there")
def test_a_name_that_is_no_text_can_be_printed(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff.png")
    path.write_bytes(encoded(Image.fromarray(STORED), "PNG"))
    assert read_picture(path).name == "\N{REPLACEMENT CHARACTER}.png"
    path.unlink()
    with pytest.raises(PictureError) as caught:
        read_picture(path)
    assert str(caught.value).encode()


# Fitting


def bicubic_weights(source: int, target: int) -> np.ndarray:
    """Keys' cubic with a = -0.5, widened when shrinking: (target, source), rows add up to 1."""
    scale = source / target
    wide = max(scale, 1)
    centres = (np.arange(target) + 0.5) * scale
    x = np.abs((np.arange(source) + 0.5 - centres[:, None]) / wide)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights = np.where(x < 1, near, np.where(x < 2, far, 0))
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("shape", "size", "region"),
    [
        ((300, 451), (224, 224), Region(75, 0, 300, 300)),
        ((451, 300), (224, 224), Region(0, 75, 300, 300)),
        ((300, 300), (224, 224), Region(0, 0, 300, 300)),
        ((100, 200), (50, 200), Region(0, 25, 200, 50)),
        ((200, 100), (10, 40), Region(0, 87, 100, 25)),
        ((100, 200), (40, 10), Region(87, 0, 25, 100)),
        ((90, 160), (60, 80), Region(20, 0, 120, 90)),
        ((2, 3), (224, 224), Region(0, 0, 2, 2)),
        ((1, 1), (224, 224), Region(0, 0, 1, 1)),
        ((1, 1000), (5, 5), Region(499, 0, 1, 1)),
        ((1000, 1), (5, 5), Region(0, 499, 1, 1)),
        ((2, 1000), (1000, 1), Region(499, 0, 1, 2)),
        ((1000, 2), (1, 1000), Region(0, 499, 2, 1)),
    ],
)
def test_crop_takes_the_largest_centred_part(shape, size, region):
    array = noise(*shape)
    picture = read_picture(array)
    fitted, cropped = fit_picture(picture, size, 3, "crop")
    assert cropped == region
    assert fitted.shape == (*size, 3)
    assert fitted.dtype == np.float32
    part = array[
        region.top : region.top + region.height, region.left : region.left + region.width
    ].astype(float)
    if part.shape[:2] != size:
        rows = bicubic_weights(region.height, size[0])
        columns = bicubic_weights(region.width, size[1])
        part = np.clip(np.einsum("ai,bj,ijc->abc", rows, columns, part, optimize=True), 0, 255)
    np.testing.assert_allclose(fitted, part, atol=1e-3)


@pytest.mark.parametrize("shape", [(30, 50), (50, 30), (1, 1), (1, 400), (400, 1)])
@pytest.mark.parametrize("size", [(16, 24), (24, 16)])
def test_stretch_shows_the_whole_picture(shape, size):
    array = noise(*shape)
    fitted, region = fit_picture(read_picture(array), size, 3, "stretch")
    assert region == Region(0, 0, shape[1], shape[0])
    rows, columns = bicubic_weights(shape[0], size[0]), bicubic_weights(shape[1], size[1])
    expected = np.einsum("ai,bj,ijc->abc", rows, columns, array.astype(float))
    np.testing.assert_allclose(fitted, np.clip(expected, 0, 255), atol=1e-3)


@pytest.mark.parametrize("fit", ["crop", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_models_own_size_is_not_resampled(fit, channels):
    array = np.random.default_rng(1).uniform(0, 255, (7, 11, channels)).astype(np.float32)
    picture = read_picture(array)
    fitted, region = fit_picture(picture, (7, 11), channels, fit)
    assert fitted.tobytes() == array.tobytes()
    assert region == Region(0, 0, 11, 7)
    fitted[...] = 0  # the caller's own
    np.testing.assert_array_equal(picture.pixels, array)


def test_a_part_of_the_models_size_is_not_resampled():
    array = noise(8, 20)
    fitted, region = fit_picture(read_picture(array), (8, 8), 3, "crop")
    assert region == Region(6, 0, 8, 8)
    np.testing.assert_array_equal(fitted, array[:, 6:14])


@pytest.mark.parametrize("size", [(1, 2), (4, 4), (9, 5)])
def test_grey_for_a_colour_model(size):
    picture = read_picture(noise(4, 4, 1))
    grey, _ = fit_picture(picture, size, 1, "stretch")
    colour, _ = fit_picture(picture, size, 3, "stretch")
    assert colour.shape == (*size, 3)
    assert colour.flags.c_contiguous
    for channel in range(3):
        np.testing.assert_array_equal(colour[..., channel], grey[..., 0])


def test_colour_for_a_grey_model_is_luma():
    array = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[10, 20, 30], [255] * 3, [0] * 3]])
    fitted, _ = fit_picture(read_picture(array), (2, 3), 1, "crop")
    expected = [[76.245, 149.685, 29.07], [18.15, 255, 0]]
    np.testing.assert_allclose(fitted[..., 0], expected, atol=1e-4)
    assert fitted.shape == (2, 3, 1)
    assert fitted.max() <= 255
    shrunk, _ = fit_picture(read_picture(array), (1, 1), 1, "stretch")
    rows, columns = bicubic_weights(2, 1), bicubic_weights(3, 1)
    np.testing.assert_allclose(shrunk[0, 0], rows[0] @ expected @ columns[0], atol=1e-4)


@pytest.mark.parametrize("fit", ["crop", "stretch"])
@pytest.mark.parametrize("shape", [(5, 40), (40, 40), (300, 451), (3, 2)])
@pytest.mark.parametrize("size", [(7, 7), (64, 48), (20, 100)])
def test_a_gradient_stays_one(fit, shape, size):
    ramp = np.broadcast_to(np.linspace(0, 255, shape[1], dtype=np.float32), shape)
    fitted, _ = fit_picture(read_picture(ramp), size, 3, fit)
    assert fitted.min() >= 0
    assert fitted.max() <= 255
    assert np.diff(fitted, axis=1).min() >= -1e-3
    np.testing.assert_allclose(np.diff(fitted, axis=0), 0, atol=1e-3)


def test_the_overshoot_at_an_edge_is_clipped():
    step = np.zeros((4, 8), np.uint8)
    step[:, 4:] = 255
    fitted, _ = fit_picture(read_picture(step), (16, 32), 1, "stretch")
    assert fitted.min() == 0
    assert fitted.max() == 255


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_other_channel_counts(channels):
    told = rf"takes {channels} channels; pictures are fitted to 3 \(RGB\) or 1"
    with pytest.raises(PictureError, match=told):
        fit_picture(read_picture(noise(2, 2)), (2, 2), channels, "crop")


def test_a_model_without_a_size():
    with pytest.raises(PictureError, match=r"input size is \(0, 5\); expected \(height, width\)"):
        fit_picture(read_picture(noise(2, 2)), (0, 5), 3, "crop")


def test_an_unknown_fit():
    with pytest.raises(UsageError, match="fit='pad'; expected 'crop' or 'stretch'"):
        fit_picture(read_picture(noise(2, 2)), (2, 2), 3, "pad")


# Display and demo


def test_display_pixels():
    drawn = display_pixels(read_picture(np.array([[[0.4, 127.6, 255]]])))
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn, [[[0, 128, 255]]])
    grey = display_pixels(read_picture(STORED))
    np.testing.assert_array_equal(grey, np.stack([STORED] * 3, axis=-1))


def test_pictures_are_compared_by_their_source():
    one, other = read_picture(STORED), read_picture(STORED + 1)
    assert one != other
    assert len({one, read_picture(STORED), other}) == 2
    assert "pixels" not in repr(one)


def test_the_photographs():
    cat, coffee = demo.cat(), demo.coffee()
    assert (cat.name, cat.pixels.shape) == ("chelsea.png", (300, 451, 3))
    assert (coffee.name, coffee.pixels.shape) == ("coffee.png", (400, 600, 3))
    assert cat.sha256.startswith("596aa1e7cb875eb7")
    assert coffee.sha256.startswith("cc02f8ca188b167c")
    assert cat.notes == coffee.notes == ()


def test_the_cat_is_over_the_coffee():
    both = demo.cat_over_coffee()
    assert isinstance(both, Picture)
    assert both.name == "cat-over-coffee"
    assert both.pixels.shape == (224, 224, 3)
    halves = [demo.cat().pixels[22:247], demo.coffee().pixels[50:350]]
    fitted = [fit_picture(read_picture(half), (112, 224), 3, "stretch")[0] for half in halves]
    apart = np.abs(both.pixels - np.concatenate(fitted))  # 8 bits are clipped between the passes
    assert np.mean(apart > 1) < 1e-3
    assert apart.max() < 10
    np.testing.assert_array_equal(both.pixels, np.rint(both.pixels))
