"""`xai check`: each law on a line, what is broken with its numbers, and the exit code."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
from keras import ops

from xai_core import Explainer, Law, Needs, hookimpl
from xai_core.registry import Plugin, Registry, Source


@dataclass(frozen=True)
class Doubling(Explainer):
    """The squared mean activation, which is not linear in the score as it says."""

    name: ClassVar[str] = "doubling"
    needs: ClassVar[Needs] = Needs.ACTIVATIONS | Needs.ACTIVATION_GRADIENTS
    power: int = 2

    @property
    def laws(self):
        return Law.LINEAR

    def explain(self, evidence):
        product = evidence.activations * evidence.activation_gradients
        return ops.sum(product, axis=-1) ** self.power


@dataclass(frozen=True)
class Mute(Explainer):
    """Raises when it is asked for its laws."""

    name: ClassVar[str] = "mute"
    needs: ClassVar[Needs] = Needs.ACTIVATIONS

    @property
    def laws(self):
        raise LookupError("no laws")

    def explain(self, evidence):
        return evidence.activations[..., 0]


@dataclass(frozen=True)
class Slipping(Explainer):
    """Raises on every model."""

    name: ClassVar[str] = "slipping"
    needs: ClassVar[Needs] = Needs.NOTHING

    def explain(self, evidence):
        return {}["boom"]


@pytest.fixture(autouse=True)
def plugins(monkeypatch):
    import xai_plugins

    class Hooks:
        @hookimpl
        def xai_explainers(self):
            return [Doubling(), Mute(), Slipping()]

    registry = Registry(
        [Plugin(Source("xai-core", "0"), xai_plugins), Plugin(Source("tests", "1"), Hooks())]
    )
    monkeypatch.setattr(Registry, "discover", lambda: registry)


def verdicts(result):
    """The laws, by what is said of them."""
    found = {"ok": [], "broken": []}
    for line in result.out.splitlines():
        word, _, rest = line.partition(" ")
        if word in found:
            found[word].append(rest.split()[0])
    return found


def test_a_method_that_keeps_to_its_laws(xai):
    result = xai("check", "grad-cam")
    assert result.code == 0
    found = verdicts(result)
    assert found["broken"] == []
    assert {"interface", "batch", "GAP_DENSE", "LINEAR"} <= set(found["ok"])
    assert result.out.startswith("grad-cam, explainer of xai-core 0\n")
    assert result.out.endswith(f"{len(found['ok'])} kept, 0 broken\n")


def test_a_broken_law_is_told_with_its_numbers(xai):
    result = xai("check", "doubling")
    assert result.code == 1
    found = verdicts(result)
    assert found["broken"] == ["LINEAR"]
    assert "broken LINEAR The map of 2 S is twice the map of S." in result.words
    assert "found on doubled, for class" in result.words
    assert "likely" in result.words
    assert result.out.endswith("1 broken\n")


def test_it_is_checked_as_it_is_set(xai):
    result = xai("check", "doubling", "--set", "power=1")
    assert result.code == 0
    assert "LINEAR" in verdicts(result)["ok"]


def test_machines_get_each_finding(xai):
    result = xai("check", "doubling", "--json")
    assert result.code == 1
    (checked,) = result.json["checked"]
    assert (checked["name"], checked["kind"], checked["source"], checked["ok"]) == (
        *("doubling", "explainer", "tests 1"),
        False,
    )
    broken = [each for each in checked["findings"] if not each["ok"]]
    assert [each["law"] for each in broken] == ["LINEAR"]
    assert broken[0]["broken"].startswith("on doubled")


def test_an_adapter_is_checked_by_its_name_too(xai):
    result = xai("check", "generic")
    assert result.code == 0
    assert result.out.startswith("generic, adapter of xai-core 0\n")
    assert "labels" in verdicts(result)["ok"]


def test_a_metric_is_checked_by_its_name_and_as_it_is_set(xai):
    result = xai("check", "deletion", "--set", "steps=10")
    assert result.code == 0
    assert result.out.startswith("deletion, metric of xai-core 0\n")
    assert {"direction", "alone", "questions"} <= set(verdicts(result)["ok"])
    assert result.out.endswith("7 kept, 0 broken\n")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "doublin",
            "no explainer, adapter or metric is called 'doublin'; near it: doubling. xai list",
        ),
        ("doubling --set powr=1", "doubling has no parameter 'powr'; near it: power"),
        ("generic --set size=3", "received --set for the adapter generic; it has no parameters"),
    ],
)
def test_what_cannot_be_checked(xai, command, message):
    result = xai("check", *command.split())
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"error: {message}")


def test_what_a_plugin_raises_is_a_broken_law(xai):
    result = xai("check", "mute")
    assert result.code == 1
    assert verdicts(result) == {"ok": [], "broken": ["interface"]}
    assert "LookupError: no laws" in result.words


def test_laws_that_were_not_tried_are_counted(xai):
    result = xai("check", "slipping")
    assert result.code == 1
    assert verdicts(result)["broken"] == ["maps"]
    assert result.out.endswith("2 kept, 1 broken, 8 not tried until `maps` holds\n")


def test_machines_get_the_laws_that_were_not_tried(xai):
    (checked,) = xai("check", "slipping", "--json").json["checked"]
    *kept, broken = checked["findings"]
    assert [each["untried"] for each in kept] == [[], []]
    assert broken["untried"] == [
        *("queries", "repeat", "batch", "traceable", "untouched", "relabel", "rule"),
        "CONSTANT",
    ]
    line = Slipping.explain.__code__.co_firstlineno + 1
    assert f"raised KeyError: 'boom' (test_check.py:{line}, in explain)" in broken["broken"]
    assert set(broken) == {
        *("law", "statement", "models", "broken", "mistake", "read", "untried", "ok")
    }
