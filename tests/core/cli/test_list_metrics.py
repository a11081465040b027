"""`xai list metrics`: which way is better, between what bounds, and the traps of one."""

import math
from dataclasses import dataclass
from typing import ClassVar

import pytest

from xai_core import Metric, Score, hookimpl
from xai_core.parameters import Count
from xai_core.registry import Plugin, Registry, Source


@dataclass(frozen=True)
class Loss(Metric):
    """Loss: what is lost.

    Its trap is that
    it means nothing.
    """

    name: ClassVar[str] = "loss"
    summary: ClassVar[str] = "what is lost"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, math.inf)

    steps: Count = 4

    def score(self, trial):
        return Score(0.5)


@dataclass(frozen=True)
class Even(Metric):
    """Even: how even."""

    name: ClassVar[str] = "even"
    family: ClassVar[str] = "numerical"
    summary: ClassVar[str] = "how even"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    queries: ClassVar[int] = 7
    maps: ClassVar[None] = None

    def score(self, trial):
        return Score(0.5)


@pytest.fixture(autouse=True)
def plugins(monkeypatch):
    class Hooks:
        @hookimpl
        def xai_metrics(self):
            return [Loss(), Even()]

    registry = Registry([Plugin(Source("tests", "1.5"), Hooks())])
    monkeypatch.setattr(Registry, "discover", lambda: registry)


def test_each_is_a_line(xai):
    lines = [line.split("  ") for line in xai("list", "metrics").out.splitlines()]
    words = [[word.strip() for word in line if word.strip()] for line in lines]
    assert words == [
        ["family", "name", "better", "range", "queries", "maps", "parameters", "source",
         "summary"],
        ["numerical", "even", "higher", "0 to 1", "7", "some", "tests 1.5", "how even"],
        ["other", "loss", "lower", "0 to inf", "some", "0", "steps=4", "tests 1.5",
         "what is lost"],
    ]  # fmt: skip


def test_machines_get_everything(xai):
    (found,) = [e for e in xai("list", "metrics", "--json").json["metrics"] if e["name"] == "loss"]
    assert [found] == [
        {
            "name": "loss",
            "family": "other",
            "higher_is_better": False,
            "range": [0.0, None],
            "queries": None,
            "maps": 0,
            "parameters": [
                {"name": "steps", "default": "4", "expected": "a whole number, at least 1"}
            ],
            "source": "tests 1.5",
            "summary": "what is lost",
        }
    ]


def test_all_of_one_tells_its_traps(xai):
    lines = [line.rstrip() for line in xai("list", "metrics", "loss").out.splitlines()]
    assert lines == [
        "loss",
        "  Loss: what is lost.",
        "  Its trap is that it means nothing.",
        "",
        "family   other",
        "better   lower",
        "range    0 to inf",
        "queries  depends on the picture",
        "maps     0",
        "source   tests 1.5",
        "",
        "parameter  default  expected",
        "steps      4        a whole number, at least 1",
    ]


def test_a_plugin_says_that_it_offers_metrics(xai):
    (found,) = xai("list", "plugins", "--json").json["plugins"]
    assert (found["offers"], found["names"]) == ("metrics", ["even", "loss"])


def test_a_name_that_is_none(xai):
    result = xai("list", "metrics", "lost")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: no metric is called 'lost'; near it: loss")
