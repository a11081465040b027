"""`--set`: parameters of the chosen methods, from the command line into the result."""

import json

import numpy as np
import pytest


def parameters_of(result):
    return {each["method"]: each["parameters"] for each in result.json["explanations"]}


def test_compare_sets_each_method_its_own(xai, small, noise):
    result = xai(
        *("compare", noise, "--model", small, "--methods", "smoothgrad,squaregrad,saliency"),
        *("--set", "smoothgrad.samples=2", "--set", "squaregrad.samples=3"),
        *("--set", "smoothgrad.sigma=0", "--set", "saliency.values=signed", "--json"),
    )
    assert result.code == 0
    found = parameters_of(result)
    assert found["smoothgrad"] == {"samples": 2, "sigma": 0.0, "seed": 0, "of": "saliency"}
    assert found["squaregrad"] == {"samples": 3, "sigma": 0.15, "seed": 0, "of": "saliency"}
    assert found["saliency"] == {"values": "signed"}


def test_explain_sets_its_one_method_without_its_name(xai, small, noise, tmp_path):
    command = ("explain", noise, "--model", small, "--method", "smoothgrad", "--target", 1)
    result = xai(*command, "--set", "sigma=0", "--set", "smoothgrad.samples=2")
    assert result.code == 0
    assert "method smoothgrad(samples=2, sigma=0.0)" in result.words
    plain = xai(*command[:4], "--method", "saliency", "--target", 1)
    assert plain.code == 0
    with (
        np.load(tmp_path / "noise.smoothgrad.1.npz") as smooth,
        np.load(tmp_path / "noise.saliency.1.npz") as saliency,
    ):
        # The mean of gradients without noise is the gradient.
        np.testing.assert_allclose(smooth["map"], saliency["map"], rtol=1e-5)
        assert json.loads(str(smooth["metadata"]))["parameters"]["samples"] == 2


def test_a_method_in_a_parameter_is_named_and_has_its_own_behind_a_dot(xai, small, noise):
    result = xai(
        *("explain", noise, "--model", small, "--method", "smoothgrad", "--set", "samples=2"),
        *("--set", "of=gradient-x-input", "--json"),
    )
    assert result.json["parameters"]["of"] == "gradient-x-input"
    assert result.json["signed"] is True
    nested = ("--set", "of.values=signed", "--set", "samples=2", "--json")
    result = xai("explain", noise, "--model", small, "--method", "smoothgrad", *nested)
    assert result.json["parameters"]["of"] == "saliency(values=signed)"


def test_what_is_expected_is_explained_with_it_too(xai, small, noise):
    result = xai(
        *("compare", noise, "--model", small, "--methods", "smoothgrad", "--expect", "0"),
        *("--set", "samples=2", "--json"),
    )
    assert result.code == 0
    assert parameters_of(result)["smoothgrad"]["samples"] == 2


def test_several_models_are_compared_with_it_too(xai, models, noise):
    result = xai(
        *("compare", noise, "--models", f"{models / 'small.keras'},{models / 'open.keras'}"),
        *("--methods", "smoothgrad,saliency", "--set", "smoothgrad.samples=2", "--json"),
    )
    assert result.code == 0
    found = result.json["explanations"]
    assert {each["model"] for each in found} == {"small", "open"}
    samples = [each["parameters"].get("samples") for each in found]
    assert samples == [2, None, 2, None]


EXPLAIN = "explain --method smoothgrad --set"
COMPARE = "compare --methods smoothgrad,saliency --set"


@pytest.mark.parametrize(
    ("command", "kind", "message"),
    [
        (
            f"{EXPLAIN} smoothgrad.samples=many",
            "ParameterError",
            "smoothgrad: received samples 'many'; expected a whole number, at least 1",
        ),
        (
            f"{EXPLAIN} samples=0",
            "ParameterError",
            "smoothgrad: received samples 0; expected a whole number, at least 1",
        ),
        (
            f"{EXPLAIN} sample=3",
            "ParameterError",
            "smoothgrad has no parameter 'sample'; near it: samples. There are: samples, sigma, "
            "seed, of",
        ),
        (
            f"{EXPLAIN} of=salincy",
            "UnknownNameError",
            "no explainer is called 'salincy'; near it: saliency",
        ),
        (
            f"{EXPLAIN} of=grad-cam",
            "ParameterError",
            "smoothgrad: received of 'grad-cam', which needs",
        ),
        (
            f"{EXPLAIN} samples",
            "ParameterError",
            "received --set 'samples'; expected METHOD.NAME=VALUE, such as rise.masks=4000",
        ),
        (
            f"{EXPLAIN} samples=2 --set samples=3",
            "ParameterError",
            "received --set samples twice; expected it once",
        ),
        (
            f"{EXPLAIN} samples=2 --set smoothgrad.samples=3",
            "ParameterError",
            "received --set smoothgrad.samples twice; expected it once",
        ),
        (
            f"{EXPLAIN} saliency.values=signed",
            "ParameterError",
            "received --set saliency.values=signed, and 'saliency' is not among the methods "
            "chosen: smoothgrad; expected one of them",
        ),
        (
            f"{COMPARE} samples=2",
            "ParameterError",
            "received --set samples=2; expected the method before it, as in "
            "smoothgrad.samples=2; chosen are smoothgrad, saliency",
        ),
        (
            f"{COMPARE} values=signed",
            "ParameterError",
            "received --set values=signed; expected the method before it, as in "
            "saliency.values=signed; chosen are smoothgrad, saliency",
        ),
        (
            f"{COMPARE} smothgrad.samples=2",
            "ParameterError",
            "received --set smothgrad.samples=2, and 'smothgrad' is not among the methods "
            "chosen: smoothgrad, saliency; did you mean smoothgrad?",
        ),
        (
            "explain --method grad-cam --set power=2",
            "ParameterError",
            "grad-cam has no parameter 'power'; it has none",
        ),
    ],
)
def test_what_cannot_be_set_is_said_before_anything_runs(
    xai, small, noise, tmp_path, command, kind, message
):
    name, *options = command.split()
    result = xai(name, noise, "--model", small, *options)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"error: {message}")
    assert result.err.count("\n") == 1
    as_json = xai(name, noise, "--model", small, *options, "--json")
    assert as_json.json["error"]["kind"] == kind
    assert list(tmp_path.iterdir()) == []
