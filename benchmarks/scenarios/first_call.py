"""How long it takes until there is a map: from the start of a process, and by each engine."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from benchmarks.bench import SWEEP, Bench, run
from benchmarks.models import Spec
from benchmarks.results import Measurement, failed
from benchmarks.scenario import PLAIN, Scenario
from benchmarks.scenarios import openvino
from benchmarks.settings import Extent
from benchmarks.timing import Way, reason
from xai_core.errors import UsageError

GROUP = "first-call"
OURS = "xai explain"
SCRIPT = "a tutorial's script"
ENGINES = ("eager", "compiled", "auto", "frozen")
BESIDE = ("auto",)
"""What the first map by OpenVINO is timed beside."""

_XAI = "import sys; from xai_core.cli import main; sys.exit(main())"
"""The command `xai`, by the Python that runs this."""


def start_scenarios(extent: Extent) -> Iterator[Scenario]:
    """From the start of a process."""
    yield Scenario(
        GROUP,
        f"{extent.first_model}/process",
        "from the start of a process to its first map: xai explain, against a script",
        partial(measure_start, model=extent.first_model),
        place="lean",
        only=PLAIN,
    )


def engine_scenarios(extent: Extent) -> Iterator[Scenario]:
    """By engine, once the framework is there."""
    for model in extent.models:
        yield Scenario(
            GROUP,
            f"{model}/engines",
            "the first map of a study that is there, by each engine",
            partial(measure_engines, model=model),
        )
        yield Scenario(
            GROUP,
            f"{model}/openvino",
            "the first map of a study that is there, by OpenVINO",
            partial(measure_openvino, model=model),
            only=openvino.ONLY,
        )


def measure_start(bench: Bench, model: str) -> tuple[Measurement, ...]:
    """Two processes, one after the other, in turns."""
    from PIL import Image

    spec = bench.spec(model)
    picture = bench.folder / "picture.png"
    Image.fromarray(bench.pictures(spec, 1)[0]).save(picture)
    named = _named(bench, spec)
    out = ["--out", str(bench.folder / "map.png"), "--quiet"]
    ours = ["-c", _XAI, "explain", str(picture), *named, *out]
    script = ["-m", "benchmarks.tutorial", str(picture), spec.layer, *named[1:2]]
    # A process has nothing to warm but the file cache.
    ways = [Way(SCRIPT, partial(run, script)), Way(OURS, partial(run, ours), SCRIPT)]
    return bench.alternate(ways, warm_ups=min(1, bench.conditions.samples - 1))


def _named(bench: Bench, spec: Spec) -> list[str]:
    """The embedded model needs no name; another one is a file."""
    if spec.weights is not None:
        return []
    path = bench.folder / f"{spec.name}-{spec.size}.keras"
    if not path.exists():
        bench.apart("save", spec)
    return ["--model", str(path), "--preprocess", spec.scheme]


def measure_engines(bench: Bench, model: str) -> tuple[Measurement, ...]:
    """A new study each time: what is compiled is compiled again."""
    return bench.alternate(_ways(bench, model, ENGINES), SWEEP, warm_ups=1)


def measure_openvino(bench: Bench, model: str) -> tuple[Measurement, ...]:
    """The same, where it can be had."""
    if why := openvino.missing():
        return failed(openvino.ENGINES, why)
    from xai_core.engines import PRECISIONS
    from xai_core.probe.openvino import check

    can, refused = [], []
    for engine in openvino.ENGINES:
        try:
            check(PRECISIONS[engine])
        except UsageError as error:  # not every CPU computes in bfloat16
            refused.append(Measurement(engine, failure=reason(error)))
        else:
            can.append(engine)
    ways = _ways(bench, model, (*BESIDE, *can))
    return (*bench.alternate(ways, SWEEP, warm_ups=1), *refused)


def _ways(bench: Bench, model: str, engines: Sequence[str]) -> list[Way]:
    spec = bench.spec(model)
    pictures = bench.pictures(spec, 1)
    return [Way(engine, _first(bench, spec, engine, pictures)) for engine in engines]


def _first(bench: Bench, spec: Spec, engine: str, pictures: Any) -> Callable[[], Any]:
    def call() -> Any:
        return bench.explain(bench.new_study(spec, engine), pictures, ["grad-cam"])()

    return call
