"""Write the demo photographs into the current folder, to try the commands on."""

from PIL import Image

import xai_core.demo
from xai_core.images import display_pixels

PICTURES = {
    "cat.png": xai_core.demo.cat(),
    "coffee.png": xai_core.demo.coffee(),
    "cat-over-coffee.png": xai_core.demo.cat_over_coffee(),
}

for name, picture in PICTURES.items():
    Image.fromarray(display_pixels(picture)).save(name)
    height, width = picture.pixels.shape[:2]
    print(f"{name}: {width} x {height}")
