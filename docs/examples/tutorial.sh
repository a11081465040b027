xai demo --out demo.png
xai predict cat-over-coffee.png
xai explain cat-over-coffee.png --target espresso --out espresso.png
xai compare cat-over-coffee.png --target "Egyptian cat" --target espresso --out figure.png
xai compare cat-over-coffee.png --target "Egyptian cat" --target espresso --out report.html
