# cat.grad-cam.png, the map over the picture, and cat.grad-cam.npz, the raw map.
xai explain cat.png

# The map alone, a pixel for each of its places.
xai explain cat.png --heatmap cat.heatmap.png

# Another colour map, half as strong.
xai explain cat.png --colour-map viridis --opacity 0.5 --out cat.viridis.png
