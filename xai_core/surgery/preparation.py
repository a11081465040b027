"""What a model does to its input before the first layer that learns."""

from xai_core.surgery.graph import Graph

_KEEPS_THE_RANGE = frozenset(
    {
        "InputLayer",
        "Cast",
        "Identity",
        "ZeroPadding2D",
        "Cropping2D",
        "CenterCrop",
        "Resizing",
        "Dropout",
        "GaussianNoise",
        "Pipeline",
        "BatchNormalization",
    }
)
"""Steps that say nothing of the range the model expects. A batch normalisation on the
input adapts to whichever range it was trained with."""


def rescales_itself(graph: Graph) -> bool:
    """Whether a `Rescaling`, a `Normalization` or arithmetic stands before the first kernel.

    Augmentation (`Random...`) and changes of size do not count.
    """
    for step in graph.relevant:
        if step.has_kernel:
            return False
        if step.kind not in _KEEPS_THE_RANGE and not step.kind.startswith("Random"):
            return True
    return False
