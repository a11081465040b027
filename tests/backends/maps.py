"""Make maps of many methods on some models, in a process of its own: Keras has one backend.

    KERAS_BACKEND=jax python maps.py FOLDER DTYPE

reads the weights from FOLDER and writes FOLDER/BACKEND-DTYPE.npz.
"""

import json
import sys
from dataclasses import fields, replace
from pathlib import Path

import keras
import numpy as np

import xai_plugins
from xai_core import Study
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
FEWER = {"masks": 40, "samples": 40, "steps": 12}
"""Of the parameters that a method's questions grow with."""
TARGETS = [0, 1]


def few(explainer):
    """The method with fewer questions."""
    names = {each.name for each in fields(explainer)}
    return replace(explainer, **{name: few for name, few in FEWER.items() if name in names})


def every_method():
    return [few(each) for each in xai_plugins.xai_explainers()]


def without_questions():
    from xai_core.needs import Needs

    asks = Needs.QUERIES | Needs.HEAD_QUERIES
    return [each for each in xai_plugins.xai_explainers() if not each.needs & asks]


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


def pictures(size, channels):
    draw = np.random.default_rng(4)
    height, width = size
    light = np.linspace(0.3, 1, height)[:, None] * np.linspace(1, 0.4, width)[None]
    made = draw.uniform(20, 255, (2, height, width, channels)) * light[None, ..., None]
    return [each.astype(np.uint8) for each in made]


def names(dtype):
    """The models in a precision: the kit's own have theirs."""
    known = [*APPLICATIONS, EMBEDDED]
    return [*known, *EVERYDAY] if dtype == "float64" else known


def main(folder, dtype):
    found = {}
    for name in names(dtype):
        with backend().precise():
            model = build(name, dtype)
        weights = folder / f"{name}.npz"
        if weights.exists():
            with np.load(weights) as kept:
                model.set_weights([kept[f"arr_{number}"] for number in range(len(kept.files))])
        is_tiny = name in TINY_MODELS
        study = Study(model, registry=REGISTRY, preprocess="tf" if is_tiny else None)
        methods = every_method() if is_tiny else without_questions()
        seen = pictures(study.input.size, study.input.channels)
        for cell in study.compare(seen, methods, TARGETS).cells:
            failed = isinstance(cell, Failure)
            picture = cell.picture if failed else cell.picture.name
            key = "|".join([name, cell.method.name, str(cell.target.index), picture])
            if failed:
                found[f"{key}|error"] = np.array(str(cell.error))
            else:
                found[key] = cell.map
                found[f"{key}|score"] = np.array(cell.score)
    np.savez(folder / f"{keras.backend.backend()}-{dtype}.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
