import json
from dataclasses import dataclass
from typing import ClassVar

import keras
import numpy as np
import pytest
from PIL import Image

from xai_core.engines import fastest_once
from xai_core.interfaces import Explainer
from xai_core.needs import Needs
from xai_core.registry import Plugin, Registry, Source


def test_explain_writes_the_overlay_and_the_raw_map(xai, small, noise, tmp_path):
    result = xai("explain", noise, "--model", small, "--target", 1)
    assert result.code == 0
    assert result.err == ""
    for words in (
        "class class 1",
        "explained the logit",
        "method grad-cam",
        "layer conv",
        "preprocessing none (the model rescales its input itself)",
        "predicted class",
        "Wrote noise.grad-cam.1.png (overlay) and noise.grad-cam.1.npz (raw map)",
    ):
        assert words in result.words
    with Image.open(tmp_path / "noise.grad-cam.1.png") as overlay:
        assert overlay.size == (30, 20)
    with np.load(tmp_path / "noise.grad-cam.1.npz") as archive:
        assert archive["map"].shape == (7, 7)
        assert json.loads(str(archive["metadata"]))["target"]["index"] == 1


@pytest.mark.parametrize("name", ["deep/a.b.png", "deep/a.b.npz"])
def test_explain_writes_both_files_whichever_is_named(xai, small, noise, tmp_path, name):
    result = xai("explain", noise, "--model", small, "--method", "saliency", "--out", name)
    assert result.code == 0
    assert "deep/a.b.png (overlay) and deep/a.b.npz (raw map)" in result.words
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["a.b.npz", "a.b.png"]


def test_explain_passes_every_option_on(xai, models, noise):
    (models / "labels.txt").write_text("cat\ndog\ncrane\n")
    plain = xai("explain", noise, "--model", models / "open.keras", "--out", "plain.png", "--json")
    options = "--target dog --layer conv --score probability --preprocess tf --size 24x16"
    drawing = "--fit crop --colour-map viridis --opacity 0.5 --adapter generic --out X.png --json"
    result = xai(
        *("explain", noise, "--model", models / "open.keras", "--labels", models / "labels.txt"),
        *options.split(),
        *drawing.split(),
    )
    assert result.code == 0
    found = result.json
    assert found["target"] == {"index": 1, "label": "dog", "asked": "dog"}
    assert found["score_kind"] == "probability"
    assert found["preprocessing"] == "tf"
    assert found["input_size"] == [24, 16]
    assert found["fit"] == "crop"
    assert found["files"] == {"overlay": "X.png", "map": "X.npz"}
    assert {each["kind"] for each in plain.json["warnings"]} == {
        "guessed-preprocessing",
        "guessed-size",
    }


def test_warnings_and_notes_are_part_of_the_result(xai, models, pictures):
    result = xai("predict", pictures / "moving.gif", "--model", models / "open.keras")
    assert result.code == 0
    assert "note first of 2 frames" in result.words
    assert "warning guessed-preprocessing:" in result.words
    assert "warning guessed-size:" in result.words


def test_random_weights_are_marked_on_every_output(xai, noise):
    for command in ("predict", "compare"):
        result = xai(command, noise, "--weights", "random")
        assert result.code == 0
        assert "random-weights: the weights are random" in result.words
    document = xai("explain", noise, "--weights", "random", "--json").json
    assert document["weights"] == "random"
    assert [each["kind"] for each in document["warnings"]] == ["random-weights"]


def test_predict_shows_the_classes_in_order(xai, small, noise):
    table = xai("predict", noise, "--model", small, "--top", 2).out.splitlines()[-3:]
    assert table[0].split() == ["index", "name", "probability", "logit"]
    classes = xai("predict", noise, "--model", small, "--json").json["classes"]
    assert len(classes) == 3
    assert [each["logit"] for each in classes] == sorted(
        (each["logit"] for each in classes), reverse=True
    )
    assert [int(line.split()[0]) for line in table[1:]] == [each["index"] for each in classes[:2]]


def test_compare_writes_one_figure(xai, small, noise, tmp_path):
    result = xai("compare", noise, "--model", small, "--target", 0, "--target", 2)
    assert result.code == 0
    assert result.out.count("grad-cam++") == result.out.count("saliency") == 2
    assert "Wrote noise.compare.png" in result.words
    with Image.open(tmp_path / "noise.compare.png") as figure:
        assert figure.format == "PNG"


@pytest.mark.parametrize(
    ("ending", "begins"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("npz", b"PK")]
)
def test_compare_writes_what_the_name_asks_for(xai, small, noise, tmp_path, ending, begins):
    command = f"compare {noise} --model {small} --methods saliency,grad-cam --top 2 --json"
    result = xai(*command.split(), "--out", f"maps.{ending}")
    assert result.code == 0
    assert (tmp_path / f"maps.{ending}").read_bytes().startswith(begins)
    assert [each["target"]["asked"] for each in result.json["explanations"]] == [
        *("rank 1", "rank 1"),
        *("rank 2", "rank 2"),
    ]
    assert result.json["files"] == {"comparison": f"maps.{ending}"}


@dataclass(frozen=True)
class Failing(Explainer):
    """Fails, always."""

    name: ClassVar[str] = "failing"
    needs: ClassVar[Needs] = Needs.INPUT_GRADIENTS

    def explain(self, evidence):
        raise ValueError("[bold]no[/bold] way")


@pytest.fixture
def with_failing(registry, monkeypatch):
    import xai_plugins

    class Hooks:
        from xai_core import hookimpl

        @hookimpl
        def xai_explainers(self):
            return [Failing()]

    plugins = [Plugin(Source("xai-core", "0"), xai_plugins), Plugin(Source("bad", "1"), Hooks())]
    monkeypatch.setattr(Registry, "discover", lambda: Registry(plugins))


@pytest.mark.usefixtures("with_failing")
def test_compare_does_the_rest_when_a_method_fails(xai, small, noise, tmp_path):
    command = f"compare {noise} --model {small} --methods failing,saliency --target 0"
    result = xai(*command.split())
    assert result.code == 1
    (row,) = [line for line in result.out.splitlines() if " failing " in line]
    assert "class 0" in row
    assert "failed: explainer 'failing' of bad 1 raised ValueError: [bold]no[/bold]" in result.words
    assert (tmp_path / "noise.compare.png").exists()
    as_json = xai(*command.split(), "--json")
    assert as_json.code == 1
    assert [each["method"] for each in as_json.json["explanations"]] == ["saliency"]
    assert [each["method"]["name"] for each in as_json.json["failures"]] == ["failing"]


@pytest.mark.usefixtures("with_failing")
def test_explain_fails_when_its_method_does(xai, small, noise, tmp_path):
    result = xai("explain", noise, "--model", small, "--method", "failing")
    assert result.code == 1
    assert result.out == ""
    assert result.err.startswith("error: explainer 'failing' of bad 1 raised ValueError")
    assert list(tmp_path.iterdir()) == []


def test_layers_marks_cuts_and_the_default(xai, small):
    result = xai("layers", small)
    assert result.code == 0
    rows = [" ".join(line.split()) for line in result.out.splitlines()]
    assert "conv Conv2D 7 x 7 x 4 2.29 yes default" in rows
    assert "scaled Rescaling 16 x 16 x 3 1 yes" in rows
    document = xai("layers", small, "--json").json
    assert document["adapter"] == "generic"
    assert {"pool", "classes"} <= {each["name"] for each in document["layers"]}


def test_layers_of_a_family_need_no_weights(xai, monkeypatch):
    from keras.utils import get_file  # noqa: F401 - imported, so that it can be forbidden

    monkeypatch.setattr("keras.utils.get_file", lambda *_, **__: pytest.fail("a download"))
    result = xai("layers", "resnet50", "--json")
    assert result.code == 0
    layers = {each["name"]: each for each in result.json["layers"]}
    assert layers["conv5_block3_out"]["is_default"]
    assert not layers["conv5_block3_1_conv"]["is_cut"]


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("explainers", {"grad-cam", "grad-cam++", "saliency"}),
        ("adapters", {"efficientnet-lite0", "generic", "resnet50", "vgg16", "xception"}),
        ("schemes", {"none", "unit", "tf", "caffe", "torch"}),
    ],
)
def test_list(xai, what, names):
    result = xai("list", what)
    assert result.code == 0
    assert names <= set(result.out.split())
    document = xai("list", what, "--json").json
    assert list(document) == [what]
    assert names <= {each["name"] for each in document[what]}


def test_list_plugins_tells_what_each_offers(xai):
    result = xai("list", "plugins")
    assert result.code == 0
    assert "xai-core" in result.words
    assert "grad-cam, grad-cam++" in result.words
    assert "efficientnet-lite0, generic" in result.words


def test_list_plugins_shows_the_broken_ones(xai, monkeypatch):
    from xai_core.registry import BrokenPlugin

    broken = BrokenPlugin(Source("sad", "2"), "sad_plugin", "ImportError: no \x1b[31mmodule")
    monkeypatch.setattr(Registry, "discover", lambda: Registry([], [broken]))
    result = xai("list", "plugins")
    assert result.code == 0
    assert "sad 2 left out sad_plugin: ImportError: no" in result.words
    assert "\x1b" not in result.out


def test_list_alone_lists_all(xai):
    kinds = ["explainers", "adapters", "metrics", "plugins", "schemes"]
    assert list(xai("list", "--json").json) == kinds
    assert xai("list").words.startswith("Explainers")


def test_demo_tells_the_cat_from_the_coffee(xai, tmp_path):
    result = xai("demo")
    assert result.code == 0
    assert result.err == ""
    assert "Why 285 Egyptian cat?" in result.words
    assert "grad-cam 94% of the heat lies in the upper half, on the cat" in result.words
    assert "grad-cam 80% of the heat lies in the lower half, on the coffee" in result.words
    assert "Wrote xai-demo.png" in result.words
    assert 'xai compare PICTURE --target "Egyptian cat" --target espresso' in result.words
    with Image.open(tmp_path / "xai-demo.png") as figure:
        assert figure.format == "PNG"


def test_demo_for_machines(xai, tmp_path):
    document = xai("demo", "--out", "out/maps.npz", "--json").json
    shares = {(each["method"], each["target"]): each for each in document["shares"]}
    assert shares["grad-cam", "285 Egyptian cat"]["upper_half"] == pytest.approx(0.94, abs=0.01)
    assert shares["grad-cam", "967 espresso"]["lower_half"] == pytest.approx(0.80, abs=0.01)
    assert (tmp_path / "out" / "maps.npz").exists()


def test_the_defaults_are_those_of_study():
    from xai_core import study
    from xai_core.cli import options

    assert options.DEFAULT_MODEL == study.EMBEDDED
    assert tuple(options.parse_methods(options.DEFAULT_METHODS)) == study.DEFAULT_METHODS


def test_the_engine_is_chosen_and_told(xai, noise):
    engines = ["compiled", *(["openvino"] if keras.backend.backend() == "tensorflow" else [])]
    told = [xai("explain", noise, "--json").json] + [
        xai("explain", noise, "--engine", engine, "--json").json for engine in engines
    ]
    assert [each["engine"] for each in told] == [fastest_once(), *engines]
    scores = [each["score"] for each in told]
    assert scores == pytest.approx([scores[0]] * len(told), rel=1e-5)
    assert xai("compare", noise, "--json").json["explanations"][0]["engine"] == "auto"


def test_what_is_fastest_for_one_map_is_known_of_each_backend():
    measured = {"tensorflow": "eager", "jax": "compiled", "torch": "eager"}
    assert fastest_once() == measured[keras.backend.backend()]


def test_an_engine_that_there_is_not_is_refused(xai, noise):
    result = xai("explain", noise, "--engine", "fast")
    assert result.code == 2
    assert "'fast' is not one of 'auto', 'eager', 'compiled', 'frozen', 'openvino'" in result.err
