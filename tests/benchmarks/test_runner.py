"""Runs go on where they stopped, whatever ends a process; by a worker that measures nothing."""

import json
import stat
import sys
from dataclasses import replace

import pytest

from benchmarks import cli, runner
from benchmarks.cli import main
from benchmarks.results import Measurement, Results
from benchmarks.runner import Job, Run, chosen, run
from benchmarks.scenario import Scenario
from benchmarks.settings import QUICK, Conditions
from xai_core.errors import UsageError

WORKER = """#!{python}
import json, os, sys
task = json.load(sys.stdin)
with open({log!r}, "a") as log:
    print(json.dumps(task.get("scenarios")), file=log)
def say(**message):
    print(json.dumps(message), flush=True)
if "scenarios" not in task:
    if {refuses!r}:
        say(refused={refuses!r})
    else:
        say(environment={{"conditions": task["conditions"], "version": {version!r}}})
for name in task.get("scenarios", ()):
    say(begun=name)
    say(done=1, total=2, what="half")
    if name == {deadly!r}:
        print("Segmentation fault", file=sys.stderr)
        os._exit(3)
    say(result={{
        "scenario": name, "environment": task["environment"], "at": "2026-01-02T03:04:05",
        "measurements": [{{"what": "x", "samples": [1.0]}}], "seconds": 1, "load": 0,
    }})
"""


@pytest.fixture
def worker(tmp_path):
    """Makes an interpreter that answers in the worker's place; `.log` is what it was asked."""

    def make(*, deadly="", refuses="", version="1"):
        path = tmp_path / "python"
        log = str(tmp_path / "log")
        path.write_text(
            WORKER.format(
                python=sys.executable, log=log, deadly=deadly, refuses=refuses, version=version
            )
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    make.asked = lambda: [
        json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line != "null"
    ]
    return make


class Show:
    def __init__(self):
        self.begun = self.steps = None
        self.ended = []

    def begin(self, total, done):
        self.begun = (total, done)

    def step(self, scenario, done, total, what):
        self.steps = (scenario, done, total, what)

    def end(self, result):
        self.ended.append(result.scenario)


def scenario(name, place="warm"):
    group, _, case = name.partition("/")
    return Scenario(group, case, "", lambda bench: (), place)


def asked(tmp_path, python, names, threads=1, **options):
    jobs = [Job(scenario(name), Conditions(threads=threads), python) for name in names]
    return Run(QUICK, jobs, tmp_path / "results.json", **options)


def test_what_is_done_is_not_measured_again(tmp_path, worker):
    python, show = worker(), Show()
    run(asked(tmp_path, python, ["a/1"]), show)
    assert show.begun == (1, 0)
    assert show.steps == ("a/1", 1, 2, "half")
    results = run(asked(tmp_path, python, ["a/1", "a/2"]), show)
    assert show.begun == (2, 1)
    assert worker.asked() == [["a/1"], ["a/2"]]
    assert [each.scenario for each in results.results] == ["a/1", "a/2"]
    assert results == Results.read(tmp_path / "results.json")
    assert results.results[0].measurements == (Measurement("x", samples=(1.0,)),)


def test_what_changed_is_measured_again(tmp_path, worker):
    run(asked(tmp_path, worker(), ["a/1"]), Show())
    run(asked(tmp_path, worker(version="2"), ["a/1"]), Show())
    results = run(asked(tmp_path, worker(version="2"), ["a/1"], threads=2), Show())
    assert worker.asked() == [["a/1"]] * 3
    assert len(results.results) == 2
    assert {results.conditions(each).threads for each in results.results} == {1, 2}
    run(asked(tmp_path, worker(version="2"), ["a/1"], again=frozenset({"a/1"})), Show())
    assert len(worker.asked()) == 4


def test_a_process_that_ends_takes_only_its_own_scenario_with_it(tmp_path, worker):
    python, show = worker(deadly="a/2"), Show()
    results = run(asked(tmp_path, python, ["a/1", "a/2", "a/3"]), show)
    assert worker.asked() == [["a/1", "a/2", "a/3"], ["a/3"]]
    failures = {each.scenario: each.failure for each in results.results}
    assert failures == {
        "a/1": None,
        "a/2": "the process ended with 3: Segmentation fault",
        "a/3": None,
    }
    run(asked(tmp_path, worker(), ["a/1", "a/2", "a/3"]), show)
    assert worker.asked()[-1] == ["a/2"]


def test_results_are_kept_when_a_run_is_interrupted(tmp_path, worker):
    class Impatient(Show):
        def end(self, result):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(asked(tmp_path, worker(), ["a/1", "a/2"]), Impatient())
    kept = Results.read(tmp_path / "results.json")
    assert [each.scenario for each in kept.results] == ["a/1"]
    run(asked(tmp_path, worker(), ["a/1", "a/2"]), Show())
    assert worker.asked()[-1] == ["a/2"]


def test_lean_scenarios_have_a_process_of_their_own(tmp_path, worker):
    python = worker()
    places = (("a/1", "lean"), ("a/2", "lean"), ("b/1", "warm"))
    jobs = [Job(scenario(*each), Conditions(), python) for each in places]
    run(Run(QUICK, jobs, tmp_path / "results.json"), Show())
    assert worker.asked() == [["a/1", "a/2"], ["b/1"]]


def test_conditions_that_cannot_be_met_stop_the_run(tmp_path, worker):
    with pytest.raises(UsageError, match="no such device"):
        run(asked(tmp_path, worker(refuses="no such device"), ["a/1"]), Show())
    with pytest.raises(UsageError, match="cannot run 'nowhere/python'"):
        run(asked(tmp_path, "nowhere/python", ["a/1"]), Show())
    assert not (tmp_path / "results.json").exists()


def test_scenarios_are_chosen_by_group_or_name():
    every = [scenario(name) for name in ("core/a/1", "core/a/16", "cores/b")]

    def names(*only):
        return [each.name for each in chosen(every, only)]

    assert names() == ["core/a/1", "core/a/16", "cores/b"]
    assert names("core") == ["core/a/1", "core/a/16"]
    assert names("core/a/1") == ["core/a/1"]
    assert names("cores", "core/a/16") == ["core/a/16", "cores/b"]
    with pytest.raises(UsageError, match=r"received 'cor' to measure; expected a group \(core, c"):
        names("cor")


def test_peers_run_where_they_are_installed():
    peer = Scenario("peers", "x", "", lambda bench: (), peer="x")
    conditions = [Conditions(threads=2), Conditions(threads=1)]
    made = runner.jobs([scenario("core/a"), peer], conditions, {"x": "/there/python"})
    assert [(each.conditions.threads, each.interpreter) for each in made] == [
        (2, sys.executable),
        (2, "/there/python"),
        (1, sys.executable),
        (1, "/there/python"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--device", "tpu"], "received device 'tpu'"),
        (["run", "--backend", "mxnet"], "received backend 'mxnet'; expected tensorflow or jax or"),
        (["run", "--dtype", "float16"], "received dtype 'float16'; expected float32 or bfloat16"),
        (["run", "--tf32"], "received --tf32 with device 'cpu'; expected device 'gpu'"),
        (
            ["run", "--backend", "jax", "--only", "openvino"],
            "received 'openvino' to measure with device cpu, backend jax, dtype float32 and TF32 "
            "off; expected others: it is measured only with backend tensorflow",
        ),
        (["trace", "--call", "maps"], "received call 'maps'; expected one of forward, Grad-CAM"),
        (["run", "--only", "cors"], "received 'cors' to measure"),
        (["run", "--models", "vgg"], "received model 'vgg'"),
        (["run", "--threads", "two"], "received threads 'two'; expected whole numbers, as in 1,2"),
        (["run", "--threads", "9999"], "received threads 9999; expected at most"),
        (["run", "--peer-python", "nobody=python"], "received peer 'nobody'; expected one of"),
        (["report", "none.json"], "received 'none.json', which is no file"),
        (["run", "--nonsense"], "No such option"),
    ],
)
def test_what_is_not_understood_is_refused(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_an_interrupted_run_says_how_to_go_on(capsys, monkeypatch):
    def interrupted(asked, show):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "run", interrupted)
    assert main(["run", "--quick"]) == 130
    assert "what is done is kept, and the same command goes on" in capsys.readouterr().err


def test_scenarios_that_conditions_leave_out_have_no_job():
    here = Scenario("core", "a", "", lambda bench: ())
    other = replace(here, case="b", only={"backend": ("jax",), "device": ("gpu",)})
    peer = replace(here, case="c", only={"backend": ("torch",)}, peer="x")
    every = [here, other, peer]
    assert [each.scenario for each in runner.jobs(every, [Conditions()], {})] == [here]
    assert runner.left_out(every, Conditions()) == {"core/b": "only with backend jax"}
    found = runner.left_out(every, Conditions(backend="jax"))
    assert found == {"core/b": "only with device gpu"}


def test_the_list_says_why_something_is_left_out_and_names_no_peer_of_another_backend(capsys):
    assert main(["list", "--backend", "torch", "--quick", "--only", "openvino,peers,core"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert set(lines) == {
        "core/tiny/batch-2",
        "openvino/tiny/batch-2",
        "peers/pytorch-grad-cam/tiny",
        "peers/captum/tiny",
    }
    assert lines["openvino/tiny/batch-2"] == "left out, only with backend tensorflow"


def test_a_gpu_has_batches_of_its_own(capsys):
    assert main(["list", "--device", "gpu", "--only", "core/vgg16"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == [f"core/vgg16/batch-{batch}" for batch in (1, 8, 32, 128)]


def listed(capsys, *arguments):
    assert main(["list", *arguments]) == 0
    return [line.split()[0] for line in capsys.readouterr().out.splitlines()]


def test_memory_is_looked_at_in_the_batches_of_a_gpu_and_in_those_asked_for(capsys):
    names = listed(capsys, "--device", "gpu", "--only", "memory/vgg16")
    assert names == [f"memory/vgg16/batch-{batch}" for batch in (1, 8, 32, 128)]
    names = listed(capsys, "--batches", "2,4", "--only", "memory/vgg16")
    assert names == ["memory/vgg16/batch-2", "memory/vgg16/batch-4"]


def test_what_is_varied_is_varied_on_the_first_model_asked_for(capsys):
    groups = "batch,size/xception/224,overhead,methods,classes,each-method,peers/tutorial"
    names = listed(capsys, "--models", "xception,vgg16", "--only", groups)
    assert names == [
        "overhead/xception",
        "overhead/vgg16",
        "methods/xception",
        "classes/xception",
        *(f"batch/xception/{batch}" for batch in (1, 4, 16, 64)),
        "size/xception/224",
        "each-method/xception",
        "each-method/vgg16",
        "peers/tutorial/xception",
    ]


def test_the_list_names_every_scenario(capsys):
    assert main(["list", "--only", "core,memory/vgg16"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        "memory/vgg16/batch-1",
        "memory/vgg16/batch-8",
        *(
            f"core/{model}/batch-{batch}"
            for model in ("vgg16", "resnet50", "xception")
            for batch in (1, 8)
        ),
    ]
