"""The raw map at its own resolution, and overlays in other colours and opacities."""

import json

import numpy as np

import xai_core as xai
import xai_core.demo

one = xai.Study().explain(xai_core.demo.cat(), "grad-cam")

# The result is the raw map: float32, the layer's resolution, not normalised.
print(f"{one.map.dtype} {one.map.shape}, {one.map.min():.3f} to {one.map.max():.3f}")

# It is saved with all that is needed to make it again, and read back without xai-core.
one.save("cat.npz")
with np.load("cat.npz") as archive:
    raw = archive["map"]
    metadata = json.loads(archive["metadata"].item())
print(f"read back: {raw.shape}, {metadata['method']} at {metadata['layer']}")

# For looking at: a pixel for each place of the map, or the map over the picture.
one.heatmap().save("heatmap.png")
one.overlay().save("overlay.png")
one.overlay(colour_map="viridis", opacity=0.5).save("viridis.png")
one.overlay(colour_map="jet", opacity=1.0).save("jet.png")
