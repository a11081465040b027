"""Where the weights of VGG16, ResNet50 and Xception come from.

The real adapters, on smaller models of the same family: a whole VGG16 takes
seconds to build.
"""

import contextlib
import math
import random
import urllib.error
import urllib.request
from dataclasses import replace
from functools import partial

import keras
import numpy as np
import pytest
from keras.src.utils import file_utils

from xai_core.errors import ModelError
from xai_core.preprocessing import SCHEMES
from xai_plugins.adapters import RESNET50, VGG16, XCEPTION

FAMILIES = [VGG16, RESNET50, XCEPTION]
WARNS = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def small(adapter, classes=10):
    """The adapter, building with few classes on small pictures."""
    build = partial(adapter.application, input_shape=(75, 75, 3), classes=classes)
    if adapter is VGG16:  # its head has 120 million parameters
        build = partial(build, include_top=False)
    return replace(adapter, application=build)


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """An empty Keras cache, and no network."""

    def refuse(request, timeout):
        assert request.get_method() == "HEAD"
        assert timeout <= 10
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(keras.utils, "get_file", lambda *_, **__: pytest.fail("downloaded"))


@pytest.mark.parametrize("adapter", FAMILIES, ids=lambda adapter: adapter.name)
def test_without_network_it_says_what_to_do(adapter, offline, tmp_path, capsys):
    with pytest.raises(ModelError) as caught:
        adapter.build("imagenet")
    message = str(caught.value)
    assert f"cannot download the ImageNet weights of {adapter.name}" in message
    assert "Name or service not known" in message
    file = f"{adapter.name}_weights_tf_dim_ordering_tf_kernels.h5"
    url = f"https://storage.googleapis.com/tensorflow/keras-applications/{adapter.folder}/{file}"
    assert f"put {url} at {tmp_path / 'models' / file}," in message
    assert "pass the path of a weights file, or ask for 'random' weights" in message
    assert caught.value.__suppress_context__
    assert capsys.readouterr() == ("", "")


def test_the_cache_is_in_the_home_folder_otherwise(offline, monkeypatch, tmp_path):
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ModelError) as caught:
        VGG16.build("imagenet")
    assert f" at {tmp_path / '.keras' / 'models' / VGG16.file}," in str(caught.value)


def test_a_download_that_breaks_off_is_the_same_error(monkeypatch, tmp_path, capsys):
    def fail(*_, **__):
        print("Downloading data from somewhere")
        # A plain Exception, as Keras raises it.
        raise Exception("URL fetch failure on it: None -- reset by peer")  # noqa: TRY002

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: contextlib.nullcontext())
    monkeypatch.setattr(keras.utils, "get_file", fail)
    with pytest.raises(ModelError, match=r"weights of xception \(URL fetch failure .*by peer\)"):
        XCEPTION.build("imagenet")
    assert capsys.readouterr() == ("", "Downloading data from somewhere\n")


class AskedError(Exception):
    pass


@pytest.mark.parametrize("adapter", FAMILIES, ids=lambda adapter: adapter.name)
def test_the_file_is_the_one_that_keras_itself_would_load(adapter, monkeypatch):
    asked = []

    def record(name, origin, cache_subdir, file_hash):
        asked.append((name, origin, cache_subdir, file_hash))
        raise AskedError

    # Each in place of get_file(), as Keras' own code and as ours call it.
    monkeypatch.setattr(file_utils, "get_file", record)
    monkeypatch.setattr(keras.utils, "get_file", record)
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: contextlib.nullcontext())
    with pytest.raises(AskedError):
        adapter.application(weights="imagenet")
    with pytest.raises(ModelError):
        adapter.build("imagenet")
    assert len(asked) == 2
    assert asked[0] == asked[1]


@WARNS
def test_a_cached_file_is_loaded_without_asking_the_network(monkeypatch, tmp_path):
    adapter = replace(small(XCEPTION), file="cached.weights.h5")
    cached = tmp_path / "models" / adapter.file
    cached.parent.mkdir()
    saved = adapter.application(weights=None)
    saved.save_weights(cached)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: pytest.fail("asked"))
    monkeypatch.setattr(keras.utils, "get_file", lambda *_, **__: str(cached))
    assert_same(adapter.build("imagenet"), saved)


def assert_same(model, other):
    for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@WARNS
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
def test_weights_from_a_file(suffix, tmp_path):
    adapter = small(XCEPTION)
    saved = adapter.application(weights=None)
    path = tmp_path / f"mine{suffix}"
    (saved.save_weights if "weights" in suffix else saved.save)(path)
    assert_same(adapter.build(str(path)), saved)


@pytest.fixture(scope="module")
def other_files(tmp_path_factory):
    """Files that hold no weights of a small Xception with ten classes."""
    folder = tmp_path_factory.mktemp("weights")
    other = keras.applications.MobileNet(weights=None, include_top=False, input_shape=(75, 75, 3))
    no_top = keras.applications.Xception(weights=None, include_top=False, input_shape=(75, 75, 3))
    other.save_weights(folder / "other.weights.h5")
    other.save(folder / "other.h5")
    no_top.save_weights(folder / "no_top.weights.h5")
    no_top.save(folder / "no_top.h5")
    small(XCEPTION, classes=3).architecture().save(folder / "three.h5")
    whole = (folder / "no_top.weights.h5").read_bytes()
    (folder / "cut.weights.h5").write_bytes(whole[: len(whole) // 2])
    (folder / "junk.h5").write_bytes(b"junk")
    (folder / "junk.keras").write_bytes(b"junk")
    (folder / "empty.h5").touch()
    (folder / "notes.txt").write_text("notes")
    return folder


@WARNS
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("other.weights.h5", "ValueError: A total of "),
        ("other.h5", "ValueError: Layer count mismatch"),
        ("no_top.weights.h5", "Layer 'predictions' expected 2 var"),
        ("no_top.h5", "expected 81 layers, found 80"),
        ("three.h5", "Weight expects shape (2048, 10)"),
        ("cut.weights.h5", "OSError: Unable to synchronously open file (truncated file"),
        ("junk.h5", "file signature not found"),
        ("junk.keras", "BadZipFile: File is not a zip file"),
        ("empty.h5", "OSError"),
        ("notes.txt", "File format not supported"),
    ],
)
def test_a_file_of_other_weights_is_refused(file, reason, other_files):
    path = other_files / file
    with pytest.raises(ModelError) as caught:
        small(XCEPTION).build(str(path))
    message = str(caught.value)
    assert f"{path} does not hold the weights of xception with 1000 classes: " in message
    assert reason in message
    assert "a model of your own needs no --weights" in message
    assert len(message) < 800


@pytest.mark.parametrize(
    "weights", ["imagnet", "", "gone.h5", "/", "None", "h5" * 500, "~no_such_user/x.h5"]
)
@pytest.mark.parametrize("adapter", FAMILIES, ids=lambda adapter: adapter.name)
def test_any_other_word_is_refused_before_anything_is_built(adapter, weights):
    adapter = replace(adapter, application=lambda **_: pytest.fail("built"))
    with pytest.raises(ModelError) as caught:
        adapter.build(weights)
    assert f"{adapter.name} has no weights {weights!r}, and no file is called that" in str(
        caught.value
    )
    assert "'imagenet', 'random', or the path of a .weights.h5, .h5 or .keras file" in str(
        caught.value
    )


def test_a_home_folder_may_be_written_with_a_tilde(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "junk.h5").write_bytes(b"junk")
    with pytest.raises(ModelError, match=rf"^{tmp_path}/junk.h5 does not hold"):
        small(XCEPTION).build("~/junk.h5")


@pytest.mark.parametrize("adapter", FAMILIES, ids=lambda adapter: adapter.name)
def test_random_weights_are_he_normal_and_the_same_every_time(adapter):
    first, second = (small(adapter).build("random") for _ in range(2))
    assert_same(first, second)
    seen = 0
    for layer in first.layers:
        for variable in layer.weights:
            values, kind = variable.numpy(), variable.name
            if kind in ("kernel", "pointwise_kernel", "depthwise_kernel"):
                *patch, inputs, _ = values.shape if values.ndim == 4 else (1, *values.shape)
                fan_in = math.prod(patch) * (1 if kind == "depthwise_kernel" else inputs)
                error = 5 / math.sqrt(2 * values.size)
                assert values.std() == pytest.approx(math.sqrt(2 / fan_in), rel=error)
                seen += 1
            else:
                start = 1 if kind in ("gamma", "moving_variance") else 0
                np.testing.assert_array_equal(values, start)
    assert seen == {"vgg16": 13, "resnet50": 54, "xception": 6 + 2 * 34 + 1}[adapter.name]


def draw():
    """A number from each of the global generators."""
    return random.random(), np.random.rand(), float(keras.random.normal(()))  # noqa: NPY002


def test_random_weights_touch_no_global_generator():
    keras.utils.set_random_seed(7)
    expected = draw()
    keras.utils.set_random_seed(7)
    small(XCEPTION).build("random")
    assert draw() == expected


def test_a_global_seed_does_not_change_the_random_weights():
    keras.utils.set_random_seed(1)
    first = small(XCEPTION).build("random")
    keras.utils.set_random_seed(2)
    assert_same(first, small(XCEPTION).build("random"))


@pytest.mark.parametrize(
    ("adapter", "size", "scheme"),
    [(VGG16, 224, "caffe"), (RESNET50, 224, "caffe"), (XCEPTION, 299, "tf")],
)
def test_what_they_say_of_themselves(adapter, size, scheme):
    assert adapter.input_size == (size, size)
    assert adapter.preprocessing is SCHEMES[scheme]
    assert adapter.fit == "stretch"
    assert adapter.rank == 0
    assert adapter.labels(1000)[967] == "espresso"
    assert adapter.labels(999) is None


@pytest.mark.parametrize("adapter", FAMILIES, ids=lambda adapter: adapter.name)
def test_the_scheme_is_what_keras_does(adapter):
    module = getattr(keras.applications, adapter.name)
    picture = np.random.default_rng(0).uniform(0, 255, (2, 5, 6, 3)).astype(np.float32)
    expected = module.preprocess_input(picture.copy())
    np.testing.assert_allclose(adapter.preprocessing.apply(picture), expected, atol=1e-4)
