# Each picture's own class.
xai compare cat.png coffee.png cat-over-coffee.png --methods grad-cam --out pictures.png

# One class, on one scale.
xai compare cat.png coffee.png cat-over-coffee.png --methods grad-cam \
    --target espresso --scale all --out espresso.png
