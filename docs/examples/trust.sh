xai compare coffee.png --methods grad-cam --trust --budget 800 --out coffee.html
