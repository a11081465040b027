"""Metrics as plugins: found, held to their interface, looked up by name, listed."""

import math
from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from trials import make_trial

import xai_core
from xai_core import Metric, Score, hookimpl
from xai_core.errors import ParameterError, RegistryError, UnknownNameError
from xai_core.parameters import Count
from xai_core.registry import Plugin, Registry, Source

ALPHA, BETA = Source("alpha-plugin", "1.0"), Source("beta-plugin", "2.0")


@dataclass(frozen=True)
class Loss(Metric):
    """Loss: what is lost.

    Its trap is that
    it means nothing.
    """

    name: ClassVar[str] = "loss"
    summary: ClassVar[str] = "what is lost"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    steps: Count = 4

    @property
    def queries(self):
        return self.steps

    def score(self, trial):
        return Score(0.5)


def offering(*metrics, source=ALPHA):
    return Plugin(source, SimpleNamespace(xai_metrics=hookimpl(lambda: metrics)))


def changed(**attributes):
    return dataclass(frozen=True)(type("Changed", (Loss,), {"__module__": __name__} | attributes))()


def refused(*plugins):
    with pytest.raises(RegistryError) as caught:
        Registry(plugins)
    return str(caught.value)


def test_metrics_are_found_by_name_with_their_source():
    registry = Registry([offering(Loss()), offering(changed(name="area"), source=BETA)])
    assert list(registry.metrics) == ["area", "loss"]
    assert registry.metrics["area"].source == BETA
    assert registry.metric("loss") == Loss()
    assert registry.metric("loss", steps=7) == Loss(steps=7)
    assert registry.metric_by_text("loss", {"steps": "7"}) == Loss(steps=7)
    assert registry.source_of(Loss(steps=2)) == ALPHA
    assert str(registry.source_of(changed(name="other"))) == f"module {__name__}"


def test_an_unknown_metric_names_those_that_are_near():
    registry = Registry([offering(Loss(), changed(name="gain"))])
    with pytest.raises(UnknownNameError) as caught:
        registry.metric("los")
    assert str(caught.value) == "no metric is called 'los'; near it: loss. There are: gain, loss"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"steps": 0}, "loss: received steps 0; expected a whole number, at least 1"),
        ({"stepps": 1}, "loss has no parameter 'stepps'; near it: steps. There are: steps"),
    ],
)
def test_parameters_are_held_to_their_bounds(parameters, message):
    with pytest.raises(ParameterError) as caught:
        Registry([offering(Loss())]).metric("loss", **parameters)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"summary": "two\nlines"}, "summary = 'two\\nlines'; expected one line of text"),
        ({"higher_is_better": 1}, "higher_is_better = 1; expected True or False"),
        (
            {"bounds": (1.0, 0.0)},
            "bounds = (1.0, 0.0); expected two numbers, the lower first, such as (0.0, 1.0)",
        ),
        (
            {"bounds": "0..1"},
            "bounds = '0..1'; expected two numbers, the lower first, such as (0.0, 1.0)",
        ),
    ],
)
def test_what_a_ranking_cannot_do_without(attributes, message):
    text = refused(offering(changed(**attributes)))
    assert text == f"alpha-plugin 1.0: metric 'loss' says {message}"


def test_open_bounds_are_bounds():
    metric = changed(bounds=(-math.inf, math.inf))
    assert Registry([offering(metric)]).metric("loss") is metric


def test_the_same_name_twice():
    assert refused(offering(Loss()), offering(Loss(), source=BETA)) == (
        "the metric 'loss' is offered twice, by alpha-plugin 1.0 and by beta-plugin 2.0; "
        "uninstall one, or rename it there"
    )


def test_what_is_no_metric():
    assert refused(offering(3)) == (
        "alpha-plugin 1.0 offers 3; expected an instance of xai_core.Metric"
    )
    assert "has the name 'Loss 2'" in refused(offering(changed(name="Loss 2")))


def test_those_that_are_built_in(registry):
    assert {"deletion", "insertion"} <= set(registry.metrics)
    assert {"deletion", "insertion"} <= set(xai_core.list_metrics())


def test_a_trial_draws_the_same_with_every_generator():
    trial = make_trial(np.zeros((2, 3, 1)), np.zeros((2, 3)), seed=(3, 4))
    assert trial.generator().random() == trial.generator().random()
