"""Whether memory grows: over many calls, and over studies that are made and dropped."""

from collections.abc import Iterator, Sequence
from functools import partial
from statistics import median

from benchmarks.bench import Bench
from benchmarks.results import Measurement
from benchmarks.scenario import Scenario
from benchmarks.settings import Extent
from benchmarks.timing import reason

GROUP = "growth"
ROUNDS = 50
"""How often memory is looked at, at most: seldom, and one piece that the allocator took decides."""
ALLOCATOR = 1.0
"""MiB that are not worth a word: an allocator takes memory in pieces."""


_TASKS = {
    "calls": ("Grad-CAM", {"calls": "calls", "forward passes": "forwards"}),
    "studies": ("studies made and dropped", {"studies": "studies", "programs": "programs"}),
}
"""What is done, by name; and by what it is called, the task, and the like of it without us."""


def scenarios(extent: Extent) -> Iterator[Scenario]:
    """One for each thing that is done over and over."""
    for name, count in extent.repeated:
        what, tasks = _TASKS[name]
        other = list(tasks)[1]
        yield Scenario(
            GROUP,
            name,
            f"memory over {count:,} x {what}, and over as many {other}",
            partial(measure, model=extent.first_model, tasks=tasks, count=count),
            place="lean",
        )


def measure(bench: Bench, model: str, tasks: dict[str, str], count: int) -> tuple[Measurement, ...]:
    """MiB that are held after each round, and how much more at the end."""
    rounds = min(ROUNDS, count)
    found = []
    for number, (what, task) in enumerate(tasks.items()):
        bench.tell(number, len(tasks), what)
        try:
            held = bench.apart(task, bench.spec(model), rounds=rounds, count=count)
        except RuntimeError as error:
            found.append(Measurement(what, "MiB", failure=reason(error)))
            continue
        grown, noise = growth(held["found"])
        facts = {"count": count, "grown": grown, "noise": noise}
        found.append(Measurement(what, "MiB", tuple(held["found"]), facts=facts))
    return tuple(found)


def growth(held: Sequence[float]) -> tuple[float, float]:
    """How much the last quarter is above the second, and how far each is spread, in MiB.

    The first quarter is left out: what is kept for good is kept on the first calls. Where memory
    grows steadily, the growth is twice the spread; where it only wavers, it is less.
    """
    quarter = max(1, len(held) // 4)
    early, late = held[quarter : 2 * quarter], held[-quarter:]
    if not early:
        return 0.0, ALLOCATOR
    noise = max(max(part) - min(part) for part in (early, late))
    return median(late) - median(early), max(noise, ALLOCATOR)
