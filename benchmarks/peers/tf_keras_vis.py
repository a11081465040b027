"""tf-keras-vis."""

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.peers.interface import Peer, Task


def _grad_cam(task: Task, *, seek: bool) -> Callable[[], Any]:
    """At the layer that is named or, as it comes, at the last convolution before it."""
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import CategoricalScore

    made, score = Gradcam(task.model), CategoricalScore(task.target)
    return lambda: made(
        score,
        task.images,
        penultimate_layer=task.layer,
        seek_penultimate_conv_layer=seek,
        expand_cam=False,
        normalize_cam=False,
    )


def _saliency(task: Task) -> Callable[[], Any]:
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.utils.scores import CategoricalScore

    made, score = Saliency(task.model), CategoricalScore(task.target)
    return lambda: made(score, task.images, normalize_map=False)


TF_KERAS_VIS = Peer(
    "tf-keras-vis",
    "tf_keras_vis",
    "tensorflow",
    {"grad-cam": partial(_grad_cam, seek=False), "saliency": _saliency},
    variants={"grad-cam": partial(_grad_cam, seek=True)},
)
