"""A binary model of your own on grey pictures, as for chest X-rays: normal or opacity?

The pictures are synthetic: two dark lungs on a grey chest, half of them with a bright
spot in a lung. A small network learns to tell them apart in some seconds.
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers

import xai_core as xai
from xai_core.render import on_picture

SIDE = 64
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
random = np.random.default_rng(0)


def blob(row, column, height, width):
    """A soft spot of height 1."""
    return np.exp(-(((ROWS - row) / height) ** 2) - ((COLUMNS - column) / width) ** 2)


def chest(spot=None):
    """A picture, grey 0..255, with a bright spot at (row, column) or without."""
    lungs = blob(32, 18, 22, 11) + blob(32, 46, 22, 11)
    picture = 120 - 80 * lungs + random.normal(0, 12, (SIDE, SIDE))
    if spot is not None:
        picture += 110 * blob(*spot, 5, 5)
    return picture.clip(0, 255).astype("uint8")


def somewhere():
    """A place in one of the lungs."""
    return random.integers(16, 49), random.choice([18, 46]) + random.integers(-5, 6)


# Train on 300 pictures, every other one with a spot, and save the model.
keras.utils.set_random_seed(0)
pictures = np.stack([chest(somewhere() if number % 2 else None) for number in range(400)])
labels = (np.arange(400) % 2).astype("float32")

model = keras.Sequential(name="chest")
model.add(keras.Input((SIDE, SIDE, 1)))
model.add(layers.Rescaling(1 / 255))
for filters in (8, 16, 32):
    model.add(layers.Conv2D(filters, 3, padding="same", use_bias=False))
    model.add(layers.BatchNormalization(momentum=0.8))
    model.add(layers.ReLU())
    if filters < 32:
        model.add(layers.MaxPooling2D())
model.add(layers.GlobalAveragePooling2D())
model.add(layers.Dense(1, activation="sigmoid"))
model.compile(keras.optimizers.Adam(1e-2), "binary_crossentropy")
model.fit(pictures[:300, ..., None], labels[:300], epochs=10, verbose=0)
model.save("chest.keras")
said = model.predict(pictures[300:, ..., None], verbose=0)[:, 0] > 0.5
print(f"right on {np.mean(said == labels[300:]):.1%} of 100 pictures it has not seen")

# Explain it from its file. One sigmoid output is two classes: 0, and 1.
Path("labels.txt").write_text("normal\nopacity\n")
study = xai.Study("chest.keras", labels="labels.txt")
spot = (40, 46)
picture = chest(spot)
many = study.compare(picture, ["grad-cam", "saliency"], ["opacity", "normal"])
many.save("chest.png")
for one in many:
    print(f"{one.target}, {one.method}: p = {one.probability:.3f}, {one.focus}")

near = np.hypot(ROWS - spot[0], COLUMNS - spot[1]) < 12
heat = on_picture(many["grad-cam", "opacity"])
share = heat[near].sum() / heat.sum()
print(f"{share:.0%} of the heat lies near the spot, on {near.mean():.0%} of the picture")

# Keep the picture, for the command line.
keras.utils.save_img("chest_x_ray.png", picture[..., None], scale=False)
