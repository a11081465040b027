"""What the machine can do at most: how fast it multiplies, and how fast it moves memory."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

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
    tf, side = bench.tf, bench.extent.matrix
    product = tf.function(lambda a: a @ a, autograph=False)
    add = tf.function(lambda v: v + 1, autograph=False)
    numbers = min(_VECTOR, side * side * 16)
    fine = tf.random.stateless_normal((side, side), (0, bench.conditions.seed))
    made = bench.alternate(
        [
            Way(MULTIPLY, partial(product, fine)),
            Way(MULTIPLY_COARSE, partial(product, tf.cast(fine, tf.bfloat16))),
            Way(MOVE, partial(add, tf.zeros(numbers))),
        ]
    )
    work = {MULTIPLY: 2 * side**3, MULTIPLY_COARSE: 2 * side**3, MOVE: 2 * 4 * numbers}
    units = {MULTIPLY: "FLOP/s", MULTIPLY_COARSE: "FLOP/s", MOVE: "B/s"}
    return tuple(_rate(each, work[each.what], units[each.what]) for each in made)


def _rate(measured: Measurement, work: int, unit: str) -> Measurement:
    samples: tuple[Any, ...] = tuple(work / each for each in measured.samples)
    return replace(measured, unit=unit, samples=samples)
