"""The README is run: its Python, its commands, and the plugin that it shows."""

import re
import shlex
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs/adr").glob("*.md")),
]


@dataclass(frozen=True)
class Block:
    """A fenced block, and the line of the README that it begins at."""

    language: str
    text: str
    line: int

    @property
    def is_module(self):
        """A block that names its file in its first line is a module, not a script."""
        return self.text.startswith("# ")


def _blocks(language):
    fences = re.finditer(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [
        Block(language, match[1], README.count("\n", 0, match.start(1)) + 1) for match in fences
    ]


SCRIPTS = [block for block in _blocks("python") if not block.is_module]
(PLUGIN,) = [block for block in _blocks("python") if block.is_module]
(PROJECT,) = _blocks("toml")


def _commands():
    """Each command of a console block, with the lines of output that are shown under it."""
    for block in _blocks("console"):
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, *output = part.splitlines()
            yield command, [line for line in output if line.strip()]


COMMANDS = dict(_commands())
XAI = [command for command in COMMANDS if command.startswith("xai ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the README takes for granted: a photograph, a model of one's own, its labels."""
    import keras

    from xai_core.demo import cat
    from xai_core.images import display_pixels

    folder = tmp_path_factory.mktemp("readme")
    for name in ("cat.jpg", "photo.jpg"):
        Image.fromarray(display_pixels(cat())).save(folder / name, quality=95)
    keras.utils.set_random_seed(0)
    keras.Sequential(
        [
            keras.Input((64, 64, 3)),
            keras.layers.Conv2D(8, 3, activation="relu", name="conv1"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(8, 3, activation="relu", name="conv2"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    ).save(folder / "my_model.keras")
    (folder / "labels.txt").write_text("cat\ndog\n", encoding="utf-8")
    return folder


@pytest.fixture
def here(folder, monkeypatch):
    """Work in the folder, where the plugin is installed as pip would have left it."""
    project = tomllib.loads(PROJECT.text)["project"]
    site = folder / "site"
    name = PLUGIN.text.splitlines()[0].removeprefix("# ")
    metadata = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir(parents=True, exist_ok=True)
    (site / name).write_text(PLUGIN.text, encoding="utf-8")
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n",
        encoding="utf-8",
    )
    ((group, points),) = project["entry-points"].items()
    (metadata / "entry_points.txt").write_text(
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items()),
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.chdir(folder)
    yield folder
    sys.modules.pop(Path(name).stem, None)


def _execute(block):
    names = {"__name__": "readme"}
    # The README's own lines, so that a traceback points into it.
    code = compile("\n" * (block.line - 1) + block.text, str(ROOT / "README.md"), "exec")
    exec(code, names)
    return names


def test_opens_with_the_two_commands_after_one_paragraph():
    title, what, commands, *_ = re.split(r"\n\n+", README)
    assert title == "# xai-core"
    assert not what.startswith(("#", "!", "```"))
    assert commands == "```console\n$ make demo\n$ make test\n```"


@pytest.mark.parametrize("block", SCRIPTS, ids=lambda block: f"line {block.line}")
def test_every_script_runs(here, block):
    _execute(block)


def test_the_python_use_in_ten_lines(here, capsys):
    lines = [line for line in SCRIPTS[0].text.splitlines() if line.strip()]
    assert len(lines) <= 10
    names = _execute(SCRIPTS[0])
    one, many = names["one"], names["many"]
    assert (one.target.index, one.layer, one.map.shape) == (285, "top_activation", (7, 7))
    assert one.probability == pytest.approx(0.396, abs=0.01)
    assert one.warnings == ()
    assert "285 Egyptian cat 0.39" in capsys.readouterr().out
    assert [str(each.target) for each in many] == ["285 Egyptian cat"] * 2 + ["967 espresso"] * 2
    assert many["saliency", "espresso"].map.shape == (224, 224)
    with np.load("cat.npz") as archive:
        np.testing.assert_array_equal(archive["map"], one.map)
    with Image.open("cat.png") as overlay, Image.open("cat.jpg") as picture:
        assert overlay.size == picture.size


def test_a_model_of_ones_own(here):
    names = _execute(SCRIPTS[1])
    study = names["study"]
    assert (study.adapter.name, study.layer) == ("generic", "conv2")
    assert study.warnings == ()
    (one,) = names["map_at_conv1"]
    assert (str(one.target), one.layer, one.map.shape) == ("1 dog", "conv1", (62, 62))


def test_the_plugin_is_found_and_its_numbers_are_right(here):
    """By hand: A = [[(8,0),(0,4)],[(2,2),(4,4)]], w = (1,-3)/4, so sum_k w_k A_k is
    [[2,-3],[-1,-2]]: its positive part is Grad-CAM, its negative part the plugin's."""
    import keras

    import xai_core

    inputs = keras.Input((2, 2, 3))
    conv = keras.layers.Conv2D(2, 1, use_bias=False, activation="relu", name="conv")
    head = keras.layers.Dense(2, activation="softmax")
    outputs = head(keras.layers.GlobalAveragePooling2D()(conv(inputs)))
    model = keras.Model(inputs, outputs)
    conv.set_weights([np.array([[1, 0], [0, 1], [1, 1]], np.float32).reshape(1, 1, 3, 2)])
    head.set_weights([np.array([[1, 0], [-3, 0]], np.float32), np.zeros(2, np.float32)])
    pixels = np.array([[[8, 0, 0], [0, 4, 0]], [[0, 0, 2], [4, 4, 0]]], np.uint8)

    assert "grad-cam-against" in xai_core.list_explainers()
    study = xai_core.Study(model, preprocess="none")
    both = study.compare(pixels, ["grad-cam", "grad-cam-against"], targets=0)
    against = both["grad-cam-against", 0]
    np.testing.assert_allclose(against.map, [[0, 3], [1, 2]], rtol=1e-6)
    np.testing.assert_allclose(both["grad-cam", 0].map, [[2, 0], [0, 0]], rtol=1e-6)
    assert against.score == pytest.approx(14 / 4 - 3 * 10 / 4)
    assert against.method.source == "xai-against 0.1.0"


def test_the_plugin_has_twenty_lines():
    assert sum(1 for line in PLUGIN.text.splitlines() if line.strip()) <= 20


def test_the_plugin_can_be_passed_without_installing_it(here):
    import xai_core

    names = _execute(PLUGIN)
    one = xai_core.Study("my_model.keras", preprocess="unit").explain("cat.jpg", names["Against"]())
    assert one.method.name == "grad-cam-against"


@pytest.mark.parametrize("command", XAI)
def test_every_command_of_xai_does_what_is_shown(here, capsys, command):
    from xai_core.cli import main

    capsys.readouterr()
    assert main(shlex.split(command)[1:]) == 0
    printed = [_words(line) for line in capsys.readouterr().out.splitlines()]
    for line in COMMANDS[command]:
        assert any(_same(_words(line), words) for words in printed), line


def _words(line):
    return re.findall(r"[0-9.]+|[^0-9.]+", " ".join(line.split()))


def _same(shown, printed):
    """The same words; numbers may differ in their last digits between machines."""
    return len(shown) == len(printed) and all(
        a == b or (_is_number(a) and _is_number(b) and float(a) == pytest.approx(float(b), 0.03))
        for a, b in zip(shown, printed, strict=True)
    )


def _is_number(word):
    return re.fullmatch(r"\d+(\.\d+)?", word) is not None


def test_the_commands_of_make_and_pip_exist():
    others = [command for command in COMMANDS if command not in XAI]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in others:
        tool, target = command.split(maxsplit=1)
        if tool == "make":
            assert re.search(rf"^{target}:.*## ", makefile, re.MULTILINE), command
        else:
            assert command == "pip install ."


def test_the_table_lists_every_command():
    from typer.main import get_command

    from xai_core.cli import main
    from xai_core.cli.app import app

    listed = re.findall(r"^\| `xai (\S+?)[ `]", README, re.MULTILINE)
    assert sorted(listed) == sorted(get_command(app).commands)
    for name in listed:
        assert main([name, "--help"]) == 0


def test_every_option_named_in_the_text_exists():
    from typer.main import get_command

    from xai_core.cli.app import app

    commands = get_command(app).commands.values()
    known = {option for command in commands for each in command.params for option in each.opts}
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"`(--[a-z-]+)", prose)) - {"--help"}
    assert named <= known


def test_the_schemes_are_those_there_are():
    from xai_core.preprocessing import SCHEMES

    (line,) = re.findall(r"^`--preprocess` is one of (.*) \(", README, re.MULTILINE)
    assert re.findall(r"`(\w+)`", line) == list(SCHEMES)


def test_the_table_lists_every_built_in_method(registry):
    section = README.split("| Method | Map |")[1].split("\n\n")[0]
    listed = re.findall(r"^\| `(\S+)` \|", section, re.MULTILINE)
    assert sorted(listed) == sorted(registry.explainers)
    signed = re.findall(r"^\| `(\S+)` \|.*; signed \|$", section, re.MULTILINE)
    assert sorted(signed) == [
        name for name, entry in registry.explainers.items() if entry.item.signed
    ]


def test_the_table_lists_every_kind_of_warning():
    from xai_core.types import MapWarning

    section = README.split("## When a map is not to be trusted")[1].split("\n## ")[0]
    listed = re.findall(r"^\| `([a-z-]+)`", section, re.MULTILINE)
    documented = re.findall(r"`([a-z-]+)`", MapWarning.__doc__)
    assert sorted(listed) == sorted(set(documented) - {"kind"})


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8"))
    missing = [
        target
        for target in targets
        if "://" not in target and not (document.parent / target).exists()
    ]
    assert missing == []


def test_the_picture_is_small():
    path = ROOT / "docs/images/cat-over-coffee.png"
    assert path.stat().st_size < 400_000
    with Image.open(path) as picture:
        picture.load()
        assert picture.format == "PNG"
