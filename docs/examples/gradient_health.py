"""How healthy the gradients are: a line for every map, and a histogram."""

import keras

import xai_core as xai
import xai_core.demo

picture = xai_core.demo.cat()
study = xai.Study()

for one in study.compare(picture, ["grad-cam", "saliency"]):
    for line in one.health:
        print(f"{one.method}: {line}")

at_layer, at_input = study.gradients(picture)
at_input.figure().savefig("gradients.png")

# The gradient of a probability that is all but 1 is all but 0. The logit's is not.
inputs = keras.Input((32, 32, 3))
features = keras.layers.Conv2D(4, 3, activation="relu", kernel_initializer="ones")(inputs)
pooled = keras.layers.GlobalAveragePooling2D()(features)
outputs = keras.layers.Dense(1, activation="sigmoid", kernel_initializer="ones")(pooled)
sure = keras.Model(inputs, outputs, name="too_sure")

for score in ("probability", "logit"):
    small = xai.Study(sure, score=score, preprocess="unit")
    one = small.explain(picture, "grad-cam", target=1)
    print(f"{score}: p = {one.probability:.6f}, {one.health[0]}")
    for warning in one.warnings:
        print(f"  {warning}")
