"""Minimal filtering: by hand, held to the definition of a convolution, and in studies."""

import keras
import numpy as np
import pytest
from keras import activations, layers, ops
from plain import array, drawn, gradient

from xai_core import Study
from xai_core.engines import WORTH_FILTERING
from xai_core.probe import backend
from xai_core.probe.winograd import (
    APART,
    FOUR,
    TOGETHER,
    TWO,
    Minimal,
    fits,
    gathered,
    spread_out,
    transformed,
)
from xai_core.surgery import read_graph, variables_of
from xai_core.surgery.weights import Weights

SIZE = (22, 25)
FLOAT32 = 5e-6
"""How far apart two orders of adding up 2,304 terms may be, of the largest sum."""
BEFORE = {"valid": 0, "same": 1}
WIDE = 256
PRODUCTS = 16
"""The kernels of a convolution that is filtered minimally, in the passes of the engine `auto`."""
KERNELS = {TWO: 16, FOUR: 36}
BOTH = pytest.mark.parametrize("filtering", [TWO, FOUR], ids=["two", "four"])


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def convolved(pictures, kernel, padding):
    """By the definition: the sum over taps and channels, place by place."""
    if padding == "same":
        pictures = np.pad(pictures, [(0, 0), (1, 1), (1, 1), (0, 0)])
    count, height, width, _ = pictures.shape
    found = np.zeros((count, height - 2, width - 2, kernel.shape[-1]))
    for row in range(3):
        for column in range(3):
            part = pictures[:, row : row + height - 2, column : column + width - 2]
            found += part @ kernel[row, column]
    return found


def test_a_kernel_by_hand():
    kernel = np.zeros((3, 3, 1, 1))
    kernel[:, :, 0, 0] = [[4, 0, 0], [0, 0, 0], [0, 0, 8]]
    # G g G': (4, 2, 2, 0)' (1, 1/2, 1/2, 0) + (0, 4, 4, 8)' (0, 1/2, 1/2, 1)
    assert transformed(TWO, kernel).reshape(4, 4).tolist() == [
        [4, 2, 2, 0],
        [2, 3, 3, 4],
        [2, 3, 3, 4],
        [0, 4, 4, 8],
    ]


def test_a_tile_by_hand():
    tile = ops.convert_to_tensor(np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1) ** 2)
    found = np.reshape([array(each).item() for each in spread_out(TWO, 0, tile)], (4, 4))
    by_rows = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
    squares = np.arange(16).reshape(4, 4) ** 2
    assert found.tolist() == (by_rows @ squares @ by_rows.T).tolist()


def test_products_by_hand():
    products = [np.full((1, 1), value, np.float32) for value in range(16)]
    bias = np.array([100.0], np.float32)
    given = [ops.convert_to_tensor(each) for each in (*products, bias)]
    # A' m A of m = 0..15: rows of A' are (1, 1, 1, 0) and (0, 1, -1, -1).
    assert array(gathered(TWO, (2, 2), activations.linear, *given)).ravel().tolist() == [
        100 + 45,
        100 - 24,
        100 - 51,
        100 + 20,
    ]
    assert array(gathered(TWO, (1, 2), activations.linear, *given)).ravel().tolist() == [145, 76]
    less = [*given[:-1], ops.convert_to_tensor(bias - 120)]
    assert array(gathered(TWO, (2, 1), activations.relu, *less)).ravel().tolist() == [25, 0]


def test_larger_tiles_by_hand():
    # G takes a kernel's taps for factors of a polynomial, and its values at the points, over the
    # product of the distances to the others: of 1 + 2 x + 4 x^2 at 3/2 that is
    # (1 + 3 + 9) / (3/2 (3/2 - 5/8) (3/2 + 5/8) (3/2 + 3/2)).
    kernel = np.zeros((3, 3, 1, 1))
    kernel[:, 0, 0, 0] = [1, 2, 4]
    found = transformed(FOUR, kernel).reshape(6, 6)
    infinity = np.array([0, 0, 0, 0, 0, 4])
    at = 13 / (1.5 * 0.875 * 2.125 * 3)
    zero = 1 / (1.5**2 * 0.625**2)
    np.testing.assert_allclose(found[[3, 5], 0], [at * zero, 4 * zero], rtol=1e-14)
    assert found[:, 5].tolist() == [0.0] * 6
    # B' makes the factors of the product of (x - point) over the others: (x^2 - 25/64) (x^2 - 9/4).
    tile = np.zeros((1, 6, 6, 1))
    tile[0, :, 0, 0] = [64, 0, 64, 0, 64, 0]
    spread = [array(each).item() for each in spread_out(FOUR, 0, ops.convert_to_tensor(tile))]
    assert spread[0] == (225 / 256 - 169 / 64 + 1) * 64 * 225 / 256
    # A' takes powers of the points: the third of all six, and infinity's 1.
    products = [np.full((1, 1), float(value)) for value in range(36)]
    given = [ops.convert_to_tensor(each) for each in products]
    places = array(gathered(FOUR, (4, 4), activations.linear, *given))[0, :, :, 0]
    rows = np.arange(36).reshape(6, 6)
    assert places[0, 0] == rows[:5, :5].sum()
    by = np.array([0, 0.625**3, -(0.625**3), 1.5**3, -(1.5**3), 1])
    np.testing.assert_allclose(places[3, 3], by @ rows @ by, rtol=1e-14)
    assert infinity @ found[:, 0] == 16 * zero


@BOTH
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [(3, 3), (4, 7), (5, 6), (8, 3), (11, 14)])
def test_it_is_a_convolution(size, padding, filtering):
    pictures, kernel, bias = draw(2, *size, 3), draw(3, 3, 3, 5, seed=1), draw(5, seed=2)
    expected = np.maximum(convolved(pictures, kernel, padding) + bias, 0)
    with backend().precise():
        tiles = spread_out(filtering, BEFORE[padding], ops.convert_to_tensor(pictures))
        kernels = transformed(filtering, kernel)
        made = [ops.matmul(*pair) for pair in zip(tiles, kernels, strict=True)]
        made.append(ops.convert_to_tensor(bias))
        found = gathered(filtering, expected.shape[1:3], activations.relu, *made)
    assert (expected > 0).any()
    np.testing.assert_allclose(array(found), expected, rtol=1e-12, atol=1e-12)


class Mine(layers.Conv2D):
    """Anyone's convolution, which may do anything."""


FIT = {
    "same": lambda: layers.Conv2D(WIDE, 3, padding="same"),
    "valid": lambda: layers.Conv2D(WIDE, 3),
    "rectified": lambda: layers.Conv2D(WIDE, 3, activation="relu", bias_initializer="normal"),
    "no bias": lambda: layers.Conv2D(WIDE, 3, use_bias=False),
}
LEFT = {
    "few channels": lambda: layers.Conv2D(WIDE // 2 - 1, 3),
    "another size": lambda: layers.Conv2D(WIDE, (3, 1)),
    "steps": lambda: layers.Conv2D(WIDE, 3, strides=2),
    "dilated": lambda: layers.Conv2D(WIDE, 3, dilation_rate=2),
    "grouped": lambda: layers.Conv2D(2 * WIDE, 3, groups=2),
    "another activation": lambda: layers.Conv2D(WIDE, 3, activation="tanh"),
    "a layer derived from it": lambda: Mine(WIDE, 3),
    "transposed": lambda: layers.Conv2DTranspose(WIDE, 3),
    "half precision": lambda: layers.Conv2D(WIDE, 3, dtype="mixed_bfloat16"),
    "float64": lambda: layers.Conv2D(WIDE, 3, dtype="float64"),
}


def around(convolution, size=SIZE, channels=WIDE):
    inputs = keras.Input((*size, channels))
    x = layers.GlobalAveragePooling2D()(convolution(inputs))
    return drawn(keras.Model(inputs, x), seed=3)


def filtered(model, filterings=(TWO,), multiplication=APART):
    graph = read_graph(model)
    weights = Weights(backend().to_host, backend().keep)
    minimal = Minimal(weights, backend().joined, filterings, multiplication)
    return graph, minimal.forwards(graph, graph.steps), minimal


def changed(graph, other):
    pairs = zip(graph.steps, other.steps, strict=True)
    return [one.path for one, two in pairs if one.operation is not two.operation]


@BOTH
@pytest.mark.parametrize("multiplication", [APART, TOGETHER], ids=["apart", "together"])
@pytest.mark.parametrize("case", FIT)
def test_the_function_is_the_same(case, multiplication, filtering):
    convolution = FIT[case]()
    model = around(convolution, size=(33, 35))
    graph, other, minimal = filtered(model, [filtering], multiplication)
    assert changed(graph, other) == [convolution.name]
    assert fits(graph, graph.steps, [filtering])
    assert changed(graph, minimal.forwards(graph, ())) == []
    pictures = draw(2, 33, 35, WIDE).astype(np.float32)
    given = {graph.input: ops.convert_to_tensor(pictures)}
    one, two = (array(each.run(given, [each.output])[each.output]) for each in (graph, other))
    assert np.abs(one).max() > 0.1
    np.testing.assert_allclose(two, one, atol=FLOAT32 * np.abs(one).max(), rtol=0)
    # It reads its own kernels, and the layer's bias alone.
    old = {id(each) for each in convolution.weights}
    read = [id(each) in old for each in variables_of(other)]
    assert read.count(False) == (KERNELS[filtering] if multiplication is APART else 1)
    assert read.count(True) == int(convolution.use_bias)


def back(graph, images, upstream):
    """The gradient of the output, weighed by what comes from above."""
    weights = ops.convert_to_tensor(upstream)

    def weighed(at):
        return ops.sum(weights * graph.run({graph.input: at}, [graph.output])[graph.output])

    return gradient(weighed, images)


@pytest.mark.compiles  # torch is given no filtering
@pytest.mark.parametrize("case", FIT)
def test_the_way_back_is_the_same(case):
    convolution = FIT[case]()
    inputs = keras.Input((*SIZE, WIDE))
    model = drawn(keras.Model(inputs, convolution(inputs)), seed=3)
    graph, _, minimal = filtered(model)
    other = minimal.both_ways(graph, graph.steps)
    assert changed(graph, other) == [convolution.name]
    pictures = draw(2, *SIZE, WIDE).astype(np.float32)
    upstream = draw(2, *model.output.shape[1:], seed=6).astype(np.float32)
    before = convolved(pictures, array(convolution.kernel.value), convolution.padding)
    before += array(convolution.bias.value) if convolution.use_bias else 0
    upstream[np.abs(before) < 1e-3] = 0  # where rounding may open or close a rectifier
    one, two = (back(each, pictures, upstream) for each in (graph, other))
    assert np.abs(one).max() > 0.1
    np.testing.assert_allclose(two, one, atol=FLOAT32 * np.abs(one).max(), rtol=0)
    read = {id(each) for each in variables_of(other)} - {id(each) for each in convolution.weights}
    assert len(read) == 32


@BOTH
@pytest.mark.parametrize("case", LEFT)
def test_what_is_left_alone(case, filtering):
    graph, other, _ = filtered(around(LEFT[case]()), [filtering])
    assert changed(graph, other) == []
    assert not fits(graph, graph.steps, [filtering])


@pytest.mark.parametrize(
    ("channels", "filters", "size", "kernels"),
    [
        (256, 256, (32, 32), 36),
        (256, 256, (31, 33), 16),  # few products for large tiles
        (64, 128, (91, 91), 36),  # few channels, which small tiles want more of
        (64, 128, (90, 91), 0),
        (32, 128, (200, 200), 0),
        (128, 256, (32, 32), 16),
    ],
)
def test_the_first_that_is_worth_it_is_taken(channels, filters, size, kernels):
    model = around(layers.Conv2D(filters, 3, use_bias=False), size, channels)
    graph, other, _ = filtered(model, (FOUR, TWO))
    old = {id(each) for each in model.weights}
    assert len([each for each in variables_of(other) if id(each) not in old]) == kernels
    assert fits(graph, graph.steps, (FOUR, TWO)) == bool(kernels)


def test_small_pictures_are_left_alone():
    graph, other, _ = filtered(around(layers.Conv2D(WIDE, 3), size=(20, 25)))
    assert changed(graph, other) == []


def test_pictures_of_any_size_are_left_alone():
    graph, other, _ = filtered(around(layers.Conv2D(WIDE, 3), size=(None, None)))
    assert changed(graph, other) == []


def test_what_reads_its_kernel_otherwise_is_left_alone():
    convolution = layers.Conv2D(WIDE, 3)
    model = around(convolution)
    convolution.enable_lora(2)
    graph, other, _ = filtered(model)
    assert changed(graph, other) == []


# In studies


def build(wide=WIDE):
    inputs = keras.Input((*SIZE, 3))
    x = layers.Conv2D(WIDE, 3, activation="relu", padding="same", name="stem")(inputs)
    x = layers.Conv2D(wide, 3, padding="same", use_bias=False, name="wide")(x)
    x = layers.ReLU()(layers.BatchNormalization(name="norm")(x))
    x = layers.Conv2D(WIDE, 3, activation="relu", padding="same", name="deep")(x)
    x = layers.Conv2D(wide, 3, activation="relu", padding="same", name="head")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = drawn(keras.Model(inputs, layers.Dense(5, name="logits")(x)), seed=4)
    statistics = np.random.default_rng(1).uniform(0.5, 2, (4, wide))
    model.get_layer("norm").set_weights(list(statistics))
    # Behind the target layer every ReLU is wide open or shut: which of them rounding turns, and
    # whole maps with them, depends on the machine.
    head = model.get_layer("head")
    head.set_weights([head.get_weights()[0], np.where(np.arange(wide) % 4 < 3, 8.0, -8.0)])
    return model


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "wide.keras"
    build().save(path)
    return path


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "narrow.keras"
    build(wide=200).save(path)
    return path


@pytest.fixture(scope="module")
def pictures():
    draw = np.random.default_rng(5)
    return list(draw.integers(0, 256, (WORTH_FILTERING, *SIZE, 3), dtype=np.uint8))


def study_of(model, registry, engine="auto"):
    return Study(model, registry=registry, preprocess="unit", engine=engine)


def replaced(study):
    """By the methods' needs, the convolutions that take fewer multiplications in what is run."""
    names = ("stem", "wide", "deep", "head")
    return {
        (kind.needs.name, kind.layers): [
            name for name in names if len(probe._graph.step(name).weights) >= PRODUCTS
        ]
        for kind, probe in study._programs.kinds.items()
    }


METHODS = ["grad-cam", "grad-cam++", "hirescam", "layercam", "xgrad-cam", "eigen-cam"]


@pytest.mark.compiles
def test_maps_are_the_same_and_as_near_to_float64(registry, file, pictures):
    plain, auto = study_of(file, registry, "compiled"), study_of(file, registry)
    auto.compare(pictures, ["grad-cam"], 0, layers=["deep"])
    given = pictures[:2]
    one, two, exact = (
        study.compare(given, METHODS, [0, 3], layers=["deep"])
        for study in (plain, auto, plain.in_float64())
    )
    assert not two.failures
    assert all(kind.is_minimal for kind in auto._programs.kinds)
    far = []
    for coarse, fine, true in zip(one, two, exact, strict=True):
        top = np.abs(true.map).max()
        assert top > 1e-4
        far.append([np.abs(each.map - true.map).max() / top for each in (coarse, fine)])
        np.testing.assert_allclose(fine.map, coarse.map, atol=1e-5 * top, rtol=0)
        assert fine.score == pytest.approx(coarse.score, rel=1e-5)
    plainly, minimally = np.median(far, axis=0)
    assert 0 < minimally < 2 * plainly


@pytest.mark.compiles
def test_it_begins_after_so_many_pictures_and_ends_at_the_layer(registry, file, pictures):
    study = study_of(file, registry)
    study.compare(pictures, ["grad-cam"], 0, layers=["deep"])
    assert list(replaced(study).values()) == [[]]
    study.compare(pictures[:1], ["grad-cam"], 0, layers=["deep"])
    assert list(replaced(study).values()) == [["wide", "deep"]]
    study.explain(pictures[0], "saliency", target=0)
    study.explain(pictures[0], "occlusion", target=0)
    by_needs = {needs: names for (needs, _), names in replaced(study).items()}
    assert by_needs["INPUT_GRADIENTS"] == ["wide", "deep", "head"]
    assert ["wide", "deep", "head"] in by_needs.values()


@pytest.mark.compiles
def test_input_gradients_are_the_same(registry, file, pictures):
    plain, auto = study_of(file, registry, "compiled"), study_of(file, registry)
    auto.compare(pictures, ["grad-cam"], 0, layers=["deep"])
    methods = ["saliency", "gradient-x-input", "grad-cam", "eigen-cam"]
    one, two, exact = (
        study.compare(pictures[:2], methods, [0, 3], layers=["deep"])
        for study in (plain, auto, plain.in_float64())
    )
    assert not two.failures
    first, *kinds = auto._programs.kinds
    assert not first.is_minimal
    assert kinds
    assert all(kind.is_minimal for kind in kinds)
    far = []
    for coarse, fine, true in zip(one, two, exact, strict=True):
        top = np.abs(true.map).max()
        assert top > 1e-4
        far.append([np.abs(each.map - true.map).max() / top for each in (coarse, fine)])
    plainly, minimally = np.median(far, axis=0)
    assert 0 < minimally < 2 * plainly


@pytest.mark.compiles
def test_a_model_without_such_a_convolution_is_compiled_once(registry, narrow, pictures):
    study = study_of(narrow, registry)
    for given in (pictures, pictures[:2]):
        study.compare(given, ["grad-cam"], 0, layers=["deep"])
    assert [kind.is_minimal for kind in study._programs.kinds] == [False]


@pytest.mark.compiles
def test_a_rule_that_leaves_nothing_to_filter_compiles_nothing_anew(registry, tmp_path, pictures):
    inputs = keras.Input((*SIZE, 3))
    x = layers.Conv2D(WIDE, 3, activation="relu", padding="same")(inputs)
    x = layers.Conv2D(WIDE, 3, activation="relu", padding="same")(x)
    x = layers.GlobalAveragePooling2D()(x)
    drawn(keras.Model(inputs, layers.Dense(5)(x)), seed=4).save(tmp_path / "fused.keras")
    study = study_of(tmp_path / "fused.keras", registry)
    study.compare(pictures, ["guided-backprop", "saliency"], 0)
    study.compare(pictures[:1], ["guided-backprop", "saliency"], 0)
    minimal = {kind.rule.value: kind.is_minimal for kind in study._programs.kinds}
    assert minimal == {"guided": False, "plain": True}


@pytest.mark.parametrize("engine", ["compiled", "eager"])
def test_weights_that_are_read_each_time_are_never_filtered(registry, file, pictures, engine):
    study = study_of(file, registry, engine)
    study.compare(pictures, ["grad-cam"], 0, layers=["deep"])
    study.compare(pictures[:1], ["grad-cam"], 0, layers=["deep"])
    assert list(replaced(study).values()) == [[]]


@pytest.mark.compiles
def test_frozen_filters_from_the_first_picture_on(registry, file, pictures):
    study = study_of(file, registry, "frozen")
    study.compare(pictures[:1], ["grad-cam"], 0, layers=["deep"])
    assert list(replaced(study).values()) == [["wide", "deep"]]


@pytest.mark.compiles
def test_a_model_that_is_handed_out_is_not_filtered_any_more(registry, file, pictures):
    study = study_of(file, registry)
    study.compare(pictures, ["grad-cam"], 0, layers=["deep"])
    before = study.compare(pictures[:1], ["grad-cam"], 0, layers=["deep"])["grad-cam", 0]
    kernel = study.model.get_layer("wide").kernel
    kernel.assign(-kernel)
    after = study.compare(pictures[:1], ["grad-cam"], 0, layers=["deep"])["grad-cam", 0]
    fresh = study_of(study.model, registry, "compiled")
    expected = fresh.compare(pictures[:1], ["grad-cam"], 0, layers=["deep"])["grad-cam", 0]
    np.testing.assert_array_equal(after.map, expected.map)
    assert np.abs(after.map - before.map).max() > 1e-3 * np.abs(before.map).max()
    assert list(replaced(study).values()) == [[]]


@pytest.mark.tensorflow
def test_openvino_filters_in_float32_once_that_is_worth_it(registry, file, pictures):
    plain, study = study_of(file, registry, "compiled"), study_of(file, registry, "openvino")
    expected = plain.compare(pictures[:2], METHODS, [0, 3], layers=["deep"])
    found = []
    for _ in range(2):
        made = study.compare(pictures[:2], METHODS, [0, 3], layers=["deep"])
        assert not made.failures
        for coarse, fine in zip(expected, made, strict=True):
            top = np.abs(coarse.map).max()
            np.testing.assert_allclose(fine.map, coarse.map, atol=1e-5 * top, rtol=0)
        inferences = {end: each for end, (_, each) in study._programs._inferences.items()}
        assert set(inferences) == {"deep"}
        graph = inferences["deep"]._graph
        found.append([graph.step(name).kind for name in ("wide", "norm")])
        # Of what OpenVINO does not run, it has no weights.
        held = {id(variable) for variable, _ in inferences["deep"]._weights}
        assert held
        assert not held & {id(each) for each in study._readout.graph.step("head").weights}
        study.compare(pictures, ["grad-cam"], 0, layers=["deep"])
    assert found == [["Conv2D", "BatchNormalization"], ["function", "function"]]


@pytest.mark.tensorflow
def test_where_tensorflow_was_built_without_its_compiler_nothing_is_filtered(
    registry, file, pictures, monkeypatch
):
    from xai_core.probe import tensorflow

    def refused(function):
        def run(*_):
            raise tensorflow.tf.errors.UnimplementedError(None, None, "no compiler")

        return run

    monkeypatch.setattr(tensorflow, "joined", refused)
    tensorflow._has_xla.cache_clear()
    try:
        study = study_of(file, registry)
        study.compare(pictures, ["grad-cam"], 0, layers=["deep"])
        study.compare(pictures[:1], ["grad-cam"], 0, layers=["deep"])
        assert list(replaced(study).values()) == [[]]
    finally:
        tensorflow._has_xla.cache_clear()


@pytest.mark.tensorflow
def test_a_model_without_anything_to_filter_never_starts_the_compiler(
    registry, tmp_path, monkeypatch
):
    from xai_core.probe import tensorflow

    def refused(function):
        raise AssertionError("nothing is to be joined")

    inputs = keras.Input((12, 8, 3))
    features = layers.Conv2D(4, 1, activation="relu", name="thin")(inputs)
    pooled = layers.GlobalAveragePooling2D()(features)
    keras.Model(inputs, layers.Dense(3)(pooled)).save(tmp_path / "thin.keras")
    shape = (WORTH_FILTERING + 1, 12, 8, 3)
    pictures = list(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    monkeypatch.setattr(tensorflow, "joined", refused)
    tensorflow._has_xla.cache_clear()
    try:
        study = study_of(tmp_path / "thin.keras", registry)
        study.compare(pictures, ["grad-cam"], 0, layers=["thin"])
        assert list(study._programs._filterable.values()) == [False]
    finally:
        tensorflow._has_xla.cache_clear()
