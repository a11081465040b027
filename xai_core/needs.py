"""What an explainer must be given; the planner runs the union over all of them."""

from enum import Flag, auto


class Needs(Flag):
    """A declaration of the evidence that an explainer reads.

    The planner computes the union of what the chosen explainers declare, once,
    and hands each of them its own share: a read beyond it is an error.
    """

    NOTHING = 0
    ACTIVATIONS = auto()
    """The target layer's output A, (N, h, w, K)."""
    ACTIVATION_GRADIENTS = auto()
    """dS/dA, (N, h, w, K): one backward pass through the head alone."""
    INPUT_GRADIENTS = auto()
    """dS/dx, (N, H, W, C): one backward pass through the whole model."""
    QUERIES = auto()
    """May ask for the score, or its gradient, of pictures of its own making."""
    HEAD_QUERIES = auto()
    """May ask for the score of other activations of the target layer: the head alone is run."""
    BIAS_TERMS = auto()
    """May ask what each bias of the model adds to the score, to first order."""
    STAGES = auto()
    """Works on several layers at once: `evidence.stages` has the evidence at each."""

    LAYER = ACTIVATIONS | ACTIVATION_GRADIENTS | HEAD_QUERIES | STAGES
    """Any of these means that a target layer is resolved."""
    ASKS = QUERIES | HEAD_QUERIES | BIAS_TERMS
    """What is answered in passes of its own."""

    def __str__(self) -> str:
        """As in a message: `ACTIVATIONS | QUERIES`."""
        return " | ".join(str(each.name) for each in self) or "NOTHING"


__all__ = ["Needs"]
