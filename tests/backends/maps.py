"""Make maps of many methods on some models, in a process of its own: Keras has one backend.

    KERAS_BACKEND=jax python maps.py FOLDER DTYPE GROUP

reads the weights from FOLDER and writes FOLDER/BACKEND-DTYPE-GROUP.npz.
"""

import json
import sys
from dataclasses import fields, replace
from itertools import compress
from operator import not_
from pathlib import Path

import keras
import numpy as np
from PIL import Image

import xai_core
import xai_plugins
from xai_core import Study, room
from xai_core.needs import Needs
from xai_core.probe import backend
from xai_core.registry import Plugin, Registry, Source
from xai_core.testing.models import EVERYDAY, TINY_MODELS
from xai_core.types import Failure

REGISTRY = Registry([Plugin(Source("xai-core", "0"), xai_plugins)])
APPLICATIONS = {
    "vgg16": keras.applications.VGG16,
    "resnet50": keras.applications.ResNet50,
    "xception": keras.applications.Xception,
}
SIZES = {"vgg16": (64, 96), "resnet50": (64, 96), "xception": (96, 128)}
EMBEDDED = "efficientnet-lite0"
KIT = "kit"
LARGE = (EMBEDDED, *APPLICATIONS)
GROUPS = (KIT, *LARGE)
SHALLOW = {
    "vgg16": "block1_conv2",
    "resnet50": "conv1_relu",
    "xception": "block1_conv1_act",
    EMBEDDED: "stem_activation",
}
"""Where the methods that ask about every channel find few of them."""
PHOTOGRAPHS = ("chelsea.png", "coffee.png")
FEWER = {"masks": 40, "samples": 40, "steps": 12}
"""Of the parameters that a method's questions grow with."""
FEWER_OF_LARGE = {
    "integrated-gradients": {"steps": 4},
    "occlusion": {"window": 32},
    **{
        name: {"samples": 4}
        for name in ("expected-gradients", "smoothgrad", "vargrad", "squaregrad")
    },
}
"""For large models, whose passes in float64 take up to half a second a picture."""
TARGETS = [0, 1]


def few(explainer, is_tiny):
    """The method with fewer questions."""
    names = {each.name for each in fields(explainer)}
    fewer = {name: few for name, few in FEWER.items() if name in names}
    return replace(explainer, **fewer | ({} if is_tiny else FEWER_OF_LARGE.get(explainer.name, {})))


def methods(is_tiny):
    """Those that ask nothing, and those that ask, which large models do about one picture only."""
    made = [few(each, is_tiny) for each in xai_plugins.xai_explainers()]
    asks = [bool(each.needs & (Needs.QUERIES | Needs.HEAD_QUERIES)) for each in made]
    return list(compress(made, map(not_, asks))), list(compress(made, asks))


def build(name, dtype):
    """One of the models, its weights not yet set."""
    if name in APPLICATIONS:
        before = keras.config.dtype_policy(), keras.config.floatx()
        keras.config.set_dtype_policy(dtype)
        keras.config.set_floatx(dtype)  # of the input, which is no layer with a policy
        try:
            model = APPLICATIONS[name](
                weights=None, input_shape=(*SIZES[name], 3), classifier_activation=None
            )
        finally:
            keras.config.set_dtype_policy(before[0])
            keras.config.set_floatx(before[1])
        return model
    if name == EMBEDDED:
        model = REGISTRY.adapter(name).build("imagenet")
        if dtype == "float64":
            config = json.loads(json.dumps(model.get_config()).replace('"float32"', '"float64"'))
            twin = type(model).from_config(config)
            twin.set_weights(model.get_weights())
            return twin
        return model
    return TINY_MODELS[name]()


def photographs(size):
    height, width = size
    folder = Path(xai_core.__file__).parent / "demo"
    read = (Image.open(folder / name).convert("RGB") for name in PHOTOGRAPHS)
    return [np.asarray(each.resize((width, height))) for each in read]


def drawn(size, channels):
    draw = np.random.default_rng(4)
    height, width = size
    light = np.linspace(0.3, 1, height)[:, None] * np.linspace(1, 0.4, width)[None]
    made = draw.uniform(20, 255, (2, height, width, channels)) * light[None, ..., None]
    return [each.astype(np.uint8) for each in made]


def study_of(name, model):
    """As they are fed what they were made for."""
    is_tiny = name in TINY_MODELS
    return Study(model, registry=REGISTRY, preprocess="tf" if is_tiny else None)


def main(folder, dtype, group):
    room.QUERY_BATCH = 8  # passes are filled up, and half of these questions would be filling
    found = {}
    for name in EVERYDAY if group == KIT else [group]:
        with backend().precise():
            model = build(name, dtype)
        weights = folder / f"{name}.npz"
        if weights.exists():
            with np.load(weights) as kept:
                model.set_weights([kept[f"arr_{number}"] for number in range(len(kept.files))])
        is_tiny = name in TINY_MODELS
        study = study_of(name, model)
        size = study.input.size
        seen = drawn(size, study.input.channels) if is_tiny else photographs(size)
        silent, asking = methods(is_tiny)
        asked = seen if is_tiny else seen[:1]
        compared = (
            study.compare(seen, silent, TARGETS),
            study.compare(asked, asking, TARGETS, layers=SHALLOW.get(name, ())),
        )
        for cell in (cell for each in compared for cell in each.cells):
            failed = isinstance(cell, Failure)
            picture = cell.picture if failed else cell.picture.name
            key = "|".join([name, cell.method.name, str(cell.target.index), picture])
            if failed:
                found[f"{key}|error"] = np.array(str(cell.error))
            else:
                found[key] = cell.map
                found[f"{key}|score"] = np.array(cell.score)
    np.savez(folder / f"{keras.backend.backend()}-{dtype}-{group}.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
