"""Xplique."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers.interface import Peer, Task


def _grad_cam(task: Task) -> Callable[[], Any]:
    """Without the enlargement that ends the public call."""
    import tensorflow as tf
    from xplique.attributions import GradCAM

    made = GradCAM(task.model, conv_layer=task.layer)
    given = tf.constant(task.images), tf.constant(_one_hot(task))

    def call() -> Any:
        activations, gradients = made._gradient(*given)
        weights = made._compute_weights(gradients, activations)
        return made._apply_weights(weights, activations).numpy()

    return call


def _saliency(task: Task) -> Callable[[], Any]:
    from xplique.attributions import Saliency

    made, wanted = Saliency(task.model), _one_hot(task)
    return lambda: made(task.images, wanted).numpy()[..., 0]


def _one_hot(task: Task) -> Any:
    return np.eye(task.model.output_shape[-1], dtype=np.float32)[[task.target]]


XPLIQUE = Peer(
    "xplique",
    "xplique",
    "tensorflow",
    {"grad-cam": _grad_cam, "saliency": _saliency},
    variants={},
)
