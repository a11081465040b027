"""The page: which bars are met, a table for each group, the plots, and where it was measured."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.bars import BARS, Bar, bar_of, ratio, verdicts
from benchmarks.report.text import amount, digits, plural, table, where
from benchmarks.results import Measurement, Result, Results, quartiles
from benchmarks.settings import Conditions

if TYPE_CHECKING:
    from benchmarks.report.plots import Plot

NOT_MEASURED = "not measured"

_BUSY = 1.0
"""How much more than our own threads a minute's load may be before it is worth a word."""


def page(results: Results, plots: Sequence["Plot"]) -> str:
    """All of it, in Markdown."""
    parts = [
        "### Bars",
        "A ratio is of medians, taken in turns in one process. In the tables below, a ratio in "
        "bold misses its bar. Where nothing else is said, the backend is TensorFlow, in float32 "
        "without TF32.",
        table(
            ("Bar", "Bound", "Goal", "Measured", "Met"), (_bar_row(each, results) for each in BARS)
        ),
    ]
    shown: list[Plot] = []
    for title, group, intro, layout in SECTIONS:
        found = [each for each in results.results if each.group == group]
        parts += [f"### {title}", intro]
        parts += [layout(found, results)] if found else [f"{NOT_MEASURED.capitalize()}."]
        mine = [each for each in plots if each.group == group and each not in shown]
        parts += [f"![{each.alt}]({each.file})" for each in mine]
        shown += mine
    parts += ["### Where and when", *_environments(results)]
    return "\n\n".join(parts) + "\n"


# ---------------------------------------------------------------------------------------
# Bars


def _bar_row(bar: Bar, results: Results) -> tuple[str, ...]:
    found = list(verdicts(bar, results))
    values = sorted(each.value for each in found if each.value is not None)
    sign = "≤" if bar.sense == "at most" else "≥"
    bound = f"{sign} {_number(bar, bar.bound)}"
    goal = "" if bar.goal is None else _number(bar, bar.goal)
    if not values:
        return bar.words, bound, goal, NOT_MEASURED, NOT_MEASURED
    ends = [_number(bar, each) for each in dict.fromkeys((values[0], values[-1]))]
    met = sum(each.met for each in found)
    verdict = "yes" if met == len(found) else f"**in {met} of {len(found)}**"
    return bar.words, bound, goal, " to ".join(dict.fromkeys(ends)), verdict


def _number(bar: Bar, value: float) -> str:
    if bar.sense == "at least":
        return f"{value:.4f}"
    return amount(value, bar.unit)


# ---------------------------------------------------------------------------------------
# Tables of a group


def pivot(found: Sequence[Result], results: Results) -> str:
    """A row for each case, a column for each measurement: ratios, where it is one."""
    names = list(dict.fromkeys(each.what for result in found for each in result.measurements))
    rows = []
    for result in sorted(found, key=lambda each: -_threads(results, each)):
        device = results.conditions(result).device
        cells = [_cell(result, result.find(name), device) for name in names]
        if result.failure:
            cells = [f"failed: {result.failure}", *[""] * (len(names) - 1)]
        rows.append([result.case, _conditions(results, result), *cells])
    return table(("Case", "Conditions", *names), rows)


def listed(found: Sequence[Result], results: Results) -> str:
    """A row for each measurement, with its spread and its first call."""
    header = ("Case", "Conditions", "What", "Median", "Quartiles", "Ratio", "First call")
    return table(header, (row for result in found for row in _rows(result, results)))


def _rows(result: Result, results: Results) -> Iterator[Sequence[str]]:
    conditions, device = _conditions(results, result), results.conditions(result).device
    if result.failure:
        yield (result.case, conditions, f"failed: {result.failure}", "", "", "", "")
    for each in result.measurements:
        start = (result.case, conditions, each.what)
        if each.value is None:
            yield (*start, each.failure or NOT_MEASURED, "", "", "")
            continue
        low, high = (amount(value / each.share, each.unit) for value in quartiles(each.samples))
        first = "" if each.first is None else amount(each.first, "s")
        own = amount(each.value, each.unit)
        yield (*start, own, f"{low} to {high}", _ratio(result, each, device), first)


def grown(found: Sequence[Result], results: Results) -> str:
    """Growth beside its noise, ours beside the like of it without us."""
    rows = []
    for result in found:
        for each in result.measurements:
            facts = each.facts
            cells = (
                [f"{facts['count']:,}", f"{facts['grown']:+.2f} MiB", f"{facts['noise']:.2f} MiB"]
                if "grown" in facts
                else ["", each.failure or NOT_MEASURED, ""]
            )
            rows.append([each.what, _conditions(results, result), *cells])
    return table(("What", "Conditions", "Times", "Growth", "Noise"), rows)


def asked(found: Sequence[Result], results: Results) -> str:
    """Ratios, and how many questions they are of."""
    told = dict.fromkeys(
        f"{each.what} {each.facts['queries']} in passes of {each.facts['to a pass']}"
        for result in found
        for each in result.measurements
        if "queries" in each.facts and each.value is not None
    )
    made = pivot(found, results)
    return f"{made}\n\nQuestions to a call: {', '.join(told)}." if told else made


def throughput(found: Sequence[Result], results: Results) -> str:
    """Pictures a second, and what the forward pass takes of the machine's peak."""
    peaks = {
        where(results.conditions(each)): _multiply(results, each)
        for each in results.results
        if each.group == "limit"
    }
    names = ("forward", "Grad-CAM", "five CAMs", "saliency")
    rows = []
    for result in found:
        values = [each and each.value for each in map(result.find, names)]
        forward, peak = result.find("forward"), peaks.get(where(results.conditions(result)))
        share = ""
        if peak and forward is not None and forward.value and "operations" in forward.facts:
            speed = forward.facts["operations"] / (forward.value * forward.share)
            share = f"{speed / peak:.0%}"
        cells = [digits(1 / each) if each else "" for each in values]
        rows.append([result.case, _conditions(results, result), *cells, share])
    return table(("Case", "Conditions", *names, "Forward pass, of the peak"), rows)


def _multiply(results: Results, result: Result) -> float | None:
    found = result.find(f"multiply, {results.conditions(result).dtype}")
    return found.value if found else None


def _cell(result: Result, measurement: Measurement | None, device: str) -> str:
    if measurement is None:
        return ""
    if measurement.value is None:
        return measurement.failure or NOT_MEASURED
    return _ratio(result, measurement, device) or amount(measurement.value, measurement.unit)


def _ratio(result: Result, measurement: Measurement, device: str) -> str:
    value = result.ratio(measurement)
    if value is None:
        return ""
    bar = bar_of(result, measurement, device)
    text = amount(value, "")
    return f"**{text}**" if bar and bar.read is ratio and not bar.met_by(value) else text


def _threads(results: Results, result: Result) -> int:
    return results.conditions(result).threads


def _conditions(results: Results, result: Result) -> str:
    """What sets rows of one case apart."""
    conditions = results.conditions(result)
    return f"{where(conditions)}, {conditions.engine}"


Layout = Callable[[Sequence[Result], Results], str]

SECTIONS: Sequence[tuple[str, str, str, Layout]] = (
    (
        "Gradient core",
        "core",
        "A whole call of `compare`, of one forward pass of the same architecture and batch, "
        "which is given for each picture.",
        pivot,
    ),
    (
        "Pictures a second",
        "core",
        "And the operations of the forward pass, of those that the product of two large matrices "
        "reaches by the same framework in the same dtype.",
        throughput,
    ),
    (
        "OpenVINO",
        "openvino",
        "Grad-CAM where OpenVINO runs what needs no gradient, of the same forward pass by "
        "TensorFlow; and the median rank correlation of its maps in bfloat16 with those in "
        "float32.",
        pivot,
    ),
    (
        "Queries",
        "queries",
        "What one query costs with all around it but the first pass, of a picture's share of a "
        "forward pass of 32. Passes are of one size, and the questions that are asked pay for "
        "what fills them up: Score-CAM's most of all, which is run at a layer of 64 channels, "
        "where a model's last layer has hundreds or thousands.",
        asked,
    ),
    (
        "Evaluation",
        "evaluation",
        "One question of deletion and insertion, with all around it: the maps of five methods, the "
        "pictures that are made, what is kept of their answers; of the same share of a forward "
        "pass. A picture that was asked about before is not run again.",
        pivot,
    ),
    ("Own time", "overhead", "A call of Grad-CAM, in and beyond its compiled program.", listed),
    (
        "First map",
        "first-call",
        "From the start of a process, of a script that builds the same model and runs Grad-CAM "
        "eagerly; and of a study that is new, by engine.",
        listed,
    ),
    ("Memory", "memory", "The most that a process holds, of a forward pass or a gradient.", pivot),
    (
        "Growth",
        "growth",
        "What is held in the last quarter of the calls beyond the second quarter; the noise is "
        "how far either is spread, and at least 1 MiB.",
        grown,
    ),
    (
        "Number of methods",
        "methods",
        "One to five class activation maps of one picture, of its forward pass.",
        pivot,
    ),
    (
        "Number of classes",
        "classes",
        "Grad-CAM of one picture for the highest classes, of its forward pass.",
        pivot,
    ),
    ("Batch", "batch", "Of a forward pass of the same batch.", pivot),
    ("Size", "size", "Of a forward pass of a picture of the same size.", pivot),
    ("Each method", "each-method", "One picture, of its forward pass.", listed),
    (
        "Other libraries",
        "peers",
        "One picture, one class, the same layer, raw maps, of a forward pass. Each is given the "
        "preprocessed picture and the class, which xai-core works out itself in its time. What "
        "has other numbers is not timed; what these are is told on the page on other libraries.",
        listed,
    ),
    (
        "The machine's limit",
        "limit",
        "The product of two large matrices, and a vector that is read and written. A mark counts "
        "the operations of a model as it is written down: where convolutions take fewer, it may "
        "lie above the roof.",
        listed,
    ),
)


# ---------------------------------------------------------------------------------------
# Where it was measured


def _environments(results: Results) -> Iterator[str]:
    if not results.results:
        yield f"{NOT_MEASURED.capitalize()} yet."
    by_key: dict[str, list[Result]] = {key: [] for key in results.environments}
    for each in results.results:
        by_key[each.environment].append(each)
    codes = {each["source"] for each in results.environments.values()}
    if len(codes) > 1:
        yield (
            f"**Measured with {len(codes)} versions of the code,** oldest first: a row is of the "
            "one under which its scenario is named here. Rows of one table may be of several."
        )
    for key, mine in sorted(by_key.items(), key=lambda item: min(each.at for each in item[1])):
        yield _environment(results.environments[key], mine)
    busy = [
        each.scenario for each in results.results if each.load > _threads(results, each) + _BUSY
    ]
    if busy:
        yield (
            "**The machine was busy with other work** when these began, so that their numbers are "
            f"not to be trusted: {', '.join(busy)}."
        )


def _environment(environment: Mapping[str, Any], mine: Sequence[Result]) -> str:
    conditions, machine = Conditions.read(environment["conditions"]), environment["machine"]
    cores = plural(conditions.threads, "core")
    gpus = ", ".join(machine["gpus"])
    facts = {
        "when": _when(mine),
        "scenarios": _named(mine),
        "processor": f"{cores} of {machine['processor']} ({', '.join(machine['instructions'])})",
        "memory": f"{machine['memory_gib']} GiB",
        "GPU": gpus and f"{gpus}, TF32 {'on' if machine['tf32'] else 'off'}",
        "engine": (
            f"{conditions.engine} on {conditions.backend}, {conditions.device}, {conditions.dtype}"
        ),
        "samples": f"{conditions.samples} of each, seed {conditions.seed}",
        "versions": ", ".join(f"{name} {each}" for name, each in environment["versions"].items()),
        "code": f"sha256 {environment['source']}",
    }
    return "\n".join(f"- {name}: {value}" for name, value in facts.items() if value)


def _when(results: Sequence[Result]) -> str:
    """When the first of them was done, and the last."""
    times = [each.at.replace("T", " ")[:16] for each in sorted(results, key=lambda each: each.at)]
    return f"{' to '.join(dict.fromkeys((times[0], times[-1])))} UTC"


def _named(results: Sequence[Result]) -> str:
    """How many, and by group, which."""
    cases: dict[str, list[str]] = {}
    for each in results:
        cases.setdefault(each.group, []).append(each.case)
    named = ", ".join(f"{group} ({', '.join(some)})" for group, some in cases.items())
    return f"{len(results)}: {named}"
