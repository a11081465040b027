xai randomise cat.png --methods grad-cam,saliency,guided-backprop --rungs 5
