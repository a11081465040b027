"""saliency, of PAIR: it asks its user for gradients, which are taken eagerly here."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers.interface import Peer, Task


def _grad_cam(task: Task) -> Callable[[], Any]:
    import keras
    import saliency.core as pair
    import tensorflow as tf

    layer = task.model.get_layer(task.layer)
    both = keras.Model(task.model.inputs, [layer.output, *task.model.outputs])

    def answer(images: Any, call_model_args: Any = None, expected_keys: Any = None) -> Any:
        with tf.GradientTape() as tape:
            activations, logits = both(np.asarray(images, np.float32))
            score = logits[:, task.target]
        return {
            "CONVOLUTION_LAYER_VALUES": activations.numpy(),
            "CONVOLUTION_OUTPUT_GRADIENTS": tape.gradient(score, activations).numpy(),
        }

    made = pair.GradCam()
    return lambda: made.GetMask(task.images[0], answer, should_resize=False, three_dims=False)


def _saliency(task: Task) -> Callable[[], Any]:
    import saliency.core as pair
    import tensorflow as tf

    def answer(images: Any, call_model_args: Any = None, expected_keys: Any = None) -> Any:
        given = tf.convert_to_tensor(np.asarray(images, np.float32))
        with tf.GradientTape() as tape:
            tape.watch(given)
            score = task.model(given)[:, task.target]
        return {"INPUT_OUTPUT_GRADIENTS": tape.gradient(score, given).numpy()}

    made = pair.GradientSaliency()
    return lambda: np.abs(made.GetMask(task.images[0], answer)).max(-1)


SALIENCY = Peer(
    "saliency",
    "saliency",
    "tensorflow",
    {"grad-cam": _grad_cam, "saliency": _saliency},
    variants={},
)
