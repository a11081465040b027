"""Inputs: the numbers a model is fed, and what is said about how they were chosen."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers

from xai_core.errors import SurgeryError, UnknownNameError, UsageError
from xai_core.images import Region, read_picture
from xai_core.inputs import Input, choose_input
from xai_core.preprocessing import SCHEMES, Preprocessing, scheme
from xai_core.surgery import read_graph

RGB = (255, 0, 51)
GENERIC = SimpleNamespace(name="generic", input_size=None, preprocessing=None, fit="stretch")
FAMILY = SimpleNamespace(
    name="vgg16", input_size=(12, 10), preprocessing=scheme("caffe"), fit="crop"
)


def model(*shape, dtype="float32", first=()) -> keras.Model:
    inputs = keras.Input(shape, dtype=dtype)
    x = inputs
    for layer in first:
        x = layer(x)
    x = layers.Conv2D(2, 3, padding="same", dtype=dtype if "float" in dtype else None)(x)
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x), name="mine")


def chosen(*shape, adapter=GENERIC, size=None, fit=None, preprocess=None, **kinds) -> Input:
    graph = read_graph(model(*shape, **kinds))
    return choose_input(graph, adapter, size=size, fit=fit, preprocess=preprocess)


def refused(*shape, error=UsageError, **kinds) -> str:
    with pytest.raises(error) as caught:
        chosen(*shape, **kinds)
    return str(caught.value)


# ----------------------------------------------------------------------------- schemes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none", (255, 0, 51)),
        ("unit", (1, 0, 51 / 255)),
        ("tf", (1, -1, 51 / 127.5 - 1)),
        ("caffe", (51 - 103.939, 0 - 116.779, 255 - 123.68)),  # blue first
        ("torch", ((1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0.2 - 0.406) / 0.225)),
    ],
)
def test_each_scheme_on_a_pixel(name, expected, dtype):
    images = np.full((2, 3, 4, 3), RGB, dtype)
    made = scheme(name).apply(images)
    assert made.dtype == dtype
    assert made.shape == images.shape
    tolerance = 1e-15 if dtype == "float64" else 2e-7
    np.testing.assert_allclose(made, np.broadcast_to(expected, images.shape), rtol=tolerance)
    np.testing.assert_array_equal(images, np.full((2, 3, 4, 3), RGB))  # as they were


@pytest.mark.parametrize("name", ["tf", "caffe", "torch"])
def test_the_schemes_are_those_of_keras(name):
    images = np.random.default_rng(0).uniform(0, 255, (2, 5, 4, 3))
    theirs = keras.applications.imagenet_utils.preprocess_input(images.copy(), mode=name)
    np.testing.assert_allclose(scheme(name).apply(images), theirs, rtol=1e-12, atol=1e-12)


def test_an_unknown_scheme():
    with pytest.raises(UnknownNameError) as caught:
        scheme("imagenet")
    assert str(caught.value) == (
        "no preprocessing scheme is called 'imagenet'; expected one of none, unit, tf, caffe, "
        "torch, or, from Python, a callable on float RGB 0..255"
    )
    assert refused(8, 8, 3, preprocess="VGG", error=UnknownNameError).startswith(
        "no preprocessing scheme is called 'VGG'; expected one of none,"
    )


def test_the_schemes_cannot_be_changed():
    with pytest.raises(TypeError):
        SCHEMES["none"] = SCHEMES["tf"]


# --------------------------------------------------------------------------- whose it is


def test_none_is_asked_for_and_nothing_is_known():
    made = chosen(8, 8, 3)
    assert (made.preprocessing.name, made.reason) == ("unit", "a guess")
    assert made.preprocessing_is_guessed


def test_the_family_knows():
    made = chosen(8, 8, 3, adapter=FAMILY)
    assert made.preprocessing is scheme("caffe")
    assert made.reason == "that of the family vgg16"
    assert not made.preprocessing_is_guessed


@pytest.mark.parametrize(
    "kinds",
    [
        {"first": [layers.Rescaling(1 / 255)]},
        {"first": [layers.RandomFlip(), layers.Rescaling(1 / 127.5, -1)]},
        {"first": [layers.Normalization(mean=[1, 2, 3], variance=[4, 5, 6])]},
        {"first": [layers.Rescaling(1 / 255)], "dtype": "uint8"},
    ],
    ids=["rescaling", "behind augmentation", "normalization", "whole numbers"],
)
def test_the_model_rescales_its_input_itself(kinds):
    for adapter in (GENERIC, FAMILY):
        made = chosen(8, 8, 3, adapter=adapter, **kinds)
        assert (made.preprocessing.name, made.reason, made.preprocessing_is_guessed) == (
            "none",
            "the model rescales its input itself",
            False,
        )


def test_what_is_asked_for_wins():
    first = [layers.Rescaling(1 / 255)]
    own = Preprocessing("mine", lambda images: images + 1, "one more")

    def halved(images):
        return images / 2

    class Callable:
        def __call__(self, images):
            return images / 4

    for asked, name in [("tf", "tf"), (own, "mine"), (halved, "halved"), (Callable(), "Callable")]:
        made = chosen(8, 8, 3, adapter=FAMILY, first=first, preprocess=asked)
        assert (made.preprocessing.name, made.reason) == (name, "as asked for")
        assert not made.preprocessing_is_guessed
    assert chosen(8, 8, 3, preprocess=halved).preprocessing.apply(np.float32(8)) == 4


@pytest.mark.parametrize("name", ["caffe", "torch"])
def test_schemes_for_colour_are_refused_for_grey(name):
    expected = (
        f"preprocessing {name!r} is for 3 channels and 'mine' takes 1; expected none, unit or "
        "tf, or a callable of your own"
    )
    assert refused(8, 8, 1, preprocess=name) == expected
    family = SimpleNamespace(**{**vars(FAMILY), "preprocessing": scheme(name)})
    assert refused(8, 8, 1, adapter=family) == expected
    assert chosen(8, 8, 1, adapter=family, preprocess="tf").channels == 1


# ------------------------------------------------------------------------------- shapes


@pytest.mark.parametrize("shape", [(8, 8, 4), (8, 8, 2), (None, None, None), (3, 8, 8), (8, 8)])
def test_an_input_that_is_no_picture(shape):
    inputs = keras.Input(shape)
    graph = read_graph(keras.Model(inputs, layers.Flatten()(layers.ReLU()(inputs)), name="mine"))
    with pytest.raises(SurgeryError) as caught:
        choose_input(graph, GENERIC, size=None, fit=None, preprocess=None)
    assert str(caught.value) == (
        f"the input of 'mine' has shape {(None, *shape)}; expected pictures, (batch, height, "
        "width, channels), with 1 or 3 channels, channels last"
    )


def test_a_table_is_no_picture():
    inputs = keras.Input((10,))
    graph = read_graph(keras.Model(inputs, layers.Dense(2)(inputs), name="mine"))
    with pytest.raises(
        SurgeryError, match=r"^the input of 'mine' has shape \(None, 10\); expected"
    ):
        choose_input(graph, GENERIC, size=None, fit=None, preprocess=None)


def test_channels_first():
    inputs = keras.Input((3, 8, 3))  # which could pass for a picture
    pooled = layers.GlobalAveragePooling2D(data_format="channels_first", name="pool")(inputs)
    graph = read_graph(keras.Model(inputs, pooled, name="mine"))
    with pytest.raises(SurgeryError) as caught:
        choose_input(graph, GENERIC, size=None, fit=None, preprocess=None)
    assert str(caught.value) == (
        "layer 'pool' of 'mine' has its channels first; expected channels last. Build the model "
        "with keras.config.set_image_data_format('channels_last')."
    )


# --------------------------------------------------------------------------------- size


def test_the_size_of_the_model():
    for adapter in (GENERIC, FAMILY):
        made = chosen(6, 8, 3, adapter=adapter)
        assert (made.size, made.channels, made.size_is_guessed) == ((6, 8), 3, False)
    assert chosen(6, 8, 3, size=(6, 8)).size == (6, 8)
    assert chosen(6, 8, 3, size=[6, 8]).size == (6, 8)


def test_a_size_that_the_model_does_not_take():
    assert refused(6, 8, 3, size=(8, 6)) == (
        "received size 8x6; 'mine' takes 6x8 (height x width) only. Leave the size out."
    )


def test_a_size_of_which_the_model_leaves_one_side_open():
    assert refused(6, None, 3, size=(8, 12)) == (
        "received size 8x12; 'mine' takes 6xany (height x width) only. Give one that fits."
    )
    for size in (8, (8,), (8.5, 3)):
        assert refused(None, None, 3, size=size) == (
            f"received size {size!r}; expected whole numbers (height, width)"
        )


def test_a_size_that_the_model_leaves_open():
    assert chosen(None, None, 3, size=(5, 7)).size == (5, 7)
    assert not chosen(None, None, 3, size=(5, 7)).size_is_guessed
    guess, family = chosen(None, None, 3), chosen(None, None, 3, adapter=FAMILY)
    assert (guess.size, guess.size_is_guessed) == ((224, 224), True)
    assert (family.size, family.size_is_guessed) == ((12, 10), False)


def test_a_side_that_the_model_leaves_open():
    assert chosen(6, None, 3).size == (6, 224)
    assert chosen(None, 8, 3, adapter=FAMILY).size == (12, 8)
    assert chosen(6, None, 3, size=(6, 9)).size == (6, 9)


@pytest.mark.parametrize("size", [(0, 5), (5, -1)])
def test_a_size_of_nothing(size):
    assert refused(None, None, 3, size=size) == (
        f"received size {size[0]}x{size[1]}; expected at least 1x1"
    )


# ------------------------------------------------------------------------------ prepared


def picture(height: int, width: int, channels: int = 3):
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, channels), np.uint8)
    return read_picture(pixels)


def test_the_fit_of_the_family_unless_asked_for():
    wide = picture(4, 8)
    assert chosen(4, 4, 3, adapter=FAMILY).fit == "crop"
    assert chosen(4, 4, 3).fit == "stretch"
    _, (crop,) = chosen(4, 4, 3, adapter=FAMILY).prepare([wide])
    _, (whole,) = chosen(4, 4, 3).prepare([wide])
    _, (asked,) = chosen(4, 4, 3, adapter=FAMILY, fit="stretch").prepare([wide])
    assert crop == Region(2, 0, 4, 4)
    assert whole == asked == Region(0, 0, 8, 4)


def test_a_picture_of_the_models_size_is_not_resampled():
    one = picture(4, 6)
    batch, regions = chosen(4, 6, 3, preprocess="tf").prepare([one, one])
    assert batch.dtype == np.float32
    np.testing.assert_array_equal(batch, np.stack([one.pixels / np.float32(127.5) - 1] * 2))
    assert regions == [Region(0, 0, 6, 4)] * 2


def test_colour_for_a_model_of_grey_and_the_reverse():
    batch, _ = chosen(1, 1, 1, preprocess="unit").prepare([read_picture(np.array([[RGB]]))])
    np.testing.assert_allclose(batch, [[[[(0.299 * 255 + 0.114 * 51) / 255]]]], rtol=1e-6)
    batch, _ = chosen(1, 1, 3, preprocess="caffe").prepare([read_picture(np.array([[51]]))])
    np.testing.assert_allclose(batch[0, 0, 0], [51 - 103.939, 51 - 116.779, 51 - 123.68], rtol=1e-6)


def test_a_model_of_float64_is_fed_float64():
    made = chosen(4, 6, 3, dtype="float64", preprocess="unit")
    assert made.dtype == "float64"
    one = picture(4, 6)
    batch, _ = made.prepare([one])
    assert batch.dtype == np.float64
    np.testing.assert_array_equal(batch[0], one.pixels.astype(np.float64) / 255)
    assert (batch != batch.astype(np.float32)).any()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "uint8"])
def test_any_other_model_is_fed_float32(dtype):
    first = [layers.Rescaling(1 / 255)] if dtype == "uint8" else []
    made = chosen(4, 6, 3, dtype=dtype, first=first)
    assert made.dtype == dtype
    assert made.prepare([picture(4, 6)])[0].dtype == np.float32


def test_a_callable_is_given_float_rgb_and_may_return_anything_like_an_array():
    seen = []

    def whole(images):
        seen.append((images.dtype, images.shape, images.min() >= 0, images.max() > 1))
        return images.astype(int).tolist()

    one = picture(4, 6)
    batch, _ = chosen(4, 6, 3, preprocess=whole).prepare([one])
    assert seen == [(np.float32, (1, 4, 6, 3), True, True)]
    assert batch.dtype == np.float32
    np.testing.assert_array_equal(batch[0], one.pixels)


@pytest.mark.parametrize(
    ("preprocess", "made"),
    [
        (lambda images: images[0], "float32 (4, 6, 3)"),
        (lambda images: images[..., :1], "float32 (1, 4, 6, 1)"),
        (lambda images: images.transpose(0, 3, 1, 2), "float32 (1, 3, 4, 6)"),
        (lambda images: images * np.float32(np.nan), "float32 (1, 4, 6, 3)"),
        (lambda images: images.astype(float) + np.inf, "float64 (1, 4, 6, 3)"),
    ],
    ids=["no batch", "one channel", "channels first", "NaN", "infinite"],
)
def test_a_callable_that_makes_something_else(preprocess, made):
    with pytest.raises(UsageError) as caught:
        chosen(4, 6, 3, preprocess=preprocess).prepare([picture(4, 6)])
    assert str(caught.value) == (
        f"preprocessing '<lambda>' made {made} of float32 (1, 4, 6, 3); expected the same shape "
        "and finite numbers"
    )
