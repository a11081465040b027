"""Which of the maps to believe: methods ranked, beside maps that know nothing of the model."""

import xai_core as xai
import xai_core.demo
from xai_plugins.metrics import Deletion, Insertion

pictures = [xai_core.demo.cat(), xai_core.demo.coffee(), xai_core.demo.cat_over_coffee()]
evaluation = xai.Study().evaluate(
    pictures,
    ["grad-cam", "saliency"],
    [Deletion(steps=20), Insertion(steps=20), Deletion(steps=20, baseline="blur")],
)
for metric in evaluation.metrics:
    print(f"{metric}: {metric.better} is better")
    for place in evaluation.ranking(str(metric)):
        print(f"  {place.row.name:16} {place.value.mean:.3f}  {place.words}")
for pair in evaluation.agreement():
    print(f"{pair.one} and {pair.other}: {pair.words}")
for price in evaluation.prices()[:2]:
    print(f"{price.row.name}: {price.passes}, {price.queries:.0f} queries")
evaluation.save("evaluate.png")
evaluation.save("evaluate.html")
evaluation.save("evaluate.md")
