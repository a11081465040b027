xai evaluate cat.png coffee.png cat-over-coffee.png --boxes boxes.csv --methods grad-cam,saliency --metrics relevance-mass
