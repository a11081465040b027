"""Models read as flat graphs, cut at a layer, and read out at their logits."""

from xai_core.surgery.cuts import (
    FeatureLayer,
    LayerRow,
    candidates,
    deepest_per_resolution,
    describe,
    is_spatial,
    measure,
    resolve_layer,
    stride,
)
from xai_core.surgery.graph import Graph, Step, read_graph, variables_of
from xai_core.surgery.readout import Readout, read_out, widen

__all__ = [
    "FeatureLayer",
    "Graph",
    "LayerRow",
    "Readout",
    "Step",
    "candidates",
    "deepest_per_resolution",
    "describe",
    "is_spatial",
    "measure",
    "read_graph",
    "read_out",
    "resolve_layer",
    "stride",
    "variables_of",
    "widen",
]
