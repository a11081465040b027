"""How far each map of one picture can be trusted, within a stated number of queries."""

import xai_core as xai
import xai_core.demo

many = xai.Study().compare(
    xai_core.demo.cat_over_coffee(),
    ["grad-cam", "saliency"],
    ["espresso"],
    trust=xai.Trust(budget=1200),
)
for one in many:
    print(f"{one.method}: {one.verdict}")
    for test in one.verdict.placings:
        low, high = min(test.elsewhere), max(test.elsewhere)
        print(f"  {test.metric} {test.value:.3f}, elsewhere {low:.3f} to {high:.3f}")
print(many.accounts[0])
many.save("trust.html")
many.save("trust.png")
