"""Keras' global state: other for what a study loads or makes again, and then as it was."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import keras
import pytest
from keras import layers

from xai_core.errors import ModelError
from xai_core.models import load_model
from xai_core.registry import Registry
from xai_core.twins import Ladder, in_float64


def model() -> keras.Model:
    """With layers, a seed's variable and an operation that Keras names by itself."""
    inputs = keras.Input((9, 7, 3))
    x = layers.Conv2D(2, 3, padding="same")(inputs)
    x = layers.add([layers.RandomFlip()(x), layers.Conv2D(2, 3, padding="same")(x)])
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(3)(x))


def named(made: keras.Model) -> list[str]:
    return [each.name for each in made.layers] + [each.path for each in made.variables]


@pytest.fixture
def ways(tmp_path):
    """The ways in which a study comes to models of its own, of one model."""
    kept = model()
    kept.save(tmp_path / "mine.keras")
    kept.save(tmp_path / "mine.h5")
    none = Registry([])
    # A registry's stand-in with one adapter, which is no plugin.
    family = SimpleNamespace(build=lambda _: model())
    one = SimpleNamespace(adapters={"family": family}, adapter=lambda _: family)
    return {
        ".keras": lambda: load_model(tmp_path / "mine.keras", None, none).model,
        ".h5": lambda: load_model(tmp_path / "mine.h5", None, none).model,
        "family": lambda: load_model("family", "random", one).model,
        "ladder": lambda: Ladder(kept, 7).model,
        "float64": lambda: in_float64(kept),
    }


@pytest.mark.parametrize("way", [".keras", ".h5", "family", "ladder", "float64"])
def test_a_model_has_the_same_names_whatever_was_made_before(ways, way):
    """TensorFlow keeps something of each name for good: of 50 studies, 35 KiB or 2 MiB."""
    first = named(ways[way]())
    for _ in range(3):
        model()
    assert named(ways[way]()) == first
    assert sum("seed_generator" in each for each in first) == 2


@pytest.mark.parametrize("way", [".keras", ".h5", "family", "ladder", "float64"])
def test_the_session_goes_on_counting_where_it_stood(ways, way):
    ways[way]()  # whatever is made once
    keras.backend.get_uid("dropout")
    seen = keras.backend.get_uid("dropout")
    ways[way]()
    assert keras.backend.get_uid("dropout") == seen + 1


def test_a_session_that_named_nothing_still_did_not(ways):
    """Keras counts in each thread for itself, and not before it names something there."""

    def first_names():
        ways[".keras"]()
        return layers.Dropout(0.5).name, keras.random.SeedGenerator(1).name

    with ThreadPoolExecutor(1) as thread:
        # The dropout has the first generator.
        assert thread.submit(first_names).result() == ("dropout", "seed_generator_1")


def test_counts_are_restored_when_a_file_cannot_be_loaded(tmp_path):
    path = tmp_path / "mine.keras"
    keras.Sequential([keras.Input((3,)), layers.Dropout(0.5), layers.Lambda(lambda x: x)]).save(
        path
    )
    seen = keras.backend.get_uid("dropout")
    with pytest.raises(ModelError, match="must be loaded in Python, by code you trust"):
        load_model(path, None, Registry([]))
    assert keras.backend.get_uid("dropout") == seen + 1
