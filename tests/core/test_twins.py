"""Copies of models: in float64 on the same weights, and down a ladder of weights drawn anew."""

import os
import random
import subprocess
import sys
from importlib.util import find_spec
from itertools import chain

import keras
import numpy as np
import pytest
from keras import layers, ops

from xai_core import Study
from xai_core.demo import cat
from xai_core.errors import ModelError
from xai_core.surgery import read_graph
from xai_core.twins import Ladder, in_float64
from xai_plugins.metrics import CascadingRandomisation, Deletion

SIZE = (9, 14)


class Block(layers.Layer):
    """Unregistered, with a layer of its own that is told no precision."""

    def __init__(self, filters, **options):
        super().__init__(**options)
        self.filters = filters
        self.inner = layers.Conv2D(filters, 3, activation="relu")

    def build(self, shape):
        self.inner.build(shape)
        self.scale = self.add_weight(shape=(self.filters,), initializer=halves, name="scale")

    def call(self, x):
        return self.inner(x) * self.scale

    def compute_output_shape(self, shape):
        return self.inner.compute_output_shape(shape)

    def get_config(self):
        return {**super().get_config(), "filters": self.filters}


def halves(shape, dtype=None):
    return ops.full(shape, 0.5, dtype=dtype)


@keras.saving.register_keras_serializable("twins")
class Shift(layers.Layer):
    """Registered; draws from NumPy's global state."""

    def build(self, shape):
        self.shift = self.add_weight(
            shape=(shape[-1],),
            initializer=lambda shape, dtype=None: ops.cast(np.random.normal(size=shape), dtype),  # noqa: NPY002
            name="shift",
        )

    def call(self, x):
        return x + self.shift


class Narrow(layers.Layer):
    """Keeps to float32, whatever it is told."""

    def __init__(self, **options):
        super().__init__(**{**options, "dtype": "float32"})

    def call(self, x):
        return x


class Untold(layers.Layer):
    """Does not say how it was made."""

    def __init__(self, *factor, **options):
        super().__init__(**options)
        self.factor = factor

    def call(self, x):
        return x


@keras.saving.register_keras_serializable("twins")
class Net(keras.Model):
    """A Functional model with a constructor of its own."""

    def __init__(self, units, **options):
        inputs = keras.Input((*SIZE, 3))
        made = layers.Conv2D(4, 3, activation="tanh", name="below")(inputs)
        made = layers.Dense(units, name="above")(layers.GlobalMaxPooling2D()(made))
        super().__init__(inputs, made, **options)
        self.units = units

    def get_config(self):
        return {"units": self.units, "name": self.name}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return cls(**config)


def functional(*steps, dtype="float32"):
    made = inputs = keras.Input((*SIZE, 3), dtype=dtype)
    for step in steps:
        made = step(made)
    return keras.Model(inputs, made)


def pooled(units=5, **options):
    return layers.GlobalAveragePooling2D(), layers.Dense(units, name="head", **options)


def plain():
    return functional(layers.Conv2D(4, 3, activation="tanh", name="conv"), *pooled())


def fine_tune():
    backbone = functional(
        layers.Conv2D(4, 3, use_bias=False, name="conv"),
        layers.BatchNormalization(name="bn"),
        layers.ReLU(),
    )
    backbone.name = "backbone"
    return functional(backbone, *pooled(activation="softmax"))


def sequential():
    return keras.Sequential(
        [
            keras.Input((*SIZE, 3)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.Flatten(),
            layers.Dense(6, name="hidden"),
            layers.Dense(5, name="head"),
            layers.Softmax(),
        ]
    )


def custom():
    return functional(Block(4, name="block"), Shift(name="shift"), *pooled())


def shared():
    """The same layer below and above another."""
    twice = layers.Conv2D(3, 3, padding="same", name="twice")
    between = layers.Conv2D(3, 3, padding="same", name="between")
    return functional(twice, between, twice, *pooled())


def norms():
    return functional(
        layers.SeparableConv2D(4, 3, name="separable"),
        layers.BatchNormalization(name="batch"),
        layers.GroupNormalization(2, name="group"),
        layers.LayerNormalization(name="layer"),
        *pooled(),
    )


def noisy():
    return functional(
        layers.RandomFlip(),
        layers.Conv2D(4, 3, name="conv"),
        layers.Dropout(0.5),
        layers.GaussianNoise(0.1),
        *pooled(),
    )


def mixed():
    return functional(
        layers.Conv2D(4, 3, activation="relu", name="conv", dtype="mixed_float16"),
        layers.GlobalAveragePooling2D(dtype="mixed_float16"),
        layers.Dense(5, name="head", dtype="mixed_float16"),
        layers.Activation("softmax", dtype="float32"),
    )


def adapted():
    """Statistics that the layer keeps a second time."""
    normal = layers.Normalization(name="normal")
    normal.adapt(np.random.default_rng(8).normal(3, 2, (4, *SIZE, 3)).astype(np.float32))
    return functional(normal, layers.Conv2D(4, 3, name="conv"), *pooled())


def residual():
    inputs = keras.Input((*SIZE, 3))
    x = ops.relu(layers.Conv2D(4, 3, padding="same", name="first")(inputs))
    branch = layers.Conv2D(4, 3, padding="same", name="branch")(x)
    x = layers.GlobalAveragePooling2D()(ops.relu(layers.Add()([x, branch])))
    return keras.Model(inputs, layers.Dense(5, name="head")(x))


def nested_head():
    inner = keras.Input((4,))
    head = keras.Model(inner, layers.Dense(5, "softmax", name="last")(inner), name="top")
    return functional(
        layers.Conv2D(4, 3, name="conv"), layers.GlobalAveragePooling2D(), head
    )  # fmt: skip


MODELS = {
    plain: ("head", "conv"),
    fine_tune: ("head", "backbone/bn", "backbone/conv"),
    sequential: ("head", "hidden", "conv"),
    custom: ("head", "shift", "block"),
    shared: ("head", "twice", "between"),
    norms: ("head", "layer", "group", "batch", "separable"),
    noisy: ("head", "conv"),
    mixed: ("head", "conv"),
    adapted: ("head", "conv"),
    residual: ("head", "branch", "first"),
    nested_head: ("top/last", "conv"),
    lambda: Net(5): ("above", "below"),
}

every_model = pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__.strip("<>"))


def learn(model, seed=4):
    """Weights that no initialiser would draw."""
    rng = np.random.default_rng(seed)
    for step in read_graph(model).steps:
        if not isinstance(step.operation, layers.Normalization):
            for each in step.weights:
                each.assign(rng.uniform(0.5, 2.0, each.shape))
    return model


def held(model):
    """By the path of a step, its weights."""
    return {
        step.path: [np.array(ops.convert_to_numpy(each.value)) for each in step.weights]
        for step in read_graph(model).steps
    }


def differing(one, other):
    """The paths where a weight differs by a bit."""
    assert list(one) == list(other)
    return {
        path
        for path, weights in one.items()
        if any(
            a.dtype != b.dtype or a.tobytes() != b.tobytes()
            for a, b in zip(weights, other[path], strict=True)
        )
    }


def pictures(dtype="float32"):
    return np.random.default_rng(1).uniform(0, 1, (2, *SIZE, 3)).astype(dtype)


def run(model, dtype="float32"):
    graph = read_graph(model)
    given = ops.convert_to_tensor(pictures(dtype))
    return ops.convert_to_numpy(graph.run({graph.input: given}, [graph.output])[graph.output])


@every_model
def test_layers_lose_their_weights_from_the_logits_down(build):
    model, order = learn(build()), MODELS[build]
    before, out = held(model), run(model)
    ladder = Ladder(model, 7)
    assert ladder.rungs(99) == tuple((path,) for path in order)
    ladder.stand(0)
    assert not differing(before, held(ladder.model))
    np.testing.assert_array_equal(run(ladder.model), out)
    for count in chain(range(len(order) + 1), (1, len(order), 0, 2)):
        ladder.stand(count)
        lost = {path.partition(":")[0] for path in differing(before, held(ladder.model))}
        assert lost == set(order[:count])
    assert not differing(before, held(model))
    np.testing.assert_array_equal(run(model), out)


@every_model
def test_a_seed_stands_for_one_draw_and_no_global_state_is_touched(build):
    model = learn(build())
    states = []
    for global_seed in (1, 2):
        keras.utils.set_random_seed(global_seed)
        drawn = held(Ladder(model, 7).model)
        states.append(drawn)
        after = random.random(), np.random.random(), float(keras.random.uniform(()))  # noqa: NPY002
        keras.utils.set_random_seed(global_seed)
        alone = random.random(), np.random.random(), float(keras.random.uniform(()))  # noqa: NPY002
        assert after == alone
    assert not differing(*states)
    # All that is drawn at all is drawn by the seed.
    assert MODELS[build][0] in differing(drawn, held(Ladder(model, 8).model))


@every_model
def test_in_float64_weights_are_the_same_and_everything_is_wide(build):
    model = learn(build())
    twin = in_float64(model)
    now = held(twin)
    for path, weights in held(model).items():
        for was, wide in zip(weights, now[path], strict=True):
            assert wide.dtype == (np.float64 if was.dtype.kind != "i" else was.dtype)
            np.testing.assert_array_equal(was, wide)
    assert {each.compute_dtype for each in twin._flatten_layers()} == {"float64"}
    assert [step.path for step in read_graph(twin).steps] == list(now)
    assert keras.config.dtype_policy().name == "float32"
    found = run(twin, "float64")
    assert found.dtype == np.float64
    near = {"atol": 0.01} if build is mixed else {"rtol": 1e-4, "atol": 1e-6}
    np.testing.assert_allclose(found, run(model), **near)


def test_in_float64_logits_are_those_of_a_network_by_hand():
    model = learn(plain())
    kernel, bias, dense, shift = (
        np.asarray(ops.convert_to_numpy(each), np.float64) for each in model.weights
    )
    rows, columns = SIZE[0] - 2, SIZE[1] - 2
    expected = []
    for picture in pictures("float64"):
        sums = np.zeros(4)
        for row in range(rows):
            for column in range(columns):
                part = picture[row : row + 3, column : column + 3]
                sums += np.tanh(np.tensordot(part, 0.02 * kernel, 3) + bias - 2)
        expected.append(sums / (rows * columns) @ dense + shift)
    model.layers[1].kernel.assign(0.02 * model.layers[1].kernel)
    model.layers[1].bias.assign(model.layers[1].bias - 2)
    kernel32, bias32, *_ = (
        np.asarray(ops.convert_to_numpy(each), np.float64) for each in model.weights
    )
    exact = []
    for picture in pictures("float64"):
        windows = np.lib.stride_tricks.sliding_window_view(picture, (3, 3), axis=(0, 1))
        z = np.einsum("rcdij,ijdk->rck", windows, kernel32) + bias32
        exact.append(np.tanh(z).mean(axis=(0, 1)) @ dense + shift)
    np.testing.assert_allclose(run(in_float64(model), "float64"), exact, rtol=1e-12, atol=1e-12)
    # The tolerance can tell: float32 weights of the same network written down again are apart.
    assert np.abs(np.subtract(exact, expected)).max() > 1e-9


def test_initialisers_are_each_layers_own():
    model = learn(
        functional(
            layers.Conv2D(8, 3, name="conv", kernel_initializer="he_uniform"),
            layers.BatchNormalization(name="bn"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(40, name="glorot"),
            layers.Dense(6, name="ones", kernel_initializer="ones", bias_initializer="ones"),
            layers.Dense(5, name="head", kernel_initializer=keras.initializers.Constant(0.25)),
        )
    )
    drawn = held(Ladder(model, 0).model)
    np.testing.assert_array_equal(drawn["ones"][0], 1)
    np.testing.assert_array_equal(drawn["ones"][1], 1)
    np.testing.assert_array_equal(drawn["head"][0], 0.25)
    for path, bound in (("glorot", np.sqrt(6 / 48)), ("conv", np.sqrt(6 / 27))):
        kernel, bias = drawn[path]
        assert 0.9 * bound < np.abs(kernel).max() <= bound
        np.testing.assert_allclose(kernel.std(), bound / np.sqrt(3), rtol=0.1)
        np.testing.assert_array_equal(bias, 0)
    # gamma, beta, mean, variance
    assert [each[0] for each in drawn["bn"]] == [1, 0, 0, 1]


def test_an_initialiser_with_a_seed_of_its_own_draws_other_weights():
    """With its own seed they would be those that the training began with."""
    model = functional(
        layers.Conv2D(4, 3, name="conv", kernel_initializer=keras.initializers.HeNormal(seed=3)),
        *pooled(kernel_initializer=keras.initializers.GlorotNormal(seed=3)),
    )
    begun = held(model)
    for seed in (3, 4):
        assert {"conv", "head"} <= differing(begun, held(Ladder(model, seed).model))


def test_rungs_are_even_over_the_layers():
    ladder = Ladder(
        keras.Sequential(
            [keras.Input((4, 6, 3)), layers.Flatten()]
            + [layers.Dense(3, name=f"d{number}") for number in range(7)]
        ),
        0,
    )
    names = [f"d{number}" for number in range(6, -1, -1)]
    for count, ends in (
        (1, (7,)),
        (2, (4, 7)),
        (3, (2, 5, 7)),
        (7, range(1, 8)),
        (50, range(1, 8)),
    ):
        assert [len(rung) for rung in ladder.rungs(count)] == np.diff([0, *ends]).tolist()
        assert list(chain(*ladder.rungs(count))) == names


def test_a_model_without_weights_has_no_rungs():
    ladder = Ladder(functional(layers.GlobalAveragePooling2D()), 0)
    assert ladder.rungs(6) == ()


def test_only_what_changes_is_written(monkeypatch):
    model = learn(norms())
    ladder = Ladder(model, 0)
    written = []
    for each in ladder.model.weights:
        assign = each.assign
        monkeypatch.setattr(
            each, "assign", lambda value, e=each, a=assign: (written.append(e.path), a(value))
        )
    counts = []
    for standing in (0, 1, 2, 5, 5, 4):
        written.clear()
        ladder.stand(standing)
        counts.append(len(written))
    # head 2, layer 2, group 2, batch 4, separable 3
    assert counts == [13, 2, 2, 9, 0, 3]


def test_it_holds_what_was_learnt_when_it_was_made():
    """A backend may hand out the very memory of a weight."""
    model = learn(plain())
    before = held(model)
    ladder = Ladder(model, 0)
    learn(model, seed=5)
    ladder.stand(0)
    assert not differing(before, held(ladder.model))


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "xception"])
def test_large_networks_come_back_bit_for_bit(name):
    build = {
        "vgg16": keras.applications.VGG16,
        "resnet50": keras.applications.ResNet50,
        "xception": keras.applications.Xception,
    }[name]
    size = (71, 80, 3) if name == "xception" else (32, 48, 3)
    model = build(weights=None, input_shape=size, include_top=False, pooling="avg")
    model = keras.Model(model.input, layers.Dense(5, name="predictions")(model.output))
    before = held(model)
    ladder = Ladder(model, 0)
    (first, *_), *_, (*_, last) = ladder.rungs(6)
    kernels = {path for path, weights in before.items() if any(each.ndim > 1 for each in weights)}
    assert first == "predictions"
    assert last in {"block1_conv1", "conv1_conv"}
    assert differing(before, held(ladder.model)) == kernels
    for standing in (3, len(kernels), 0):
        ladder.stand(standing)
    assert not differing(before, held(ladder.model))


def test_the_embedded_model_loses_its_prediction(registry):
    study = Study(registry=registry)
    copy, ladder = study.ladder()
    best = study.predict(cat(), top=1).classes[0]
    ladder.stand(0)
    (again,) = copy.predict(cat(), top=1).classes
    assert (again.index, again.logit) == (best.index, pytest.approx(best.logit, abs=1e-3))
    ladder.stand(1)
    assert copy.predict(cat(), top=1).classes[0].probability < 0.2
    assert ladder.rungs(6)[0][:3] == ("predictions", "top_bn", "top_conv")
    wide = study.in_float64()
    (precise,) = wide.predict(cat(), top=1).classes
    assert (precise.index, precise.logit) == (best.index, pytest.approx(best.logit, abs=1e-3))
    assert wide.input.dtype == "float64"


def test_a_file_is_copied_and_its_programs_stay_built_in(tmp_path, registry):
    learn(fine_tune()).save(tmp_path / "model.keras")
    study = Study(tmp_path / "model.keras", preprocess="unit", registry=registry)
    picture = np.random.default_rng(3).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    before = study.explain(picture, "saliency")
    policy = study._programs._policy.weights
    kinds = study._programs.kinds
    study.evaluate(picture, "saliency", CascadingRandomisation())
    study.in_float64()
    assert study._programs._policy.weights == policy
    assert {kind: study._programs.kinds[kind] for kind in kinds} == kinds
    np.testing.assert_array_equal(study.explain(picture, "saliency").map, before.map)


@pytest.mark.tensorflow
@pytest.mark.skipif(find_spec("openvino") is None, reason="openvino is not installed")
def test_copies_of_a_study_on_openvino_are_compiled(tmp_path, registry):
    plain().save(tmp_path / "model.keras")
    study = Study(tmp_path / "model.keras", preprocess="unit", engine="openvino", registry=registry)
    copy, ladder = study.ladder()
    assert (copy.engine, study.in_float64().engine) == ("compiled", "compiled")
    picture = np.random.default_rng(3).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    learnt = study.explain(picture, "saliency", target=1).map
    ladder.stand(0)
    np.testing.assert_allclose(copy.explain(picture, "saliency", target=1).map, learnt, rtol=1e-4)
    ladder.stand(1)
    assert not np.allclose(copy.explain(picture, "saliency", target=1).map, learnt, rtol=1e-2)


def preprocess(x):
    return x * 2.0


def test_a_function_with_a_name_is_copied():
    model = learn(functional(layers.Lambda(preprocess), *pooled()))
    ladder = Ladder(model, 0)
    ladder.stand(0)
    np.testing.assert_array_equal(run(ladder.model), run(model))


@pytest.mark.parametrize("copy", [in_float64, lambda model: Ladder(model, 0)])
@pytest.mark.parametrize(
    ("layer", "told"),
    [
        (
            lambda: layers.Lambda(lambda x: x * 2.0, name="twofold"),
            r"'odd' cannot be made again from its configuration: the layer 'twofold' is a Lambda "
            "around a Python lambda. Expected a function with a name in its place, or a layer of",
        ),
        (
            lambda: Untold(1, name="untold"),
            "'odd' cannot be made again from its configuration: NotImplementedError: .*Untold.*"
            r"Expected every layer to have a get_config\(\) of which its from_config\(\) makes",
        ),
    ],
)
def test_what_cannot_be_made_again_is_told(copy, layer, told):
    model = functional(layer(), *pooled())
    model.name = "odd"
    before = held(model), random.getstate(), keras.config.dtype_policy()
    with pytest.raises(ModelError, match=told):
        copy(model)
    assert not differing(before[0], held(model))
    assert (random.getstate(), keras.config.dtype_policy()) == before[1:]


class Nameless(layers.Layer):
    """Does not tell its name: Keras finds no `name`, and no `kwargs` of that name."""

    def __init__(self, **options):
        super().__init__(**options)

    def call(self, x):
        return x


def test_layers_keep_names_that_they_do_not_tell():
    model = learn(functional(Nameless(), layers.Conv2D(4, 3, name="conv"), Nameless(), *pooled()))
    ladder = Ladder(model, 0)
    assert list(held(ladder.model)) == list(held(model))
    ladder.stand(0)
    assert not differing(held(model), held(ladder.model))


class Demanding(layers.Layer):
    """Cannot be called with what it tells of itself."""

    def __init__(self):
        super().__init__()

    def call(self, x):
        return x


def test_the_reason_is_the_last_that_keras_met():
    with pytest.raises(ModelError, match=r"TypeError: Demanding.__init__.. got an unexpected keyw"):
        Ladder(functional(Demanding(), *pooled()), 0)


class Forgetful(layers.Dense):
    """Comes out with other weights than it had."""

    def get_config(self):
        return {**super().get_config(), "units": self.units + 1}


def test_layers_that_come_out_as_others_are_named():
    with pytest.raises(ModelError, match="'forgetful' come out as others"):
        Ladder(functional(layers.GlobalMaxPooling2D(), Forgetful(4, name="forgetful")), 0)


def test_a_layer_that_keeps_to_float32_is_named():
    with pytest.raises(ModelError, match="cannot be made in float64: stiff would still be narrow"):
        in_float64(functional(Narrow(name="stiff"), *pooled()))


def test_where_there_is_no_copy_the_rest_is_measured(registry, monkeypatch):
    """And it is tried once, not for every map."""
    tried = []
    make = Study.ladder

    def counted(self, seed=0):
        tried.append(seed)
        return make(self, seed)

    monkeypatch.setattr(Study, "ladder", counted)
    model = learn(functional(layers.Lambda(lambda x: x * 2.0), *pooled()))
    study = Study(model, preprocess="unit", registry=registry)
    picture = np.random.default_rng(3).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    found = study.evaluate(
        [picture, 255 - picture], "saliency", [CascadingRandomisation(), Deletion(steps=4)]
    )
    assert {each.metric for each in found.failures} == {"cascading-randomisation"}
    # The uniform map is refused before.
    assert sum("is a Lambda around" in each.message for each in found.failures) == 6
    assert len(found.values("deletion(steps=4)", "saliency")) == 2
    assert tried == [0]


ALONE = """
import sys, keras, numpy as np
from xai_core import Study, Trust
made = [keras.Input((9, 14, 3)), keras.layers.Conv2D(2, 3, name="low"), keras.layers.Flatten()]
study = Study(keras.Sequential([*made, keras.layers.Dense(2)]), preprocess="unit")
picture = np.random.default_rng(0).integers(0, 256, (9, 14, 3), dtype=np.uint8)
(each,) = study.compare(picture, "saliency", trust=Trust(600))
assert each.verdict.likeness.similarity is not None
study.in_float64()
print(sorted({name.partition(".")[0] for name in sys.modules} & {"tensorflow", "torch"}))
"""


def test_no_other_backend_is_imported():
    """Keras would import TensorFlow where it is installed: seconds, and lines on the terminal."""
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend()},
        capture_output=True,
        text=True,
        check=False,
    )
    found = [name for name in ("tensorflow", "torch") if name == keras.backend.backend()]
    assert (done.returncode, done.stdout) == (0, f"{found}\n"), done.stderr[-2000:]
