"""The same on each backend, in processes of their own: Keras runs on one for good."""

import importlib.util
import json
import os
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import machine
from benchmarks.peers import PEERS
from benchmarks.results import Results
from benchmarks.settings import BACKENDS, Conditions
from xai_core.errors import UsageError

ROOT = Path(__file__).parents[2]


def needs(package):
    missing = importlib.util.find_spec(package) is None
    return pytest.mark.skipif(missing, reason=f"not installed: {package}")


on_each = pytest.mark.parametrize(
    "backend", [pytest.param(each, marks=needs(each)) for each in BACKENDS]
)
on_others = pytest.mark.parametrize(
    "backend", [pytest.param(each, marks=needs(each)) for each in BACKENDS if each != "tensorflow"]
)


def python(*arguments):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "1000"},
        capture_output=True,
        text=True,
        check=False,
    )


PROGRAM = """
import json, sys
from pathlib import Path

import numpy as np

from benchmarks import machine
from benchmarks.bench import Bench
from benchmarks.settings import QUICK, Conditions
from xai_core.errors import UsageError

backend, folder = sys.argv[1:]
conditions = Conditions(backend=backend, threads=1)
machine.confine(conditions)
bench = Bench(conditions, QUICK, Path(folder))
framework, spec = bench.framework, bench.spec("tiny")
import keras

found = {"backend": keras.backend.backend()}
model, images = bench.model(spec), bench.fed(spec, 2)


def off(one, two):
    return float(np.abs(one - two).max() / np.abs(two).max())


logits = bench.array(model(images))
made = framework.forward(model)(images)
framework.wait(made)
framework.wait()
found["forward"] = off(bench.array(made), logits)

# The gradient along itself is its squared length: by differences of the logit, too.
x = bench.array(images)
gradient = bench.array(framework.gradient(model)(images))
step = 1e-3 * gradient / np.sqrt((gradient**2).sum())
ahead, back = (bench.array(model(bench.tensor(each)))[:, 0].sum() for each in (x + step, x - step))
length = np.sqrt((gradient**2).sum())
found["gradient"] = abs(float((ahead - back) / 2e-3 / length) - 1)

# A tutorial's Grad-CAM is ours.
activations, gradients = map(bench.array, framework.tutorial(model, spec.layer, x[:1]))
heat = np.maximum((activations * gradients.mean((1, 2), keepdims=True)).sum(-1)[0], 0)
study = bench.new_study(spec, "eager")
found["tutorial"] = off(heat, study.explain(bench.pictures(spec, 1)[0]).map)

product = framework.compiled(lambda a: a @ a)(bench.tensor([[1.0, 2.0], [3.0, 4.0]]))
found["product"] = bench.array(product).tolist()

# TF32: off where it is not asked for; and on in a study where it is, on those that switch it off.
from xai_core.probe import backend as module

found["tf32"] = [framework.tf32()]
machine.allow_tf32(framework)
with module().precise():
    found["tf32"].append(framework.tf32())
found["tf32"].append(framework.tf32())

try:
    machine.framework(Conditions("gpu", backend, threads=1))
except UsageError as error:
    found["gpu"] = str(error)

machine.framework(Conditions(backend=backend, threads=1, dtype="bfloat16"))
half = bench.new_model(spec)
found["dtypes"] = [half.layers[1].compute_dtype, half.weights[0].dtype]
found["bfloat16"] = off(bench.array(framework.forward(half)(images)).astype("float32"), logits)
print(json.dumps(found))
"""


@on_each
def test_a_framework_runs_the_model_as_it_is(backend, tmp_path):
    done = python("-c", PROGRAM, backend, tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["backend"] == backend
    assert found["forward"] < 1e-5
    assert found["gradient"] < 0.01
    assert found["tutorial"] < 1e-4
    assert found["product"] == [[7, 10], [15, 22]]
    # TensorFlow's switch is the process's: a study leaves it as it is, on or off.
    assert found["tf32"] == [False, backend != "tensorflow", False]
    assert "received device 'gpu', and" in found["gpu"]
    assert "finds none; expected one that it can use: install" in found["gpu"]
    assert found["dtypes"] == ["bfloat16", "float32"]
    assert 0 < found["bfloat16"] < 0.05


@on_others
def test_the_short_run(backend, tmp_path):
    run = ("-m", "benchmarks", "run", "--backend", backend, "--quick", "--threads", 1)
    done = python(*run, "--only", "core,openvino", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "openvino/tiny/batch-2: left out, only with backend tensorflow" in done.stderr
    results = Results.read(tmp_path / "results.json")
    (result,) = results.results
    assert result.scenario == "core/tiny/batch-2"
    assert result.failure is None
    for each in result.measurements:
        assert each.failure is None, each
        assert all(np.isfinite(each.samples)), each
        assert each.against is None or result.ratio(each) > 0
    (environment,) = results.environments.values()
    assert environment["conditions"]["backend"] == backend
    assert environment["versions"][backend]
    assert "tensorflow" not in environment["versions"]
    report = (tmp_path / "report.markdown").read_text()
    assert f"| tiny/batch-2 | 1 core, {backend}, auto |" in report
    assert "](ratios.png)" in report


@on_each
def test_a_trace_is_recorded(backend, tmp_path):
    trace = ("-m", "benchmarks", "trace", "--backend", backend, "--model", "tiny", "--batch", 2)
    done = python(*trace, "--call", "forward", "--threads", 1, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    files = [Path(each.removeprefix("Wrote ")) for each in done.stdout.splitlines()]
    assert files
    folder = tmp_path / "trace" / f"{backend}-tiny-batch-2-forward"
    assert all(each.is_relative_to(folder) and each.stat().st_size > 0 for each in files)


PEER = """
import json, sys
from pathlib import Path

from benchmarks import machine
from benchmarks.bench import Bench
from benchmarks.peers import PEERS
from benchmarks.scenarios import peers
from benchmarks.settings import QUICK, Conditions

conditions = Conditions(backend="torch", threads=1, samples=1)
machine.confine(conditions)
(peer,) = (each for each in PEERS if each.name == sys.argv[1])
made = peers.measure(Bench(conditions, QUICK, Path(sys.argv[2])), peer, "tiny")
print(json.dumps({each.what: each.failure for each in made}))
"""


@pytest.mark.parametrize(
    "peer",
    [
        pytest.param(each, marks=[needs("torch"), needs(each.package)], id=each.name)
        for each in PEERS
        if each.backend == "torch"
    ],
)
def test_a_peer_on_torch_has_our_numbers(peer, tmp_path):
    done = python("-c", PEER, peer.name, tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for method in peer.methods:
        assert found[f"{peer.name}, {method}"] is None
    for method in peer.variants:
        assert found[f"{peer.name}, {method}, as it comes"].startswith(("fails: ", "other numbers"))


# ---------------------------------------------------------------------------------------
# What needs no framework


def test_a_backend_that_is_not_installed_is_refused(monkeypatch):
    monkeypatch.setattr("xai_core.backends.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"'jax' needs the package jax, .* pip install 'xai-core"):
        machine.confine(Conditions(backend="jax"))


def test_a_gpu_is_hidden_where_the_cpu_is_measured_and_its_memory_taken_as_it_is_needed():
    cpu, gpu = (machine.variables(Conditions(each, "jax")) for each in ("cpu", "gpu"))
    assert (cpu["CUDA_VISIBLE_DEVICES"], cpu["JAX_PLATFORMS"]) == ("-1", "cpu")
    assert not {"CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS"} & set(gpu)
    assert cpu["KERAS_BACKEND"] == gpu["KERAS_BACKEND"] == "jax"
    assert gpu["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"


def test_tf32_is_allowed_inside_of_what_a_study_refuses(monkeypatch):
    from xai_core.probe import backend

    said = []

    @contextmanager
    def precise():
        said.append("precise")
        yield
        said.append("as before")

    monkeypatch.setattr(backend(), "precise", precise)

    def coarse():
        said.append("coarse")
        return nullcontext()

    machine.allow_tf32(SimpleNamespace(coarse=coarse))
    with backend().precise():
        said.append("study")
    assert said == ["precise", "coarse", "study", "as before"]
