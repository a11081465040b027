"""What OpenVINO multiplies: large dense layers, and in what filtering is worth it."""

import gc
import threading
import weakref

import keras
import numpy as np
import pytest
from alike import assert_same
from keras import layers
from plain import drawn

from xai_core import Study, explainer
from xai_core.probe import Probe, openvino, openvino_dense
from xai_core.probe.openvino import Inference
from xai_core.probe.openvino_dense import LargeDense, Product
from xai_core.probe.winograd import FOUR, TWO
from xai_core.room import QUERY_BATCH
from xai_core.surgery import read_graph, variables_of

pytestmark = pytest.mark.tensorflow

CHANNELS = 48


class Mine(layers.Dense):
    """Anyone's layer, which may do anything."""


@pytest.fixture
def small_is_large(monkeypatch):
    monkeypatch.setattr(openvino_dense, "WEIGHTS", CHANNELS * 5)


def around(layer, shape=(CHANNELS,)):
    inputs = keras.Input(shape)
    return read_graph(drawn(keras.Model(inputs, layer(inputs)), seed=3))


def test_a_product_by_hand():
    matrix = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    forwards, back = (Product(matrix, "f32", transposed=each) for each in (False, True))
    one, two = np.array([[1, 10]], np.float32), np.array([[1, 0], [0, 1], [2, -1]], np.float32)
    first = forwards(one)
    assert forwards(two).tolist() == [[1, 2, 3], [4, 5, 6], [-2, -1, 0]]
    assert first.tolist() == [[41, 52, 63]]  # a copy: the request holds the later answer
    assert back(np.array([[1, 0, 10]], np.float32)).tolist() == [[31, 64]]


def test_in_bfloat16_no_value_depends_on_how_many_rows_there_are():
    if not openvino.by_vectors("bf16"):
        pytest.skip("no bfloat16 here, or units for matrices multiply it")
    rng = np.random.default_rng(4)
    matrix = rng.normal(size=(1029, 517)).astype(np.float32)
    given = rng.normal(size=(1, 1029)).astype(np.float32)
    product = Product(matrix, "bf16", transposed=False)
    alone, *others = (product(np.repeat(given, count, 0)) for count in (1, 2, 5, 8))
    np.testing.assert_allclose(alone, given @ matrix, rtol=0, atol=2e-2 * np.abs(alone).max())
    for several in others:
        assert (several == alone).all()
    # The first few calls fill one row up, or do not.
    assert all((product(given) == alone).all() for _ in range(9))


def test_threads_share_a_product():
    product = Product(np.eye(64, dtype=np.float32), "f32", transposed=False)
    found = {}

    def ask(number):
        rows = np.full((1, 64), number, np.float32)
        found[number] = [float(product(rows).max()) for _ in range(200)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == {number: [float(number)] * 200 for number in range(4)}


TAKEN = {
    "plain": lambda: layers.Dense(5),
    "rectified": lambda: layers.Dense(7, activation="relu", bias_initializer="normal"),
    "no bias": lambda: layers.Dense(5, use_bias=False),
}
LEFT = {
    "a layer derived from it": (lambda: Mine(5), (CHANNELS,)),
    "half precision": (lambda: layers.Dense(5, dtype="mixed_bfloat16"), (CHANNELS,)),
    "double precision": (lambda: layers.Dense(5, dtype="float64"), (CHANNELS,)),
    "a small one": (lambda: layers.Dense(4), (CHANNELS,)),
    "more axes": (lambda: layers.Dense(5), (3, CHANNELS)),
}


@pytest.mark.parametrize("pictures", [1, 3])
@pytest.mark.parametrize("case", TAKEN)
def test_the_function_and_its_gradient_are_the_same(small_is_large, case, pictures):
    layer = TAKEN[case]()
    graph = around(layer)
    other = LargeDense()(graph, "f32")
    assert other.steps[-1].kind == "function"
    # The kernel is OpenVINO's; what is left to read is the bias.
    bias = [id(layer.bias)] if layer.use_bias else []
    assert list(map(id, variables_of(other))) == bias
    assert_same(graph, other, (pictures, CHANNELS), within=1e-6)


@pytest.mark.parametrize("case", LEFT)
def test_what_is_left_alone(small_is_large, case):
    layer, shape = LEFT[case]
    graph = around(layer(), shape)
    found = LargeDense()(graph, "f32")
    assert all(one is two for one, two in zip(graph.steps, found.steps, strict=True))


@pytest.fixture
def file(tmp_path):
    inputs = keras.Input((9, 14, 3))
    x = layers.Conv2D(16, 3, activation="relu", name="conv")(inputs)
    x = layers.Flatten()(layers.MaxPooling2D((3, 1))(x))
    x = layers.Dense(8, activation="tanh", name="large")(x)
    drawn(keras.Model(inputs, layers.Dense(5, name="logits")(x)), seed=2).save(
        tmp_path / "model.keras"
    )
    return tmp_path / "model.keras"


def multiplied(study):
    """By the number of targets, what multiplies by the large kernel in what was compiled."""
    return [probe._graph.step("large").kind for probe in study._programs.kinds.values()]


def test_a_study_has_them_for_one_class_behind_openvino(registry, file, small_is_large):
    draw = np.random.default_rng(2)
    pictures = [draw.integers(0, 256, (9, 14, 3), dtype=np.uint8) for _ in range(3)]
    plain = Study(file, registry=registry, preprocess="unit", engine="compiled")
    study = Study(file, registry=registry, preprocess="unit", engine="openvino")
    for methods, targets, kinds in (
        (["grad-cam", "hirescam"], [3], ["function"]),
        # Gradients of several classes go back together, as TensorFlow multiplies.
        (["grad-cam", "hirescam"], [0, 3], ["function", "Dense"]),
        # And where the picture's own is wanted, nothing is OpenVINO's.
        (["saliency"], [3], ["function", "Dense", "Dense"]),
    ):
        one, two = (each.compare(pictures, methods, targets) for each in (plain, study))
        assert not two.failures
        assert multiplied(study) == kinds
        assert max(np.abs(coarse.map).max() for coarse in one) > 1e-3
        for coarse, fine in zip(one, two, strict=True):
            top = np.abs(coarse.map).max()
            np.testing.assert_allclose(fine.map, coarse.map, rtol=0, atol=1e-5 * top)
            assert fine.score == pytest.approx(coarse.score, rel=1e-5)


def test_a_pass_that_is_not_full_is_not_filled_up_for_openvino(registry, file, monkeypatch):
    """It runs each picture by itself; what follows it is one program, for full passes."""
    run, read = [], []
    inference, probe = Inference.__call__, Probe.__call__

    def watched(self, images):
        run.append(len(images))
        return inference(self, images)

    def followed(self, images, wanted):
        read.append((images.shape[0], wanted.shape[0]))
        return probe(self, images, wanted)

    picture = np.random.default_rng(4).integers(0, 256, (9, 14, 3), dtype=np.uint8)
    rise = explainer("rise", masks=QUERY_BATCH + 7)
    plain = Study(file, registry=registry, preprocess="unit", engine="compiled")
    (expected,) = plain.compare([picture], [rise], [3])
    monkeypatch.setattr(Inference, "__call__", watched)
    monkeypatch.setattr(Probe, "__call__", followed)
    study = Study(file, registry=registry, preprocess="unit", engine="openvino")
    (found,) = study.compare([picture], [rise], [3])
    assert run == [1, QUERY_BATCH, 7]
    assert read == [(1, 1), (QUERY_BATCH, QUERY_BATCH), (QUERY_BATCH, QUERY_BATCH)]
    assert found.facts["queries"] == QUERY_BATCH + 7
    top = np.abs(expected.map).max()
    assert top > 1e-3
    np.testing.assert_allclose(found.map, expected.map, rtol=0, atol=1e-5 * top)


def test_products_go_with_their_study(registry, file, small_is_large):
    picture = np.random.default_rng(2).integers(0, 256, (9, 14, 3), dtype=np.uint8)
    study = Study(file, registry=registry, preprocess="unit", engine="openvino")
    study.explain(picture, "hirescam", target=3)
    made = study._programs._large_dense._products.values()
    held = [weakref.ref(product) for _, product in made]
    assert len(held) == 2  # forwards and back
    del study, made
    gc.collect()
    assert [each() for each in held] == [None, None]


def test_a_kernel_that_was_changed_is_heeded(registry, file, small_is_large):
    picture = np.random.default_rng(2).integers(0, 256, (9, 14, 3), dtype=np.uint8)
    study = Study(file, registry=registry, preprocess="unit", engine="openvino")
    before = study.explain(picture, "hirescam", target=3)
    with pytest.warns(UserWarning, match="openvino"):
        kernel = study.model.get_layer("large").kernel
    kernel.assign(-kernel)
    after = study.explain(picture, "hirescam", target=3)
    assert multiplied(study) == ["Dense"]
    fresh = Study(study.model, registry=registry, preprocess="unit", engine="compiled")
    np.testing.assert_array_equal(after.map, fresh.explain(picture, "hirescam", target=3).map)
    assert np.abs(after.map - before.map).max() > 1e-3 * np.abs(before.map).max()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("brgemm_avx512_bf16", (TWO,)),
        ("brgemm_avx512_amx_bf16", ()),
        ("acl_bf16", ()),
        ("gemm_mlas_f32", ()),
    ],
)
def test_bfloat16_is_filtered_where_vectors_are_multiplied(monkeypatch, name, expected):
    monkeypatch.setattr(openvino, "multiplied_by", lambda precision: ["unknown_f32", name])
    openvino.by_vectors.cache_clear()
    try:
        assert openvino.worth_filtering("bf16") == expected
        assert openvino.worth_filtering("f32") == (FOUR, TWO)
    finally:
        openvino.by_vectors.cache_clear()


def test_openvino_tells_what_it_multiplies_by():
    def products(precision):
        return [each for each in openvino.multiplied_by(precision) if "gemm" in each]

    assert [each.rpartition("_")[2] for each in products("f32")] == ["f32"]
    if "BF16" in openvino.capabilities():
        assert [each.rpartition("_")[2] for each in products("bf16")] == ["bf16"]
