"""An explainer of your own: where a layer is active, whatever the class."""

from dataclasses import dataclass

from keras import ops

import xai_core as xai


@dataclass(frozen=True)
class MeanActivation(xai.Explainer):
    """mean_k |A_k|^power, a baseline for every class activation map."""

    power: float = 1.0  # the fields are the parameters

    name = "mean-activation"
    needs = xai.Needs.ACTIVATIONS  # all that it reads: no gradient is computed for it

    def explain(self, evidence):
        return ops.mean(ops.abs(evidence.activations) ** self.power, axis=-1)


@xai.hookimpl
def xai_explainers():
    """What the plugin offers, once it is installed."""
    return [MeanActivation()]


if __name__ == "__main__":
    import xai_core.demo

    many = xai.Study().compare(
        xai_core.demo.cat_over_coffee(),
        ["grad-cam", MeanActivation(power=2.0)],
        ["Egyptian cat", "espresso"],
    )
    for one in many:
        print(f"{one.target}, {one.method}: {one.focus}")
    many.save("own_explainer.png")
