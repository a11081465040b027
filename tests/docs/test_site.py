"""Everything has its place in the documentation, and every link leads somewhere.

Sphinx checks the rest when the site is built; nothing here needs it.
"""

import importlib.util
import re
import shlex
import sys
from pathlib import Path

import pytest

import xai_core as xai
from xai_core.types import MapWarning

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(
    path
    for path in DOCS.rglob("*.md")
    if not {"_build", "_generated", "example-plugin"} & set(path.relative_to(DOCS).parts)
)
IDS = [str(path.relative_to(DOCS)) for path in PAGES]
MADE_BY_SPHINX = {"index"}


def load(name):
    """A module of the documentation's own extensions that needs no Sphinx."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


examples = load("examples")
reference = load("reference")


@pytest.fixture(scope="session")
def generated():
    return reference.pages()


def text_of(page):
    return (DOCS / page).read_text(encoding="utf-8")


def without_code(text):
    return re.sub(r"^(`{3,}|:{3,}).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)


def paths_of(page):
    """The files that a page includes or shows."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"\{(?:literalinclude|include|figure|image)\} (\S+)", text)
    found += re.findall(r"\{download\}`.*?<(.*?)>`", text)
    return [(page.parent / path).resolve() for path in found]


def anchors_of(page, generated):
    """The headings of a page as MyST names them, and its explicit targets."""
    text = page.read_text(encoding="utf-8")
    for included in paths_of(page):
        text += generated.get(included.name, "")
    headings = re.findall(r"^#+ (.+)$", without_code(text), flags=re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", each.lower()).strip().replace(" ", "-") for each in headings}
    return slugs | set(re.findall(r"^\((.+)\)=$", text, flags=re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_what_a_page_includes_exists(page, generated):
    names = examples.names()
    for path in paths_of(page):
        inside = path.relative_to(DOCS).parts
        if inside[0] != "_generated":
            assert path.is_file(), f"{page.name} shows {path}, which is not there"
        elif len(inside) == 2:
            assert inside[1] in generated, f"{page.name} includes {inside[1]}, which nothing makes"
        else:
            assert inside[1] in names, f"{page.name} shows {inside}, of no example"
            assert makes(inside[1], inside[2]), f"no example makes {inside}, of {page.name}"


def makes(example, file):
    """Whether an example says that it writes a file."""
    commands = examples.commands(example)
    if number := re.fullmatch(r"command_(\d+)\.txt", file):
        return 1 <= int(number[1]) <= len(commands)
    program = examples.FOLDER / f"{example}.py"
    source = program.read_text(encoding="utf-8") if program.is_file() else ""
    if file == "output.txt":
        return "print(" in source
    return f'"{file}"' in source or any(file in shlex.split(line) for line in commands)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page, generated):
    links = re.findall(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)", without_code(page.read_text()))
    for link in links:
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{page.name} links to {link}, which is not there"
        if anchor and target.suffix == ".md":
            assert anchor in anchors_of(target, generated), f"{page.name}: no such place: {link}"


def test_every_page_is_in_a_table_of_contents():
    listed = set()
    for page in PAGES:
        for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(), re.DOTALL):
            for line in block.splitlines():
                name = re.sub(r".*<(.*)>", r"\1", line.strip())
                if name and not name.startswith(":"):
                    listed |= {each.resolve() for each in page.parent.glob(f"{name}.md")}
    assert {page for page in PAGES if page.stem not in MADE_BY_SPHINX} <= listed


def test_every_example_is_on_a_page():
    shown = {path for page in PAGES for path in paths_of(page)}
    for path in examples.FOLDER.iterdir():
        if path.name == "tutorial.sh":  # shown command by command, with what each prints
            made = [f"_generated/tutorial/command_{n + 1}.txt" for n in range(5)]
            assert {DOCS / each for each in made} <= shown
            assert len(examples.commands("tutorial")) == len(made)
        elif path.suffix in (".py", ".sh"):
            assert path in shown, f"no page shows {path.name}"


def test_every_how_to_has_a_picture_and_the_index_lists_it():
    index = text_of("howto/index.md")
    for page in (DOCS / "howto").glob("*.md"):
        if page.stem not in MADE_BY_SPHINX:
            assert f"({page.name})" in index
            assert any(path.suffix in (".png", ".html") for path in paths_of(page))


def test_every_public_name_has_its_place():
    directives = r"^\.\. (?:auto)?\w+:: (xai_core\.\S+)"
    documented = set(re.findall(directives, all_reference(), re.MULTILINE))
    for name in xai.__all__:
        if name == "__version__":
            assert "`xai_core.__version__`" in all_reference()
        elif name == "XaiError":
            assert "xai_core.errors" in documented
            assert "`xai_core.XaiError`" in all_reference()
        else:
            assert f"xai_core.{name}" in documented, f"the reference does not have {name}"


def all_reference():
    return "\n".join(text_of(path) for path in sorted((DOCS / "reference").glob("*.md")))


def test_every_explainer_has_its_place(registry, generated):
    assert "{include} ../_generated/explainers.md" in text_of("reference/explainers.md")
    meanings = text_of("explanation/what-maps-mean.md")
    for name, entry in registry.explainers.items():
        assert f"({reference.anchor('explainer', name)})=" in generated["explainers.md"]
        assert (type(entry.item).__doc__ or "").strip(), f"{name} has no docstring"
        assert f"| `{name}` |" in meanings, (
            f"say what a map of {name} means in docs/explanation/what-maps-mean.md"
        )


def test_every_adapter_has_its_place(registry, generated):
    assert "{include} ../_generated/adapters.md" in text_of("reference/adapters.md")
    for name, entry in registry.adapters.items():
        assert f"({reference.anchor('adapter', name)})=" in generated["adapters.md"]
        for feature in getattr(entry.item, "features", ()):
            assert f"`{feature.layer}`" in generated["adapters.md"]


def test_every_scheme_has_its_place(generated):
    from xai_core.preprocessing import SCHEMES

    assert "{include} ../_generated/schemes.md" in text_of("reference/schemes.md")
    for name in SCHEMES:
        assert f"| `{name}` |" in generated["schemes.md"]


def test_every_command_and_option_has_its_place(generated):
    assert "{include} ../_generated/cli.md" in text_of("reference/cli.md")
    names = reference.commands()
    assert {"explain", "compare", "predict", "layers", "list", "demo"} <= set(names)
    for name in names:
        section = generated["cli.md"].split(f"(command-{name})=")[1].split("\n(command-")[0]
        for option in re.findall(r"^ +(--[\w-]+)", reference.help_text((name,)), re.MULTILINE):
            assert re.search(rf"^`.*{option}", section, re.MULTILINE), f"xai {name} {option}"


def test_every_warning_has_its_place():
    kinds = re.findall(r"`([a-z-]+)`", MapWarning.__doc__.partition("one of")[2])
    assert len(kinds) > 5
    for kind in kinds:
        assert f"| `{kind}` |" in text_of("explanation/what-maps-mean.md"), f"say what {kind} means"


def commands():
    """Every `xai` command of the examples and of the pages."""
    for name in examples.names():
        yield from examples.commands(name)
    for page in PAGES:
        for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL):
            yield from re.findall(r"^\$ (xai .*)$", block, re.MULTILINE)


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_commands_are_understood(line):
    from typer.main import get_command

    from xai_core.cli.app import app

    program, name, *arguments = shlex.split(line)
    assert program == "xai"
    get_command(app).commands[name].make_context(name, arguments)


def test_nothing_is_loaded_from_elsewhere():
    for path in [*PAGES, DOCS / "conf.py", *(DOCS / "_static").iterdir()]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(src|href|url|@import)\W{1,3}https?:", text), path
    assert "intersphinx" not in text_of("conf.py")
    assert "sphinx" not in sys.modules
