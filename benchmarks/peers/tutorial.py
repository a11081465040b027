"""The tutorials' way: a new gradient model for each call, run eagerly."""

from collections.abc import Callable
from typing import Any

from benchmarks.peers.interface import Peer, Task


def _grad_cam(task: Task) -> Callable[[], Any]:
    import keras
    import tensorflow as tf

    def call() -> Any:
        layer = task.model.get_layer(task.layer)
        both = keras.Model(task.model.inputs, [layer.output, *task.model.outputs])
        with tf.GradientTape() as tape:
            activations, predictions = both(task.images)
            score = predictions[:, task.target]
        gradients = tape.gradient(score, activations)
        weights = tf.reduce_mean(gradients, axis=(0, 1, 2))
        heat = activations[0] @ weights[..., tf.newaxis]
        return tf.nn.relu(tf.squeeze(heat)).numpy()

    return call


def _saliency(task: Task) -> Callable[[], Any]:
    import tensorflow as tf

    def call() -> Any:
        images = tf.convert_to_tensor(task.images)
        with tf.GradientTape() as tape:
            tape.watch(images)
            score = task.model(images)[:, task.target]
        return tf.reduce_max(tf.abs(tape.gradient(score, images)), axis=-1)[0].numpy()

    return call


TUTORIAL = Peer(
    "tutorial",
    "tensorflow",
    "tensorflow",
    {"grad-cam": _grad_cam, "saliency": _saliency},
    variants={},
)
