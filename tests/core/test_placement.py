"""Where a model runs, and what happens when there is no room."""

from dataclasses import dataclass
from typing import ClassVar

import keras
import numpy as np
import pytest
from keras import layers, ops
from plain import drawn

import xai_core
from xai_core import Explainer, Needs, Study, Trust
from xai_core.errors import OutOfMemoryError, UsageError
from xai_core.placement import choose_device
from xai_core.probe import backend

SIZE = (10, 14)


class NoRoomError(Exception):
    """What the backend raises where it has no memory left."""


@pytest.fixture
def study(registry, monkeypatch):
    inputs = keras.Input((*SIZE, 3))
    x = layers.Conv2D(4, 3, activation="relu")(inputs)
    x = layers.Dense(5)(layers.GlobalAveragePooling2D()(x))
    monkeypatch.setattr(backend(), "is_out_of_memory", lambda error: isinstance(error, NoRoomError))
    model = drawn(keras.Model(inputs, x), seed=3)
    return Study(model, registry=registry, preprocess="unit", device="cpu")


def pictures(count):
    draw = np.random.default_rng(0)
    return [draw.integers(0, 256, (*SIZE, 3), dtype=np.uint8) for _ in range(count)]


def test_there_is_a_cpu():
    assert "cpu:0" in xai_core.devices()
    assert choose_device("cpu") == choose_device("CPU:0") == "cpu:0"


@pytest.mark.parametrize("name", ["gpu:7", "cuda:7", "tpu", "fast"])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(UsageError, match=f"received device '{name}'; expected one of cpu:0"):
        choose_device(name)


def test_by_default_the_first_gpu(monkeypatch):
    monkeypatch.setattr(backend(), "devices", lambda: ("cpu:0", "gpu:0", "gpu:1"))
    assert choose_device(None) == "gpu:0"
    assert choose_device("cuda:1") == "gpu:1"
    monkeypatch.setattr(backend(), "devices", lambda: ("cpu:0",))
    assert choose_device(None) == "cpu:0"


def test_a_study_and_its_maps_say_where_they_ran(study):
    assert study.device == "cpu:0"
    told = study.explain(pictures(1)[0], "saliency").provenance
    assert (told["device"], told["backend"]) == ("cpu:0", keras.backend.backend())


@dataclass(frozen=True)
class Large(Explainer):
    """Has room for some pictures at a time."""

    name: ClassVar[str] = "large"
    needs: ClassVar[Needs] = Needs.ACTIVATIONS
    room: int = 2

    def explain(self, evidence):
        if evidence.targets.shape[0] > self.room:
            raise NoRoomError
        return ops.sum(evidence.activations, axis=-1)


def test_where_memory_runs_out_the_batch_is_halved_and_that_is_told(study):
    made = study.compare(pictures(11), ["grad-cam", Large()], [0, 1], batch=8)
    assert not made.failures
    plain = study.compare(pictures(11), ["grad-cam", Large(99)], [0, 1], batch=8)
    for one, other in zip(made, plain, strict=True):
        assert (one.picture, one.method.name, one.target) == (
            other.picture,
            other.method.name,
            other.target,
        )
        np.testing.assert_allclose(one.map, other.map, rtol=1e-5, atol=1e-7)
    assert made.notices == (
        "the device ran out of memory with 8 pictures to a batch: went on with 4",
        "the device ran out of memory with 4 pictures to a batch: went on with 2",
    )
    assert len(made.predictions) == 11
    assert plain.notices == ()


def test_the_batch_that_did_not_fit_is_told_also_where_it_is_odd(study):
    made = study.compare(pictures(5), [Large()], [0], batch=5)
    assert not made.failures
    assert made.notices == (
        "the device ran out of memory with 5 pictures to a batch: went on with 2",
    )


def test_where_there_is_no_room_for_one_picture_its_maps_fail_and_nothing_is_lost(study):
    good, bad = pictures(2)
    bad[0, 0] = 250

    @dataclass(frozen=True)
    class Picky(Large):
        name: ClassVar[str] = "picky"

        def explain(self, evidence):
            if (evidence.pixels[:, 0, 0] == 250).all(axis=-1).any():
                raise NoRoomError
            return ops.sum(evidence.activations, axis=-1)

    made = study.compare([good, bad, good], [Picky()], [0], batch=1)
    assert len(list(made)) == 2
    (failure,) = made.failures
    assert made.cells.index(failure) == 1
    assert isinstance(failure.error, OutOfMemoryError)
    assert "ran out of memory with a single picture; expected room for one pass" in str(
        failure.error
    )


def test_other_errors_are_as_ever(study):
    @dataclass(frozen=True)
    class Breaks(Large):
        name: ClassVar[str] = "breaks"

        def explain(self, evidence):
            raise MemoryError("not the device's")

    made = study.compare(pictures(3), [Breaks()], [0])
    assert len(made.failures) == 3
    assert "raised MemoryError" in str(made.failures[0].error)


@dataclass(frozen=True)
class Asks(Explainer):
    """Asks about the picture, darker step by step."""

    name: ClassVar[str] = "asks"
    needs: ClassVar[Needs] = Needs.QUERIES
    queries: ClassVar[int] = 60

    def explain(self, evidence):
        light = ops.linspace(0.0, 1.0, self.queries)[None, :, None, None, None]
        scores = evidence.scores(light * evidence.inputs[:, None])
        return ops.reshape(scores, (-1, 6, 10))


@pytest.fixture
def cramped(study, monkeypatch):
    """A study whose device has room for nine pictures."""
    read = study.read

    def cramped(images, *arguments, **named):
        if images.shape[0] > 9:
            raise NoRoomError
        return read(images, *arguments, **named)

    monkeypatch.setattr(study, "read", cramped)
    return study


NO_ROOM = (
    "the device ran out of memory with 34 queries to a pass: went on with 17",
    "the device ran out of memory with 17 queries to a pass: went on with 8",
)


def test_where_queries_do_not_fit_fewer_are_asked_together_and_that_is_told(study, cramped):
    made = cramped.compare(pictures(3), [Asks(), "grad-cam"], [1])
    assert not made.failures
    assert made.notices == NO_ROOM
    shades = np.linspace(0, 1, 60, dtype=np.float32)
    for picture, (one, _) in zip(pictures(3), zip(*[iter(made)] * 2, strict=True), strict=True):
        asked = shades[:, None, None, None] * (picture / np.float32(255))
        expected = ops.convert_to_numpy(study.model(asked))[:, 1]
        np.testing.assert_allclose(one.map.ravel(), expected, rtol=1e-5, atol=1e-6)
        assert one.facts["queries"] == 60


def test_so_are_what_metrics_ask_and_the_verdicts(cramped):
    deletion = cramped.registry.metric("deletion", steps=30)
    found = cramped.evaluate(pictures(2), "grad-cam", deletion, 1)
    assert not found.failures
    assert found.notices == NO_ROOM  # once, for both pictures
    trusted = cramped.compare(pictures(1), "grad-cam", 1, trust=Trust(budget=400))
    assert [each.verdict for each in trusted]
    assert set(NO_ROOM) <= set(trusted.notices)


def test_a_query_that_does_not_fit_by_itself_fails_its_method_and_no_other(study, monkeypatch):
    read = study.read

    def full(images, targets, needs, layers, **named):
        if not layers:
            raise NoRoomError
        return read(images, targets, needs, layers, **named)

    monkeypatch.setattr(study, "read", full)
    made = study.compare(pictures(1), [Asks(), "grad-cam"], [1])
    (failure,) = made.failures
    assert failure.method.name == "asks"
    assert isinstance(failure.error, OutOfMemoryError)
    assert "ran out of memory with a single query; expected room for one pass" in str(failure.error)
    assert [each.rsplit(" ", 1)[-1] for each in made.notices] == ["17", "8", "4", "2", "1"]
