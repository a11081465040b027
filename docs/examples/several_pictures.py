"""Several pictures in one grid: one class for all of them, or each one's own."""

import xai_core as xai
import xai_core.demo

study = xai.Study()
pictures = [xai_core.demo.cat(), xai_core.demo.coffee(), xai_core.demo.cat_over_coffee()]

own = study.compare(pictures, "grad-cam")  # each picture's predicted class
for one in own:
    print(f"{one.picture.name}: {one.target} (p = {one.probability:.3f})")
own.save("own_class.png")

same = study.compare(pictures, "grad-cam", "espresso")
for one in same:
    print(f"{one.picture.name}: logit of espresso {one.score:.2f}")
same.save("one_class.png", scale="all")  # one method and one class: the values compare

print(f"{len(own.passes)} pass for {own.passes[0].pictures} pictures")
