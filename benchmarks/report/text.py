"""Numbers and tables as Markdown."""

from collections.abc import Iterable, Sequence

from benchmarks.settings import Conditions

_STEPS = ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms"))


def seconds(value: float) -> str:
    """Three digits, in the unit that fits."""
    for below, factor, unit in _STEPS:
        if abs(value) < below:
            return f"{digits(value * factor)} {unit}"
    return f"{digits(value)} s"


def digits(value: float) -> str:
    """Three that count."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def ratio(value: float) -> str:
    """Enough digits to tell it from a bound that has two."""
    return f"{value:.3f}" if value < 10 else digits(value)


def amount(value: float, unit: str) -> str:
    """A value with its unit."""
    match unit:
        case "s":
            return seconds(value)
        case "FLOP/s":
            return f"{digits(value / 1e9)} GFLOP/s"
        case "B/s":
            return f"{digits(value / 1e9)} GB/s"
        case "1":
            return f"{value:.4f}"
        case "":
            return ratio(value)
    return f"{digits(value)} {unit}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table: the first column to the left, the others to the right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    lines = [header, rule, *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def where(conditions: Conditions) -> str:
    """`2 cores`, `GPU, jax, TF32`: what sets numbers apart, where it is not the default."""
    cpu = conditions.device == "cpu"
    more = [
        str(getattr(conditions, name))
        for name in ("backend", "dtype")
        if getattr(conditions, name) != getattr(Conditions, name)
    ]
    place = plural(conditions.threads, "core") if cpu else "GPU"
    return ", ".join([place, *more, *["TF32"] * conditions.tf32])


def plural(count: int, word: str) -> str:
    """`1 core`, `2 cores`."""
    return f"{count} {word}{'' if count == 1 else 's'}"
