"""How passes are run: the same numbers, and never those of weights that are gone."""

import gc
import re
import sys
import weakref

import keras
import numpy as np
import pytest
from keras import layers
from plain import drawn

from xai_core import Study, fingerprint, models
from xai_core.demo import cat
from xai_core.errors import UsageError
from xai_core.placement import choose_device
from xai_core.probe import backend
from xai_core.probe.openvino import Inference, capabilities, openvino
from xai_core.surgery.graph import read_graph, variables_of

SIZE = (16, 24)


def build(seed=4):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((*SIZE, 3))
    x = layers.Conv2D(6, 3, strides=2, use_bias=False, name="first")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU()(x)
    x = layers.SeparableConv2D(8, 3, activation="relu", bias_initializer="normal", name="deep")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(5, activation="softmax", name="head")(x))
    draw = np.random.default_rng(seed)
    drawn(model, seed)
    model.get_layer("norm").set_weights([draw.uniform(0.5, 2, 6) for _ in range(4)])
    return model


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "model.keras"
    build().save(path)
    return path


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(5).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def study_of(model, registry, engine):
    return Study(model, registry=registry, preprocess="unit", engine=engine)


def handed_out(study):
    """The model, where that is told: the engine that was asked for is set aside."""
    with pytest.warns(UserWarning, match="was handed out") as caught:
        model = study.model
    assert len(caught) == 1
    assert caught[0].filename == __file__  # it points at who asked for the model
    return model


def frozen_programs(study):
    return [probe.is_frozen for probe in study._programs.kinds.values()]


def folded_programs(study):
    """Whether the normalisation is gone from what is run."""
    norms = [probe._graph.step("norm") for probe in study._programs.kinds.values()]
    return [norm.kind != "BatchNormalization" for norm in norms]


METHODS = ["grad-cam", "grad-cam++", "hirescam", "layercam", "eigen-cam", "score-cam", "saliency"]


@pytest.mark.parametrize("engine", ["eager", "frozen", "auto"])
def test_every_engine_gives_the_same_maps(registry, file, picture, engine):
    plain = study_of(file, registry, "compiled").compare(picture, METHODS, [0, 3])
    other = study_of(file, registry, engine).compare(picture, METHODS, [0, 3])
    assert not other.failures
    for one, two in zip(plain, other, strict=True):
        assert np.abs(one.map).max() > 1e-4
        np.testing.assert_allclose(one.map, two.map, atol=1e-5 * np.abs(one.map).max(), rtol=0)
        assert one.score == pytest.approx(two.score, rel=1e-5)
        assert two.provenance["engine"] == engine


@pytest.mark.parametrize(
    ("engine", "folds", "builds_in"),
    [
        ("auto", True, False),
        ("frozen", True, True),
        ("compiled", False, False),
        ("eager", False, False),
    ],
)
def test_what_is_done_with_the_weights(registry, file, picture, engine, folds, builds_in):
    study = study_of(file, registry, engine)
    study.explain(picture, "grad-cam", target=0)
    study.explain(picture, "guided-backprop", target=0)
    assert folded_programs(study) == [folds] * 2
    assert frozen_programs(study) == [builds_in] * 2


def test_the_weights_of_a_model_from_outside_are_read_each_time(registry, picture):
    study = study_of(build(), registry, "auto")
    study.explain(picture, "grad-cam", target=0)
    assert folded_programs(study) == frozen_programs(study) == [False]


def test_weights_that_change_after_the_model_was_handed_out_are_heeded(registry, file, picture):
    for engine, give in (("frozen", handed_out), ("auto", lambda study: study.model)):
        study = study_of(file, registry, engine)
        before = study.explain(picture, "grad-cam", target=0)
        other = build(seed=11)
        give(study).set_weights(other.get_weights())
        after = study.explain(picture, "grad-cam", target=0)
        expected = study_of(other, registry, "compiled").explain(picture, "grad-cam", target=0)
        np.testing.assert_allclose(after.map, expected.map, atol=1e-6)
        assert np.abs(after.map - before.map).max() > 1e-3
        assert frozen_programs(study) == folded_programs(study) == [False]


def test_layers_from_the_graph_are_the_models_own(registry, file, picture):
    study = study_of(file, registry, "frozen")
    before = study.explain(picture, "grad-cam", target=0)
    with pytest.warns(UserWarning, match="made by the engine 'compiled' in the place of 'frozen'"):
        graph = study.graph
    head = graph.step("head").operation
    kernel = next(each for each in head.weights if each.name == "kernel")
    kernel.assign(-kernel)
    after = study.explain(picture, "grad-cam", target=0)
    assert frozen_programs(study) == [False]
    assert np.abs(after.map - before.map).max() > 5e-4


@pytest.mark.parametrize("method", ["grad-cam", "saliency"])
@pytest.mark.parametrize(
    "engine", ["auto", "frozen", pytest.param("openvino", marks=pytest.mark.tensorflow)]
)
def test_what_a_study_made_goes_with_it(registry, file, picture, engine, method):
    study = study_of(file, registry, engine)
    study.explain(picture, method, target=1)
    probes = list(study._programs.kinds.values())
    made = [each for probe in probes for each in (probe, *variables_of(probe._graph))]
    held = [weakref.ref(each) for each in made]
    assert len(held) > 5
    del study, probes, made
    gc.collect()
    assert [each() for each in held if each() is not None] == []


ENGINES = ["frozen", pytest.param("openvino", marks=pytest.mark.tensorflow)]


@pytest.mark.parametrize("engine", ENGINES)
def test_each_map_names_the_engine_that_made_it(registry, file, picture, engine):
    study = study_of(file, registry, engine)
    first, saved = (study.explain(picture, "grad-cam", target=0) for _ in range(2))
    assert saved.provenance["engine"] == saved.provenance["engine_asked"] == engine
    told = (
        "the model of 'model.keras' was handed out, and its weights may change from now on: maps "
        f"are made by the engine 'compiled' in the place of '{engine}', which would not heed that. "
        "Make a new Study to have it again"
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(told)}$"):
        model = study.model
    assert study.model is model  # and nothing is told a second time
    after = study.explain(picture, "grad-cam", target=0)
    # What was made before is told only now, by the engine of then.
    assert first.provenance == saved.provenance
    assert (after.provenance["engine"], after.provenance["engine_asked"]) == ("compiled", engine)
    assert after.provenance["weights_sha256"] == first.provenance["weights_sha256"]
    expected = study_of(file, registry, "compiled").explain(picture, "grad-cam", target=0)
    assert np.abs(expected.map).max() > 1e-5
    np.testing.assert_array_equal(after.map, expected.map)


def test_auto_is_auto_whoever_holds_the_model(registry, file, picture):
    """It says by itself that it reads the weights then, and no other engine takes its place."""
    study = study_of(file, registry, "auto")
    assert study.model.name
    for each in (study, study_of(build(), registry, "auto")):
        told = each.explain(picture, "grad-cam", target=0).provenance
        assert (told["engine"], told["engine_asked"]) == ("auto", "auto")


def test_a_journal_knows_the_engine_in_use(registry, file, picture):
    study, same, plain = (
        study_of(file, registry, engine) for engine in ("frozen", "frozen", "compiled")
    )
    before = fingerprint.of_study(study)
    assert before["engine"] == "frozen"
    assert "engine_asked" not in before
    assert before == fingerprint.of_study(same)
    handed_out(study)
    assert fingerprint.of_study(study) == {**before, "engine": "compiled"}
    assert fingerprint.of_study(study) == fingerprint.of_study(plain)
    assert study.evaluate(picture, "grad-cam", "deletion", 0).origin()["engine"] == "compiled"


def test_the_weights_are_hashed_once_for_many_maps(registry, file, picture, monkeypatch):
    study = study_of(file, registry, "frozen")
    hashed, of = [], models.hash_weights
    monkeypatch.setattr(models, "hash_weights", lambda model: hashed.append(model) or of(model))
    found = study.compare(picture, ["grad-cam", "hirescam"], [0, 3])
    assert [each["engine"] for each in found.provenance] == ["frozen"] * 4
    assert len(hashed) == 1


def test_a_model_that_goes_on_training_never_gets_a_stale_map(registry, picture):
    model = build()
    study = study_of(model, registry, "auto")
    model.compile("sgd", "categorical_crossentropy")
    before = study.explain(picture, "grad-cam", target=0)
    batch = np.random.default_rng(0).uniform(size=(4, *SIZE, 3)).astype(np.float32)
    model.fit(batch, np.eye(5)[:4], epochs=2, verbose=0)
    after = study.explain(picture, "grad-cam", target=0)
    fresh = study_of(model, registry, "compiled").explain(picture, "grad-cam", target=0)
    np.testing.assert_array_equal(after.map, fresh.map)
    assert (after.map != before.map).any()


def test_a_model_from_outside_is_never_frozen(registry, picture):
    with pytest.raises(UsageError, match="'frozen' with a model from outside, whose weights may"):
        study_of(build(), registry, "frozen")
    with pytest.raises(UsageError, match="received engine 'fast'; expected one of auto, eager, c"):
        study_of(build(), registry, "fast")


@pytest.mark.compiles
def test_eager_compiles_nothing(registry, file, picture):
    study = study_of(file, registry, "eager")
    study.explain(picture, "saliency", target=1)
    (probe,) = study._programs.kinds.values()
    assert probe._pass.func == probe._trace


OPENVINO = ["grad-cam", "grad-cam++", "hirescam", "score-cam", "occlusion"]


@pytest.mark.tensorflow
def test_openvino_gives_the_same_maps(registry, file, picture):
    plain = study_of(file, registry, "compiled")
    study = study_of(file, registry, "openvino")
    expected = plain.compare(picture, OPENVINO, [0, 3], layers=["first", "deep"])
    found = study.compare(picture, OPENVINO, [0, 3], layers=["first", "deep"])
    assert not found.failures
    for one, two in zip(expected, found, strict=True):
        assert np.abs(one.map).max() > 1e-5
        np.testing.assert_allclose(two.map, one.map, atol=1e-5 * np.abs(one.map).max(), rtol=0)
    assert found.predictions[0].classes[0].index == expected.predictions[0].classes[0].index
    # TensorFlow began where gradients begin: at the first of the layers, and at the logits.
    assert {kind.start for kind in study._programs.kinds} == {"first", "head"}
    one, two = (each.explain(picture, "saliency", target=0) for each in (plain, study))
    np.testing.assert_allclose(two.map, one.map, atol=1e-5 * one.map.max(), rtol=0)
    assert {kind.start for kind in study._programs.kinds} == {"first", "head", None}


@pytest.mark.tensorflow
@pytest.mark.parametrize("count", [2, 3, 5])
def test_openvino_keeps_pictures_side_by_side_apart(registry, file, count):
    draw = np.random.default_rng(6)
    pictures = [draw.integers(0, 256, (*SIZE, 3), dtype=np.uint8) for _ in range(count)]
    expected = study_of(file, registry, "compiled").compare(pictures, ["grad-cam"], 1)
    found = study_of(file, registry, "openvino").compare(pictures, ["grad-cam"], 1)
    peaks = [np.abs(one.map).max() for one in expected]
    assert len(set(peaks)) == count
    for one, two, peak in zip(expected, found, peaks, strict=True):
        assert peak > 1e-5
        np.testing.assert_allclose(two.map, one.map, atol=1e-5 * peak, rtol=0)


@pytest.mark.tensorflow
@pytest.mark.parametrize("streams", [1, 2, 4, 8])
def test_openvino_answers_about_each_of_a_batch_whatever_the_streams(streams):
    graph = read_graph(build())
    end = graph.step("deep")
    inference = Inference(graph, end, "f32")
    alone = (1, *SIZE, 3)
    program = inference._compile(alone, np.dtype("float32"), "THROUGHPUT")
    inference._streams[alone] = openvino().AsyncInferQueue(program, streams)
    pictures = np.random.default_rng(7).uniform(-1, 1, (5, *SIZE, 3)).astype(np.float32)
    given = keras.ops.convert_to_tensor(pictures)
    expected = graph.run({graph.input: given}, [end.outputs[0]])[end.outputs[0]]
    assert np.ptp(expected, axis=0).max() > 0.1  # no two pictures alike
    np.testing.assert_allclose(inference(given), expected, atol=1e-6)


@pytest.mark.tensorflow
def test_openvino_heeds_a_model_that_was_handed_out(registry, file, picture):
    study = study_of(file, registry, "openvino")
    study.explain(picture, "grad-cam", target=0)
    other = build(seed=11)
    handed_out(study).set_weights(other.get_weights())
    after = study.explain(picture, "grad-cam", target=0)
    expected = study_of(other, registry, "compiled").explain(picture, "grad-cam", target=0)
    np.testing.assert_allclose(after.map, expected.map, atol=1e-6)


@pytest.mark.tensorflow
def test_openvino_in_bfloat16_keeps_the_order_of_the_places(registry):
    if "BF16" not in capabilities():
        pytest.skip("OpenVINO does not compute in bfloat16 on this CPU")
    plain = Study(registry=registry, engine="compiled").explain(cat(), "grad-cam")
    coarse = Study(registry=registry, engine="openvino-bf16").explain(cat(), "grad-cam")
    ranks = [np.argsort(np.argsort(each.map, axis=None)) for each in (plain, coarse)]
    assert np.corrcoef(*ranks)[0, 1] > 0.995
    assert coarse.target.index == plain.target.index
    assert coarse.score == pytest.approx(plain.score, abs=0.2)


@pytest.mark.tensorflow
def test_without_the_package_openvino_says_what_to_install(registry, file, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UsageError, match=r"not installed; .*pip install 'xai-core\[openvino\]'"):
        study_of(file, registry, "openvino")


NO_BFLOAT16 = (
    "received the engine 'openvino-bf16' on a CPU where OpenVINO does not compute in bfloat16: it "
    "names FP32, INT8; expected BF16 among them. Take the engine 'openvino', which computes in "
    "float32"
)


@pytest.mark.tensorflow
def test_bfloat16_on_a_cpu_without_it_is_refused(registry, file, monkeypatch):
    monkeypatch.setattr("xai_core.probe.openvino.capabilities", lambda: ("FP32", "INT8"))
    with pytest.raises(UsageError, match=f"^{re.escape(NO_BFLOAT16)}$"):
        study_of(file, registry, "openvino-bf16")
    assert study_of(file, registry, "openvino").engine == "openvino"
    monkeypatch.setattr("xai_core.probe.openvino.capabilities", lambda: ("FP32", "BF16"))
    assert study_of(file, registry, "openvino-bf16").engine == "openvino-bf16"


@pytest.mark.tensorflow
def test_openvino_says_in_what_it_can_compute():
    assert "FP32" in capabilities()


@pytest.mark.parametrize("engine", ["openvino", "openvino-bf16"])
@pytest.mark.parametrize("device", ["gpu:0", "cuda"])
def test_openvino_on_a_gpu_is_refused(registry, tmp_path, monkeypatch, engine, device):
    monkeypatch.setattr(backend(), "devices", lambda: ("cpu:0", "gpu:0"))
    told = (
        f"received device '{device}' with the engine '{engine}', which is for CPUs; expected "
        "device 'cpu', which it has by default, or for this device another engine, such as 'auto'"
    )
    missing = tmp_path / "missing.keras"  # before anything is loaded
    with pytest.raises(UsageError, match=f"^{re.escape(told)}$"):
        Study(missing, registry=registry, engine=engine, device=device)
    # By default it is on the CPU, also where there is a GPU, and other engines on the GPU.
    assert choose_device(None, engine) == choose_device("cpu", engine) == "cpu:0"
    assert choose_device(None, "frozen") == choose_device(device, "frozen") == "gpu:0"
