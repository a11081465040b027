"""TensorFlow, JAX and torch make the same maps, of every method, on the kit's models and others.

Each backend runs in a process of its own, see `maps.py`, on the same weights and pictures.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

WORKER = Path(__file__).with_name("maps.py")
OTHERS = ("jax", "torch")
CAM = {
    "grad-cam",
    "grad-cam++",
    "hirescam",
    "layercam",
    "xgrad-cam",
    "eigen-cam",
    "eigen-grad-cam",
}
NOTHING = 1e-20
"""Below it a map is rounding: the variance of a gradient that is the same everywhere."""
DAMPED = {"resnet50": "_3_bn", "xception": "_sepconv3_bn"}


def worker():
    """The worker as a module: its models are built here to learn the shapes of their weights."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("maps", WORKER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def weights(model, damped):
    """He-normal kernels, branches that add little to their shortcuts, and the rest as it is.

    Networks of full branches amplify every rounding.
    """
    draw = np.random.default_rng(1)
    made = []
    for variable in model.weights:
        layer, _, name = variable.path.rpartition("/")
        if len(variable.shape) > 1:
            fan_in = np.prod(variable.shape[: 2 if "depthwise" in name else -1])
            kernel = draw.standard_normal(variable.shape, np.float32)
            made.append(kernel * np.float32((2 / fan_in) ** 0.5))
        elif name == "gamma" and damped and layer.endswith(damped):
            made.append(np.full(variable.shape, 0.3, np.float32))
        else:
            made.append(np.asarray(variable.value, np.float32))
    return made


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What each backend makes in each precision; the processes run two at a time."""
    folder = tmp_path_factory.mktemp("maps")
    maps = worker()
    for name in maps.APPLICATIONS:
        model = maps.build(name, "float32")
        np.savez(folder / f"{name}.npz", *weights(model, DAMPED.get(name)))
    installed = [name for name in ("tensorflow", *OTHERS) if find_spec(name)]
    with ThreadPoolExecutor(2) as lanes:
        started = {
            (backend, dtype): lanes.submit(run, folder, backend, dtype)
            for dtype in ("float64", "float32")
            for backend in installed
        }

        def found(backend, dtype):
            if backend not in installed:
                pytest.skip(f"{backend} is not installed")
            return started[backend, dtype].result()

        yield found


def run(folder, backend, dtype):
    # JAX makes no float64 array, not even for a model's weights, unless it is told to.
    precision = {"JAX_ENABLE_X64": "1"} if dtype == "float64" else {}
    done = subprocess.run(
        [sys.executable, WORKER, folder, dtype],
        env={**os.environ, "KERAS_BACKEND": backend, **precision},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(folder / f"{backend}-{dtype}.npz") as kept:
        return {key: kept[key] for key in kept.files}


def deviation(found, expected):
    """The largest difference, in units of the map's largest magnitude."""
    peak = np.abs(expected).max()
    if peak < NOTHING:
        return float(np.abs(found).max() > NOTHING)
    return np.abs(found.astype(np.float64) - expected).max() / peak


def ours(found):
    return {key: value for key, value in found.items() if key.count("|") == 3}


@pytest.mark.parametrize("backend", OTHERS)
def test_in_float64_all_maps_are_the_same(made, backend):
    expected, found = made("tensorflow", "float64"), made(backend, "float64")
    assert set(found) == set(expected)
    off = {}
    for key, map_ in ours(expected).items():
        if key.startswith("float32|"):  # one of the kit's models is
            continue
        assert map_.dtype == found[key].dtype, key
        off[key] = deviation(found[key], map_)
        score, other = expected[f"{key}|score"], found[f"{key}|score"]
        np.testing.assert_allclose(other, score, rtol=1e-9)
    assert {key: each for key, each in off.items() if each > 1e-9} == {}
    assert len(off) > 500


@pytest.mark.parametrize("backend", OTHERS)
def test_in_float32_class_activation_maps_are_as_exact(made, backend):
    exact, plain = made("tensorflow", "float64"), made("tensorflow", "float32")
    found = made(backend, "float32")
    assert set(found) == set(plain)
    off = {}
    for key, map_ in ours(plain).items():
        if key.split("|")[1] in CAM:
            # These networks' batches are not normalised, so that float32 itself is 1e-5 off.
            usual = deviation(map_, exact[key])
            off[key] = deviation(found[key], exact[key]) / max(1e-5, 2 * usual)
    assert {key: each for key, each in off.items() if each > 1} == {}
    assert len(off) > 100


@pytest.mark.parametrize("backend", OTHERS)
def test_in_float32_input_gradients_are_no_further_from_float64_than_tensorflows(made, backend):
    exact, plain = made("tensorflow", "float64"), made("tensorflow", "float32")
    found = made(backend, "float32")
    off = {"tensorflow": [], backend: []}
    for key, map_ in ours(plain).items():
        if key.split("|")[1] in ("saliency", "gradient-x-input"):
            off["tensorflow"].append(deviation(map_, exact[key]))
            off[backend].append(deviation(found[key], exact[key]))
    # Which ReLU flips differs: the worst and the middle of some maps, with room for another order.
    assert len(off[backend]) >= 32
    for measure in (np.max, np.median):
        assert measure(off[backend]) <= 2 * measure(off["tensorflow"]) + 1e-6, off
