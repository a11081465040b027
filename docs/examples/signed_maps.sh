xai compare cat-over-coffee.png --methods grad-cam,hirescam --target cougar --target "Dutch oven"
