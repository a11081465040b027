"""Which maps lie on the object: each picture has a box, around its cat or its cup."""

from pathlib import Path

import xai_core as xai
import xai_core.demo

boxes = {
    "cat.png": xai.Box(left=30, top=0, right=375, bottom=290),
    "coffee.png": xai.Box(left=172, top=18, right=407, bottom=308),
    "cat-over-coffee.png": xai.Box(left=0, top=0, right=190, bottom=112),
}
evaluation = xai.Study().evaluate(
    [xai_core.demo.cat(), xai_core.demo.coffee(), xai_core.demo.cat_over_coffee()],
    ["grad-cam", "saliency"],
    ["pointing-game", "relevance-mass", "relevance-rank"],
    masks=list(boxes.values()),
)
for metric in evaluation.metrics:
    print(f"{metric}: {metric.summary}")
    for place in evaluation.ranking(str(metric)):
        print(f"  {place.row.name:16} {place.value.mean:.3f}")

rows = [f"{name},{b.left},{b.top},{b.right},{b.bottom}" for name, b in boxes.items()]
Path("boxes.csv").write_text("\n".join(["picture,left,top,right,bottom", *rows]) + "\n")
