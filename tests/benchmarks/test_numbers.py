"""What is counted, by hand on small cases."""

import keras
import pytest
from keras import layers

from benchmarks.apart import _held
from benchmarks.scenarios.growth import ROUNDS, growth
from benchmarks.scenarios.queries import _windows
from benchmarks.settings import FULL
from benchmarks.work import forward_work


def test_the_work_of_a_model_is_that_of_its_convolutions_and_dense_layers():
    inputs = keras.Input((8, 6, 3))
    x = layers.Conv2D(4, 3, padding="same")(inputs)  # 8 x 6 places of 3*3*3 by 4
    x = layers.BatchNormalization()(x)
    x = layers.DepthwiseConv2D(3, 2, padding="same", use_bias=False)(x)  # 4 x 3 of 3*3 by 4
    x = layers.SeparableConv2D(5, 1, use_bias=False)(x)  # 4 x 3 of 4 and of 4 by 5
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(10)(x))  # 5 by 10
    convolution, depthwise, separable, dense = 48 * 27 * 4, 12 * 9 * 4, 12 * (4 + 20), 50
    weights = (27 * 4 + 4) + 36 + (4 + 20) + (50 + 10)
    moved = (144 + 192) + (192 + 48) + (48 + 60) + (5 + 10)
    for batch in (1, 3):
        work = forward_work(model, batch)
        assert work.operations == 2 * batch * (convolution + depthwise + separable + dense)
        assert work.bytes == 4 * (weights + batch * moved)


def test_what_is_moved_is_as_wide_as_its_dtype():
    inputs = keras.Input((8,), dtype="float32")
    model = keras.Model(inputs, layers.Dense(4, dtype="mixed_bfloat16")(inputs))
    assert forward_work(model, 3).bytes == 4 * (8 * 4 + 4) + 2 * 3 * (8 + 4)


@pytest.mark.parametrize(("name", "count"), [*FULL.repeated, ("few", 3), ("odd", 53)])
def test_what_must_not_grow_is_done_exactly_as_often_as_is_said(name, count):
    done = []
    rounds = min(ROUNDS, count)
    held = _held(lambda: done.append(len(done)), {"rounds": rounds, "count": count})
    assert (len(done), len(held)) == (count, rounds)


def test_what_is_done_fifty_times_is_two_or_three_to_a_round(monkeypatch):
    done, at = [], []
    monkeypatch.setattr("benchmarks.apart.machine.resident", lambda: at.append(len(done)) or 0.0)
    _held(lambda: done.append(1), {"rounds": 20, "count": 50})
    assert at[:5] == [2, 5, 7, 10, 12]
    assert at[-1] == 50


def test_windows_of_a_seventh_half_a_window_apart():
    # 224: windows of 32 begin at 0, 16, ..., 192. 299: of 43, at 0, 21, ..., 252, and at 256.
    assert _windows(224) == 13 * 13
    assert _windows(299) == 14 * 14


def test_memory_that_grows_steadily_grows_beyond_its_noise():
    held = [100.0 + 2 * number for number in range(20)]
    assert growth(held) == (20.0, 8.0)


def test_memory_that_wavers_does_not():
    held = [100.0, 103.0] * 10
    grown, noise = growth(held)
    assert abs(grown) <= noise == 3.0


def test_what_is_taken_at_first_is_not_growth():
    assert growth([10.0, 50.0, 90.0, 100.0, 100.0] + [100.0] * 15) == (0.0, 1.0)


def test_memory_that_is_still_has_the_noise_of_the_allocator():
    assert growth([100.0] * 8) == (0.0, 1.0)
    assert growth([100.0]) == (0.0, 1.0)
