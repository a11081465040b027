xai evaluate cat.png coffee.png --methods grad-cam,saliency --set deletion.steps=20 --metrics deletion
