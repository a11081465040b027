xai gradients cat.png --target tabby --out cat.gradients.png
