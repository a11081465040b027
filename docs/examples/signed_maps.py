"""Signed maps: what speaks for a class in red, what speaks against it in blue."""

import xai_core as xai
import xai_core.demo

# Two classes of logit near 0: not for want of evidence, but because it is divided.
many = xai.Study().compare(
    xai_core.demo.cat_over_coffee(), ["grad-cam", "hirescam"], ["cougar", "Dutch oven"]
)
for one in many.select(method="hirescam"):
    speaks_for, against = one.map.clip(min=0).sum(), one.map.clip(max=0).sum()
    print(f"{one.target}: logit {one.score:.2f}, {speaks_for:+.2f} for, {against:+.2f} against")
many.save("signed.png")
