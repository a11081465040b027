xai predict cat.png --top 5 --out cat.predictions.png
