"""One class at several layers, shallow to deep."""

import xai_core as xai
import xai_core.demo

study = xai.Study()
layers = [layer.name for layer in study.feature_layers]

many = study.compare(xai_core.demo.cat_over_coffee(), "grad-cam", "espresso", layers=layers)
for one in many:
    height, width = one.map.shape
    print(f"{one.layer}: {height} x {width}, {one.focus}")
print(f"{len(many)} maps from {len(many.passes)} pass")
many.save("layers.png")
