"""What can be said of a method's maps in advance, and is held to by the conformance kit."""

from enum import Flag, auto


class Law(Flag):
    """A statement that a method makes of its maps; `xai_core.testing` holds it to each.

    S is the explained score, A the activations of the target layer with K channels at Z
    places, W the kernel of the last layer, c the explained class, x the input.
    """

    NOTHING = 0

    CONSTANT = auto()
    """Where the score does not depend on the picture, the map is 0."""
    SHIFT = auto()
    """On a model that does not care where things are, a shifted picture has the shifted map."""

    SCALE_FREE = auto()
    """The map of 2 S is the map of S."""
    LINEAR = auto()
    """The map of 2 S is twice the map of S."""
    QUADRATIC = auto()
    """The map of 2 S is four times the map of S."""

    COMPLETE = auto()
    """The map sums to S(x) - S(black)."""
    LINEAR_MODEL = auto()
    """On a linear model the map is, at each place, what the picture adds there over black."""
    LINEAR_INPUT = auto()
    """On a linear model the map is, at each place, what the input adds there over an input of 0."""
    SENSITIVITY = auto()
    """The map is max_c abs(dS/dx_c), as finite differences find it."""

    GAP_DENSE = auto()
    """Before global average pooling and a dense layer the map is sum_k A_k W_kc / Z, with a
    ReLU unless the method is signed."""
    GAP_DENSE_POSITIVE = auto()
    """There the map is sum_k A_k ReLU(W_kc) / Z."""
    GAP_DENSE_ALPHA = auto()
    """There the map is ReLU(sum_k A_k w_k), w_k = ReLU(W_kc) / (2 + mean(A_k) W_kc)."""
    GAP_DENSE_DROP = auto()
    """There the map is ReLU(sum_k A_k w_k), w_k = W_kc mean(A_k) / abs(S)."""
    PRINCIPAL = auto()
    """There, with all W_kc alike and above 0, the map is in proportion to the first principal
    component of A, its sign that of its correlation with the channels' mean."""

    GUIDED = auto()
    """Through one rectifier, the map sums over the channels a gradient that passed
    1[x > 0] 1[dy > 0] dy."""
    DECONVNET = auto()
    """Through one rectifier, the map sums over the channels a gradient that passed
    1[dy > 0] dy."""

    POOLS_MEAN = auto()
    """The map is max_c abs(mean), of the gradients at the pictures that were asked for."""
    POOLS_VARIANCE = auto()
    """The map is max_c of the variance of the gradients at the pictures asked for."""
    POOLS_SQUARES = auto()
    """The map is max_c of the mean square of the gradients at the pictures asked for."""

    MASKED_MEAN = auto()
    """The map is sum_i S(x M_i) M_i / (N E[M]), with M_i the masks of the pictures that were
    asked for, the black picture where a mask is 0; the masks are spread evenly."""
    STANDARD_ERROR = auto()
    """The fact `standard error` is the spread of the maps over seeds: the root mean square
    over the places of their standard deviation."""
    SEEDED = auto()
    """Another `seed` makes another map, unless the fact `standard error` says that it is 0."""


__all__ = ["Law"]
