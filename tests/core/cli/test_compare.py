"""`xai compare` over pictures, layers and models, against expectations, and its progress."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from xai_core import Comparison, Study
from xai_core.cli import output
from xai_core.cli.shared import compared
from xai_core.types import MapWarning


def rows(result):
    """The lines of the table, without their alignment."""
    return [" ".join(line.split()) for line in result.out.splitlines()]


def test_several_pictures_with_an_unreadable_one_among_them(xai, small, pictures, tmp_path):
    names = [pictures / name for name in ("noise.png", "text.jpg", "moving.gif")]
    result = xai("compare", *names, "--model", small, "--methods", "grad-cam", "--batch", 2)
    assert result.code == 1
    table = [row for row in rows(result) if " grad-cam " in row]
    assert [row.split()[0].rsplit("/", 1)[-1] for row in table] == [
        *("noise.png", "text.jpg", "moving.gif"),
    ]
    assert "failed:" in table[1]
    assert "is not a picture that Pillow can read" in table[1]
    assert "failed" not in table[0] + table[2]
    assert (tmp_path / "noise.compare.png").exists()


def test_several_layers_shallow_to_deep(xai, noise, tmp_path):
    layers = ["top_activation", "block6a_expand_activation"]
    command = [each for layer in layers for each in ("--layer", layer)]
    result = xai("compare", noise, "--methods", "grad-cam,saliency", *command, "--json")
    assert result.code == 0
    assert [each["layer"] for each in result.json["explanations"]] == [*layers[::-1], None]


def test_the_result_tells_what_the_method_tells(xai, small, noise):
    command = ("compare", noise, "--model", small, "--methods")
    result = xai(*command, "integrated-gradients", "--set", "steps=3")
    (row,) = (row for row in rows(result) if " integrated-gradients" in row)
    assert ", gap " in row
    assert ", steps 3" in row
    assert "queries" not in row


def test_a_row_is_short_and_says_what_is_wrong(small, noise):
    made = Study(str(small)).explain(noise, "grad-cam")
    message = "49 of the 49 values that 'mine' of other 2 returned are NaN or infinite"
    nothing = replace(
        made,
        map=np.full((7, 7), np.nan, np.float32),
        layer="one + two + three",
        facts={"standard error": np.nan},
        warnings=(MapWarning("non-finite", message),),
    )
    (row,) = compared(Comparison((nothing,)))
    assert row[-2:] == ("3 layers, one to three", f"{message}, non-finite")


def test_bottom_is_top_the_other_way_round(xai, small, noise):
    command = ("compare", noise, "--model", small, "--methods", "saliency", "--json")
    top = xai(*command, "--top", 3).json["explanations"]
    bottom = xai(*command, "--bottom", 3).json["explanations"]
    assert [each["target"]["index"] for each in top][::-1] == [
        each["target"]["index"] for each in bottom
    ]


def test_models_side_by_side_and_one_that_fails(xai, small, models, noise, tmp_path):
    chosen = f"{small},{models / 'open.keras'},{models / 'missing.keras'}"
    result = xai("compare", noise, "--models", chosen, "--methods", "grad-cam", "--out", "m.svg")
    assert result.code == 1
    table = [row for row in rows(result) if " grad-cam " in row]
    assert table[0].startswith("small.keras ")
    assert table[1].startswith("open.keras ")
    assert "missing.keras' is not there" in table[2]
    assert (tmp_path / "m.svg").read_text().startswith("<?xml")


def test_expect_sets_predicted_against_expected(xai, small, noise, tmp_path):
    classes = xai("predict", noise, "--model", small, "--json").json["classes"]
    first, last = classes[0], classes[-1]
    command = ("compare", noise, "--model", small, "--expect", last["index"])
    result = xai(*command)
    assert result.code == 0
    assert f"the model says class {first['index']} (logit {first['logit']:.2f}" in result.words
    assert f"expected was class {last['index']} (logit {last['logit']:.2f}" in result.words
    with Image.open(tmp_path / "noise.compare.png") as figure:
        assert figure.width > figure.height
    document = xai(*command, "--json", "--out", "d.npz").json
    assert 0 <= document["overlap"] <= 1
    assert [each["method"] for each in document["explanations"]] == [
        *("grad-cam", "grad-cam", "grad-cam: predicted - expected"),
    ]
    with np.load(tmp_path / "d.npz") as maps:
        np.testing.assert_array_equal(maps["map_2"], maps["map_0"] - maps["map_1"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--top 2 --bottom 2", "received --top and --bottom; expected one of them"),
        ("--target 1 --expect 2", "received --target and --expect; expected one of them"),
        ("--expect 1 --methods grad-cam,saliency", "expected one method"),
        ("--expect 9", "received class 9; expected 0 to 2"),
        ("--models ,", "received --models ','; expected names"),
        ("--scale none", "--scale"),
        ("--layer classes", "expected a spatial one"),
        ("--batch 0", "--batch"),
    ],
)
def test_what_does_not_fit_together(xai, small, noise, tmp_path, options, words):
    result = xai("compare", noise, "--model", small, *options.split())
    assert result.code == 2
    assert words in result.err
    assert list(tmp_path.iterdir()) == []


def test_expect_takes_one_picture(xai, small, noise):
    result = xai("compare", noise, noise, "--model", small, "--expect", 1)
    assert result.code == 2
    assert "received --expect with 2 pictures and 1 models; expected one of each" in result.err


def test_no_picture_is_written_over(xai, small, noise):
    before = noise.read_bytes()
    result = xai("compare", noise, noise, "--model", small, "--out", noise)
    assert result.code == 2
    assert "is the picture itself" in result.err
    assert noise.read_bytes() == before


def test_gradients_are_counted(xai, small, noise, tmp_path):
    result = xai("gradients", noise, "--model", small, "--target", 1, "--json")
    assert result.code == 0
    layer, source = result.json["gradients"]
    assert layer["title"] == "logit of class 1, by conv"
    assert sum(layer["positive"]) + sum(layer["negative"]) + layer["zeros"] == 7 * 7 * 4
    assert sum(source["positive"]) + sum(source["negative"]) + source["zeros"] == 16 * 16 * 3
    assert (tmp_path / "noise.gradients.png").exists()
    assert "196 values" in xai("gradients", noise, "--model", small).words


def test_predict_draws_when_asked(xai, small, noise, tmp_path):
    result = xai("predict", noise, "--model", small, "--out", "p.pdf")
    assert result.code == 0
    assert "Wrote p.pdf" in result.words
    assert (tmp_path / "p.pdf").read_bytes().startswith(b"%PDF")


def test_explain_writes_the_heat_alone_when_asked(xai, small, noise, tmp_path):
    result = xai("explain", noise, "--model", small, "--heatmap", "heat.png")
    assert result.code == 0
    with Image.open(tmp_path / "heat.png") as heat:
        assert heat.size == (7, 7)


class Terminal:
    """A terminal that remembers what was written to it."""

    encoding = "utf-8"

    def __init__(self):
        self.written = ""

    def write(self, text):
        self.written += text
        return len(text)

    def flush(self):
        pass

    def isatty(self):
        return True


@pytest.fixture
def on_terminal(monkeypatch):
    """Puts a terminal in the place of stderr; pytest takes it back after each phase."""

    def put():
        found = Terminal()
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setattr("sys.stderr", found)
        return found

    return put


def test_progress_tells_what_runs_and_how_much_is_done(on_terminal):
    terminal = on_terminal()
    with output.progress() as tell:
        tell(1, 4, "cat[bold].png\x1b[31m")
        tell(4, 4, "")
    assert "cat[bold].png" in terminal.written
    assert "4/4" in terminal.written
    assert "\x1b[31m" not in terminal.written


def test_quiet_says_nothing(on_terminal):
    terminal = on_terminal()
    output.be_quiet(True)
    try:
        with output.status("loading"), output.progress() as tell:
            tell(1, 4, "cat.png")
    finally:
        output.speak()
    assert terminal.written == ""


def test_off_a_terminal_nothing_is_said(capsys):
    with output.status("loading"), output.progress() as tell:
        tell(1, 4, "cat.png")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "command", ["explain", "compare", "predict", "gradients", "layers", "list"]
)
def test_quiet_goes_anywhere(xai, command):
    assert "--quiet" in xai(command, "--help").out
