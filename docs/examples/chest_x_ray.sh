xai compare chest_x_ray.png --model chest.keras --labels labels.txt \
    --target opacity --target normal
