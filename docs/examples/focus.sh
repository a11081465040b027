xai compare cat-over-coffee.png --target "Egyptian cat" --target espresso
