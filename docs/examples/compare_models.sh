xai compare cat-over-coffee.png --models efficientnet-lite0,cat_or_cup.keras \
    --methods grad-cam
