"""tf-explain."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.peers.interface import Peer, Task


def _grad_cam(task: Task, *, guided: bool) -> Callable[[], Any]:
    """Without the colours that end the public call, and with the ReLU that it lacks."""
    from tf_explain.core.grad_cam import GradCAM

    def call() -> Any:
        found = GradCAM.get_gradients_and_filters(
            task.model, task.images, task.layer, task.target, guided
        )
        return np.maximum(GradCAM.generate_ponderated_output(*found)[0].numpy(), 0)

    return call


def _saliency(task: Task) -> Callable[[], Any]:
    from tf_explain.core.vanilla_gradients import VanillaGradients

    def call() -> Any:
        found = VanillaGradients.compute_gradients(task.images, task.model, task.target)
        return np.abs(np.asarray(found)).max(-1)

    return call


TF_EXPLAIN = Peer(
    "tf-explain",
    "tf_explain",
    "tensorflow",
    {"grad-cam": partial(_grad_cam, guided=False), "saliency": _saliency},
    variants={"grad-cam": partial(_grad_cam, guided=True)},
)
