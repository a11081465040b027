"""Grad-CAM as tutorials write it: a script that builds its model and makes one map, eagerly.

python -m benchmarks.tutorial PICTURE LAYER [MODEL.keras]: without a file, the embedded model.
"""

import sys

import keras
import matplotlib as mpl
import numpy as np
from PIL import Image

from benchmarks.frameworks import framework


def main(picture: str, layer: str, file: str | None = None) -> None:
    """Make a map, and write it over the picture."""
    if file is None:
        from xai_plugins.adapters.efficientnet_lite0 import EFFICIENTNET_LITE0

        model = EFFICIENTNET_LITE0.build("imagenet")
    else:
        model = keras.models.load_model(file)
    image = Image.open(picture).convert("RGB").resize(model.input_shape[2:0:-1])
    array = np.asarray(image, np.float32)[None]

    made = framework(keras.backend.backend()).tutorial(model, layer, array)
    activations, gradients = map(keras.ops.convert_to_numpy, made)
    heat = np.maximum((activations * gradients.mean((1, 2), keepdims=True)).sum(-1)[0], 0)

    heat = np.uint8(255 * heat / max(float(heat.max()), 1e-9))
    colours = mpl.colormaps["jet"](np.asarray(Image.fromarray(heat).resize(image.size)))[..., :3]
    Image.fromarray(np.uint8(0.6 * array[0] + 0.4 * 255 * colours)).save(f"{picture}.map.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
