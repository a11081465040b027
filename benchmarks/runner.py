"""Runs scenarios in processes of their own, and writes down each result as it comes."""

import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Protocol

from benchmarks import machine
from benchmarks.bench import ROOT
from benchmarks.results import Result, Results
from benchmarks.scenario import Scenario
from benchmarks.settings import Conditions, Extent
from xai_core.errors import UsageError


class Show(Protocol):
    """Told what happens."""

    def begin(self, total: int, done: int) -> None:
        """So many scenarios are asked for, of which so many are done already."""

    def step(self, scenario: str, done: int, total: int, what: str) -> None:
        """How far a scenario is."""

    def end(self, result: Result) -> None:
        """What became of it."""


@dataclass(frozen=True)
class Job:
    """A scenario, and where to measure it."""

    scenario: Scenario
    conditions: Conditions
    interpreter: str


@dataclass(frozen=True)
class Run:
    """What is asked for.

    Args:
        extent: Which cases there are.
        jobs: What to measure, in this order.
        path: The file of the results.
        again: Whether to measure too what is there already.
    """

    extent: Extent
    jobs: Sequence[Job]
    path: Path
    again: frozenset[str] = frozenset()
    """Scenarios to measure although they are done."""


def run(asked: Run, show: Show) -> Results:
    """Measure what is not done, and write the file after each scenario.

    Raises:
        UsageError: the conditions cannot be met here.
    """
    results = Results.read(asked.path)
    environments = _environments(asked.jobs)
    keys = {place: machine.key(found) for place, found in environments.items()}
    left = [
        job
        for job in asked.jobs
        if job.scenario.name in asked.again
        or not results.has(job.scenario.name, keys[job.conditions, job.interpreter])
    ]
    show.begin(len(asked.jobs), len(asked.jobs) - len(left))
    for place, jobs in itertools.groupby(left, key=_process_of):
        conditions, interpreter, _ = place
        environment = environments[conditions, interpreter]
        task = _Task(asked.extent, conditions, interpreter, machine.key(environment))
        for result in task.measure([job.scenario.name for job in jobs], show):
            results = results.plus(result, environment)
            results.write(asked.path)
            show.end(result)
    return results


def _process_of(job: Job) -> tuple[Conditions, str, str]:
    return job.conditions, job.interpreter, job.scenario.place


def _environments(jobs: Sequence[Job]) -> Mapping[tuple[Conditions, str], dict[str, Any]]:
    """What each place to measure is like, asked before anything is measured."""
    found = {}
    for conditions, interpreter in dict.fromkeys((j.conditions, j.interpreter) for j in jobs):
        with _Worker(conditions, interpreter, {"conditions": asdict(conditions)}) as worker:
            answer = next(worker.messages(), {})
            if "environment" not in answer:
                raise UsageError(answer.get("refused") or worker.ending())
        found[conditions, interpreter] = answer["environment"]
    return found


@dataclass(frozen=True)
class _Task:
    """Scenarios that share a process."""

    extent: Extent
    conditions: Conditions
    interpreter: str
    environment: str

    def measure(self, names: Sequence[str], show: Show) -> Iterator[Result]:
        """Their results; where the process ends before its time, another one goes on."""
        left = list(names)
        while left:
            task = {
                "conditions": asdict(self.conditions),
                "extent": asdict(self.extent),
                "environment": self.environment,
                "scenarios": left,
            }
            with _Worker(self.conditions, self.interpreter, task) as worker:
                for message in worker.messages():
                    if "result" in message:
                        yield Result.read(message["result"])
                        left = left[1:]
                    elif "what" in message:
                        show.step(left[0], message["done"], message["total"], message["what"])
                if left:
                    yield self._ended(left[0], worker.ending())
                    left = left[1:]

    def _ended(self, name: str, why: str) -> Result:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return Result(name, self.environment, (), now, 0.0, machine.load(), why)


class _Worker:
    """A process of `benchmarks.worker`; leaving it ends it, and what it started."""

    def __init__(self, conditions: Conditions, interpreter: str, task: Mapping[str, Any]) -> None:
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        try:
            self._process = subprocess.Popen(
                [interpreter, "-m", "benchmarks.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                cwd=ROOT,
                env={**os.environ, **machine.variables(conditions)},
                start_new_session=True,  # so that Ctrl+C reaches only us, who then end it
            )
        except OSError as error:
            self._log.close()
            raise UsageError(
                f"cannot run {interpreter!r} ({error.strerror}); expected a Python in which "
                "xai-core is installed"
            ) from error
        assert self._process.stdin
        with self._process.stdin as stdin:
            stdin.write(json.dumps(task))

    def __enter__(self) -> "_Worker":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait()
        assert self._process.stdout
        self._process.stdout.close()
        self._log.close()

    def messages(self) -> Iterator[dict[str, Any]]:
        """What it says, until it ends."""
        assert self._process.stdout
        for line in self._process.stdout:
            yield json.loads(line)

    def ending(self) -> str:
        """How it ended, in its own last words."""
        code = self._process.wait()
        if code < 0:
            return f"the process was ended by {signal.Signals(-code).name}"
        self._log.seek(0)
        last = self._log.read().decode(errors="replace").strip().splitlines()[-1:]
        return f"the process ended with {code}" + (f": {last[0]}" if last else "")


def jobs(
    scenarios: Sequence[Scenario],
    conditions: Sequence[Conditions],
    pythons: Mapping[str, str],
) -> list[Job]:
    """Each scenario under each condition that fits it, peers by interpreters that are theirs."""
    return [
        Job(each, under, pythons.get(each.peer or "", sys.executable))
        for under in conditions
        for each in scenarios
        if each.left_out(under) is None
    ]


def left_out(scenarios: Sequence[Scenario], conditions: Conditions) -> dict[str, str]:
    """Why some are not measured, by name; peers of another backend are nobody's to miss."""
    found = {each.name: each.left_out(conditions) for each in scenarios if each.peer is None}
    return {name: why for name, why in found.items() if why is not None}


def chosen(scenarios: Sequence[Scenario], only: Sequence[str]) -> list[Scenario]:
    """Those whose group or name was given, or whose name begins so.

    Raises:
        UsageError: there is none of that name.
    """
    for each in only:
        if not any(_fits(scenario, each) for scenario in scenarios):
            groups = ", ".join(dict.fromkeys(scenario.group for scenario in scenarios))
            raise UsageError(
                f"received {each!r} to measure; expected a group ({groups}) or the name of a "
                "scenario: see `python -m benchmarks list`"
            )
    return [each for each in scenarios if not only or any(_fits(each, name) for name in only)]


def _fits(scenario: Scenario, name: str) -> bool:
    return f"{scenario.name}/".startswith(f"{name.rstrip('/')}/")
