"""The numbers on the page "What the maps mean", measured."""

import numpy as np

import xai_core as xai
import xai_core.demo
from xai_core.images import display_pixels
from xai_core.render import on_picture

METHODS = ["grad-cam", "grad-cam++", "saliency"]
CAT = "Egyptian cat"
picture = xai_core.demo.cat_over_coffee()
study = xai.Study()
many = study.compare(picture, [*METHODS, "xgrad-cam", "hirescam"], [CAT, "espresso", "cheetah"])


def alike(one, other):
    """The correlation of two maps on the picture, -1 to 1."""
    return np.corrcoef(on_picture(one).ravel(), on_picture(other).ravel())[0, 1]


print("# The logit and the probability, by grad-cam")
by_probability = xai.Study(score="probability").compare(
    picture, "grad-cam", [CAT, "espresso", "cheetah"]
)
for one in by_probability:
    correlation = alike(one, many["grad-cam", one.target.index])
    print(f"{one.target} (p = {one.probability:.3f}): {correlation:.2f}")

print("# Two methods, for the cat")
for number, method in enumerate(METHODS):
    for other in METHODS[number + 1 :]:
        print(f"{method} and {other}: {alike(many[method, CAT], many[other, CAT]):.2f}")

print("# Largest difference to grad-cam, of its maximum, negative values cut off")
grad_cam = many["grad-cam", CAT].map
for method in ("xgrad-cam", "hirescam"):
    difference = np.abs(many[method, CAT].map.clip(min=0) - grad_cam).max()
    print(f"{method}: {difference / grad_cam.max():.1e}")

print("# The cat and the espresso")
for method in METHODS:
    print(f"{method}: {alike(many[method, CAT], many[method, 'espresso']):.2f}")

# The picture with noise of one grey level, and with its upper or lower half painted grey.
pixels = display_pixels(picture)
noise = np.random.default_rng(0).integers(-1, 2, pixels.shape)
noisy = (pixels + noise).clip(0, 255).astype(np.uint8)
no_top, no_bottom = pixels.copy(), pixels.copy()
no_top[:112] = no_bottom[112:] = 127
changed = list(study.compare([noisy, no_top, no_bottom], METHODS, CAT))

print("# The picture, and the same with noise of one grey level")
for one in changed[:3]:
    print(f"{one.method}: {alike(one, many[one.method.name, CAT]):.2f}")

print("# The trained weights, and random ones")
untrained = xai.Study("efficientnet-lite0", weights="random")
for one in untrained.compare(picture, METHODS, CAT):
    print(f"{one.method}: {alike(one, many[one.method.name, CAT]):.2f}, {one.focus}")

print("# The logit of Egyptian cat, with half of the picture painted grey")
print(f"upper half painted: {changed[3].score:.2f}")
print(f"lower half painted: {changed[6].score:.2f}")
print(f"as it is: {many['grad-cam', CAT].score:.2f}")
