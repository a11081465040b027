"""Every example of the documentation runs, and what it shows is true."""

import importlib
import json
import runpy
import sys
import tomllib
import warnings
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import xai_core as xai
from xai_core.render import on_picture

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = DOCS / "examples"
CAT, CHEETAH, TIGER_CAT, ESPRESSO = 285, 293, 282, 967


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run an example in an empty folder: its names, what it prints, where its files are."""
    monkeypatch.chdir(tmp_path)

    def run(name):
        import keras

        keras.utils.clear_session()
        with redirect_stdout(StringIO()) as printed, warnings.catch_warnings():
            # What Keras and TensorFlow tell developers while a model is trained and saved.
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            names = runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        return SimpleNamespace(**names, printed=printed.getvalue(), folder=tmp_path)

    return run


def figure(folder, name):
    """The pixels of a picture that was written, not all of them white."""
    with Image.open(folder / name) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert (pixels < 250).any(axis=-1).mean() > 0.02
    return pixels


def upper(one):
    """The share of a map's mass in the upper half of the picture."""
    heat = np.abs(on_picture(one))
    return heat[: len(heat) // 2].sum() / heat.sum()


def test_evaluate(run):
    """What the page says: holes all over do best onto black, and three pictures show nothing."""
    done = run("evaluate")
    black, insertion, blur = (
        {place.row.name: place for place in done.evaluation.ranking(str(metric))}
        for metric in done.evaluation.metrics
    )
    assert next(iter(black)) in ("random", "uniform")
    assert list(blur) != list(black)
    assert list(insertion)[:2] == ["grad-cam", "centre-gaussian"]
    assert black["grad-cam"].words == "no difference shown: 3 pictures, fewer than 6"
    assert "grad-cam" in (done.folder / "evaluate.md").read_text()
    figure(done.folder, "evaluate.png")


def test_localisation(run):
    """What the page says: the peak of the blob in the middle is on every object."""
    done = run("localisation")
    pointing, mass, rank = (
        {place.row.name: place.value.mean for place in done.evaluation.ranking(str(metric))}
        for metric in done.evaluation.metrics
    )
    for row in ("grad-cam", "saliency", "centre-gaussian"):
        assert pointing[row] == 1
    assert pointing["uniform"] < 0.8
    for found in (mass, rank):
        assert list(found)[:2] == ["grad-cam", "centre-gaussian"]
    assert (done.folder / "boxes.csv").read_text().splitlines()[1] == "cat.png,30,0,375,290"


def test_randomise(run):
    """What the page says: guided backpropagation stays, whatever the weights and the class."""
    done = run("randomise")
    grad_cam, saliency, guided = ([each.similarity for each in row[1:]] for row in done.ladder.rows)
    assert len(guided) == 5
    assert min(guided[:2]) > 0.95
    assert max(saliency) < 0.4
    assert np.mean(grad_cam) < 0.4
    down, other = (
        {
            place.row.name: place.value and place.value.mean
            for place in done.evaluation.ranking(str(m))
        }
        for m in done.evaluation.metrics
    )
    for means in (down, other):
        assert means["edges"] == pytest.approx(1)
        assert abs(means["random"]) < 0.02
        assert means["uniform"] is None
        assert means["guided-backprop"] > 2 * max(means["saliency"], means["grad-cam"])
    assert down["guided-backprop"] == pytest.approx(np.mean(guided), abs=0.01)
    assert other["guided-backprop"] > 0.99
    pixels = figure(done.folder, "randomise.png")
    assert pixels.shape[1] > 2 * pixels.shape[0]


def test_every_example_has_a_test():
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {path.stem for path in EXAMPLES.glob("*.py")} <= tested


def test_demo_pictures(run):
    done = run("demo_pictures")
    assert figure(done.folder, "cat.png").shape == (300, 451, 3)
    assert figure(done.folder, "coffee.png").shape == (400, 600, 3)
    assert figure(done.folder, "cat-over-coffee.png").shape == (224, 224, 3)
    assert "cat.png: 451 x 300" in done.printed


def test_predictions(run):
    done = run("predictions")
    classes = done.prediction.classes
    assert [each.index for each in classes[:2]] == [CAT, TIGER_CAT]
    np.testing.assert_allclose([c.probability for c in classes[:2]], [0.387, 0.329], atol=0.01)
    # The page says that these two logits are all but the same.
    assert 0.1 < classes[0].logit - classes[1].logit < 0.25
    assert len(classes) == len(done.printed.splitlines()) == 5
    figure(done.folder, "predictions.png")


def test_several_classes(run):
    done = run("several_classes")
    cat, espresso = done.asked
    assert (cat.target.index, espresso.target.index) == (CAT, ESPRESSO)
    assert upper(cat) > 0.9
    assert upper(espresso) < 0.3
    assert [one.target.index for one in done.top] == [CAT, TIGER_CAT, ESPRESSO]
    two, three = (figure(done.folder, name) for name in ("two_classes.png", "top_three.png"))
    assert three.shape[1] > 1.2 * two.shape[1]


def test_several_pictures(run):
    done = run("several_pictures")
    assert [one.target.index for one in done.own] == [CAT, ESPRESSO, CAT]
    no_cup, cup, both = (one.score for one in done.same)
    assert no_cup < 1
    assert 4 < both < 8 < cup
    assert [each.pictures for each in done.own.passes] == [3]
    assert "1 pass for 3 pictures" in done.printed
    figure(done.folder, "own_class.png")
    figure(done.folder, "one_class.png")


def test_several_layers(run):
    done = run("several_layers")
    assert [one.map.shape for one in done.many] == [(n, n) for n in (112, 56, 28, 14, 7)]
    assert len(done.many.passes) == 1
    # Only the last layer finds the cup.
    shares = [upper(one) for one in done.many]
    assert shares[-1] < 0.3 < min(shares[:-1])
    assert "top_activation: 7 x 7" in done.printed
    pixels = figure(done.folder, "layers.png")
    assert pixels.shape[1] > 4 * pixels.shape[0]


def test_raw_map(run):
    done = run("raw_map")
    np.testing.assert_array_equal(done.raw, done.one.map)
    assert done.raw.shape == (7, 7)
    assert done.raw.dtype == np.float32
    assert done.metadata["target"]["index"] == CAT
    assert done.metadata["layer"] == "top_activation"
    assert figure(done.folder, "heatmap.png").shape == (7, 7, 3)
    assert figure(done.folder, "overlay.png").shape == (300, 451, 3)
    # Green at half strength, and blue to red at full strength, where the model looked.
    viridis, jet = (
        figure(done.folder, name)[:, 100:350].astype(int) for name in ("viridis.png", "jet.png")
    )
    assert np.ptp(jet, axis=-1).mean() > 2 * np.ptp(viridis, axis=-1).mean()


def test_signed_maps(run):
    done = run("signed_maps")
    bias = np.asarray(xai.Study().model.get_layer("predictions").bias)
    cougar, oven = done.many["hirescam", "cougar"], done.many["hirescam", "Dutch oven"]
    for one, sign in ((cougar, 1), (oven, -1)):
        assert sign * one.map[:3].sum() > 0.8  # the cat
        assert sign * one.map[4:].sum() < -0.8  # the cup
        assert abs(one.score) < 0.3
        # The page says that the values sum to the logit less the bias.
        np.testing.assert_allclose(one.map.sum() + bias[one.target.index], one.score, atol=1e-3)
    assert done.many["grad-cam", "cougar"].map.min() == 0
    pixels = figure(done.folder, "signed.png").astype(int)
    assert (pixels[..., 0] - pixels[..., 2] > 80).any()
    assert (pixels[..., 2] - pixels[..., 0] > 80).any()


def test_gradient_health(run):
    done = run("gradient_health")
    assert done.at_input.size == 224 * 224 * 3
    assert done.at_layer.size == 7 * 7 * 1280
    assert done.at_input.zeros < 0.01 * done.at_input.size
    told = done.printed
    assert (
        told.index("saturated:") < told.index("vanished-gradients:") < told.index("logit: p = 1.0")
    )
    assert done.one.score_kind == "logit"  # the last one
    assert not done.one.warnings
    assert done.one.health[0].largest > 1e-4
    figure(done.folder, "gradients.png")


def test_focus(run):
    done = run("focus")
    assert len(done.many) == 6
    np.testing.assert_allclose(done.focus.half_mass, 0.134, atol=0.01)
    np.testing.assert_allclose(done.focus.centre, (0.65, 0.47), atol=0.02)
    assert "half of the evidence lies in 13% of the picture" in done.printed
    figure(done.folder, "focus.png")


def test_wrong_prediction(run):
    done = run("wrong_prediction")
    found = done.found
    assert (found.predicted.target.index, found.expected.target.index) == (CAT, ESPRESSO)
    assert found.overlap < 0.3
    assert found.difference.map[:3].sum() > 0 > found.difference.map[4:].sum()
    assert "upper centre, which speaks for 285 Egyptian cat" in done.printed
    assert "lower centre, which speaks for 967 espresso" in done.printed
    figure(done.folder, "wrong_prediction.png")


def test_chest_x_ray(run):
    done = run("chest_x_ray")
    assert np.mean(done.said == done.labels[300:]) > 0.95
    opacity, normal = (done.many["grad-cam", name] for name in ("opacity", "normal"))
    assert opacity.probability > 0.7
    np.testing.assert_allclose(opacity.probability + normal.probability, 1, atol=1e-6)
    # The heat lies on the spot: on a ninth of the picture, and not so for the other class.
    assert done.near.mean() < 0.12
    assert done.share > 0.6
    assert on_picture(normal)[done.near].sum() < 0.1 * on_picture(normal).sum()
    down, across = opacity.focus.centre
    assert np.hypot(64 * down - done.spot[0], 64 * across - done.spot[1]) < 6
    assert done.study.input.channels == 1
    assert not opacity.warnings
    figure(done.folder, "chest.png")


def test_compare_models(run):
    done = run("compare_models")
    embedded, fine_tune, untrained = done.many
    np.testing.assert_array_equal(np.argmax(done.head(done.pooled), axis=-1), done.labels)
    assert fine_tune.layer == "backbone/top_activation"
    assert fine_tune.target.label in ("cat", "cup")
    for one, is_cat in ((embedded, True), (fine_tune, fine_tune.target.label == "cat")):
        assert (upper(one) > 0.6) == is_cat
        assert not one.warnings
    assert [warning.kind for warning in untrained.warnings] == ["random-weights"]
    assert "the weights are random" in done.printed
    figure(done.folder, "models.png")


def test_own_explainer(run):
    done = run("own_explainer")
    for method, differs in (("grad-cam", True), ("mean-activation", False)):
        cat, espresso = (done.many[method, name].map for name in ("Egyptian cat", "espresso"))
        assert np.any(cat != espresso) == differs
    assert "mean-activation(power=2.0)" in done.printed
    figure(done.folder, "own_explainer.png")


def test_own_plugin(run, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    try:
        done = run("own_plugin")
    finally:
        for name in [each for each in sys.modules if each.startswith("my_cam")]:
            del sys.modules[name]
    cat, espresso = (done.many["my-cam", name] for name in ("Egyptian cat", "espresso"))
    assert upper(espresso) < 0.6
    assert upper(cat) > 0.7
    assert cat.map.sum() < 0.3 * done.many["grad-cam", "Egyptian cat"].map.sum()
    wrote, found = done.printed.split("\n\n\n")
    assert wrote.startswith("Wrote the plugin my-cam")
    laws = [line.partition(": ") for line in found.splitlines()]
    assert {law for law, _, _ in laws} > {"batch", "CONSTANT", "SHIFT", "LINEAR"}
    assert {said for _, _, said in laws} == {"ok"}
    figure(done.folder, "own_plugin.png")


def test_the_example_plugin_is_found_by_its_entry_point(tmp_path, monkeypatch):
    plugin = DOCS / "example-plugin"
    project = tomllib.loads((plugin / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    installed = tmp_path / "example_cam-0.1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    ((group, entries),) = project["entry-points"].items()
    lines = [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
    (installed / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(plugin / "src")
    importlib.invalidate_caches()
    try:
        registry = xai.Registry.discover()
    finally:
        for name in [each for each in sys.modules if each.startswith("example_cam")]:
            del sys.modules[name]
    assert registry.explainer("example-cam", channels=3).channels == 3
    assert str(registry.explainers["example-cam"].source) == "example-cam 0.1.0"
    assert str(registry.adapters["example-cam-net"].source) == "example-cam 0.1.0"


def test_report(run):
    done = run("report")
    page = (done.folder / "report.html").read_text(encoding="utf-8")
    assert len(done.many) == 6
    assert len(page) < 2e6
    assert "Egyptian cat" in page
    assert "Content-Security-Policy" in page


def test_what_maps_mean(run):
    done = run("what_maps_mean")
    found = {}
    for line in done.printed.splitlines():
        if line.startswith("# "):
            section = found.setdefault(line[2:].split(",")[0], {})
        else:
            name, _, rest = line.rpartition(": ") if line.count(": ") < 2 else line.partition(": ")
            section[name] = float(rest.split(",")[0])
    by_probability = found["The logit and the probability"]
    assert [value > 0.9 for value in by_probability.values()] == [True, True, False]
    assert by_probability["293 cheetah (p = 0.011)"] < 0.6
    methods = found["Two methods"]
    assert methods["grad-cam and grad-cam++"] > 0.7
    assert methods["grad-cam and saliency"] < 0.3
    assert max(found["Largest difference to grad-cam"].values()) < 1e-5
    classes = found["The cat and the espresso"]
    assert classes["grad-cam"] < 0 < min(classes["grad-cam++"], classes["saliency"])
    noise = found["The picture"]
    assert min(noise["grad-cam"], noise["grad-cam++"]) > 0.99
    assert noise["saliency"] < 0.85
    weights = found["The trained weights"]
    assert weights["grad-cam++"] > 0.4 > max(weights["grad-cam"], weights["saliency"])
    logits = found["The logit of Egyptian cat"]
    assert logits["upper half painted"] + 5 < logits["as it is"] < logits["lower half painted"] - 2
    json.dumps(found, allow_nan=False)


def test_trust(run):
    """Grad-CAM points at the cup, and saliency all over: the one has more than the other to say."""
    done = run("trust")
    cam, saliency = (one.verdict for one in done.many)
    (account,) = done.many.accounts
    assert account.queries <= account.budget == 1200
    assert account.steps >= 8
    assert min(test.beaten for test in cam.placings) >= 15
    assert min(test.beaten for test in saliency.placings) < 15
    assert abs(cam.likeness.similarity) < 0.5
    page = (done.folder / "trust.html").read_text()
    for verdict in (cam, saliency):
        assert str(verdict) in done.printed
        assert str(verdict)[1:] in page
    figure(done.folder, "trust.png")
