"""The logits behind a classifier's output, and the user's model as it was before."""

import json

import keras
import numpy as np
import pytest
from keras import layers, ops

from xai_core import Study
from xai_core.errors import SurgeryError
from xai_core.surgery import measure, read_graph, read_out

SHAPE = (6, 9, 3)
UNITS = 4


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(29)


@pytest.fixture
def picture():
    return np.random.default_rng(31).integers(0, 256, SHAPE, dtype=np.uint8)


@pytest.fixture
def images(picture):
    return picture[None].astype(np.float32) / np.float32(255)


def features(dtype=None):
    """An input and the vector that a head is put on."""
    inputs = keras.Input(SHAPE, dtype=dtype)
    x = layers.Conv2D(5, 3, activation="relu", name="conv")(inputs)
    return inputs, layers.GlobalAveragePooling2D(name="gap")(x)


def dense(units=UNITS, activation=None, **options):
    return layers.Dense(units, activation, bias_initializer="normal", name="dense", **options)


def read(model, images):
    """The readout, its class logits and its probabilities."""
    readout = read_out(measure(read_graph(model), SHAPE[:2], SHAPE[2]))
    graph = readout.graph
    images = ops.cast(images, graph.input_dtype)
    logits = readout.logits(graph.run({graph.input: images}, [graph.output])[graph.output])
    return readout, numpy(logits), numpy(readout.probabilities(logits))


def numpy(tensor):
    return ops.convert_to_numpy(tensor)


def without_activation(model, images):
    """The logits, from a second model: the same features, the same dense layer without
    its activation, the same weights."""
    inputs = keras.Input(SHAPE, dtype=model.inputs[0].dtype)
    old = model.get_layer("dense")
    new = layers.Dense(old.units, dtype=old.dtype_policy)
    x = model.get_layer("gap")(model.get_layer("conv")(inputs))
    plain = keras.Model(inputs, new(x))
    new.set_weights(old.get_weights())
    return numpy(ops.cast(plain(ops.cast(images, inputs.dtype), training=False), "float32"))


def fused(x):
    return dense(activation="softmax")(x)


def an_activation_layer(x):
    return layers.Activation("softmax")(dense()(x))


def a_softmax_layer(x):
    return layers.Softmax()(dense()(x))


def a_softmax_layer_called_by_keyword(x):
    return layers.Softmax()(inputs=dense()(x))


def an_operation(x):
    return ops.softmax(dense()(x))


def an_operation_called_by_keyword(x):
    return ops.softmax(x=dense()(x), axis=1)


def dropout_behind(x):
    return layers.Dropout(0.5)(layers.Softmax()(dense()(x)))


def linear_behind(x):
    # The usual end of a model in mixed precision.
    return layers.Activation("linear", dtype="float32")(dense(activation="softmax")(x))


def sigmoids(x):
    return dense(activation="sigmoid")(x)


def sigmoid_layer(x):
    return layers.Activation("sigmoid")(dense()(x))


def sigmoid_operation(x):
    return ops.sigmoid(dense()(x))


@pytest.mark.parametrize(
    ("build", "link", "is_fused"),
    [
        (fused, "softmax", True),
        (an_activation_layer, "softmax", False),
        (a_softmax_layer, "softmax", False),
        (a_softmax_layer_called_by_keyword, "softmax", False),
        (an_operation, "softmax", False),
        (an_operation_called_by_keyword, "softmax", False),
        (dropout_behind, "softmax", False),
        (linear_behind, "softmax", True),
        (sigmoids, "sigmoid", True),
        (sigmoid_layer, "sigmoid", False),
        (sigmoid_operation, "sigmoid", False),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
def test_the_last_activation_is_undone_to_the_bit(images, build, link, is_fused):
    inputs, x = features()
    model = keras.Model(inputs, build(x))
    readout, logits, probabilities = read(model, images)
    assert (readout.link, readout.binary, readout.fused) == (link, False, is_fused)
    assert readout.classes == UNITS
    np.testing.assert_array_equal(logits, without_activation(model, images))
    np.testing.assert_array_equal(probabilities, numpy(model(images, training=False)))


def test_log_softmax_is_undone_too(images):
    inputs, x = features()
    model = keras.Model(inputs, dense(activation="log_softmax")(x))
    readout, logits, probabilities = read(model, images)
    assert (readout.link, readout.fused) == ("softmax", True)
    np.testing.assert_array_equal(logits, without_activation(model, images))
    np.testing.assert_allclose(probabilities, np.exp(numpy(model(images))), rtol=1e-6)


@pytest.mark.parametrize("activation", [None, "linear"])
def test_logits_are_taken_as_they_are(images, activation):
    inputs, x = features()
    model = keras.Model(inputs, dense(activation=activation)(x))
    readout, logits, probabilities = read(model, images)
    assert (readout.link, readout.fused) == ("softmax", False)
    np.testing.assert_array_equal(logits, numpy(model(images)))
    np.testing.assert_array_equal(probabilities, numpy(ops.softmax(logits)))


def test_a_linear_activation_layer_behind_logits_is_passed(images):
    inputs, x = features()
    model = keras.Model(inputs, layers.Activation("linear", dtype="float32")(dense()(x)))
    readout, logits, _ = read(model, images)
    assert (readout.link, readout.binary) == ("softmax", False)
    np.testing.assert_array_equal(logits, numpy(model(images)))


@pytest.mark.parametrize("reshape", [layers.Flatten(), layers.Reshape((UNITS,))])
@pytest.mark.parametrize("is_fused", [True, False])
def test_a_convolution_that_classifies_is_undone(images, reshape, is_fused):
    # MobileNet: the pooled features keep their places, a convolution of 1x1 classifies.
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(5, 3, activation="relu")(inputs)
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    last = layers.Conv2D(UNITS, 1, activation="softmax" if is_fused else None, name="last")
    x = type(reshape).from_config(reshape.get_config())(last(x))
    model = keras.Model(inputs, x if is_fused else layers.Activation("softmax")(x))
    readout, logits, probabilities = read(model, images)
    assert (readout.link, readout.fused) == ("softmax", is_fused)
    pooled = numpy(keras.Model(inputs, last.input)(images))[0, 0, 0]
    kernel, bias = last.get_weights()
    np.testing.assert_allclose(logits[0], pooled @ kernel[0, 0] + bias, rtol=1e-5)
    np.testing.assert_allclose(probabilities, numpy(model(images)), rtol=1e-6)


def test_a_softmax_at_every_place_is_not_one_over_the_classes(images):
    # Its outputs are no probabilities of one distribution: shown as they are, and said.
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(2, (6, 8), activation="softmax")(inputs)
    model = keras.Model(inputs, layers.Flatten()(x))
    readout, logits, probabilities = read(model, images)
    assert (readout.link, readout.classes) == ("unknown", 4)
    np.testing.assert_array_equal(logits, numpy(model(images)))
    np.testing.assert_array_equal(probabilities, logits)


@pytest.mark.parametrize(
    ("activation", "has_layer"),
    [
        ("sigmoid", False),
        (None, True),
        (None, False),
    ],
    ids=["fused", "layer", "logit"],
)
def test_one_unit_is_two_classes(images, activation, has_layer):
    inputs, x = features()
    x = dense(1, activation)(x)
    model = keras.Model(inputs, layers.Activation("sigmoid")(x) if has_layer else x)
    readout, logits, probabilities = read(model, images)
    assert (readout.link, readout.binary, readout.classes) == ("sigmoid", True, 2)
    z = without_activation(model, images)[0, 0]
    np.testing.assert_array_equal(logits, [[-z, z]])
    p = 1 / (1 + np.exp(-np.float64(z)))
    np.testing.assert_allclose(probabilities, [[1 - p, p]], rtol=1e-6)
    assert probabilities.sum() == pytest.approx(1, abs=1e-7)


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis -1 of a tensor of shape")
def test_a_softmax_over_one_unit_is_one_class(images):
    inputs, x = features()
    model = keras.Model(inputs, dense(1, "softmax")(x))
    readout, logits, probabilities = read(model, images)
    assert (readout.link, readout.binary, readout.classes) == ("softmax", False, 1)
    np.testing.assert_array_equal(logits, without_activation(model, images))
    assert probabilities.tolist() == [[1.0]]


@pytest.mark.parametrize("activation", ["tanh", "relu", "softplus"])
def test_an_activation_that_is_no_link_is_explained_as_it_is(images, activation):
    inputs, x = features()
    model = keras.Model(inputs, dense(activation=activation)(x))
    readout, logits, probabilities = read(model, images)
    assert (readout.link, readout.binary, readout.fused) == ("unknown", False, False)
    np.testing.assert_array_equal(logits, numpy(model(images)))
    np.testing.assert_array_equal(probabilities, logits)


def test_a_single_tanh_is_one_class(images):
    inputs, x = features()
    readout, _, _ = read(keras.Model(inputs, dense(1, "tanh")(x)), images)
    assert (readout.link, readout.binary, readout.classes) == ("unknown", False, 1)


def test_what_follows_a_softmax_hides_it(images):
    inputs, x = features()
    model = keras.Model(inputs, ops.clip(dense(activation="softmax")(x), 0.1, 0.9))
    readout, logits, _ = read(model, images)
    assert readout.link == "unknown"
    np.testing.assert_array_equal(logits, numpy(model(images)))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("head", ["float32", "half"])
def test_mixed_precision(images, policy, head):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        inputs, x = features()
        options = {"dtype": "float32"} if head == "float32" else {}
        model = keras.Model(inputs, dense(activation="softmax", **options)(x))
    finally:
        keras.config.set_dtype_policy(before)
    readout, logits, probabilities = read(model, images)
    assert (readout.link, readout.fused) == ("softmax", True)
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(logits, without_activation(model, images))
    # The model's own softmax in half precision rounds what ours does not.
    tolerance = {"float32": 1e-7, "half": 2**-8}[head]
    model_says = numpy(ops.cast(model(images), "float32"))
    np.testing.assert_allclose(probabilities, model_says, atol=tolerance)


def test_float64_stays_float64(images):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        inputs, x = features()
        model = keras.Model(inputs, dense(activation="softmax")(x))
    finally:
        keras.config.set_dtype_policy(before)
    _, logits, probabilities = read(model, images)
    assert logits.dtype == probabilities.dtype == np.float64


def test_a_nested_head_is_undone(images):
    # Sequential([backbone, Sequential([gap, softmax])])
    inputs = keras.Input(SHAPE)
    x = layers.Conv2D(5, 3, activation="relu", name="conv")(inputs)
    top = keras.Sequential([layers.GlobalAveragePooling2D(), dense(activation="softmax")])
    model = keras.Model(inputs, top(x))
    readout, logits, probabilities = read(model, images)
    assert (readout.link, readout.fused) == ("softmax", True)
    gap, last = top.layers
    kernel, bias = last.get_weights()
    pooled = numpy(gap(model.get_layer("conv")(images)))
    np.testing.assert_allclose(logits, pooled @ kernel + bias, rtol=1e-5)
    np.testing.assert_array_equal(probabilities, numpy(model(images)))


# --- outputs that are no classes


def test_an_answer_at_every_place_is_refused():
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, layers.Conv2D(2, 1, activation="softmax")(inputs), name="segments")
    with pytest.raises(SurgeryError) as caught:
        read_out(read_graph(model))
    assert str(caught.value) == (
        "the output of 'segments' has shape (None, 6, 9, 2); expected a Functional or Sequential "
        "model that is built, with one image input and one output of shape (batch, classes). For "
        "a model that answers at every place of the picture, add a GlobalAveragePooling2D."
    )


def test_a_model_that_returns_its_input_is_refused():
    inputs = keras.Input((5,))
    with pytest.raises(SurgeryError, match="'same' returns its input; expected a Functional"):
        read_out(read_graph(keras.Model(inputs, inputs, name="same")))


# --- the user's model afterwards


def hooked():
    """A model whose head holds its own `call`, as a removed hook leaves it."""
    inputs = keras.Input((6, 8, 3))
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu", name="conv")(inputs))
    model = keras.Model(inputs, layers.Dense(UNITS, activation="softmax", name="head")(x))
    for name in ("conv", "head"):
        layer = model.get_layer(name)
        layer.call = layer.call
    return model


def test_what_a_removed_hook_leaves_in_a_layer_does_not_undo_the_stand_in(registry):
    model = hooked()
    study = Study(model, preprocess="unit", registry=registry)
    picture = np.random.default_rng(3).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    one = study.explain(picture, "guided-backprop", target=1)
    probability = numpy(model(picture[None] / 255))[0, 1]
    assert one.probability == pytest.approx(probability, rel=1e-5)
    assert abs(one.score - one.probability) > 0.01
    for layer in model.layers[1:]:
        vars(layer).pop("call", None)
    clean = Study(model, preprocess="unit", registry=registry)
    expected = clean.explain(picture, "guided-backprop", target=1)
    np.testing.assert_array_equal(one.map, expected.map)
    assert one.score == expected.score
    plain = clean.explain(picture, "gradient-x-input", target=1)
    assert np.abs(plain.map - one.map * picture.mean(axis=-1) / 255).max() > 1e-3


def test_a_hook_that_is_still_there_is_refused(registry):
    model = hooked()
    head = model.get_layer("head")
    before = type(head).call
    head.call = lambda *args, **kwargs: before(head, *args, **kwargs)
    with pytest.raises(SurgeryError, match="layer 'head' has a `call` of its own"):
        Study(model, preprocess="unit", registry=registry)


def whole_model():
    """Nested, batch normalised, regularised, augmented, partly frozen, its softmax fused."""
    inner_inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(5, 3, activity_regularizer="l2", name="conv")(inner_inputs)
    x = layers.Activation("relu", name="act")(layers.BatchNormalization(name="norm")(x))
    backbone = keras.Model(inner_inputs, x, name="backbone")
    backbone.get_layer("conv").trainable = False
    inputs = keras.Input(SHAPE)
    x = layers.RandomFlip(name="flip")(inputs)
    x = backbone(layers.Rescaling(1 / 255, name="rescale")(x))
    x = layers.Dropout(0.5, name="drop")(layers.GlobalAveragePooling2D(name="gap")(x))
    return keras.Model(inputs, dense(activation="softmax")(x), name="whole")


def every_layer(model):
    return list(model._flatten_layers())


def snapshot(model, images):
    """All that a user can see of a model, and what Keras keeps of its calls."""
    seen = every_layer(model)
    return {
        "weights": [numpy(each.value).tobytes() for each in model.variables],
        "config": json.dumps(model.get_config(), sort_keys=True, default=str),
        "outputs": numpy(model(images, training=False)).tobytes(),
        "trainable": [(each.path, each.trainable) for each in model.variables]
        + [(layer.name, layer.trainable) for layer in seen],
        "layers": [id(layer) for layer in seen],
        "nodes": [(len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in seen],
        "symbolic": [(id(layer.input), id(layer.output)) for layer in model.layers],
        "attributes": [
            {name: id(value) for name, value in vars(layer).items() if name in KEPT}
            for layer in seen
        ],
        "names": [sorted(set(vars(layer)) - BY_CALLING) for layer in seen],
    }


KEPT = {"activation", "call", "_kernel", "kernel", "bias", "gamma", "_dtype_policy", "build"}
BY_CALLING = {"_called"}


def test_the_users_model_is_unchanged_afterwards(picture, images, registry):
    model = whole_model()
    before = snapshot(model, images)
    for score in ("logit", "probability"):
        study = Study(model, score=score, registry=registry)
        comparison = study.compare(picture, targets=[0, 3])
        assert not comparison.failures
        study.layers()
        study.predict(picture)
    losses = [numpy(loss) for loss in model.losses]  # none from inside a compiled program
    assert losses == []
    after = snapshot(model, images)
    for what, value in before.items():
        assert after[what] == value, what
    assert model.get_layer("dense").activation is keras.activations.softmax


def test_the_users_model_can_be_trained_and_cut_afterwards(picture, images, registry):
    model = whole_model()
    Study(model, registry=registry).compare(picture)
    again = keras.Model(model.input, model.get_layer("gap").output)
    assert again(images).shape == (1, 5)
    model.compile("sgd", "sparse_categorical_crossentropy")
    history = model.fit(images, np.zeros((1,)), epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


def test_the_stand_in_reads_the_weights_of_now(images):
    inputs, x = features()
    model = keras.Model(inputs, dense(activation="softmax")(x))
    readout = read_out(read_graph(model))
    graph = readout.graph
    model.get_layer("dense").bias.assign([1.0, 2.0, 3.0, 4.0])
    model.get_layer("dense").kernel.assign(np.zeros((5, UNITS)))
    found = graph.run({graph.input: ops.convert_to_tensor(images)}, [graph.output])[graph.output]
    assert numpy(found).tolist() == [[1.0, 2.0, 3.0, 4.0]]
