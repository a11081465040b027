"""A prediction that was not expected: both classes side by side, and where they part."""

import xai_core as xai
import xai_core.demo

# This picture was filed under "espresso", and the model does not agree.
study = xai.Study()
found = study.expect(xai_core.demo.cat_over_coffee(), "espresso")

print(found)
print(f"predicted: {found.predicted.focus}")
print(f"expected:  {found.expected.focus}")
found.figure().savefig("wrong_prediction.png")
