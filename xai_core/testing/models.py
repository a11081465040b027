"""Models small enough that what a method makes of them can be worked out on paper.

All have fixed weights and float64 layers unless they are there for another dtype, so that laws
can be held to rounding, and pictures that are not square.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import layers, ops

from xai_core.typing import Tensor

Build: TypeAlias = Callable[[], keras.Model]

SIZE = (12, 20)
"""Height and width of most of the pictures."""
FEATURES = "features"
"""The name of the layer before the pooling, where there is one."""
HEAD = "head"
"""The name of the last layer, a dense one."""

_F64 = MappingProxyType({"dtype": "float64"})


def gap_dense(
    activation: str = "relu", dtype: str = "float64", classes: int = 4, seed: int = 1
) -> keras.Model:
    """Two convolutions with their activation as an argument, global average pooling, softmax."""
    inputs = keras.Input((*SIZE, 3), dtype=dtype)
    x = layers.Conv2D(5, 3, activation=activation, dtype=dtype)(inputs)
    x = layers.Conv2D(6, 3, strides=2, activation=activation, name=FEATURES, dtype=dtype)(x)
    x = layers.GlobalAveragePooling2D(dtype=dtype)(x)
    x = layers.Dense(classes, "softmax", name=HEAD, dtype=dtype)(x)
    return _filled(keras.Model(inputs, x, name="gap-dense"), seed)


def flatten_dense(seed: int = 2) -> keras.Model:
    """A ReLU layer behind the convolution; behind a Flatten, a hidden layer and the logits."""
    inputs = keras.Input((*SIZE, 3), **_F64)
    x = layers.Conv2D(5, 3, strides=2, **_F64)(inputs)
    x = layers.ReLU(**_F64)(x)
    x = layers.Flatten(**_F64)(x)
    x = layers.Dense(8, "relu", **_F64)(x)
    x = layers.Dense(4, name=HEAD, **_F64)(x)
    return _filled(keras.Model(inputs, x, name="flatten-dense"), seed)


def residual(seed: int = 3) -> keras.Model:
    """A branch that is added to what goes around it, and ReLU as an operation."""
    inputs = keras.Input((*SIZE, 3), **_F64)
    x = ops.relu(layers.Conv2D(5, 3, strides=2, padding="same", **_F64)(inputs))
    branch = ops.relu(layers.Conv2D(5, 3, padding="same", **_F64)(x))
    branch = layers.Conv2D(5, 3, padding="same", **_F64)(branch)
    x = ops.relu(layers.Add(**_F64)([x, branch]))
    x = layers.GlobalAveragePooling2D(**_F64)(x)
    x = layers.Dense(4, "softmax", name=HEAD, **_F64)(x)
    return _filled(keras.Model(inputs, x, name="residual"), seed)


def nested(seed: int = 4) -> keras.Model:
    """A backbone that is a model of its own, with a normalisation and a new head: a fine-tune."""
    inner = keras.Input((*SIZE, 3), **_F64)
    x = layers.Conv2D(5, 3, strides=2, use_bias=False, **_F64)(inner)
    x = layers.BatchNormalization(**_F64)(x)
    x = layers.Activation("relu", **_F64)(x)
    backbone = keras.Model(inner, x, name="backbone")
    inputs = keras.Input((*SIZE, 3), **_F64)
    x = layers.GlobalAveragePooling2D(**_F64)(backbone(inputs))
    x = layers.Dense(3, "softmax", name=HEAD, **_F64)(x)
    return _filled(keras.Model(inputs, x, name="nested"), seed)


def linear(seed: int = 5) -> keras.Model:
    """A convolution and a dense layer, and no rectifier."""
    inputs = keras.Input((*SIZE, 3), **_F64)
    x = layers.Conv2D(4, 3, strides=2, **_F64)(inputs)
    x = layers.Dense(4, name=HEAD, **_F64)(layers.Flatten(**_F64)(x))
    return _filled(keras.Model(inputs, x, name="linear"), seed)


def grey(seed: int = 6) -> keras.Model:
    """One channel, upright pictures, ReLU6, and one sigmoid unit for two classes."""
    inputs = keras.Input((18, 14, 1), **_F64)
    x = layers.Conv2D(5, 3, activation="relu6", **_F64)(inputs)
    x = layers.MaxPooling2D(**_F64)(x)
    x = layers.Conv2D(6, 3, activation="relu6", **_F64)(x)
    x = layers.GlobalAveragePooling2D(**_F64)(x)
    x = layers.Dense(1, "sigmoid", name=HEAD, **_F64)(x)
    return _filled(keras.Model(inputs, x, name="grey"), seed)


def smooth(seed: int = 7) -> keras.Model:
    """Softplus throughout, so that every derivative exists and quadrature is exact."""
    inputs = keras.Input((*SIZE, 3), **_F64)
    x = layers.Conv2D(5, 3, strides=2, activation="softplus", **_F64)(inputs)
    x = layers.Dense(6, "softplus", **_F64)(layers.Flatten(**_F64)(x))
    x = layers.Dense(4, "softmax", name=HEAD, **_F64)(x)
    return _filled(keras.Model(inputs, x, name="smooth"), seed)


def shiftable(seed: int = 8) -> keras.Model:
    """Without biases, and with padding: a thing on black is seen alike wherever it is."""
    inputs = keras.Input((24, 32, 3), **_F64)
    options: dict[str, Any] = {"padding": "same", "use_bias": False, "activation": "relu", **_F64}
    x = layers.Conv2D(5, 3, **options)(inputs)
    x = layers.Conv2D(6, 3, strides=2, name=FEATURES, **options)(x)
    x = layers.GlobalAveragePooling2D(**_F64)(x)
    x = layers.Dense(4, "softmax", name=HEAD, **_F64)(x)
    return _filled(keras.Model(inputs, x, name="shiftable"), seed)


def constant() -> keras.Model:
    """`flatten_dense` with a head that does not look: the score is its bias."""
    return _with_head(flatten_dense(), lambda kernel, bias: (0 * kernel, bias))


def doubled() -> keras.Model:
    """`flatten_dense` with twice the score."""
    return _with_head(flatten_dense(), lambda kernel, bias: (2 * kernel, 2 * bias))


RELABELLED = (2, 0, 3, 1)
"""Which class of `flatten_dense` each class of `relabelled` is."""


def relabelled() -> keras.Model:
    """`flatten_dense` with its classes in another order."""
    order = list(RELABELLED)
    return _with_head(flatten_dense(), lambda kernel, bias: (kernel[:, order], bias[order]))


def even() -> keras.Model:
    """Signed activations, and a head to which all channels are alike."""
    return _with_head(
        gap_dense("tanh", seed=11), lambda kernel, bias: (np.full_like(kernel, 0.7), bias)
    )


def one_rectifier(rectifier: Callable[[Tensor], Tensor]) -> keras.Model:
    """A kernel of one pixel, one rectifier, and a dense layer: three steps back by hand."""
    inputs = keras.Input((*SIZE, 3), **_F64)
    x = layers.Conv2D(4, 1, name=FEATURES, **_F64)(inputs)
    x = layers.Flatten(**_F64)(rectifier(x))
    x = layers.Dense(3, name=HEAD, **_F64)(x)
    return _filled(keras.Model(inputs, x, name="one-rectifier"), seed=10)


def _as_an_argument() -> keras.Model:
    inputs = keras.Input((*SIZE, 3), **_F64)
    x = layers.Conv2D(4, 1, activation="relu", name=FEATURES, **_F64)(inputs)
    x = layers.Dense(3, name=HEAD, **_F64)(layers.Flatten(**_F64)(x))
    return _filled(keras.Model(inputs, x, name="one-rectifier"), seed=10)


def _nested_relu(x: Tensor) -> Tensor:
    inner = keras.Input(x.shape[1:], **_F64)
    return keras.Model(inner, layers.ReLU(**_F64)(inner), name="inner")(x)


ONE_RECTIFIER: Mapping[str, Build] = MappingProxyType(
    {
        "relu-layer": lambda: one_rectifier(layers.ReLU(**_F64)),
        "relu-argument": _as_an_argument,
        "relu-operation": lambda: one_rectifier(ops.relu),
        "relu6": lambda: one_rectifier(layers.ReLU(6.0, **_F64)),
        "relu-nested": lambda: one_rectifier(_nested_relu),
    }
)
"""The same model, by how its rectifier is written."""

EVERYDAY: Mapping[str, Build] = MappingProxyType(
    {
        "gap-dense": gap_dense,
        "flatten-dense": flatten_dense,
        "residual": residual,
        "nested": nested,
        "linear": linear,
        "grey": grey,
        "float32": lambda: gap_dense(dtype="float32"),
    }
)
"""What a method meets with in use: it must run on each of them."""

TINY_MODELS: Mapping[str, Build] = MappingProxyType(
    {
        **EVERYDAY,
        "smooth": smooth,
        "shiftable": shiftable,
        "constant": constant,
        "doubled": doubled,
        "relabelled": relabelled,
        "even": even,
        **ONE_RECTIFIER,
    }
)
"""All of them, by name; each call builds a new one, with the same weights."""


@contextmanager
def same_chance() -> Iterator[None]:
    """Leave the global random states as they were: Keras takes its initializers' seeds there."""
    ours, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002 - not drawn from
    try:
        yield
    finally:
        random.setstate(ours)
        np.random.set_state(numpys)  # noqa: NPY002 - put back


def _filled(model: keras.Model, seed: int) -> keras.Model:
    """Kernels that keep the signal alive, and biases that are not 0."""
    generator = np.random.default_rng(seed)
    for weight in model.trainable_weights:
        drawn = generator.normal(size=weight.shape)
        is_kernel = len(weight.shape) > 1
        fan_in = np.prod(weight.shape[:-1])
        weight.assign(drawn * np.sqrt(2 / fan_in) if is_kernel else drawn / 10 + _middle(weight))
    return model


def _middle(weight: Any) -> float:
    return 1.0 if weight.name == "gamma" else 0.0


def _with_head(model: keras.Model, change: Callable[..., tuple[Any, Any]]) -> keras.Model:
    head = model.get_layer(HEAD)
    head.set_weights(change(*head.get_weights()))
    return model
