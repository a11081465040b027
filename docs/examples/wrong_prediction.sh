xai compare cat-over-coffee.png --methods grad-cam --expect espresso
