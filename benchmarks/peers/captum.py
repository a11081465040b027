"""Captum: a Keras model on torch is a torch module."""

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.frameworks import halves
from benchmarks.peers.interface import Peer, Task


def _grad_cam(task: Task, *, channels_first: bool) -> Callable[[], Any]:
    """At a layer put in between, since it takes activations to be channels first."""
    import torch
    from captum.attr import LayerGradCam

    model, layer = task.model, task.model.get_layer(task.layer)
    if channels_first:
        trunk, head = halves(task.model, task.layer)
        layer = torch.nn.Identity()
        model = torch.nn.Sequential(trunk, _Permute(0, 3, 1, 2), layer, _Permute(0, 2, 3, 1), head)
    made, images = LayerGradCam(model, layer), _images(task)

    def call() -> Any:
        found = made.attribute(images, task.target, relu_attributions=True)
        return found[0, 0].detach().cpu().numpy()

    return call


def _saliency(task: Task) -> Callable[[], Any]:
    from captum.attr import Saliency

    made, images = Saliency(task.model), _images(task)

    def call() -> Any:
        given = images.clone().requires_grad_()  # else it warns that it makes it so
        return made.attribute(given, task.target).amax(-1)[0].cpu().numpy()

    return call


def _images(task: Task) -> Any:
    """Where the model is: it does not move them there."""
    import torch

    return torch.tensor(task.images, device=next(task.model.parameters()).device)


def _Permute(*order: int) -> Any:  # noqa: N802 - stands for a class of a module that may be missing
    import torch

    class Permute(torch.nn.Module):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            return x.permute(order)

    return Permute()


CAPTUM = Peer(
    "captum",
    "captum",
    "torch",
    {"grad-cam": partial(_grad_cam, channels_first=True), "saliency": _saliency},
    variants={"grad-cam": partial(_grad_cam, channels_first=False)},
)
