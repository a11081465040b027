"""TensorFlow, JAX and torch make the same maps, of every method, on the kit's models and others.

Each backend runs in a process of its own, see `maps.py`, on the same weights and pictures.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import keras
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
INPUT_GRADIENTS = {"saliency", "gradient-x-input"}
NOTHING = 1e-20
"""Below it a map is rounding: the variance of a gradient that is the same everywhere."""
DAMPED = {"resnet50": "_3_bn", "xception": "_sepconv3_bn"}


def worker():
    """The worker as a module: its models are built here to learn the shapes of their weights."""
    spec = spec_from_file_location("maps", WORKER)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAPS = worker()


def weights(name, model):
    """He-normal kernels, branches that add little to their shortcuts, and a head that knows.

    Networks of full branches amplify every rounding. Under a head that knows nothing, channels of
    both signs cancel nearly out, and what is left of a map is small beside what was rounded: so
    that, as a trained head does, each class's takes after what its photograph makes of it.
    """
    draw = np.random.default_rng(1)
    made = []
    for variable in model.weights:
        layer, _, part = variable.path.rpartition("/")
        if len(variable.shape) > 1:
            fan_in = np.prod(variable.shape[: 2 if "depthwise" in part else -1])
            kernel = draw.standard_normal(variable.shape, np.float32)
            made.append(kernel * np.float32((2 / fan_in) ** 0.5))
        elif part == "gamma" and layer.endswith(DAMPED.get(name, ())):
            made.append(np.full(variable.shape, 0.3, np.float32))
        else:
            made.append(np.asarray(variable.value, np.float32))
    model.set_weights(made)
    study, head = MAPS.study_of(name, model), model.layers[-1]
    seen = study.input.feed(np.stack(MAPS.photographs(study.input.size)).astype(np.float32))
    features = keras.ops.convert_to_numpy(keras.Model(model.input, head.input)(seen))
    kernel = keras.ops.convert_to_numpy(head.kernel).copy()
    for target, each in zip(MAPS.TARGETS, features, strict=True):
        kernel[:, target] += each / np.linalg.norm(each) * np.linalg.norm(kernel[:, target])
    head.kernel.assign(kernel)
    return model.get_weights()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What a backend makes of a group in a precision; of all at once, two processes at a time."""
    folder = tmp_path_factory.mktemp("maps")
    installed = [name for name in ("tensorflow", *OTHERS) if find_spec(name)]
    started = {}

    def start(group):
        if group in MAPS.APPLICATIONS:
            model = MAPS.build(group, "float32")
            np.savez(folder / f"{group}.npz", *weights(group, model))
        # The kit's models have a precision of their own.
        for dtype in ("float64",) if group == MAPS.KIT else ("float64", "float32"):
            for backend in installed:
                run_of_it = lanes.submit(run, folder, backend, dtype, group)
                started[backend, dtype, group] = run_of_it

    def found(backend, dtype, group):
        if backend not in installed:
            pytest.skip(f"{backend} is not installed")
        if ("tensorflow", dtype, group) not in started:
            start(group)
        return started[backend, dtype, group].result()

    with ThreadPoolExecutor(2) as lanes:
        yield found


def run(folder, backend, dtype, group):
    # JAX makes no float64 array, not even for a model's weights, unless it is told to.
    precision = {"JAX_ENABLE_X64": "1"} if dtype == "float64" else {}
    done = subprocess.run(
        [sys.executable, WORKER, folder, dtype, group],
        env={**os.environ, "KERAS_BACKEND": backend, **precision},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(folder / f"{backend}-{dtype}-{group}.npz") as kept:
        return {key: kept[key] for key in kept.files}


def deviation(found, expected):
    """The largest difference, in units of the map's largest magnitude."""
    peak = np.abs(expected).max()
    if peak < NOTHING:
        return float(np.abs(found).max() > NOTHING)
    return np.abs(found.astype(np.float64) - expected).max() / peak


def ours(found):
    return {key: value for key, value in found.items() if key.count("|") == 3}


def told(what, off):
    """The worst, printed: `make maps` shows it."""
    worst = max(off, key=off.get)
    print(f"{what}: {len(off)} maps, at most {off[worst]:.2g} ({worst})")


@pytest.mark.parametrize("group", MAPS.GROUPS)
@pytest.mark.parametrize("backend", OTHERS)
def test_in_float64_all_maps_are_the_same(made, backend, group):
    expected, found = made("tensorflow", "float64", group), made(backend, "float64", group)
    assert set(found) == set(expected)
    off = {}
    for key, map_ in ours(expected).items():
        if key.startswith("float32|"):  # one of the kit's models is
            continue
        assert map_.dtype == found[key].dtype, key
        off[key] = deviation(found[key], map_)
        score, other = expected[f"{key}|score"], found[f"{key}|score"]
        np.testing.assert_allclose(other, score, rtol=1e-9)
    told(f"{backend} beside TensorFlow, float64", off)
    assert {key: each for key, each in off.items() if each > 1e-9} == {}
    assert len(off) == (612 if group == MAPS.KIT else 80)


@pytest.mark.parametrize("group", MAPS.LARGE)
@pytest.mark.parametrize("backend", OTHERS)
def test_in_float32_class_activation_maps_are_the_same(made, backend, group):
    exact, plain = made("tensorflow", "float64", group), made("tensorflow", "float32", group)
    found = made(backend, "float32", group)
    assert set(found) == set(plain)
    maps = {key: map_ for key, map_ in ours(plain).items() if key.split("|")[1] in CAM}
    off = {key: deviation(found[key], map_) for key, map_ in maps.items()}
    told(f"{backend} beside TensorFlow, float32", off)
    from_exact = {key: deviation(found[key], exact[key]) for key in maps}
    told(f"{backend} beside float64", from_exact)
    for each in (off, from_exact):
        assert {key: far for key, far in each.items() if far > 1e-5} == {}
    assert len(off) == 28


@pytest.mark.parametrize("backend", OTHERS)
def test_in_float32_input_gradients_are_no_further_from_float64_than_tensorflows(made, backend):
    off = {"tensorflow": {}, backend: {}}
    for group in MAPS.LARGE:
        exact = made("tensorflow", "float64", group)
        for name, each in off.items():
            found = made(name, "float32", group)
            gradients = (key for key in ours(found) if key.split("|")[1] in INPUT_GRADIENTS)
            each |= {key: deviation(found[key], exact[key]) for key in gradients}
    for name, each in off.items():
        told(f"{name} beside float64, input gradients", each)
    # Which ReLU flips differs: the worst and the middle of some maps, with room for another order.
    assert len(off[backend]) == 32
    theirs, ours_ = ([*each.values()] for each in off.values())
    for measure in (np.max, np.median):
        assert measure(ours_) <= 2 * measure(theirs) + 1e-6, off
