"""A plugin to start from: its names, its files, and that nothing half-written is left."""

import ast
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from xai_core import Registry
from xai_core.errors import OutputError, UsageError
from xai_core.new_plugin import Names, render, write_plugin

EXAMPLE = Path(__file__).parents[2] / "docs/example-plugin"


def is_left_over(name):
    """What tools leave behind."""
    return name.startswith((".", "__pycache__"))


@pytest.mark.parametrize(
    ("distribution", "module", "method", "explainer"),
    [
        ("my-cam", "my_cam", "my-cam", "MyCam"),
        ("My.Own_CAM", "my_own_cam", "my-own-cam", "MyOwnCam"),
        ("a--b..c2", "a_b_c2", "a-b-c2", "ABC2"),
        ("x", "x", "x", "X"),
    ],
)
def test_everything_is_called_after_the_distribution(distribution, module, method, explainer):
    assert Names.after(distribution) == Names(
        distribution, module, method, f"{method}-net", explainer, f"{explainer}Net"
    )


@pytest.mark.parametrize(
    "name", ["", "-cam", "cam-", "3d-cam", "my cam", "../cam", "a/b", "cäm", "cam\n", 61 * "a"]
)
def test_names_that_no_distribution_or_module_can_have(name):
    with pytest.raises(UsageError, match=r"expected up to 60 letters, digits, -, _ and \., a"):
        Names.after(name)


@pytest.mark.parametrize("name", ["json", "JSON", "class", "import", "http"])
def test_names_that_are_pythons_own(name):
    with pytest.raises(UsageError, match=f"such as {name}-cam"):
        Names.after(name)


def test_the_example_of_the_documentation_is_what_is_written():
    """Where this fails, write the files of `render(Names.after("example-cam"))` again."""
    found = {
        path.relative_to(EXAMPLE).as_posix(): path.read_text(encoding="utf-8")
        for path in EXAMPLE.rglob("*")
        if path.is_file() and not any(map(is_left_over, path.relative_to(EXAMPLE).parts))
    }
    assert found == render(Names.after("example-cam"))


def test_every_file_is_in_its_own_words_and_can_be_parsed():
    files = render(Names.after("Odd.NAME-2"))
    for path, text in files.items():
        assert "example" not in text.replace("as an example", "")
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
        assert max(map(len, text.splitlines())) <= 100
        if path.endswith(".py"):
            ast.parse(text)
    project = tomllib.loads(files["pyproject.toml"])
    assert project["project"]["name"] == "Odd.NAME-2"
    assert project["project"]["entry-points"] == {"xai_core": {"odd-name-2": "odd_name_2"}}
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"] == {"packages": ["src/odd_name_2"]}


def test_what_is_written_is_found_once_it_is_installed(tmp_path, monkeypatch):
    folder = write_plugin(Names.after("brand-new-cam"), tmp_path)
    assert folder == tmp_path / "brand-new-cam"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    installed = folder / "src/brand_new_cam-0.1.0.dist-info"  # as pip would have left it
    installed.mkdir()
    (installed / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = project["entry-points"]["xai_core"].items()
    lines = ["[xai_core]", *(f"{name} = {module}" for name, module in points)]
    (installed / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(str(folder / "src"))
    try:
        registry = Registry.discover()
    finally:
        for name in [each for each in sys.modules if each.startswith("brand_new_cam")]:
            del sys.modules[name]
    assert registry.broken == ()
    assert str(registry.explainers["brand-new-cam"].source) == "brand-new-cam 0.1.0"
    assert str(registry.adapters["brand-new-cam-net"].source) == "brand-new-cam 0.1.0"
    assert registry.explainer("brand-new-cam", channels=3).channels == 3


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_what_is_there_stays(tmp_path, kind):
    there = tmp_path / "my-cam"
    if kind == "folder":
        there.mkdir()
    elif kind == "file":
        there.write_text("mine")
    else:
        there.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="is there already; expected a name that is free"):
        write_plugin(Names.after("my-cam"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["my-cam"]


def test_a_module_that_is_installed_already(tmp_path):
    with pytest.raises(UsageError, match="a module called numpy is installed already"):
        write_plugin(Names.after("numpy"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_when_writing_fails(tmp_path, monkeypatch):
    write = Path.write_text

    def full(path, *arguments, **named):
        if path.name == "explainer.py":
            raise OSError(28, "No space left on device")
        return write(path, *arguments, **named)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match=r"cannot write '.*my-cam': No space left on device"):
        write_plugin(Names.after("my-cam"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_folders_on_the_way_are_made(tmp_path):
    folder = write_plugin(Names.after("my-cam"), tmp_path / "deep" / "er")
    assert (folder / "src/my_cam/explainer.py").is_file()
    shutil.rmtree(folder)
