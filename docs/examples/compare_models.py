"""Several models on one picture: the installed one, a fine-tune of it, and a random one."""

import keras
import numpy as np

import xai_core as xai
import xai_core.demo
from xai_core.images import display_pixels

keras.utils.set_random_seed(0)
random = np.random.default_rng(0)

# A fine-tune as everybody makes it: a trained backbone inside a new model, and a new head.
embedded = xai.Study("efficientnet-lite0")
whole = embedded.model
backbone = keras.Model(whole.input, whole.get_layer("top_activation").output, name="backbone")
backbone.trainable = False

inputs = keras.Input((224, 224, 3))
features = keras.layers.GlobalAveragePooling2D()(backbone(inputs, training=False))
outputs = keras.layers.Dense(2, activation="softmax")(features)
fine_tune = keras.Model(inputs, outputs, name="cat_or_cup")

# Train the head on crops of the two photographs, and save the model.
crops, labels = [], []
for label, picture in enumerate((xai_core.demo.cat(), xai_core.demo.coffee())):
    pixels = display_pixels(picture)
    for _ in range(12):
        top = random.integers(0, pixels.shape[0] - 223)
        left = random.integers(0, pixels.shape[1] - 223)
        crops.append(pixels[top : top + 224, left : left + 224])
        labels.append(label)
pooled = keras.Model(inputs, features).predict(np.stack(crops).astype("float32"), verbose=0)
head = keras.Sequential([keras.Input(pooled.shape[1:]), fine_tune.layers[-1]])
head.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
head.fit(pooled, np.asarray(labels), epochs=30, verbose=0)
fine_tune.save("cat_or_cup.keras")

# Each model explains the class that it predicts.
models = [
    embedded,
    xai.Study("cat_or_cup.keras", labels=["cat", "cup"]),
    xai.Study("resnet50", weights="random"),
]
many = xai.compare(xai_core.demo.cat_over_coffee(), models, "grad-cam")
for one in many:
    print(f"{one.model}: {one.target} (p = {one.probability:.3f}), at {one.layer}")
    print(f"  {one.focus}")
    for warning in one.warnings:
        print(f"  {warning}")
many.save("models.png")
