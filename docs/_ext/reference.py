"""The parts of the reference that the program itself knows best, as MyST Markdown."""

import contextlib
import inspect
import io
import re
from collections.abc import Iterator

_ENTRY = re.compile(r" {2}(?P<term>\S.*?)(?: {2,}(?P<text>\S.*))?$")


def pages() -> dict[str, str]:
    """File names and their contents."""
    return {
        "cli.md": cli(),
        "explainers.md": explainers(),
        "adapters.md": adapters(),
        "metrics.md": metrics(),
        "schemes.md": schemes(),
    }


def explainers() -> str:
    """A section for each installed explainer."""
    from xai_core import Registry
    from xai_core.cost import cost
    from xai_core.parameters import parameters
    from xai_core.settings import text_of

    registry = Registry.discover()
    rows = ["| Name | Signed | Reads | Passes of a map |", "| --- | --- | --- | --- |"]
    sections = []
    for name, entry in registry.explainers.items():
        explainer = entry.item
        needs = ", ".join(_words(str(need.name)) for need in explainer.needs) or "nothing"
        link = f"[{name}](#{anchor('explainer', name)})"
        rows.append(f"| {link} | {_yes(explainer.signed)} | {needs} | {cost(explainer)} |")
        told = [
            f"- `{each.name}={text_of(each.value)}`: {_plain(each.expected)}"
            for each in parameters(explainer)
        ]
        sections += [
            f"({anchor('explainer', name)})=",
            f"## {name}",
            _plain(inspect.getdoc(type(explainer)) or ""),
            "\n".join(["Parameters:", "", *told]) if told else "It has no parameters.",
            f"From {_plain(str(entry.source))}, class `{type(explainer).__qualname__}`.",
        ]
    return _join("\n".join(rows), *sections)


def adapters() -> str:
    """A section for each installed adapter."""
    from xai_core import Registry

    sections = []
    for name, entry in Registry.discover().adapters.items():
        adapter = entry.item
        facts = []
        if adapter.input_size:
            facts.append(f"Input {adapter.input_size[0]} x {adapter.input_size[1]}")
        if adapter.preprocessing:
            facts.append(f"preprocessing {adapter.preprocessing.name}")
        facts.append(f"pictures of another shape: {adapter.fit}")
        layers = [f"`{each.layer}`" for each in getattr(adapter, "features", ())]
        told = "; ".join(facts)
        sections += [
            f"({anchor('adapter', name)})=",
            f"## {name}",
            f"{_sentence(adapter.summary)}.",
            f"{_sentence(told)}.",
        ]
        if layers:
            sections.append(f"Feature layers, shallow to deep: {', '.join(layers)} (the default).")
        sections.append(f"From {_plain(str(entry.source))}.")
    return _join(*sections)


def metrics() -> str:
    """A section for each installed metric."""
    from xai_core import Registry
    from xai_core.parameters import parameters
    from xai_core.settings import text_of

    registry = Registry.discover()
    rows = ["| Name | Better | Range | Questions |", "| --- | --- | --- | --- |"]
    sections = []
    for name, entry in registry.metrics.items():
        metric = entry.item
        link = f"[{name}](#{anchor('metric', name)})"
        better = "higher" if metric.higher_is_better else "lower"
        low, high = metric.bounds
        asked = "depends on the picture" if metric.queries is None else metric.queries
        rows.append(f"| {link} | {better} | {low:g} to {high:g} | {asked} |")
        told = [
            f"- `{each.name}={text_of(each.value)}`: {_plain(each.expected)}"
            for each in parameters(metric)
        ]
        sections += [
            f"({anchor('metric', name)})=",
            f"## {name}",
            _plain(inspect.getdoc(type(metric)) or ""),
            "\n".join(["Parameters:", "", *told]) if told else "It has no parameters.",
            f"From {_plain(str(entry.source))}, class `{type(metric).__qualname__}`.",
        ]
    return _join("\n".join(rows), *sections)


def schemes() -> str:
    """The named preprocessings."""
    from xai_core.preprocessing import SCHEMES

    rows = [f"| `{each.name}` | {_plain(each.summary)} |" for each in SCHEMES.values()]
    return "\n".join(["| Name | What the model gets |", "| --- | --- |", *rows]) + "\n"


def cli() -> str:
    """A section for each command of `xai`, from its help."""
    names = commands()
    return _join(*_command(()), *(part for name in names for part in _command((name,))))


def commands() -> list[str]:
    """The names of the commands of `xai`."""
    from typer.main import get_command

    from xai_core.cli.app import app

    return list(get_command(app).commands)


def anchor(kind: str, name: str) -> str:
    """What a section is linked by: `+` is not allowed there."""
    return f"{kind}-{name.replace('+', 'plus')}"


def _command(path: tuple[str, ...]) -> Iterator[str]:
    text = help_text(path)
    head, *blocks = re.split(r"^(\w+):\n", text, flags=re.MULTILINE)
    usage, _, about = head.partition("\n")
    yield f"({anchor('command', ' '.join(path) or 'xai').replace(' ', '-')})="
    yield f"## {' '.join(('xai', *path))}"
    yield f"```text\n{usage.removeprefix('Usage: ')}\n```"
    yield _plain(inspect.cleandoc(about))
    for title, block in zip(blocks[::2], blocks[1::2], strict=True):
        entries = [each for each in _entries(block) if not path or each[0] != "-h, --help"]
        yield f"**{title}**"
        if title == "Commands":
            yield "\n".join(f"- [`{n}`](#{anchor('command', n)}): {_plain(t)}" for n, t in entries)
        else:
            yield "\n\n".join(f"`{term}`\n: {_plain(told) or '...'}" for term, told in entries)


def help_text(path: tuple[str, ...]) -> str:
    """What `xai COMMAND --help` prints, on a terminal so wide that nothing is wrapped."""
    from typer.main import get_command

    from xai_core.cli.app import app

    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        get_command(app).main(
            args=[*path, "--help"],
            prog_name="xai",
            standalone_mode=False,
            terminal_width=2000,
            max_content_width=2000,
        )
    return printed.getvalue()


def _entries(block: str) -> Iterator[tuple[str, str]]:
    """Terms and what is said of them; a term may stand on a line of its own."""
    term, told = "", ""
    for line in block.splitlines():
        found = _ENTRY.fullmatch(line)
        if found:
            if term:
                yield term, told
            term, told = found["term"], found["text"] or ""
        else:
            told = f"{told} {line.strip()}".strip()
    if term:
        yield term, told


def _plain(text: str) -> str:
    """Text whose characters mean nothing to Markdown, but for code between backticks.

    An option is code too.
    """
    text = re.sub(r"(?<![\w`-])(--[a-z][\w-]*)(?![\w`])", r"`\1`", text)
    parts = text.split("`")
    quoted = [re.sub(r"([\\*_|<>\[\]{}$#~^])", r"\\\1", part) for part in parts[::2]]
    code = [f"`{part}`" for part in parts[1::2]]
    whole = [part for pair in zip(quoted, [*code, ""], strict=False) for part in pair]
    return "".join(whole)


def _sentence(text: str) -> str:
    return _plain(text[:1].upper() + text[1:])


def _words(name: str) -> str:
    return name.lower().replace("_", " ")


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _join(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"
