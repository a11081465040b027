"""One picture, several classes: what speaks for the cat, and what for the espresso?"""

import xai_core as xai
import xai_core.demo

study = xai.Study()  # the model that comes with the install
picture = xai_core.demo.cat_over_coffee()

asked = study.compare(picture, "grad-cam", ["Egyptian cat", "espresso"])
for one in asked:
    print(f"{one.target} (p = {one.probability:.3f}): {one.focus}")
asked.save("two_classes.png")

top = study.compare(picture, "grad-cam", top=3)
print("The top three:", ", ".join(str(one.target) for one in top))
top.save("top_three.png")
