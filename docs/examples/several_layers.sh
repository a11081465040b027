# Which layers there are.
xai layers efficientnet-lite0

# Some of them, shallow to deep.
xai compare cat-over-coffee.png --methods grad-cam --target espresso \
    --layer block3a_expand_activation --layer block6a_expand_activation --layer top_activation
