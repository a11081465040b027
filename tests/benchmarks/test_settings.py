"""What cannot be measured is refused before anything runs."""

import json
from dataclasses import asdict

import pytest

from benchmarks.models import spec
from benchmarks.settings import FULL, FULL_GPU, QUICK, Conditions, Extent
from xai_core.errors import UsageError


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"device": "tpu"}, "received device 'tpu'; expected cpu or gpu"),
        ({"backend": "mxnet"}, "received backend 'mxnet'; expected tensorflow or jax or torch"),
        ({"dtype": "float64"}, "received dtype 'float64'; expected float32 or bfloat16"),
        ({"tf32": True}, "received --tf32 with device 'cpu'; expected device 'gpu': nothing else"),
        ({"threads": 0}, "received threads 0; expected at least 1"),
        ({"samples": 0}, "received samples 0; expected at least 1"),
    ],
)
def test_conditions_that_cannot_be_met_are_refused(changed, message):
    with pytest.raises(UsageError, match=message):
        Conditions(**changed)


def test_a_model_that_no_one_knows_is_refused():
    with pytest.raises(UsageError, match="received model 'vgg'; expected one of vgg16, resnet50"):
        spec("vgg")


@pytest.mark.parametrize("extent", [FULL, QUICK])
def test_a_worker_is_told_the_same(extent):
    assert Extent.read(json.loads(json.dumps(asdict(extent)))) == extent
    conditions = Conditions("gpu", "torch", "eager", 3, 4, 5, "bfloat16", tf32=True)
    assert Conditions.read({**asdict(conditions), "unknown": 1}) == conditions


def test_bars_ask_for_nine_samples_and_these_models():
    assert Conditions().samples >= 9
    assert set(FULL.models) == {"vgg16", "resnet50", "xception"}
    assert FULL.batches == (1, 8)
    assert FULL_GPU.batches == FULL_GPU.memory_batches == (1, 8, 32, 128)
    assert set(FULL_GPU.models) == set(FULL.models)


def test_older_results_have_the_defaults_of_what_they_do_not_say():
    old = {"device": "cpu", "backend": "tensorflow", "engine": "auto", "threads": 2}
    assert Conditions.read(old) == Conditions(threads=2)
    assert (Conditions().dtype, Conditions().tf32) == ("float32", False)
