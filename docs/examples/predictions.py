"""What the model sees: the classes of highest score, beside the picture."""

import xai_core as xai
import xai_core.demo

study = xai.Study("efficientnet-lite0")  # a family, a .keras or .h5 file, or a keras.Model
prediction = study.predict(xai_core.demo.cat(), top=5)

for each in prediction.classes:
    print(f"{each.title:<20} p = {each.probability:.3f}  logit = {each.logit:5.2f}")

prediction.figure().savefig("predictions.png")
