"""Sums that are kept apart: which, that nothing changes, and that TensorFlow joins the rest."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers, ops
from plain import array, drawn, gradient

from xai_core import Study
from xai_core.probe.sums import sums_apart
from xai_core.surgery import read_graph

SIZE = (9, 12, 3)
RELU = layers.ReLU


def residual(activation, others=1, add=lambda one, two: layers.Add(name="sum")([one, two])):
    """A sum of a convolution and a pooling, that an activation and so many others read."""
    inputs = keras.Input(SIZE)
    x = add(layers.MaxPooling2D(2, padding="same")(inputs), layers.Conv2D(3, 1, strides=2)(inputs))
    read = [activation()(x)] if activation else []
    read += [layers.DepthwiseConv2D(1)(x) for _ in range(others)]
    outputs = layers.Concatenate()(read) if len(read) > 1 else read[0]
    return drawn(keras.Model(inputs, layers.Flatten()(outputs)), seed=1)


def apart(model):
    graph = read_graph(model)
    other = sums_apart(graph)
    changed = [
        one.kind for one, two in zip(graph.steps, other.steps, strict=True) if one is not two
    ]
    return graph, other, changed


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda: residual(RELU), ["Add"]),
        (lambda: residual(lambda: layers.Activation("relu6")), ["Add"]),
        (lambda: residual(layers.ELU), ["Add"]),
        (lambda: residual(layers.LeakyReLU), ["Add"]),
        (lambda: residual(RELU, add=lambda one, two: one + two), ["Add"]),
        (lambda: residual(RELU, others=0), []),
        (lambda: residual(None, others=2), []),
        (lambda: residual(lambda: layers.Activation("tanh")), []),
        (lambda: residual(RELU, add=lambda *two: layers.Concatenate()(two)), []),
    ],
    ids=["relu", "relu6", "elu", "leaky", "+", "alone", "no activation", "tanh", "no sum"],
)
def test_which_are_kept_apart(model, expected):
    _, _, changed = apart(model())
    assert changed == expected


@pytest.mark.parametrize("add", [None, lambda one, two: one + two], ids=["layer", "+"])
def test_nothing_changes(add):
    graph, other, changed = apart(residual(RELU, **({"add": add} if add else {})))
    assert changed == ["Add"]
    pictures = np.random.default_rng(0).normal(size=(2, *SIZE)).astype(np.float32)

    def run(graph, at):
        return graph.run({graph.input: at}, [graph.output])[graph.output]

    one, two = (array(run(each, ops.convert_to_tensor(pictures))) for each in (graph, other))
    assert np.abs(one).max() > 0.1
    np.testing.assert_array_equal(two, one)
    one, two = (
        gradient(lambda at, graph=each: ops.sum(run(graph, at) ** 2), pictures)
        for each in (graph, other)
    )
    assert np.abs(one).max() > 0.1
    np.testing.assert_array_equal(two, one)


PROGRAM = """
import sys
from xai_core import Study
from xai_core.probe import stand_ins
if sys.argv[2] == "joined":
    stand_ins.sums_apart = lambda graph: graph
import numpy as np
Study(sys.argv[1], preprocess="unit").explain(np.zeros((9, 12, 3), "uint8"), "saliency", target=0)
"""


@pytest.mark.tensorflow
@pytest.mark.parametrize("how", ["joined", "apart"])
def test_tensorflow_gives_up_only_where_they_are_not(tmp_path, how):
    """If it no longer did, `sums.py` would be without a use."""
    residual(RELU).save(tmp_path / "model.keras")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path / "model.keras", how],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("remapper failed" in done.stderr) == (how == "joined")


@pytest.mark.tensorflow
def test_a_study_keeps_them_apart(registry, tmp_path):
    residual(RELU).save(tmp_path / "model.keras")
    picture = np.random.default_rng(1).integers(0, 256, SIZE, dtype=np.uint8)
    maps = []
    for engine, kind in (("auto", "function"), ("compiled", "Add")):
        study = Study(tmp_path / "model.keras", preprocess="unit", engine=engine, registry=registry)
        maps.append(study.explain(picture, "saliency", target=0).map)
        (probe,) = study._programs.kinds.values()
        assert probe._graph.step("sum").kind == kind
    assert maps[1].max() > 1e-4
    np.testing.assert_allclose(maps[0], maps[1], rtol=0, atol=1e-6 * maps[1].max())
