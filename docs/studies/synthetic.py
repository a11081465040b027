"""Objects pasted on textures, and a small network that tells their patterns apart.

The class is the pattern that an object is painted with. Its shape, place and size, and everything
outside it, are drawn without regard to the class: the pixels outside say nothing of the class,
whatever the network may have made of them. So the object is where evidence can be, exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

PATTERNS = ("upright", "level", "checks", "dots")
SIZE = (48, 64)
_LEAST, _MOST = 10, 15
"""Half the side of an object, in pixels."""


@dataclass(frozen=True, eq=False)
class Scenes:
    """Pictures of one object each."""

    pictures: np.ndarray
    """uint8 (N, 48, 64, 3), RGB."""
    classes: np.ndarray
    """int (N,), places in `PATTERNS`."""
    masks: np.ndarray
    """bool (N, 48, 64): the pixels of the object."""


def draw(count: int, seed: int) -> Scenes:
    """Draw some scenes: as many of each class as of any other, in a random order."""
    generator = np.random.default_rng(seed)
    classes = generator.permutation(np.arange(count) % len(PATTERNS))
    made = [_scene(PATTERNS[each], generator) for each in classes]
    pictures, masks = (np.stack(each) for each in zip(*made, strict=True))
    return Scenes(pictures, classes, masks)


def _scene(pattern: str, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A picture and its mask; whatever the pattern, as much is drawn in the same order."""
    mask, ground = _object(generator), _clouds(generator)
    paint = _paint(pattern, generator) + generator.normal(0, 8, (*SIZE, 3))
    picture = np.where(mask[..., None], paint, ground)
    return np.rint(np.clip(picture, 0, 255)).astype(np.uint8), mask


def _clouds(generator: np.random.Generator) -> np.ndarray:
    """Gratings of many lengths and noise about a colour, (48, 64, 3)."""
    rows, columns = np.indices(SIZE)
    made = np.broadcast_to(generator.uniform(60, 195, 3), (*SIZE, 3)).copy()
    for _ in range(6):
        angle, phase = generator.uniform(0, 2 * np.pi, 2)
        way = (rows * np.sin(angle) + columns * np.cos(angle)) / generator.uniform(9, 40)
        made += np.sin(2 * np.pi * way + phase)[..., None] * generator.uniform(-18, 18, 3)
    return made + generator.normal(0, 8, made.shape)


def _paint(pattern: str, generator: np.random.Generator) -> np.ndarray:
    """A pattern in two colours, shifted at random, (48, 64, 3)."""
    shift = np.reshape(generator.uniform(0, 8, 2), (2, 1, 1))
    y, x = (np.indices(SIZE) + shift) * 2 * np.pi / generator.uniform(4.5, 6)
    wave = {
        "upright": np.sin(x),
        "level": np.sin(y),
        "checks": np.sin(y) * np.sin(x) * 2,
        "dots": (np.cos(y) + np.cos(x) - 0.7) * 1.2,
    }[pattern]
    one = generator.uniform(40, 215, 3)
    way = generator.choice((-1, 1)) + generator.normal(0, 0.4, 3)
    other = one + 130 * way / np.linalg.norm(way)
    share = 1 / (1 + np.exp(-4 * wave))[..., None]
    return one * share + other * (1 - share)


def _object(generator: np.random.Generator) -> np.ndarray:
    """Where an object is: of any shape and at any place, all of it in the picture."""
    half = generator.uniform(_LEAST, _MOST)
    reach = half * 1.25
    centre = [generator.uniform(reach, side - 1 - reach) for side in SIZE]
    y, x = (each / half for each in _turned(generator.uniform(0, 2 * np.pi), centre))
    shapes = (
        np.hypot(y, x) <= 1,
        np.maximum(np.abs(y), np.abs(x)) <= 0.886,
        (y <= 0.7) & (np.abs(x) <= (y + 1.25) * 0.577),
        np.minimum(np.abs(y), np.abs(x)) <= 0.5,
    )
    return shapes[generator.integers(len(shapes))] & (np.hypot(y, x) <= 1.25)


def _turned(angle: float, origin: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """How far each pixel is from a place, along two axes that are turned, (48, 64) each."""
    down, across = np.indices(SIZE) - np.reshape(origin, (2, 1, 1))
    turn, rise = np.cos(angle), np.sin(angle)
    return down * turn - across * rise, down * rise + across * turn


def network(seed: int) -> keras.Model:
    """Convolutions down to 12 x 16 places, the mean over them, and a softmax over the patterns."""
    keras.utils.set_random_seed(seed)
    inputs = made = keras.Input((*SIZE, 3), name="picture")
    made = layers.Rescaling(1 / 64, -2, name="rescale")(made)
    for number, (channels, stride) in enumerate(((16, 1), (32, 2), (48, 1), (64, 2)), 1):
        made = layers.Conv2D(
            channels, 3, strides=stride, padding="same", use_bias=False, name=f"conv{number}"
        )(made)
        made = layers.BatchNormalization(momentum=0.9, name=f"norm{number}")(made)
        made = layers.ReLU(name=f"relu{number}")(made)
    made = layers.GlobalAveragePooling2D(name="mean")(made)
    return keras.Model(
        inputs, layers.Dense(len(PATTERNS), "softmax", name="patterns")(made), name="patterns"
    )


def train(seed: int = 0, *, scenes: int = 2048, epochs: int = 8) -> tuple[keras.Model, float]:
    """A trained network, and the share of 1,000 new scenes that it gets right."""
    model = network(seed)
    taught, asked = draw(scenes, seed + 1), draw(1000, seed + 2)
    steps = epochs * scenes // 64
    rate = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    adam = keras.optimizers.Adam(rate)
    model.compile(adam, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(taught.pictures, taught.classes, batch_size=64, epochs=epochs, verbose=0)
    _, right = model.evaluate(asked.pictures, asked.classes, batch_size=250, verbose=0)
    return model, float(right)
