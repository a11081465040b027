"""One map made visible: resampled, placed on its picture, scaled, coloured, laid over."""

from dataclasses import replace
from functools import lru_cache

import keras
import matplotlib
import numpy as np
import pytest
from keras import Input, Model, layers
from PIL import Image

import xai_plugins
from xai_core import Study
from xai_core.errors import UsageError
from xai_core.images import Region, display_pixels, read_picture
from xai_core.registry import Plugin, Registry, Source
from xai_core.render import (
    DIVERGING,
    OPACITY,
    SEQUENTIAL,
    Scale,
    blend,
    caption,
    common_scale,
    heatmap,
    on_picture,
    overlay,
    resize,
    scales,
)
from xai_core.render.maps import colour
from xai_core.types import Explanation, MapWarning, Method, Target

LUMA = (0.299, 0.587, 0.114)
UNSIGNED, SIGNED = Scale(0.0, 1.0, False), Scale(-1.0, 1.0, True)


def noise(height: int, width: int, seed: int = 0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return read_picture(pixels)


@lru_cache
def from_a_study() -> Explanation:
    """With everything that an explanation has; the tests change what they are about."""
    plugins = [Plugin(Source("xai-core", "0"), xai_plugins)]
    inputs = keras.Input((4, 4, 3))
    outputs = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(inputs))
    study = Study(keras.Model(inputs, outputs), preprocess="none", registry=Registry(plugins))
    return study.explain(np.zeros((4, 4), np.uint8), "saliency", target=0)


def explanation(raw, picture=None, region=None, *, signed=False, model="m", target=0):
    raw = np.asarray(raw, np.float32)
    picture = picture or noise(*raw.shape)
    height, width = picture.pixels.shape[:2]
    return replace(
        from_a_study(),
        model=model,
        map=raw,
        picture=picture,
        region=region or Region(0, 0, width, height),
        method=Method("method", {}, signed, "test 1"),
        target=Target(target, None, str(target)),
        warnings=(),
    )


def delta(height: int, width: int, row: int, column: int) -> np.ndarray:
    raw = np.zeros((height, width), np.float32)
    raw[row, column] = 1
    return raw


# ---------------------------------------------------------------------------- resampled


def test_bilinear_between_the_centres_of_pixels():
    # The 4 new centres lie at 1/4, 3/4, 5/4, 7/4 of old pixels, whose own are at 1/2, 3/2.
    # Beyond the outermost centres the map stays at its edge's value.
    np.testing.assert_allclose(resize(np.array([[0.0, 4.0]]), 1, 4), [[0, 1, 3, 4]])
    np.testing.assert_allclose(resize(np.array([[0.0], [4.0]]), 4, 1), [[0], [1], [3], [4]])
    np.testing.assert_allclose(
        resize(np.array([[0.0, 4.0], [8.0, 12.0]]), 4, 4),
        np.add.outer([0, 2, 6, 8], [0, 1, 3, 4]),
    )


def test_a_map_that_is_larger_is_averaged():
    # A tent two old pixels to each side: weights 3, 3, 1 on the first three, over 7.
    np.testing.assert_allclose(
        resize(np.array([[0.0, 7.0, 14.0, 21.0]]), 1, 2), [[5, 16]], rtol=1e-6
    )


@pytest.mark.parametrize("shape", [(14, 14), (13, 29), (7, 70), (3, 4), (2, 3)])
def test_what_lies_somewhere_stays_there(shape):
    # The centre of gravity of one place, in the map's own coordinates from edge to edge.
    made = resize(delta(7, 10, 3, 4), *shape)
    rows, columns = np.indices(shape)
    assert (made * (rows + 0.5)).sum() / made.sum() / shape[0] == pytest.approx(3.5 / 7, abs=0.02)
    assert (made * (columns + 0.5)).sum() / made.sum() / shape[1] == pytest.approx(0.45, abs=0.05)


def test_a_map_of_the_right_size_and_an_even_one_stay_as_they_are():
    raw = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    np.testing.assert_array_equal(resize(raw, 5, 7), raw)
    np.testing.assert_allclose(resize(np.full((3, 2), -2.5), 11, 13), np.full((11, 13), -2.5))
    np.testing.assert_array_equal(resize(np.array([[3.0]]), 4, 5), np.full((4, 5), 3))


def test_resizing_takes_any_memory_layout_and_flips_alike():
    raw = np.random.default_rng(0).normal(size=(5, 7))
    made = resize(raw, 11, 9)
    assert made.dtype == np.float32
    np.testing.assert_allclose(resize(raw[::-1], 11, 9), made[::-1], atol=1e-6)
    np.testing.assert_allclose(resize(raw[:, ::-1], 11, 9), made[:, ::-1], atol=1e-6)
    np.testing.assert_allclose(resize(raw.T, 9, 11), made.T, atol=1e-6)


# ------------------------------------------------------------------------------- placed


def test_on_a_crop_the_rest_is_no_number():
    one = explanation([[1, 2], [3, 4]], noise(4, 7), Region(3, 1, 2, 2))
    expected = np.full((4, 7), np.nan)
    expected[1:3, 3:5] = [[1, 2], [3, 4]]
    np.testing.assert_array_equal(on_picture(one), expected)


def test_on_a_whole_picture_everything_is():
    one = explanation([[0, 4]], noise(3, 4))
    np.testing.assert_allclose(on_picture(one), [[0, 1, 3, 4]] * 3)


# ------------------------------------------------------------------------------- scaled


def test_the_scale_of_a_map_ends_at_its_percentile():
    raw = np.arange(201.0).reshape(3, 67)  # its 99.5th percentile is 199
    assert common_scale([explanation(raw)]) == Scale(0, 199, False)
    assert common_scale([explanation(-raw, signed=True)]) == Scale(-199, 199, True)
    assert common_scale([explanation(raw - 100, signed=True)]) == Scale(-100, 100, True)
    assert common_scale([explanation(raw - 1)]) == Scale(-1, 198, False)


def test_one_place_among_very_many_still_shows():
    scale = common_scale([explanation(delta(100, 100, 3, 4))])
    assert scale == Scale(0, 1, False)
    np.testing.assert_array_equal(scale(delta(100, 100, 3, 4)), delta(100, 100, 3, 4))


@pytest.mark.parametrize("signed", [False, True])
def test_a_map_without_numbers_or_all_zero_has_an_empty_scale(signed):
    for raw in (np.zeros((3, 3)), np.full((3, 3), np.nan), np.full((3, 3), np.inf)):
        scale = common_scale([explanation(raw, signed=signed)])
        assert (scale.low, scale.high, scale.signed) == (0, 0, signed)
    assert common_scale([]) == Scale(0, 0, False)


def test_what_is_no_number_does_not_count():
    raw = np.array([[np.nan, 1, 2, -np.inf]])
    assert common_scale([explanation(raw[:, :3])]).high == pytest.approx(1.995)
    scale = common_scale([explanation(raw)])
    np.testing.assert_allclose(scale(raw), [[np.nan, 1 / 1.995, 1, np.nan]], rtol=1e-6)


def test_an_even_map():
    scale = common_scale([explanation(np.full((2, 2), 3))])
    assert scale == Scale(0, 3, False)
    np.testing.assert_array_equal(scale(np.full((2, 2), 3.0)), np.ones((2, 2)))
    scale = common_scale([explanation(np.full((2, 2), -3), signed=True)])
    assert scale == Scale(-3, 3, True)
    np.testing.assert_array_equal(scale(np.full((2, 2), -3.0)), np.zeros((2, 2)))


def test_an_unsigned_map_below_zero_runs_from_its_lowest():
    raw = np.array([[-2.0, -1.0, 0.0, 2.0]])
    scale = common_scale([explanation(raw)])
    assert (scale.low, scale.high) == (-2, 2)
    np.testing.assert_array_equal(scale(raw), [[0, 0.25, 0.5, 1]])


def test_to_the_unit_interval():
    scale = Scale(0, 4, False)
    np.testing.assert_array_equal(scale(np.array([-1.0, 0, 1, 4, 9])), [0, 0, 0.25, 1, 1])
    scale = Scale(-2, 2, True)
    np.testing.assert_array_equal(scale(np.array([-9.0, -2, 0, 1, 5])), [0, 0, 0.5, 0.75, 1])
    assert scale(np.zeros(1)).dtype == np.float32
    assert (scale.middle, Scale(0, 4, False).middle) == (0.5, 0)
    assert str(Scale(-0.01234, 0.01234, True)) == "-0.0123 to 0.0123"


def test_an_empty_scale_shows_nothing():
    raw = np.array([0.0, 5.0, np.nan])
    np.testing.assert_array_equal(Scale(0, 0, False)(raw), [0, 0, np.nan])
    np.testing.assert_array_equal(Scale(0, 0, True)(raw), [0.5, 0.5, np.nan])


def test_which_maps_share_a_scale():
    first, second = noise(2, 2, 1), noise(2, 2, 2)
    made = [
        explanation(np.full((2, 2), 1), first),
        explanation(np.full((2, 2), 2), first),
        explanation(np.full((2, 2), 3), first, target=1),
        explanation(np.full((2, 2), 4), second),
        explanation(np.full((2, 2), 5), first, model="other"),
    ]

    def highs(sharing):
        found = scales(made, sharing)
        return [found[id(each)].high for each in made]

    assert highs("map") == [1, 2, 3, 4, 5]
    assert highs("row") == [2, 2, 3, 4, 5]  # of one model, picture and class
    assert highs("all") == [5, 5, 5, 5, 5]


def test_one_signed_map_makes_a_shared_scale_signed():
    made = [explanation([[1, 2]]), explanation([[-3, 1]], signed=True)]
    (scale, other) = scales(made, "all").values()
    assert scale == other
    assert scale.signed
    assert scale.low == -scale.high


def test_an_unknown_way_to_share():
    with pytest.raises(UsageError) as caught:
        scales([], "column")
    assert str(caught.value) == "received scale 'column'; expected one of map, row, all"


# ----------------------------------------------------------------------------- laid over


def grey_of(picture) -> np.ndarray:
    return (display_pixels(picture).astype(np.float64) @ LUMA)[..., None].repeat(3, axis=-1)


@pytest.mark.parametrize("name", [SEQUENTIAL, DIVERGING, "jet", "binary"])
@pytest.mark.parametrize("opacity", [0, 0.3, None, 1])
@pytest.mark.parametrize("scale", [UNSIGNED, SIGNED], ids=["unsigned", "signed"])
def test_the_blend_is_a_weighted_mean_of_grey_and_colour(name, opacity, scale):
    rng = np.random.default_rng(3)
    pixels = rng.choice([0, 1, 128, 254, 255], (40, 30, 3)).astype(np.uint8)
    picture = read_picture(pixels)
    heat = rng.choice([0, 0.2, 0.5, 0.7, 1], (40, 30)).astype(np.float32)
    made = blend(picture, heat, scale, name, opacity)
    assert made.dtype == np.uint8

    colours = 255 * matplotlib.colormaps[name](heat)[..., :3]
    amount = np.abs(2 * heat - 1) if scale.signed else heat
    weight = (OPACITY if opacity is None else opacity) * np.sqrt(amount)[..., None]
    expected = (1 - weight) * grey_of(picture) + weight * colours
    assert np.abs(made - expected).max() <= 0.51  # a sum beyond 0..255 would have wrapped round
    low, high = np.minimum(grey_of(picture), colours), np.maximum(grey_of(picture), colours)
    assert (made >= low - 0.51).all()
    assert (made <= high + 0.51).all()


def test_at_opacity_nothing_the_picture_is_grey_where_the_model_looked():
    picture = noise(4, 6)
    one = explanation([[1, 2], [3, 4]], picture, Region(1, 1, 3, 2))
    made = np.asarray(overlay(one, opacity=0))
    expected = np.rint(0.4 * grey_of(picture))
    expected[1:3, 1:4] = np.rint(grey_of(picture))[1:3, 1:4]
    np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize("opacity", [0, 0.5, 1])
def test_outside_the_crop_the_picture_is_dim_and_grey(opacity):
    picture = noise(6, 9)
    one = explanation(np.ones((3, 3)), picture, Region(2, 1, 3, 4))
    made = np.asarray(overlay(one, opacity=opacity))
    outside = np.ones((6, 9), bool)
    outside[1:5, 2:5] = False
    dim = np.rint(0.4 * grey_of(picture))
    np.testing.assert_array_equal(made[outside], dim[outside])
    assert (made[~outside] != dim[~outside]).any()


@pytest.mark.parametrize("signed", [False, True])
def test_a_map_that_says_nothing_leaves_the_picture_in_grey(signed):
    picture = noise(4, 5)
    made = np.asarray(overlay(explanation(np.zeros((2, 2)), picture, signed=signed)))
    np.testing.assert_array_equal(made, np.rint(grey_of(picture)))


def test_at_full_opacity_the_greatest_heat_is_the_colour_alone():
    one = explanation(delta(3, 4, 1, 2), noise(3, 4))
    hottest = np.asarray(overlay(one, opacity=1))[1, 2]
    np.testing.assert_array_equal(
        hottest, np.rint(255 * np.array(matplotlib.colormaps["inferno"](1.0)[:3]))
    )
    signed = explanation(-delta(3, 4, 1, 2), noise(3, 4), signed=True)
    coldest = np.asarray(overlay(signed, opacity=1))[1, 2]
    np.testing.assert_array_equal(
        coldest, np.rint(255 * np.array(matplotlib.colormaps["RdBu_r"](0.0)[:3]))
    )


def test_a_place_that_is_no_number_is_as_dim_as_one_that_was_not_seen():
    picture = noise(3, 3)
    raw = np.ones((3, 3))
    raw[1, 1] = np.nan
    made = np.asarray(overlay(explanation(raw, picture)))
    dim = np.rint(0.4 * grey_of(picture))
    np.testing.assert_array_equal(made[1, 1], dim[1, 1])
    assert (made[0, 0] != dim[0, 0]).any()


@pytest.mark.parametrize("opacity", [-0.1, 1.1, np.nan])
def test_an_opacity_that_is_none(opacity):
    with pytest.raises(UsageError) as caught:
        overlay(explanation([[1]]), opacity=opacity)
    assert str(caught.value) == (f"received opacity {opacity}; expected 0 (picture) to 1 (map)")


def test_an_unknown_colour_map():
    with pytest.raises(UsageError) as caught:
        overlay(explanation([[1]]), colour_map="rainbows")
    assert str(caught.value) == (
        "no colour map is called 'rainbows'; expected one of Matplotlib's, such as inferno, "
        "viridis, cividis, jet, or RdBu_r for signed maps"
    )


def test_colours_of_matplotlib():
    heat = np.array([[0, 0.5, 1, np.nan]], np.float32)
    expected = 255 * matplotlib.colormaps["viridis"]([0, 0.5, 1, 0])[:, :3]
    np.testing.assert_allclose(colour(heat, "viridis")[0], expected, rtol=1e-6)


def test_the_heat_alone_has_the_maps_own_resolution():
    raw = np.array([[0, 1], [2, 4]])
    made = np.asarray(heatmap(explanation(raw, noise(50, 60)), colour_map="gray"))
    scale = common_scale([explanation(raw)])
    np.testing.assert_allclose(made[..., 0], 255 * scale(raw), atol=1.01)  # 256 levels
    assert made.shape == (2, 2, 3)


def test_warnings_are_written_over_the_lower_edge_and_nowhere_else():
    grey = Image.fromarray(np.full((120, 200, 3), 90, np.uint8))
    assert caption(grey, []) is grey
    made = caption(grey, ["all-zero", "random-weights"])
    assert made.size == grey.size
    touched = np.flatnonzero((np.asarray(made) != 90).any((1, 2)))
    assert touched.max() == 119
    assert touched.min() > 100
    assert np.asarray(made).max() > 200  # light on black
    np.testing.assert_array_equal(np.asarray(grey), 90)

    one = explanation(np.ones((3, 3)), noise(90, 60))
    doubted = replace(one, warnings=(MapWarning("all-zero", "why"),))
    assert np.asarray(one.overlay()).tolist() == np.asarray(overlay(one)).tolist()
    assert (np.asarray(doubted.overlay()) != np.asarray(one.overlay())).any(-1)[:70].sum() == 0
    assert (np.asarray(doubted.overlay()) != np.asarray(one.overlay())).any()


@pytest.mark.parametrize("size", [(1, 1), (3, 100), (100, 3)])
def test_warnings_on_a_picture_too_small_for_them(size):
    assert caption(Image.new("RGB", size), ["random-weights", "all-zero"]).size == size


# ------------------------------------------------------------------ aligned with the picture


def changed(one: Explanation) -> list[tuple[int, int]]:
    """Where the overlay differs from that of an empty map."""
    made, empty = (np.asarray(overlay(each)) for each in (one, replace(one, map=0 * one.map)))
    return [tuple(place) for place in np.argwhere((made != empty).any(-1))]


@pytest.mark.parametrize("place", [(0, 0), (2, 5), (7, 0), (0, 7), (7, 7)])
@pytest.mark.parametrize("region", [Region(6, 0, 8, 8), Region(0, 0, 8, 8), Region(12, 3, 8, 8)])
def test_one_place_lands_on_its_pixel_after_a_crop(place, region):
    picture = read_picture(np.full((11, 20), 128, np.uint8))
    one = explanation(delta(8, 8, *place), picture, region)
    assert changed(one) == [(region.top + place[0], region.left + place[1])]


@pytest.mark.parametrize(
    ("shape", "row", "column"), [((8, 20), 2, 11), ((20, 8), 8, 5), ((8, 8), 2, 5)]
)
def test_a_models_pixel_is_marked_on_the_original(registry, shape, row, column):
    """A model that looks at one pixel, at (2, 5) of its square input."""
    inputs = Input((8, 8, 3))
    pixel = layers.Flatten()(layers.Cropping2D(((2, 5), (5, 2)))(inputs))
    model = Model(inputs, layers.Dense(2, kernel_initializer="ones")(pixel))
    study = Study(model, preprocess="unit", fit="crop", registry=registry)
    one = study.explain(np.full(shape, 128, np.uint8), "saliency", target=0)
    assert changed(one) == [(row, column)]


def test_a_models_pixel_is_marked_where_the_picture_is_larger(registry):
    inputs = Input((8, 8, 3))
    pixel = layers.Flatten()(layers.Cropping2D(((2, 5), (5, 2)))(inputs))
    model = Model(inputs, layers.Dense(2, kernel_initializer="ones")(pixel))
    for fit, centre in [("crop", (2.5 * 4 - 0.5, 8 + 5.5 * 4 - 0.5)), ("stretch", (9.5, 32.5))]:
        study = Study(model, preprocess="unit", fit=fit, registry=registry)
        one = study.explain(np.full((32, 48), 128, np.uint8), "saliency", target=0)
        marked = changed(one)
        np.testing.assert_allclose(np.mean(marked, axis=0), centre, atol=1e-9)
        assert np.ptp(marked, axis=0).max() <= (8 if fit == "crop" else 12)
