"""What a model does to its input before the first layer that learns."""

from xai_core.surgery.graph import Graph

_KEEPS_THE_RANGE = frozenset(
    {
        # layers
        "InputLayer",
        "Identity",
        "ZeroPadding2D",
        "Cropping2D",
        "CenterCrop",
        "Resizing",
        "UpSampling2D",
        "MaxPooling2D",
        "AveragePooling2D",
        "Flatten",
        "Permute",
        "Dropout",
        "SpatialDropout2D",
        "GaussianDropout",
        "GaussianNoise",
        "Pipeline",
        "BatchNormalization",
        # layers and operations of the same name
        "Cast",
        "Concatenate",
        "Reshape",
        # operations
        "ExpandDims",
        "Flip",
        "GetItem",
        "Mean",
        "Moveaxis",
        "Pad",
        "Ravel",
        "Repeat",
        "Resize",
        "Split",
        "Squeeze",
        "Stack",
        "Take",
        "Tile",
        "Transpose",
    }
)
"""Steps that say nothing of the range the model expects: they move, copy, drop or average
values. A batch normalisation on the input adapts to whichever range it was trained with."""


def rescales_itself(graph: Graph) -> bool:
    """Whether a `Rescaling`, a `Normalization` or arithmetic stands before the first kernel.

    Augmentation (`Random...`) and changes of size do not count. A model that takes whole
    numbers takes 0..255: 0..1 would be 0 throughout.
    """
    if "int" in graph.input_dtype:
        return True
    for step in graph.relevant:
        if step.has_kernel:
            return False
        if step.kind not in _KEEPS_THE_RANGE and not step.kind.startswith("Random"):
            return True
    return False
