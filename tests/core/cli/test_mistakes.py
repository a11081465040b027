"""What a user can get wrong: each is one clean message and an exit code."""

import shutil

import pytest

from xai_core.cli import main


def check(result, code, *words):
    assert result.code == code
    assert result.out == ""
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    for each in words:
        assert each in result.err


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.png", "no file"),
        (".", "is a folder"),
        ("broken.png", "damaged or cut short"),
        ("text.jpg", "not a picture"),
    ],
)
def test_pictures_that_cannot_be_read(xai, pictures, small, name, words):
    for command in ("explain", "compare", "predict"):
        check(xai(command, pictures / name, "--model", small), 1, words)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--method grad-cam+", "no explainer is called 'grad-cam+'; near it: grad-cam"),
        ("--target 3", "received class 3; expected 0 to 2"),
        ("--target cat", "the model's classes have no names"),
        ("--layer nowhere", "nowhere"),
        ("--layer classes", "expected a spatial one"),
        ("--preprocess imagenet", "no preprocessing scheme is called 'imagenet'"),
        ("--adapter resnet", "no adapter is called 'resnet'"),
        ("--adapter resnet50", "adapter 'resnet50' does not recognise 'small'"),
        ("--weights random", "weights 'random' were given for a model that has its own"),
        ("--size 224", "received --size '224'; expected HEIGHTxWIDTH in pixels"),
        ("--size 8x-8", "received --size '8x-8'"),
        ("--size 8x8", "received size 8x8; 'small' takes 16x16"),
        ("--colour-map mud", "no colour map is called 'mud'"),
        ("--out map.jpg", "received --out 'map.jpg'; expected a name that ends in .png or .npz"),
        ("--score odds", "--score"),
        ("--opacity 2", "--opacity"),
        ("--nonsense", "No such option: --nonsense"),
    ],
)
def test_options_that_do_not_fit(xai, small, noise, tmp_path, options, words):
    check(xai("explain", noise, "--model", small, *options.split()), 2, words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [f"{300 * 'x'}.png", "/proc/nowhere/map.png"])
def test_places_that_cannot_be_written_to(xai, small, noise, tmp_path, name):
    check(xai("explain", noise, "--model", small, "--out", name), 1, "cannot write '")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--methods ,", "received --methods ','"),
        ("--methods grad-cam,foo", "no explainer is called 'foo'"),
        ("--target 0 --top 2", "received --target and --top"),
        ("--top 4", "received top 4; expected 1 to 3"),
        ("--top 0", "--top"),
        ("--out figure.bmp", "expected a name that ends in .html, .png, .svg, .pdf or .npz"),
    ],
)
def test_comparisons_that_do_not_fit(xai, small, noise, options, words):
    check(xai("compare", noise, "--model", small, *options.split()), 2, words)


def test_a_name_of_several_classes(xai, noise):
    result = xai("explain", noise, "--target", "crane")
    check(result, 2, "class 'crane' fits 2 classes: 134 crane, 517 crane; give the index of one")


@pytest.mark.parametrize(
    ("model", "code", "words"),
    [
        ("vgg", 2, "no model is called 'vgg'; expected a family"),
        ("gone.keras", 1, "model file 'gone.keras' is not there"),
        ("fake.keras", 1, "is no .keras archive"),
        ("fake.h5", 1, "Keras cannot load 'fake.h5'"),
        ("fake.onnx", 1, "does not end in .keras or .h5"),
        ("generic", 1, "generic describes models you bring"),
    ],
)
def test_models_that_are_none(xai, noise, tmp_path, model, code, words):
    for name in ("fake.keras", "fake.h5", "fake.onnx"):
        (tmp_path / name).write_text("no model")
    check(xai("predict", noise, "--model", model), code, words)
    check(xai("layers", model), code, words)


def test_weights_that_are_none(xai, noise):
    words = "efficientnet-lite0 has no weights 'gone.h5', and no file is called that"
    check(xai("predict", noise, "--weights", "gone.h5"), 1, words)


def test_labels_that_do_not_fit(xai, small, noise, tmp_path):
    labels = tmp_path / "labels.txt"
    command = ("predict", noise, "--model", small, "--labels", labels)
    check(xai(*command), 1, "cannot read labels", "No such file")
    labels.write_text("cat\ndog\n")
    check(xai(*command), 1, "has 2 names; expected 3")


def test_the_picture_is_never_written_over(xai, small, noise, tmp_path):
    picture, link = tmp_path / "mine.png", tmp_path / "link.png"
    shutil.copy(noise, picture)
    link.symlink_to(picture)
    before = picture.read_bytes()
    for out in ("mine.png", "mine.npz", "link.png"):
        for command in ("explain", "compare"):
            if (command, out) != ("compare", "mine.npz"):
                result = xai(command, picture, "--model", small, "--out", out)
                check(result, 2, "is the picture itself")
    assert picture.read_bytes() == before


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("explian", "No such command 'explian'"),
        ("explain", "Missing argument 'PICTURE'"),
        ("list families", "families"),
        ("predict a.png b.png", "unexpected extra argument"),
    ],
)
def test_commands_that_are_none(xai, command, words):
    check(xai(*command.split()), 2, words, "--help'")


@pytest.mark.parametrize(
    ("command", "code", "kind"),
    [
        ("predict gone.png", 1, "PictureError"),
        ("predict gone.png --tpo 3", 2, "UsageError"),
        ("layers nothing", 2, "UnknownNameError"),
    ],
)
def test_errors_for_machines(xai, command, code, kind):
    result = xai(*command.split(), "--json")
    assert result.code == code
    assert result.err == ""
    assert set(result.json) == {"error"}
    assert result.json["error"]["kind"] == kind
    assert result.json["error"]["message"]


@pytest.fixture
def broken(small, noise, monkeypatch):
    """A command that raises what the test says."""

    def break_(error):
        def predict(*_, **__):
            raise error

        monkeypatch.setattr("xai_core.study.Study.predict", predict)
        return ["predict", str(noise), "--model", str(small)]

    return break_


def test_what_nobody_foresaw_is_one_line_with_a_way_on(xai, broken):
    result = xai(*broken(ValueError("odd\nvery odd")))
    check(result, 1, "internal error: ValueError: odd very odd", "XAI_DEBUG=1")


def test_what_nobody_foresaw_is_json_for_machines(xai, broken):
    result = xai(*broken(ValueError("odd")), "--json")
    assert result.code == 1
    assert result.json["error"]["kind"] == "InternalError"


def test_what_nobody_foresaw_has_a_traceback_for_developers(broken, monkeypatch, capsys):
    monkeypatch.setenv("XAI_DEBUG", "1")
    assert main(broken(ValueError("odd"))) == 1
    assert "Traceback" in capsys.readouterr().err


def test_an_interruption_is_silent(xai, broken):
    result = xai(*broken(KeyboardInterrupt()))
    assert (result.code, result.out, result.err) == (130, "", "")
