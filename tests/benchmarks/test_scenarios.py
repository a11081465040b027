"""What scenarios measure, on a model of a few kilobytes; and the short run, whole."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.apart import TASKS
from benchmarks.bench import Bench
from benchmarks.frameworks import framework
from benchmarks.peers import PEERS, Peer
from benchmarks.results import Results
from benchmarks.scenarios import (
    core,
    evaluation,
    growth,
    openvino,
    overhead,
    peers,
    queries,
    scenarios,
)
from benchmarks.scenarios.core import FIVE
from benchmarks.settings import BACKENDS, FULL, QUICK, Conditions
from xai_core.errors import UsageError
from xai_core.explaining import Traced
from xai_core.room import QUERY_BATCH

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    made = Bench(Conditions(samples=1), QUICK, tmp_path_factory.mktemp("files"))
    # Other tests have run something: it cannot be held to conditions any more.
    vars(made)["framework"] = framework("tensorflow")
    return made


def test_every_name_is_given_once():
    for extent in (FULL, QUICK):
        names = [each.name for each in scenarios(extent)]
        assert len(names) == len(set(names))


def test_lean_scenarios_stand_together():
    places = [each.place for each in scenarios(FULL)]
    assert places == sorted(places)  # lean before warm


def test_studies_have_the_same_weights_and_pictures_are_the_same_each_time(bench):
    spec = bench.spec("tiny")
    maps = []
    for _ in range(2):
        study = bench.new_study(spec, "compiled")
        maps.append(study.explain(bench.pictures(spec, 1)[0], target=3).map)
    np.testing.assert_array_equal(*maps)
    assert np.ptp(maps[0]) > 0


def test_the_model_outside_is_fed_what_a_study_feeds_its_own(bench):
    from xai_core import Study

    spec = bench.spec("tiny")
    (picture,) = bench.pictures(spec, 1)
    assert picture.shape == (32, 32, 3)
    assert picture.dtype == np.uint8
    logits = np.asarray(bench.forward(spec, bench.fed(spec, 1))())[0]
    study = Study(bench.model(spec), preprocess=spec.scheme)
    found = {each.index: each.logit for each in study.predict(picture, top=10).classes}
    np.testing.assert_allclose([found[each] for each in range(10)], logits, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_what_is_compiled_is_compiled_before_anything_counts(batch, tmp_path, monkeypatch):
    """Explainers become programs late: those of a picture at its ninth map."""
    bench = Bench(Conditions(samples=1), QUICK, tmp_path)
    vars(bench)["framework"] = framework("tensorflow")
    ways = {each.what: each for each in core.ways(bench, "tiny", batch)}
    compiled, trace = [], Traced._trace

    def told(*arguments):
        compiled.append(1)
        return trace(*arguments)

    monkeypatch.setattr(Traced, "_trace", told)
    calls = {1: 9, 3: 3, 8: 2}[batch]
    saliency = ways["saliency"]
    assert saliency.more_warm_ups == calls - 1
    for _ in range(calls - 1):
        saliency.call()
    assert not compiled
    saliency.call()
    assert len(compiled) == 1
    for each in ways.values():
        for _ in range(1 + each.more_warm_ups):
            each.call()
    before = len(compiled)
    for each in ways.values():
        for _ in range(9):
            each.call()
    assert len(compiled) == before


def test_a_study_is_shown_enough_however_many_go_at_a_time(bench):
    class Study:
        def compare(self, pictures, methods, batch):
            shown.append(len(pictures))
            return SimpleNamespace(failures=())

    for at_once, expected in ((1, [1] * 65), (8, [8] * 9), (128, [128])):
        shown = []
        bench.show_enough(Study(), bench.spec("tiny"), at_once)
        assert shown == expected


def test_an_engine_that_this_processor_has_not_takes_no_other_with_it(bench, monkeypatch):
    pytest.importorskip("openvino")
    study = bench.study

    def made(spec, engine=None):
        if engine == "openvino-bf16":
            raise UsageError("not in bfloat16")
        return study(spec, engine)

    monkeypatch.setattr(bench, "study", made)
    found = {each.what: each for each in openvino.measure(bench, "tiny", 2)}
    assert found["Grad-CAM, openvino-bf16"].failure == "UsageError: not in bfloat16"
    assert found["Grad-CAM, openvino"].samples[0] > 0


# ---------------------------------------------------------------------------------------
# Peers


def right(task):
    import tensorflow as tf

    def call():
        x = tf.constant(task.images)
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = task.model(x)[:, task.target]
        return np.abs(tape.gradient(score, x)).max(-1)

    return call


def twice(task):
    return lambda: 2 * right(task)()


def enlarged(task):
    return lambda: right(task)().repeat(2, 1)


def silent(task):
    return lambda: np.nan * right(task)()


def broken(task):
    raise AttributeError("no such layer")


def measured(bench, prepare, variants=None):
    peer = Peer("peer", "json", "tensorflow", {"saliency": prepare}, variants or {})
    return {each.what: each for each in peers.measure(bench, peer, "tiny")}


def test_a_peer_with_the_same_numbers_is_timed(bench):
    found = measured(bench, right, {"saliency": twice})
    assert set(found) == {
        "forward",
        "xai-core, saliency",
        "peer, saliency",
        "peer, saliency, as it comes",
    }
    assert found["peer, saliency"].samples[0] > 0
    assert found["peer, saliency"].against == "forward"
    as_it_comes = found["peer, saliency, as it comes"]
    assert as_it_comes.failure == "other numbers: off by 100% of the mean magnitude"
    assert not as_it_comes.samples


@pytest.mark.parametrize(
    ("prepare", "why"),
    [
        (twice, "other numbers: off by 100% of the mean magnitude"),
        (silent, "other numbers: off by nan% of the mean magnitude"),
        (broken, "fails: AttributeError: no such layer"),
        (enlarged, "fails: ValueError: made a map of shape (1, 64, 32); expected (32, 32)"),
    ],
)
def test_a_peer_with_other_numbers_is_not_timed(bench, prepare, why):
    found = measured(bench, prepare)
    assert found["peer, saliency"].failure == why
    assert not found["peer, saliency"].samples
    assert found["xai-core, saliency"].samples


def test_a_peer_that_is_not_there_is_said_to_be(bench):
    peer = Peer("peer", "no_such_package", "tensorflow", {"saliency": right}, {})
    (only,) = peers.measure(bench, peer, "tiny")
    assert (only.what, only.failure) == ("peer, saliency", "not installed: peer")


def five(scale):
    """A peer that has all five CAMs: ours, times a number."""

    def prepare(task, method):
        from xai_core import Study

        study = Study(task.model, preprocess=lambda x: x, layer=task.layer, engine="eager")
        picture = task.images[0]
        return lambda: scale * study.explain(picture, method=method, target=task.target).map

    methods = {each: partial(prepare, method=each) for each in FIVE}
    return Peer("peer", "json", "tensorflow", methods, {})


def test_five_cams_one_after_the_other_are_set_beside_one_call(bench):
    found = {each.what: each for each in peers.measure(bench, five(1), "tiny")}
    assert {"xai-core, five CAMs", "peer, five CAMs"} <= set(found)
    assert found["peer, five CAMs"].samples[0] > 0
    assert not any("five CAMs" in each.what for each in peers.measure(bench, five(2), "tiny"))


@pytest.mark.parametrize("peer", PEERS, ids=[each.name for each in PEERS])
def test_a_peer_is_measured_on_its_backend_in_float32_alone(peer):
    (scenario,) = (each for each in scenarios(QUICK) if each.peer == peer.name)
    others = [each for each in BACKENDS if each != peer.backend]
    assert scenario.left_out(Conditions(backend=peer.backend)) is None
    assert [scenario.left_out(Conditions(backend=each)) for each in others] == [
        f"only with backend {peer.backend}"
    ] * len(others)
    coarse = Conditions(backend=peer.backend, dtype="bfloat16")
    assert scenario.left_out(coarse) == "only with dtype float32"
    coarse = Conditions("gpu", backend=peer.backend, tf32=True)
    assert scenario.left_out(coarse) == "only with tf32 False"


def test_openvino_is_measured_where_it_runs():
    for name in ("openvino/tiny/batch-2",):
        (scenario,) = (each for each in scenarios(QUICK) if each.name == name)
        assert scenario.left_out(Conditions()) is None
        assert scenario.left_out(Conditions(backend="jax")) == "only with backend tensorflow"
        assert scenario.left_out(Conditions("gpu")) == "only with device cpu"


# ---------------------------------------------------------------------------------------
# Clocks


def test_the_stopwatch_counts_what_is_spent_in_compiled_programs_alone(bench):
    from xai_core.probe import backend

    compiled = backend().compiled
    with overhead.stopwatch(bench.wait) as watch:
        program = backend().compiled(lambda weights, x: x + 1)
        assert watch.seconds == 0
        program(np.ones(3, np.float32))
        first = watch.seconds
        assert first > 0
        sum(range(1000))
        assert watch.seconds == first
    assert backend().compiled is compiled


def test_the_stopwatch_waits_for_what_a_program_made(bench):
    from xai_core.probe import backend

    def wait(made):
        waited.append(np.asarray(made).tolist())
        time.sleep(0.05)

    waited = []
    with overhead.stopwatch(wait) as watch:
        backend().compiled(lambda weights, x: x + 1)(np.ones(2, np.float32))
    assert waited == [[2.0, 2.0]]
    assert watch.seconds > 0.05


def test_own_time_and_program_make_up_the_call(bench):
    own, program = overhead.measure(bench, "tiny")
    assert own.samples[0] > 0
    assert program.samples[0] > 0


def test_an_evaluation_is_measured_by_what_it_asks(bench):
    """Nine maps, two metrics, 3 steps: both ends of every curve are known after the first."""
    forward, both = evaluation.measure(bench, "tiny", 3)
    assert (forward.failure, both.failure) == (None, None)
    assert both.facts["asked"] == 9 * 2 * 4  # each curve's ends, and two between
    # Two ends, and two steps between for each map and metric; methods of one order share theirs.
    assert 3 + 4 * 2 * 2 <= both.facts["run"] <= 3 + 9 * 2 * 2
    assert (forward.share, both.share) == (32, both.facts["run"])


def test_a_query_is_a_share_of_what_follows_the_first_pass(bench):
    found = {each.what: each for each in queries.measure(bench, "tiny")}
    assert found["forward"].share == 32
    # Windows of 5 in 32, 2 apart: 15 along each side. 64 channels, and a black picture.
    shares = {"RISE": QUERY_BATCH, "Occlusion": 15 * 15, "Score-CAM": 64 + 1}
    assert {name: found[name].share for name in shares} == shares
    assert all(each.samples[0] > 0 for each in found.values() if not each.failure)


def test_queries_are_asked_by_openvino_too(bench):
    pytest.importorskip("openvino")
    found = {each.what: each for each in queries.measure(bench, "tiny")}
    for method in queries.METHODS:
        ours, theirs = found[method], found[f"{method}, openvino"]
        assert (theirs.share, theirs.facts) == (ours.share, ours.facts)
        assert theirs.samples[0] > 0


def test_another_number_of_queries_than_is_counted_on_fails(bench):
    spec = bench.spec("tiny")
    call = bench.explain(bench.study(spec), bench.pictures(spec, 1), ["smoothgrad"])
    with pytest.raises(RuntimeError, match=r"RISE made 32\.0 queries; expected 64"):
        queries._way("RISE", call, 64, {}).call()


@pytest.mark.parametrize("task", ["calls", "forwards", "studies", "programs"])
def test_what_is_held_is_looked_at_after_each_round(bench, task):
    found = TASKS[task](bench, bench.spec("tiny"), {"rounds": 3, "count": 3})
    assert len(found) == 3
    assert all(100 < each < 100_000 for each in found)


def test_growth_sets_ours_beside_the_like_of_it(bench, monkeypatch):
    held = {"calls": [100.0, 100.0, 108.0, 108.0], "forwards": [100.0] * 4}
    asked = []

    def apart(task, spec, **options):
        asked.append(options)
        return {"found": held[task]}

    monkeypatch.setattr(bench, "apart", apart)
    (scenario,) = growth.scenarios(replace(QUICK, repeated=(("calls", 200),)))
    ours, other = scenario.measure(bench)
    assert asked == [{"rounds": 50, "count": 200}] * 2
    assert ours.facts == {"count": 200, "grown": 8.0, "noise": 1.0}
    assert other.facts["grown"] == 0


# ---------------------------------------------------------------------------------------
# The short run


def benchmarks(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "1000"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_gpu_that_is_not_there_is_refused(tmp_path):
    done = benchmarks("run", "--quick", "--device", "gpu", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "received device 'gpu', and TensorFlow finds none; expected" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_process_is_held_to_its_threads(tmp_path):
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from benchmarks import machine\n"
        "from benchmarks.bench import Bench\n"
        "from benchmarks.settings import QUICK, Conditions\n"
        "machine.confine(Conditions(threads=1))\n"
        "bench = Bench(Conditions(threads=1), QUICK, Path(sys.argv[1]))\n"
        "study = bench.study(bench.spec('tiny'))\n"
        "import tensorflow\n"
        "threading = tensorflow.config.threading\n"
        "print(machine.available(), os.environ['OMP_NUM_THREADS'],\n"
        "      threading.get_intra_op_parallelism_threads(),\n"
        "      threading.get_inter_op_parallelism_threads())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["1", "1", "1", "1"], done.stderr


def test_the_short_run_measures_everything_and_then_has_nothing_left_to_do(tmp_path):
    done = benchmarks("run", "--quick", "--threads", 1, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    results = Results.read(tmp_path / "results.json")
    here = [each.name for each in scenarios(QUICK) if each.left_out(Conditions()) is None]
    assert [each.scenario for each in results.results] == here
    for result in results.results:
        assert result.failure is None, result
        for each in result.measurements:
            if each.failure is None:
                assert all(np.isfinite(each.samples)), each
                assert each.against is None or result.ratio(each) > 0, each
            elif not each.what.endswith(", as it comes"):  # told, not timed
                assert each.failure.startswith("not installed: "), each
    (environment,) = results.environments.values()
    assert environment["conditions"]["threads"] == 1
    assert environment["versions"]["tensorflow"]
    assert str(Path.home()) not in json.dumps(environment)
    report = (tmp_path / "report.markdown").read_text()
    assert report.count("Not measured.") == 1  # growth
    assert "](ratios.png)" in report

    before = (tmp_path / "results.json").read_bytes()
    again = benchmarks("run", "--quick", "--threads", 1, "--only", "core", "--out", tmp_path)
    assert "1 of 1 are done already" in again.stderr
    assert (tmp_path / "results.json").read_bytes() == before
