"""What is asked of the numbers. A bar that is not met is shown as not met."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from benchmarks.peers import PYTORCH_GRAD_CAM
from benchmarks.results import Measurement, Result, Results
from benchmarks.scenarios import core as core_group
from benchmarks.scenarios import (
    evaluation,
    first_call,
    growth,
    memory,
    openvino,
    overhead,
    peers,
    queries,
)

Sense: TypeAlias = Literal["at most", "at least"]
Read: TypeAlias = Callable[[Result, Measurement], float | None]
"""The number that a bar is about; None where there is none."""


@dataclass(frozen=True)
class Bar:
    """A bound on a number, and what is hoped for beyond it."""

    words: str
    group: str
    what: str
    """The measurement that it is about."""
    bound: float
    read: Read
    goal: float | None = None
    sense: Sense = "at most"
    unit: str = ""
    device: str = "cpu"
    """On which it is set; by what was run there, on any backend."""

    def met_by(self, value: float) -> bool:
        """Whether a value is within the bound."""
        return value <= self.bound if self.sense == "at most" else value >= self.bound


@dataclass(frozen=True)
class Verdict:
    """A bar, and what was measured in one case."""

    bar: Bar
    result: Result
    value: float | None
    """None where it could not be measured."""

    @property
    def met(self) -> bool:
        """What was not measured is not met."""
        return self.value is not None and self.bar.met_by(self.value)


def ratio(result: Result, measurement: Measurement) -> float | None:
    """Of what it is set against."""
    return result.ratio(measurement)


def _seconds(_: Result, measurement: Measurement) -> float | None:
    return measurement.value


def _fact(name: str) -> Read:
    def read(_: Result, measurement: Measurement) -> float | None:
        value: float | None = measurement.facts.get(name)
        return value

    return read


def _growth(_: Result, measurement: Measurement) -> float | None:
    if "grown" not in measurement.facts:
        return None
    return float(measurement.facts["grown"] / measurement.facts["noise"])


def _of_theirs(result: Result, measurement: Measurement) -> float | None:
    """Of the time in which a peer makes the same maps, one after the other."""
    theirs = result.find(f"{PYTORCH_GRAD_CAM.name}, {peers.TOGETHER}")
    if theirs is None or not theirs.value or measurement.value is None:
        return None
    return measurement.value / theirs.value


_CORE = core_group.GROUP
_FINE, _COARSE = map(openvino.called, openvino.ENGINES)

BARS: Sequence[Bar] = (
    Bar("Grad-CAM, of a forward pass", _CORE, "Grad-CAM", 0.95, ratio),
    Bar("Five CAMs, of a forward pass", _CORE, "five CAMs", 0.98, ratio),
    Bar("Five CAMs for 5 classes, of a forward pass", _CORE, "five CAMs x 5 classes", 1.20, ratio),
    Bar("Saliency, of a forward pass", _CORE, "saliency", 2.10, ratio, 1.90),
    Bar(
        "Five CAMs and saliency, of a forward pass",
        _CORE,
        "five CAMs + saliency",
        2.15,
        ratio,
        1.95,
    ),
    *(
        Bar(f"{words} on a GPU, of a forward pass", _CORE, what, bound, ratio, device="gpu")
        for words, what, bound in (
            ("Grad-CAM", "Grad-CAM", 1.10),
            ("Five CAMs", "five CAMs", 1.15),
            ("Saliency", "saliency", 2.50),
        )
    ),
    Bar("Grad-CAM by OpenVINO, of a forward pass", openvino.GROUP, _FINE, 0.85, ratio, 0.72),
    Bar(
        "Grad-CAM by OpenVINO in bfloat16, of a forward pass",
        openvino.GROUP,
        _COARSE,
        0.50,
        ratio,
        0.40,
    ),
    Bar(
        "Spearman's correlation of a map in bfloat16 with float32, the lowest",
        openvino.GROUP,
        openvino.ORDER,
        0.995,
        _fact("lowest"),
        sense="at least",
    ),
    *(
        Bar(
            f"A query of {method}, of a picture's share of a forward pass of {queries.PICTURES}",
            queries.GROUP,
            method,
            1.00,
            ratio,
        )
        for method in queries.METHODS
    ),
    *(
        Bar(
            f"A query of {method} by OpenVINO, of the same",
            queries.GROUP,
            queries.by_openvino(method),
            0.85,
            ratio,
        )
        for method in queries.METHODS
    ),
    Bar(
        "A question of deletion and insertion, of the same",
        evaluation.GROUP,
        evaluation.BOTH,
        1.10,
        ratio,
    ),
    *(
        Bar(
            f"Five CAMs{where}, of the time of {PYTORCH_GRAD_CAM.name}, which makes one after the "
            "other",
            peers.GROUP,
            f"{peers.OURS}, {peers.TOGETHER}",
            1 / 3,
            _of_theirs,
            device=device,
        )
        for device, where in (("cpu", ""), ("gpu", " on a GPU"))
    ),
    Bar(
        "A call's own time beyond the compiled program",
        overhead.GROUP,
        overhead.OWN,
        0.002,
        _seconds,
        unit="s",
    ),
    Bar(
        "`xai explain` from the start of its process, of a tutorial's script",
        first_call.GROUP,
        first_call.OURS,
        1.25,
        ratio,
    ),
    *(
        Bar(f"Peak of memory of {what}, of a {against}", memory.GROUP, what, 1.2, ratio)
        for what, against in (
            ("Grad-CAM", "forward pass"),
            ("saliency", "plain gradient"),
        )
    ),
    *(
        Bar(f"Growth of memory over {what}, of its noise", growth.GROUP, what, 1.0, _growth)
        for what in ("calls", "studies")
    ),
)


def verdicts(bar: Bar, results: Results) -> Iterator[Verdict]:
    """What became of a bar: in every case on its device."""
    for result in results.results:
        if result.group != bar.group or results.conditions(result).device != bar.device:
            continue
        found = result.find(bar.what)
        if found is not None:
            yield Verdict(bar, result, bar.read(result, found))


def bar_of(result: Result, measurement: Measurement, device: str) -> Bar | None:
    """The bar that a measurement is held to on a device."""
    place = result.group, measurement.what, device
    return next((each for each in BARS if (each.group, each.what, each.device) == place), None)
