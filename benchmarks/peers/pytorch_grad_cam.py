"""pytorch-grad-cam: a Keras model on torch is a torch module, whose layers take its hooks."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.peers.interface import Peer, Task

_MAGNIFIED = 2.0**20

_TORCHVISION = {
    "torchvision": (),
    "torchvision.transforms": ("Compose", "Normalize", "ToTensor"),
    "torchvision.transforms.functional": ("resize",),
}
"""What it imports of it."""


def _cam(
    task: Task,
    *,
    kind: str,
    channels_first: bool = True,
    rectified: bool = True,
    magnified: bool = False,
) -> Callable[[], Any]:
    """Without the scaling and the enlargement that end the public call.

    It takes activations to be channels first; Keras's are channels last, which it is told by
    its own means, `reshape_transform`. HiResCAM has no ReLU in its paper, and none here. Grad-CAM++
    has a millionth in its denominator, which small gradients vanish beside: with gradients
    magnified, and activations made as much smaller, all else in it stays the same.
    """
    import torch

    with _torchvision():
        import pytorch_grad_cam
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    base = getattr(pytorch_grad_cam, kind)

    class Raw(_magnify(base) if magnified else base):  # type: ignore[misc]
        def compute_cam_per_layer(self, images: Any, targets: Any, eigen_smooth: bool) -> Any:
            (layer,), recorded = self.target_layers, self.activations_and_grads
            activations, gradients = (
                each[0].cpu().data.numpy() for each in (recorded.activations, recorded.gradients)
            )
            return self.get_cam_image(images, layer, targets, activations, gradients, eigen_smooth)

        def aggregate_multi_layers(self, cam: Any) -> Any:
            return np.maximum(cam, 0) if rectified else cam

    layer = task.model.get_layer(task.layer)
    first = partial(torch.permute, dims=(0, 3, 1, 2)) if channels_first else None
    images = torch.tensor(task.images)
    wanted = [ClassifierOutputTarget(task.target)]

    def call() -> Any:
        # One at a time, as its users do: its hooks stay on the layer for as long as it is there,
        # and those of five would each take their time from the others.
        with Raw(task.model, [layer], reshape_transform=first) as made:
            return made(images, wanted)

    return call


def _magnify(base: Any) -> Any:
    class Magnified(base):  # type: ignore[misc]
        def get_cam_weights(
            self, images: Any, layer: Any, targets: Any, activations: Any, gradients: Any
        ) -> Any:
            given = activations / _MAGNIFIED, gradients * _MAGNIFIED
            return super().get_cam_weights(images, layer, targets, *given) / _MAGNIFIED

    return Magnified


@contextmanager
def _torchvision() -> Iterator[None]:
    """A stand-in where there is none: nothing that is called here has to do with it."""
    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is not None:
        yield
        return
    stand_ins = {name: ModuleType(name) for name in _TORCHVISION}
    for name, members in _TORCHVISION.items():
        vars(stand_ins[name]).update(dict.fromkeys(members), __path__=[])
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            del sys.modules[name]


PYTORCH_GRAD_CAM = Peer(
    "pytorch-grad-cam",
    "pytorch_grad_cam",
    "torch",
    {
        "grad-cam": partial(_cam, kind="GradCAM"),
        "grad-cam++": partial(_cam, kind="GradCAMPlusPlus", magnified=True),
        "hirescam": partial(_cam, kind="HiResCAM", rectified=False),
        "layercam": partial(_cam, kind="LayerCAM"),
        "xgrad-cam": partial(_cam, kind="XGradCAM"),
    },
    variants={
        "grad-cam": partial(_cam, kind="GradCAM", channels_first=False),
        "grad-cam++": partial(_cam, kind="GradCAMPlusPlus"),
    },
)
