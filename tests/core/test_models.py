"""Models: from a name, a file or memory; what a file may not do; the hash of the weights."""

import os
import re
import zipfile
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from keras import layers

from xai_core import ModelAdapter, Study
from xai_core.errors import ModelError, UnknownNameError, UsageError
from xai_core.models import LoadedModel, WeightsRecord, hash_weights, load_model
from xai_core.registry import Registry

FORMATS = [".keras", ".h5"]
PICTURE = np.random.default_rng(5).integers(0, 256, (9, 7, 3), dtype=np.uint8)
OWN_CODE = (
    ". A model with layers or functions of your own, or a Lambda, must be loaded in Python, by "
    "code you trust, and passed on: xai_core.Study(model)"
)


def functional() -> keras.Model:
    keras.utils.set_random_seed(3)
    inputs = keras.Input((8, 8, 3))
    x = layers.RandomFlip()(inputs)
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="convolution")(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.add([x, layers.Conv2D(4, 3, padding="same", activation="relu")(x)])
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x), name="functional_one")


def sequential() -> keras.Model:
    keras.utils.set_random_seed(4)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(2),
        ],
        name="sequential_one",
    )


def nested() -> keras.Model:
    keras.utils.set_random_seed(5)
    inputs = keras.Input((8, 8, 3))
    pooled = layers.GlobalAveragePooling2D()(
        keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                layers.SeparableConv2D(4, 3, activation="relu"),
                layers.BatchNormalization(),
            ],
            name="backbone",
        )(inputs)
    )
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(pooled), name="nested_one")


def trained(build) -> keras.Model:
    """With statistics in its normalisations that are not those of a new model."""
    model = build()
    rng = np.random.default_rng(6)
    model.set_weights([np.abs(rng.normal(size=w.shape)) + 0.1 for w in model.get_weights()])
    return model


def refused(source, *, error=ModelError, weights=None, registry=None) -> str:
    with pytest.raises(error) as caught:
        load_model(source, weights, registry or Registry([]))
    return str(caught.value)


# ------------------------------------------------------------------------------ by file


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("build", [functional, sequential, nested])
def test_a_saved_model_gives_the_maps_of_the_one_in_memory(build, suffix, tmp_path, registry):
    model = trained(build)
    path = tmp_path / f"mine{suffix}"
    model.save(path)

    def study(source):
        return Study(source, preprocess="none", registry=registry)

    ours, loaded = study(model), study(path)
    assert loaded.model is not model
    assert loaded.layer == ours.layer
    methods = ["grad-cam", "saliency"]
    first, second = (each.compare(PICTURE, methods, [0, 1]) for each in (ours, loaded))
    assert len(first) == len(second) == 4
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.map, other.map)
        assert one.score == other.score
        assert one.provenance["weights_sha256"] == other.provenance["weights_sha256"]
    assert any(one.map.any() for one in first)
    assert (ours.name, loaded.name) == (model.name, f"mine{suffix}")
    assert (ours.origin()["model_source"], loaded.origin()["model_source"]) == (
        "in memory",
        str(path),
    )


@pytest.mark.parametrize("suffix", [".h5", ".hdf5"])
def test_legacy_files_load_as_text_or_path(suffix, tmp_path):
    path = tmp_path / f"mine{suffix}"
    sequential().save(path)
    for source in (path, str(path)):
        loaded = load_model(source, None, Registry([]))
        assert (loaded.source, loaded.weights, loaded.title) == (str(path), "its own", path.name)
        assert not loaded.is_random


def test_a_model_that_was_compiled_loads_without_what_it_was_trained_with(tmp_path):
    def loss_of_mine(truth, guess):
        return keras.ops.mean(truth - guess)

    model = sequential()
    model.compile(loss=loss_of_mine)
    model.save(tmp_path / "mine.keras")
    loaded = load_model(tmp_path / "mine.keras", None, Registry([])).model
    assert hash_weights(loaded) == hash_weights(model)


SAVED = "; expected a file saved by model.save('name.keras')"


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".hdf5", ".KERAS"])
def test_a_file_that_is_not_there(tmp_path, suffix):
    path = tmp_path / f"missing{suffix}"
    assert refused(path) == f"model file {str(path)!r} is not there{SAVED}"
    assert refused(str(path)) == f"model file {str(path)!r} is not there{SAVED}"


def test_a_name_that_no_disk_can_hold(tmp_path):
    path = tmp_path / ("n" * 300 + ".keras")
    assert refused(path) == f"model file {str(path)!r} is not there{SAVED}"
    assert refused("n" * 300, error=UnknownNameError).startswith("no model is called 'nnn")
    assert refused("null\0.keras") == rf"model file 'null\x00.keras' is not there{SAVED}"


@pytest.mark.parametrize("name", ["saved_model", "folder.keras"])
def test_a_folder(tmp_path, name):
    path = tmp_path / name
    path.mkdir()
    assert refused(path) == (
        f"model file {str(path)!r} is a folder{SAVED} (a SavedModel folder is not a Keras 3 model)"
    )


def test_a_file_of_another_kind(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"PK")
    assert refused(path) == f"model file {str(path)!r} does not end in .keras or .h5{SAVED}"
    fifo = tmp_path / "pipe.keras"
    os.mkfifo(fifo)
    assert refused(fifo) == f"model file {str(fifo)!r} is no regular file{SAVED}"


def test_a_keras_file_cut_short(tmp_path):
    path = tmp_path / "short.keras"
    sequential().save(path)
    whole = path.read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 30):
        path.write_bytes(whole[:length])
        assert refused(path) == (
            f"model file {str(path)!r} is no .keras archive, or is cut short{SAVED}"
        )


def test_a_text_file_called_keras(tmp_path):
    path = tmp_path / "text.keras"
    path.write_text("my model")
    assert refused(path) == f"model file {str(path)!r} is no .keras archive, or is cut short{SAVED}"


@pytest.mark.parametrize(
    "entries", [{"readme.txt": ""}, {"config.json": "{}"}, {"config.json": "["}]
)
def test_an_archive_of_something_else(tmp_path, entries):
    path = tmp_path / "other.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in entries.items():
            archive.writestr(name, text)
    assert refused(path).startswith(f"Keras cannot load {str(path)!r}: ")


def test_an_h5_file_that_is_damaged_is_not_blamed_on_own_layers(tmp_path):
    path = tmp_path / "short.h5"
    sequential().save(path)
    whole = path.read_bytes()
    for content in (b"", b"my model", whole[: len(whole) // 2]):
        path.write_bytes(content)
        text = refused(path)
        assert text.startswith(f"Keras cannot load {str(path)!r}: ")
        assert text.endswith(f". It is damaged, cut short or not what its name says{SAVED}")


def test_a_file_of_weights_alone(tmp_path):
    path = tmp_path / "mine.weights.h5"
    sequential().save_weights(path)
    text = refused(path)
    assert "No model config found in the file" in text
    assert text.startswith(f"Keras cannot load {str(path)!r}: ValueError: ")


# ------------------------------------------------------------------- what files may not do


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("depth", [0, 1])
def test_a_lambda_is_refused_and_not_run(tmp_path, suffix, depth):
    path, marker = tmp_path / f"lambda{suffix}", tmp_path / "it ran"
    write = eval(f"lambda x: open({str(marker)!r}, 'w').close() or x")  # the path in the code
    inputs = keras.Input((4, 4, 3))
    outputs = layers.Lambda(write, name="evil")(inputs)
    if depth:
        outputs = keras.Model(inputs, outputs)(inputs)
    outputs = layers.Dense(2)(layers.GlobalAveragePooling2D()(outputs))
    keras.Model(inputs, outputs).save(path)
    marker.unlink()  # building it ran it

    text = refused(path)
    assert text.startswith(f"Keras cannot load {str(path)!r}: ")
    assert "Lambda" in text.removesuffix(OWN_CODE)
    assert text.endswith(OWN_CODE)
    assert not marker.exists()
    keras.saving.load_model(path, compile=False, safe_mode=False)
    assert marker.exists()  # so it would have run


class OfMine(layers.Layer):
    def call(self, x):
        return 2 * x


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_unknown_layer_is_named(tmp_path, suffix):
    path = tmp_path / f"custom{suffix}"
    inputs = keras.Input((4, 4, 3))
    keras.Model(inputs, OfMine()(inputs)).save(path)
    text = refused(path)
    assert re.match(rf"Keras cannot load {re.escape(repr(str(path)))}: \w+: ", text)
    assert "'OfMine'" in text.split(". ")[0]
    assert text.endswith(OWN_CODE)
    assert "\n" not in text


# ------------------------------------------------------------------- by name, from memory


class Builder(ModelAdapter):
    """Notes which weights it was asked for."""

    name = "family"

    def __init__(self):
        self.asked = []

    def build(self, weights):
        self.asked.append(weights)
        return sequential()

    def matches(self, graph):
        return False

    def feature_layers(self, graph):
        return ()

    def labels(self, classes):
        return None


@pytest.fixture
def family():
    """A registry's stand-in with one adapter, which is no plugin."""

    adapters = {"family": Builder(), "other": None}
    return SimpleNamespace(adapters=adapters, adapter=adapters.get, families=tuple(adapters))


@pytest.mark.parametrize(
    ("weights", "stored", "random"),
    [
        (None, "imagenet", False),
        ("imagenet", "imagenet", False),
        ("random", "random", True),
        ("a.weights.h5", "a.weights.h5", False),
    ],
)
def test_a_family(family, tmp_path, monkeypatch, weights, stored, random):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "family").write_text("a file of that name does not stand in its way")
    loaded = load_model("family", weights, family)
    assert family.adapters["family"].asked == [stored]
    assert (loaded.source, loaded.weights, loaded.title) == ("family", stored, "family")
    assert loaded.is_random is random


def test_an_unknown_name_lists_the_families(registry):
    families = ", ".join(registry.families)
    assert "vgg16" in families
    for source in ("vgg", "VGG16", "vgg16 ", "inception"):
        assert refused(source, error=UnknownNameError, registry=registry) == (
            f"no model is called {source!r}; expected a family, one of {families}, or the path of "
            "a .keras or .h5 file"
        )


def test_a_model_in_memory():
    model = sequential()
    loaded = load_model(model, None, Registry([]))
    assert loaded == LoadedModel(model, "in memory", "its own")
    assert loaded.title == "sequential_one"


@pytest.mark.parametrize("kind", ["file", "memory", "name"])
def test_weights_for_a_model_that_has_its_own(tmp_path, family, kind):
    sequential().save(tmp_path / "mine.keras")
    source = {"file": tmp_path / "mine.keras", "memory": sequential(), "name": "nothing"}[kind]
    assert refused(source, weights="imagenet", error=UsageError, registry=family) == (
        "weights 'imagenet' were given for a model that has its own; expected them only with a "
        "family's name: family, other"
    )


@pytest.mark.parametrize("source", [None, 3, b"vgg16", ["vgg16"], np.zeros((2, 2))])
def test_what_is_no_model_at_all(source):
    assert refused(source, error=UsageError) == (
        f"received a {type(source).__name__} as the model; expected a family's name, the path of "
        "a .keras or .h5 file, or a keras.Model"
    )


# --------------------------------------------------------------------------- the hash


def seeds(model: keras.Model) -> list[np.ndarray]:
    return [v.numpy() for v in model.variables if "seed" in v.path]


def test_the_hash_changes_with_any_weight_and_with_nothing_else():
    model = trained(functional)
    whole = hash_weights(model)
    assert re.fullmatch("[0-9a-f]{64}", whole)
    assert len(model.weights) == 10  # two convolutions, a normalisation with its four, a head
    for weight in model.weights:
        before = weight.numpy()
        changed = before.copy()
        changed.flat[-1] = np.nextafter(changed.flat[-1], np.float32(np.inf))
        weight.assign(changed)
        assert hash_weights(model) != whole, weight.path
        weight.assign(before)
        assert hash_weights(model) == whole
    model.trainable = False
    before = seeds(model)
    model(np.ones((1, 8, 8, 3)), training=True)  # frozen, but it draws from its seeds
    assert any((v != w).any() for v, w in zip(before, seeds(model), strict=True))
    assert hash_weights(model) == whole


def test_the_hash_tells_dtypes_shapes_and_order_apart():
    def hashed(weights, dtype="float32"):
        x = inputs = keras.Input((len(weights[0]),), dtype=dtype)
        for number, weight in enumerate(weights):
            dense = layers.Dense(len(weight[0]), use_bias=False, name=f"d{number}", dtype=dtype)
            x = dense(x)
        model = keras.Model(inputs, x)
        model.set_weights([np.asarray(weight) for weight in weights])
        return hash_weights(model)

    first, second = [[1, 2], [3, 4]], [[5, 6], [7, 8]]
    assert hashed([first, second]) == hashed([first, second])
    assert hashed([first, second]) != hashed([second, first])
    # The rest have the same bytes.
    assert hashed([np.zeros((2, 3))]) != hashed([np.zeros((3, 2))])
    assert hashed([np.zeros((2, 2))], "float16") != hashed([np.zeros((2, 2))], "bfloat16")


def test_the_hash_does_not_depend_on_how_the_model_was_made():
    def build():
        return keras.Sequential(
            [keras.Input((4, 4, 3)), layers.Conv2D(2, 3), layers.Dropout(0.5), layers.Flatten()]
        )

    first, second = build(), build()  # other names, other seeds of the dropout
    second.set_weights(first.get_weights())
    assert first.weights[0].path != second.weights[0].path
    assert hash_weights(first) == hash_weights(second)


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_hash_does_not_depend_on_the_file(tmp_path, suffix):
    for build in (functional, sequential, nested):
        model = trained(build)
        model.save(tmp_path / f"mine{suffix}")
        loaded = load_model(tmp_path / f"mine{suffix}", None, Registry([])).model
        assert hash_weights(loaded) == hash_weights(model)


def test_the_embedded_model_has_one_hash(registry):
    first, second = (registry.adapter("efficientnet-lite0").build("imagenet") for _ in range(2))
    assert hash_weights(first) == hash_weights(second)


IN_HAND, LOADED = "in memory", "a file"


def record_of(model, source):
    return WeightsRecord(LoadedModel(model, source, "its own"))


def test_a_record_notices_that_weights_have_changed():
    model = trained(sequential)
    record = record_of(model, IN_HAND)
    before = model.get_weights()
    first = hash_weights(model)
    model.set_weights([2 * weight for weight in before])
    assert record.sha256() is None
    model.set_weights(before)
    assert record.sha256() == first


def test_what_no_one_else_holds_is_hashed_when_it_is_told_or_handed_out(monkeypatch):
    model = trained(sequential)
    asked = []
    monkeypatch.setattr(
        "xai_core.models.hash_weights", lambda each: asked.append(each) or hash_weights(each)
    )
    record = record_of(model, LOADED)
    assert asked == []
    assert record.sha256() == hash_weights(model)
    handed_out = record_of(model, LOADED)
    handed_out.record()
    model.set_weights([2 * weight for weight in model.get_weights()])
    assert handed_out.sha256() is None
