# Classes of your choice.
xai compare cat-over-coffee.png --methods grad-cam --target "Egyptian cat" --target espresso

# The three of highest score, and of lowest.
xai compare cat-over-coffee.png --methods grad-cam --top 3 --out top.png
xai compare cat-over-coffee.png --methods hirescam --bottom 3 --out bottom.png
