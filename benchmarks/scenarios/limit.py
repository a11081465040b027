"""What the machine can do at most: how fast it multiplies, and how fast it moves memory."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.bench import Bench
from benchmarks.results import Measurement
from benchmarks.scenario import Scenario
from benchmarks.settings import Extent
from benchmarks.timing import Way

GROUP = "limit"
MULTIPLY = "multiply, float32"
MULTIPLY_COARSE = "multiply, bfloat16"
MOVE = "move"

_VECTOR = 64 * 2**20
"""Numbers of 4 bytes, too many for most caches."""


def scenarios(extent: Extent) -> Iterator[Scenario]:
    """One."""
    yield Scenario(
        GROUP,
        "machine",
        f"the product of two matrices of side {extent.matrix:,}, and a vector read and written",
        measure,
    )


def measure(bench: Bench) -> tuple[Measurement, ...]:
    """Operations and bytes a second."""
    side, compiled = bench.extent.matrix, bench.framework.compiled
    product, add = compiled(lambda a: a @ a), compiled(lambda v: v + 1)
    numbers = min(_VECTOR, side * side * 16)
    values = np.random.default_rng(bench.conditions.seed).standard_normal((side, side), np.float32)
    made = bench.alternate(
        [
            Way(MULTIPLY, partial(product, bench.tensor(values))),
            Way(MULTIPLY_COARSE, partial(product, bench.tensor(values, "bfloat16"))),
            Way(MOVE, partial(add, bench.tensor(np.zeros(numbers, np.float32)))),
        ]
    )
    work = {MULTIPLY: 2 * side**3, MULTIPLY_COARSE: 2 * side**3, MOVE: 2 * 4 * numbers}
    units = {MULTIPLY: "FLOP/s", MULTIPLY_COARSE: "FLOP/s", MOVE: "B/s"}
    return tuple(_rate(each, work[each.what], units[each.what]) for each in made)


def _rate(measured: Measurement, work: int, unit: str) -> Measurement:
    samples: tuple[Any, ...] = tuple(work / each for each in measured.samples)
    return replace(measured, unit=unit, samples=samples)
