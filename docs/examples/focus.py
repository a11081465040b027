"""How much of the picture a map points at, in numbers and in words."""

import xai_core as xai
import xai_core.demo

many = xai.Study().compare(
    xai_core.demo.cat_over_coffee(),
    ["grad-cam", "grad-cam++", "saliency"],
    ["Egyptian cat", "espresso"],
)
for one in many:
    print(f"{one.target}, {one.method}: {one.focus}")

focus = many["grad-cam", "espresso"].focus
print(f"area above half of the maximum  {focus.above_half:.3f}")
print(f"area that holds half of it      {focus.half_mass:.3f}")
print(f"centre of mass, down and across {focus.centre[0]:.2f}, {focus.centre[1]:.2f}")
print(f"entropy, 0 (a point) to 1       {focus.entropy:.2f}")
many.save("focus.png")
