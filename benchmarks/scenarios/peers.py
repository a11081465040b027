"""Other libraries: the same model, picture, class and layer, and the same numbers, or no time."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench import Bench
from benchmarks.peers import PEERS, Peer, Task
from benchmarks.results import Measurement
from benchmarks.scenario import PLAIN, Scenario
from benchmarks.scenarios.core import FIVE, FORWARD, forward, maps
from benchmarks.settings import Extent
from benchmarks.timing import Way, reason

GROUP = "peers"
OURS = "xai-core"
TOGETHER = "five CAMs"
"""In one call of ours; of a peer that has them all, one after the other."""
SAME = 0.01
"""Of the mean magnitude, the most by which the mean difference of two maps may be off: where a
rectifier or a maximum flips under rounding, single places of a gradient move."""


def scenarios(extent: Extent) -> Iterator[Scenario]:
    """One for each peer."""
    for peer in PEERS:
        yield Scenario(
            GROUP,
            f"{peer.name}/{extent.sweep_model}",
            f"{peer.name}: {' and '.join(peer.methods)}, against a forward pass, beside ours",
            partial(measure, peer=peer, model=extent.sweep_model),
            peer=peer.name,
            only={"backend": (peer.backend,), **PLAIN},
        )


def measure(bench: Bench, peer: Peer, model: str) -> tuple[Measurement, ...]:
    """Hold its numbers against ours, and time what is the same."""
    names = [f"{peer.name}, {method}" for method in peer.methods]
    if peer.missing:
        return tuple(Measurement(name, failure=peer.missing) for name in names)
    spec = bench.spec(model)
    ways, wrong = [forward(bench, model, 1)], []
    right: dict[str, Callable[[], Any]] = {}
    task, expected = _task(bench, model, tuple(peer.methods))
    for method, prepare in peer.methods.items():
        what = f"{OURS}, {method}"
        own = bench.explain(bench.study(spec), bench.pictures(spec, 1), [method])
        ways.append(maps(what, own, 1))
        what = f"{peer.name}, {method}"
        call, why = _checked(prepare, task, expected[method])
        if call is None:
            wrong.append(Measurement(what, failure=why))
        else:
            ways.append(Way(what, call, FORWARD))
            right[method] = call
    if set(FIVE) <= set(right):
        own = bench.explain(bench.study(spec), bench.pictures(spec, 1), FIVE)
        ways.append(maps(f"{OURS}, {TOGETHER}", own, 1))
        one_by_one = partial(_each, [right[method] for method in FIVE])
        ways.append(Way(f"{peer.name}, {TOGETHER}", one_by_one, FORWARD))
    for method, prepare in peer.variants.items():
        _, why = _checked(prepare, task, expected[method])
        what = f"{peer.name}, {method}, as it comes"
        wrong.append(Measurement(what, failure=why or "the same numbers"))
    return (*bench.alternate(ways), *wrong)


def _each(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    return [call() for call in calls]


def _task(
    bench: Bench, model: str, methods: tuple[str, ...]
) -> tuple[Task, dict[str, NDArray[Any]]]:
    """A model that no one else holds, and our maps of it, for the first class that has any."""
    from xai_core import Study

    spec = bench.spec(model)
    own = bench.new_model(spec)
    study = Study(own, preprocess=spec.scheme, layer=spec.layer, engine="eager")
    made = bench.explain(study, bench.pictures(spec, 1), list(methods), top=5)()
    by_target: dict[int, dict[str, NDArray[Any]]] = {}
    for each in made:
        by_target.setdefault(each.target.index, {})[each.method.name] = each.map
    for target, found in by_target.items():
        if all(np.abs(each).max() > 0 for each in found.values()):
            return Task(own, spec.layer, bench.prepared(spec, 1), target), found
    raise RuntimeError("every map is zero everywhere: there is nothing to compare")


def _checked(
    prepare: Callable[[Task], Callable[[], Any]], task: Task, expected: NDArray[Any]
) -> tuple[Callable[[], Any] | None, str | None]:
    """What to time, or why not: it fails, or its numbers are others."""
    try:
        call = prepare(task)
        off = difference(np.asarray(call()), expected)
    except Exception as error:  # noqa: BLE001 - anyone's code
        return None, f"fails: {reason(error)}"
    if not off <= SAME:  # also where it is no number
        return None, f"other numbers: off by {off:.0%} of the mean magnitude"
    return call, None


def difference(theirs: NDArray[Any], ours: NDArray[Any]) -> float:
    """The mean difference of two maps, of the mean magnitude of ours."""
    if theirs.size != ours.size:
        raise ValueError(f"made a map of shape {theirs.shape}; expected {ours.shape}")
    off = np.abs(theirs.reshape(ours.shape).astype(np.float64) - ours)
    return float(off.mean() / np.abs(ours).mean())
