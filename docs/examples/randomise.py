"""What is left of a map when the model loses what it learnt, and for another class."""

import xai_core as xai
import xai_core.demo
from xai_plugins.metrics import CascadingRandomisation, RandomLogit

study = xai.Study()
picture = xai_core.demo.cat()
methods = ["grad-cam", "saliency", "guided-backprop"]

ladder = study.ladder_maps(picture, methods, rungs=5)
for row in ladder.rows:
    print(f"{row[0].cell.method!s:16}", *(f"{each.similarity:6.2f}" for each in row[1:]))
ladder.save("randomise.png")

evaluation = study.evaluate(picture, methods, [CascadingRandomisation(rungs=5), RandomLogit()])
for metric in evaluation.metrics:
    print(f"{metric}: {metric.better} is better")
    for place in evaluation.ranking(str(metric)):
        told = f"{place.value.mean:6.2f}" if place.value else "no map to compare"
        print(f"  {place.row.name:16} {told}")
