"""What a test needs of a backend by itself: as its user would write it, with none of our code."""

import keras
import numpy as np


def _tensorflow(score, at):
    import tensorflow as tf

    at = tf.convert_to_tensor(at)
    with tf.GradientTape() as tape:
        tape.watch(at)
        value = score(at)
    return tape.gradient(value, at)


def _jax(score, at):
    import jax

    return jax.grad(score)(jax.numpy.asarray(at))


def _torch(score, at):
    import torch

    at = torch.tensor(np.asarray(at), requires_grad=True)
    (found,) = torch.autograd.grad(score(at), at)
    return found


def gradient(score, at):
    """What a score, a function of a tensor, has as its gradient by an array."""
    plain = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()]
    return array(plain(score, at))


def array(tensor):
    """A tensor, on whatever device, as numbers."""
    return keras.ops.convert_to_numpy(tensor)


def drawn(model, seed):
    """The model with kernels that are the same on every backend: each draws its own from a seed."""
    draw = np.random.default_rng(seed)
    for weight in model.trainable_variables:
        if len(weight.shape) > 1:
            fan_in = np.prod(weight.shape[:-1])
            weight.assign(draw.standard_normal(weight.shape) * (2 / fan_in) ** 0.5)
    return model
