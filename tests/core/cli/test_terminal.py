"""What reaches the terminal, and how soon."""

import io
import os
import subprocess
import sys
import warnings
from importlib.metadata import version

import pytest

from xai_core.cli import output, quiet
from xai_core.registry import PluginWarning

RUN = "import sys; from xai_core.cli import main; sys.exit(main())"


def run(*arguments, code=RUN, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**kept, **environment},
    )


def test_help_and_mistakes_do_not_wait_for_the_libraries():
    code = """if True:
        import sys
        from xai_core.cli import main
        for line in ("", "--version", "--help", "explain --help", "explain", "list nothing"):
            assert main(line.split()) in (0, 2), line
        heavy = {"numpy", "keras", "tensorflow", "matplotlib", "PIL"} & set(sys.modules)
        assert not heavy, heavy
    """
    result = run(code=code)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_without_a_command_there_is_help(xai, arguments):
    result = xai(*arguments)
    assert result.code == 0
    assert "Usage: xai" in result.out
    for command in ("explain", "compare", "predict", "layers", "list", "demo"):
        assert f"  {command} " in result.out


def test_version(xai):
    assert xai("--version").out == f"xai-core {version('xai-core')}\n"


def test_a_closed_pipe_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    for arguments in (["list", "schemes"], ["list", "schemes", "--json"], ["--help"]):
        process = subprocess.run(
            [sys.executable, "-c", RUN, *arguments],
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
        )
        assert process.returncode == 1
        assert process.stderr == b""
    os.close(writer)


def test_nothing_else_is_printed_and_no_character_is_too_much(small, noise, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("猫\n犬\nχ\n", encoding="utf-8")
    command = ("predict", noise, "--model", small, "--labels", labels)
    result = run(*command, PYTHONIOENCODING="ascii")
    assert result.returncode == 0
    assert result.stderr == ""
    assert result.stdout.startswith("noise.png\n")
    assert "?" in result.stdout


@pytest.mark.filterwarnings("ignore:Glyph")
def test_class_and_file_names_cannot_steer_the_terminal(xai, small, noise, tmp_path):
    labels, picture = tmp_path / "labels.txt", tmp_path / "[bold]a\x1b[2J\r\n.png"
    labels.write_text("[red]cat[/red]\n\x1b[31mdog\x07\n:smile:\u202egod\x9b\n", encoding="utf-8")
    picture.write_bytes(noise.read_bytes())
    for command in ("predict", "explain", "compare"):
        result = xai(command, picture, "--model", small, "--labels", labels)
        assert result.code == 0
        assert "[bold]a" in result.out
        assert not {"\x1b", "\r", "\x07", "\x9b", "\u202e"} & set(result.out + result.err)
    for name in ("[red]cat[/red]", ":smile:"):
        assert name in xai("predict", picture, "--model", small, "--labels", labels).out
    error = xai("predict", picture, "--model", "[bold]\x1b[2Jmodel").err
    assert "[bold]" in error
    assert "\x1b" not in error


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Make stderr one, from then on: pytest replaces it between fixtures and tests."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def open_():
        monkeypatch.setattr(sys, "stderr", Terminal())
        return sys.stderr

    return open_


def test_a_status_comes_and_goes(terminal):
    screen = terminal()
    with output.status("[bold]loading " + 60 * "x"):
        shown = screen.getvalue()
    assert "[bold]loading" in shown
    assert "\n" not in shown
    assert screen.getvalue().endswith("\r\x1b[2K")


def test_colour_only_where_it_is_wanted(terminal, monkeypatch):
    screen = terminal()
    output.show_error("no")
    assert "\x1b[1;31merror: " in screen.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    screen = terminal()
    output.show_error("no")
    assert "31m" not in screen.getvalue()


def test_no_status_in_a_pipe(capsys):
    with output.status("loading"):
        pass
    assert capsys.readouterr().err == ""


def test_a_warning_is_one_line(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        quiet.set_up()
        warnings.warn("plugin 'x' was\nleft out", PluginWarning, stacklevel=1)
        warnings.warn("overflow", RuntimeWarning, stacklevel=1)
        warnings.warn_explicit("chatter", UserWarning, "f.py", 1, module="keras.src.saving")
    assert capsys.readouterr().err == (
        "warning: plugin 'x' was left out\nwarning: RuntimeWarning: overflow\n"
    )


def test_what_libraries_print_is_held_back_unless_they_fail(capfd):
    with quiet.hold_stderr():
        os.write(2, b"oneDNN custom operations are on\n")
    assert capfd.readouterr().err == ""
    with pytest.raises(FileNotFoundError), quiet.hold_stderr():
        os.stat(os.write(2, b"no such symbol\n") * "/nowhere")  # noqa: PTH116
    assert capfd.readouterr().err == "no such symbol\n"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0.0000"), (1e-9, "<0.0001"), (0.25, "0.2500"), (1 - 1e-9, ">0.9999"), (1.0, "1.0000")],
)
def test_probabilities_are_never_rounded_to_certainty(value, shown):
    assert output.probability(value) == shown


def test_json_has_no_nan(capsys):
    output.show_json({"map": (float("nan"), float("inf"), 1.5)})
    assert capsys.readouterr().out.split() == [
        "{",
        '"map":',
        "[",
        "null,",
        "null,",
        "1.5",
        "]",
        "}",
    ]
