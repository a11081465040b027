"""A model read as a flat graph computes what the model computes, and does not touch it."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from xai_core.errors import LayerError, SurgeryError
from xai_core.surgery import read_graph

SHAPE = (7, 10, 3)


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(11)


def conv(filters=4, kernel=3, **options):
    return layers.Conv2D(filters, kernel, padding="same", **options)


def head(x, **options):
    return layers.Dense(5, **options)(layers.GlobalAveragePooling2D()(x))


def randomize(model):
    """Weights that are all different, batch statistics included."""
    rng = np.random.default_rng(17)
    for variable in model.variables:
        if "float" in variable.dtype:
            variable.assign(rng.uniform(0.1, 1.0, variable.shape) * rng.choice([1, 1, -1]))
    for variable in model.variables:
        if variable.name == "moving_variance":
            variable.assign(rng.uniform(0.5, 2.0, variable.shape))
    return model


def run(model, images):
    graph = read_graph(model)
    images = ops.cast(images, graph.input_dtype)
    return graph.run({graph.input: images}, [graph.output])[graph.output]


def images_for(model, count=2):
    rng = np.random.default_rng(23)
    (source,) = model.inputs
    shape = [size or fallback for size, fallback in zip(source.shape[1:], SHAPE, strict=True)]
    return rng.uniform(0, 1, (count, *shape))


def sequential():
    return keras.Sequential(
        [keras.Input(SHAPE), conv(activation="relu"), layers.MaxPooling2D(), layers.Flatten(),
         layers.Dropout(0.5), layers.Dense(5, activation="softmax")]
    )  # fmt: skip


def sequential_built_by_its_first_call():
    model = keras.Sequential([conv(activation="relu"), layers.Flatten(), layers.Dense(5)])
    model(np.zeros((1, *SHAPE), np.float32))
    return model


def functional():
    inputs = keras.Input(SHAPE)
    x = layers.BatchNormalization()(conv(use_bias=False)(inputs))
    return keras.Model(inputs, head(layers.ReLU()(x), activation="softmax"))


def residual():
    inputs = keras.Input(SHAPE)
    x = conv(6, activation="relu")(inputs)
    shortcut = layers.Conv2D(8, 1, strides=2)(x)
    x = layers.BatchNormalization()(conv(8, strides=2)(x))
    x = layers.ReLU()(layers.Add()([shortcut, x]))
    return keras.Model(inputs, head(x))


def backbone(name="backbone"):
    inputs = keras.Input((None, None, 3))
    x = layers.BatchNormalization()(conv(4)(inputs))
    return keras.Model(inputs, layers.ReLU(name="last")(x), name=name)


def nested_once():
    inputs = keras.Input(SHAPE)
    x = backbone()(layers.Rescaling(2.0, -1.0)(inputs), training=False)
    return keras.Model(inputs, head(x, activation="softmax"))


def nested_twice():
    inputs = keras.Input((None, None, 3))
    middle = keras.Model(inputs, conv(3)(backbone("inner")(inputs)), name="outer")
    return keras.Sequential([keras.Input(SHAPE), middle, layers.Flatten(), layers.Dense(5)])


def nested_sequential_in_functional():
    inputs = keras.Input(SHAPE)
    stem = keras.Sequential([conv(activation="relu"), keras.Sequential([conv(3)])])
    return keras.Model(inputs, head(stem(inputs)))


def one_model_called_twice():
    inputs = keras.Input(SHAPE)
    inner = backbone()
    x = layers.Conv2D(3, 1)(inner(inputs))
    return keras.Model(inputs, head(layers.Add()([inner(x), inner(inputs)])))


def one_layer_called_twice():
    inputs = keras.Input(SHAPE)
    shared = conv(3, activation="tanh")
    return keras.Model(inputs, head(shared(shared(inputs))))


def lists_of_one():
    inputs = keras.Input(SHAPE)
    return keras.Model([inputs], [head(conv()(inputs))])


def dictionaries_of_one():
    inputs = keras.Input(SHAPE, name="image")
    return keras.Model({"image": inputs}, {"classes": head(conv()(inputs))})


def keras_operations():
    inputs = keras.Input(SHAPE)
    x = conv()(inputs / 255.0 - 0.5)
    x = ops.relu(x + conv(4, 1)(inputs)) * 2.0
    x = ops.concatenate([x, -x], axis=-1)[:, 1:, ::2]
    return keras.Model(inputs, ops.softmax(head(x)))


def layers_of_several_inputs():
    inputs = keras.Input(SHAPE)
    a, b = conv()(inputs), conv()(inputs)
    x = layers.Concatenate()([a, layers.Multiply()([a, b]), layers.Maximum()([b, a, a])])
    return keras.Model(inputs, head(x))


def a_layer_with_several_outputs():
    inputs = keras.Input(SHAPE)
    first, second = ops.split(conv(6)(inputs), 2, axis=-1)
    return keras.Model(inputs, head(first - 2 * second))


def a_model_with_several_outputs_inside():
    inputs = keras.Input(SHAPE)
    a = conv()(inputs)
    inner = keras.Model(inputs, {"b": a, "a": conv()(a)}, name="inner")
    found = inner(layers.Rescaling(0.5)(inputs))
    return keras.Model(inputs, head(found["a"] - 3 * found["b"]))


def a_model_of_two_inputs_given_a_dictionary():
    # Keras matches them by name: `b` is the first input, and the second in the alphabet.
    first, second = keras.Input(SHAPE, name="b"), keras.Input(SHAPE, name="a")
    inner = keras.Model([first, second], layers.Subtract()([first, second]), name="inner")
    inputs = keras.Input(SHAPE)
    x = inner({"b": conv(3)(inputs), "a": conv(3, activation="relu")(inputs)})
    return keras.Model(inputs, head(x))


def a_model_of_a_dictionary_given_a_dictionary():
    first, second = keras.Input(SHAPE, name="b"), keras.Input(SHAPE, name="a")
    x = layers.Subtract()([first, second])
    inner = keras.Model({"b": first, "a": second}, x, name="inner")
    inputs = keras.Input(SHAPE)
    x = inner({"b": conv(3)(inputs), "a": conv(3, activation="relu")(inputs)})
    return keras.Model(inputs, head(x))


def a_model_of_two_inputs_given_a_list():
    first, second = keras.Input(SHAPE, name="b"), keras.Input(SHAPE, name="a")
    inner = keras.Model([first, second], layers.Subtract()([first, second]), name="inner")
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, head(inner([conv(3)(inputs), conv(3, activation="relu")(inputs)])))


def augmentation():
    inputs = keras.Input(SHAPE)
    augment = keras.Sequential(
        [layers.RandomFlip(), layers.RandomRotation(0.2), layers.RandomContrast(0.5),
         layers.GaussianNoise(0.5)]
    )  # fmt: skip
    x = layers.Dropout(0.5)(conv(activation="relu")(layers.Rescaling(0.5)(augment(inputs))))
    return keras.Model(inputs, head(layers.SpatialDropout2D(0.5)(x)))


@keras.saving.register_keras_serializable("xai-core-tests")
class Augments(layers.Layer):
    """A layer whose `call` knows nothing of training, around one whose does."""

    def __init__(self, **options):
        super().__init__(**options)
        self.flip = layers.RandomFlip()

    def call(self, inputs):
        return self.flip(inputs)


def augmentation_inside_a_layer_of_ones_own():
    inputs = keras.Input(SHAPE)
    x = conv(activation="relu")(Augments()(inputs))
    return keras.Model(inputs, layers.Dense(5)(layers.Flatten()(x)))


@keras.saving.register_keras_serializable("xai-core-tests")
class Backbone(keras.Model):
    """A subclassed model, which inside a graph is one opaque layer."""

    def __init__(self, **options):
        super().__init__(**options)
        self.conv, self.norm = conv(), layers.BatchNormalization()

    def call(self, inputs):
        return self.norm(self.conv(inputs))


def a_subclassed_model_inside():
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, head(Backbone()(inputs)))


def attention():
    inputs = keras.Input(SHAPE)
    tokens = layers.Reshape((-1, 8))(conv(8, strides=2)(inputs))
    x = layers.LayerNormalization()(tokens)
    x = tokens + layers.MultiHeadAttention(2, 4, dropout=0.5)(x, x)
    return keras.Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling1D()(x)))


def dropout_that_was_left_on():
    inputs = keras.Input(SHAPE)
    return keras.Model(inputs, head(layers.Dropout(0.5)(conv()(inputs), training=True)))


def with_policy(build, policy):
    def made():
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            return build()
        finally:
            keras.config.set_dtype_policy(before)

    made.__name__ = f"{build.__name__}_in_{policy}"
    return made


MODELS = [
    sequential,
    sequential_built_by_its_first_call,
    functional,
    residual,
    nested_once,
    nested_twice,
    nested_sequential_in_functional,
    one_model_called_twice,
    one_layer_called_twice,
    lists_of_one,
    dictionaries_of_one,
    keras_operations,
    layers_of_several_inputs,
    a_layer_with_several_outputs,
    a_model_with_several_outputs_inside,
    a_model_of_two_inputs_given_a_dictionary,
    a_model_of_a_dictionary_given_a_dictionary,
    a_model_of_two_inputs_given_a_list,
    augmentation,
    augmentation_inside_a_layer_of_ones_own,
    a_subclassed_model_inside,
    attention,
    dropout_that_was_left_on,
    *(
        with_policy(build, policy)
        for build in (residual, nested_once, attention)
        for policy in ("mixed_float16", "mixed_bfloat16", "float64")
    ),
]


def unpacked(outputs):
    (output,) = keras.tree.flatten(outputs)
    return ops.convert_to_numpy(output)


@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
def test_the_flat_graph_is_the_model_to_the_bit(build):
    model = randomize(build())
    images = images_for(model)
    given = {dictionaries_of_one: {"image": images}, lists_of_one: [images]}.get(build, images)
    expected = unpacked(model(given, training=False))
    found = ops.convert_to_numpy(run(model, images))
    assert np.ptp(expected) > 0
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_a_nested_model_of_another_precision():
    # What goes into a nested model is converted to the dtype it declares.
    half = with_policy(backbone, "mixed_float16")()
    inner = keras.Model(half.input, half.output, name="inner")
    inputs = keras.Input(SHAPE, dtype="float64")
    x = layers.Conv2D(3, 1, dtype="float64")(inputs)
    model = randomize(keras.Model(inputs, head(inner(x))))
    images = images_for(model)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(run(model, images)), unpacked(model(images, training=False))
    )
    assert "inner/input" in {step.path for step in read_graph(model).steps}


def test_paths_are_under_the_names_of_the_models_around():
    inputs = keras.Input((None, None, 3))
    middle = keras.Model(inputs, backbone("inner")(inputs), name="outer")
    model = keras.Sequential(
        [keras.Input(SHAPE), middle, layers.Flatten(name="flat"), layers.Dense(5, name="dense")]
    )
    paths = [step.path for step in read_graph(model).steps]
    assert paths[2:] == ["outer/inner/last", "flat", "dense"]
    assert all(path.startswith("outer/inner/") for path in paths[:3])


def test_a_layer_called_again_has_a_path_of_its_own():
    inputs = keras.Input(SHAPE)
    shared = conv(3, name="shared")
    graph = read_graph(keras.Model(inputs, head(shared(shared(inputs)))))
    assert [step.path for step in graph.steps][:2] == ["shared", "shared:2"]
    assert graph.step("shared:2").inputs == graph.step("shared").outputs


def test_a_name_that_occurs_in_several_models_must_be_said_in_full():
    inputs = keras.Input(SHAPE)
    x = layers.Concatenate()([backbone("left")(inputs), backbone("right")(inputs)])
    graph = read_graph(keras.Model(inputs, head(x), name="pair"))
    with pytest.raises(LayerError) as caught:
        graph.step("last")
    assert str(caught.value) == (
        "layer 'last' occurs 2 times in 'pair'; say which: left/last, right/last"
    )
    assert graph.step("right/last").path == "right/last"


def test_a_layer_is_found_by_its_own_name_inside_a_nested_model():
    inputs = keras.Input(SHAPE)
    graph = read_graph(keras.Model(inputs, head(backbone()(inputs))))
    assert graph.step("last").path == "backbone/last"


def test_as_many_layers_as_keras_can_stand_do_not_exhaust_the_stack():
    inputs = x = keras.Input((2, 3, 1))
    for _ in range(600):
        x = layers.ReLU()(x)
    assert len(read_graph(keras.Model(inputs, layers.Flatten()(x))).steps) == 601


def test_only_what_is_asked_for_is_run():
    ran = []

    class Counts(layers.Layer):
        def call(self, inputs):
            ran.append(self.name)
            return inputs

    inputs = keras.Input(SHAPE)
    x = Counts(name="a")(inputs)
    y = Counts(name="b")(x)
    model = keras.Model(inputs, Counts(name="c")(y))
    graph = read_graph(model)
    ran.clear()
    (after_a,) = graph.step("a").outputs
    (after_b,) = graph.step("b").outputs
    graph.run({after_a: ops.zeros((1, *SHAPE))}, [after_b])
    assert ran == ["b"]
    with pytest.raises(SurgeryError, match="part of the graph does not follow"):
        graph.run({after_b: ops.zeros((1, *SHAPE))}, [after_a])


# --- dominators, against brute force


def random_graph(seed):
    """A model on a random acyclic graph, and its edges by name."""
    rng = np.random.default_rng(seed)
    inputs = keras.Input((3, 4, 2), name="input")
    made = [("input", inputs)]
    edges = set()
    for number in range(rng.integers(4, 12)):
        count = min(len(made), int(rng.choice([1, 1, 1, 2, 3])))
        # Mostly what was made last, so that there are cuts at all.
        ages = np.arange(len(made), 0, -1)
        chosen = rng.choice(len(made), count, replace=False, p=0.5**ages / (0.5**ages).sum())
        before = [made[each] for each in chosen]
        name = f"node{number}"
        if count == 1:
            x = layers.Conv2D(2, 1, name=name)(before[0][1])
        else:
            x = layers.Add(name=name)([each for _, each in before])
        edges |= {(source, name) for source, _ in before}
        made.append((name, x))
    x = layers.Flatten(name="flat")(made[-1][1])
    edges |= {(made[-1][0], "flat"), ("flat", "dense")}
    return keras.Model(inputs, layers.Dense(2, name="dense")(x)), edges


def reaches(edges, removed):
    reached, grew = {"input"}, True
    while grew:
        new = {b for a, b in edges if a in reached and b != removed} - reached
        reached, grew = reached | new, bool(new)
    return "dense" in reached


@pytest.mark.parametrize("seed", range(40))
def test_a_cut_is_what_cannot_be_removed(seed):
    model, edges = random_graph(seed)
    names = {name for edge in edges for name in edge} - {"input"}
    assert reaches(edges, removed=None)
    expected = {name for name in names if not reaches(edges, removed=name)}
    assert read_graph(model).cuts == expected


def test_the_random_graphs_have_cuts_and_others():
    shares = []
    for seed in range(40):
        model, _ = random_graph(seed)
        graph = read_graph(model)
        shares.append(len(graph.cuts) / len(graph.relevant))
    assert min(shares) < 0.6
    assert sum(share < 1 for share in shares) > 15


def test_a_branch_that_does_not_depend_on_the_picture_is_no_way_around():
    inputs = keras.Input(SHAPE)
    x = conv(4, name="at")(inputs)
    constant = ops.ones((1, 1, 4))
    graph = read_graph(keras.Model(inputs, head(layers.ReLU(name="after")(x * constant))))
    assert {"at", "after"} <= graph.cuts


# --- what cannot be read


def test_a_subclassed_model_cannot_be_read():
    model = Backbone(name="mine")
    model(np.zeros((1, *SHAPE), np.float32))
    with pytest.raises(SurgeryError) as caught:
        read_graph(model)
    assert str(caught.value) == (
        "'mine' is a Backbone whose `call` is code of its own, or is not built, so its graph "
        "cannot be read; expected a Functional or Sequential model that is built, with one image "
        "input and one output of shape (batch, classes). Give a Sequential a keras.Input as its "
        "first layer; rebuild another as keras.Model(inputs, outputs), or pass the Functional "
        "model inside it."
    )


def test_a_functional_model_with_a_call_of_its_own_cannot_be_read():
    class Twice(keras.Model):
        def call(self, inputs):
            return 2 * super().call(inputs)

    inputs = keras.Input(SHAPE)
    with pytest.raises(SurgeryError, match="is a Twice whose `call` is code of its own"):
        read_graph(Twice(inputs, head(conv()(inputs))))


def test_a_functional_model_of_ones_own_class_is_read():
    class Named(keras.Model):
        pass

    inputs = keras.Input(SHAPE)
    model = Named(inputs, head(conv()(inputs)))
    images = images_for(model)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(run(model, images)), unpacked(model(images, training=False))
    )


def test_a_sequential_model_that_is_not_built_cannot_be_read():
    model = keras.Sequential([conv(), layers.Flatten()], name="unbuilt")
    with pytest.raises(SurgeryError, match=r"'unbuilt' is a Sequential .* or is not built"):
        read_graph(model)


def test_two_inputs_cannot_be_read():
    a, b = keras.Input(SHAPE), keras.Input(SHAPE)
    model = keras.Model([a, b], head(layers.Add()([a, b])), name="two")
    with pytest.raises(SurgeryError) as caught:
        read_graph(model)
    assert str(caught.value) == (
        "'two' has 2 inputs and 1 outputs; expected a Functional or Sequential model that is "
        "built, with one image input and one output of shape (batch, classes). Make one with "
        "keras.Model(model.inputs[i], model.outputs[j]) or, for more inputs, fix the others to "
        "constants."
    )


def test_two_outputs_cannot_be_read():
    inputs = keras.Input(SHAPE)
    x = conv()(inputs)
    with pytest.raises(SurgeryError, match="has 1 inputs and 2 outputs"):
        read_graph(keras.Model(inputs, [head(x), head(x)]))


# --- the user's model afterwards


def test_running_leaves_no_losses_in_the_users_layers():
    inputs = keras.Input(SHAPE)
    x = conv(activity_regularizer="l2")(inputs)
    model = keras.Model(inputs, head(x, activity_regularizer="l1"))
    run(model, images_for(model))
    assert model.losses == []


def test_running_leaves_what_layers_remember_as_it_was():
    model = randomize(augmentation())
    before = [ops.convert_to_numpy(variable.value) for variable in model.variables]
    run(model, images_for(model))
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(variable.value), value)
