"""`xai list explainers`: readable on a narrow terminal, a line each in a pipe, all of one."""

from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from xai_core import Explainer, Needs, hookimpl
from xai_core.parameters import Count
from xai_core.registry import Plugin, Registry, Source


@dataclass(frozen=True)
class Near(Explainer):
    """Near: what is near.

    A second paragraph that is
    broken in two.
    """

    name: ClassVar[str] = "near"
    family: ClassVar[str] = "cam"
    needs: ClassVar[Needs] = Needs.ACTIVATIONS | Needs.ACTIVATION_GRADIENTS
    signed: ClassVar[bool] = True

    def explain(self, evidence):
        raise NotImplementedError


@dataclass(frozen=True)
class Often(Explainer):
    """Often: asks often."""

    name: ClassVar[str] = "often"
    needs: ClassVar[Needs] = Needs.QUERIES
    samples: Count = 1500
    gap: float | None = None
    of: Explainer = field(default_factory=Near)

    @property
    def queries(self):
        return self.samples

    def explain(self, evidence):
        raise NotImplementedError


@dataclass(frozen=True)
class Odd(Explainer):
    """Odd: raises when it is asked what it is."""

    name: ClassVar[str] = "odd"
    needs: ClassVar[Needs] = Needs.QUERIES

    @property
    def queries(self):
        raise LookupError("no count")

    @property
    def signed(self):
        raise LookupError("no sign")

    def explain(self, evidence):
        raise NotImplementedError


@pytest.fixture(autouse=True)
def plugins(monkeypatch):
    class Hooks:
        @hookimpl
        def xai_explainers(self):
            return [Often(), Near(), Odd()]

    registry = Registry([Plugin(Source("tests", "1.5"), Hooks())])
    monkeypatch.setattr(Registry, "discover", lambda: registry)


@pytest.fixture
def narrow(xai, monkeypatch):
    def run(*arguments):
        monkeypatch.setenv("COLUMNS", "80")
        return [line.rstrip() for line in xai(*arguments).out.splitlines()]

    return run


def test_on_a_terminal_they_stand_under_their_families(narrow):
    lines = narrow("list", "explainers")
    assert max(map(len, lines)) <= 80
    assert lines[:9] == [
        "name     cost, and parameters with their defaults",
        "cam",
        "  near   1 forward, 1 backward through the head; signed",
        "other",
        "  odd    LookupError: no count",
        "  often  1,500 queries",
        "         samples=1500 gap=none of=near",
        "",
        "pass        forward passes are shared by all methods, backward ones by those of",
    ]


def test_in_a_pipe_each_is_a_line_with_everything(xai):
    lines = [line.split("  ") for line in xai("list", "explainers").out.splitlines()]
    words = [[word.strip() for word in line if word.strip()] for line in lines]
    assert words[0] == [
        *("name", "family", "needs", "cost", "parameters", "signed", "source", "summary")
    ]
    assert words[1] == [
        *("near", "cam", "activations, activation-gradients"),
        *("1 forward, 1 backward through the head", "yes", "tests 1.5", "Near: what is near."),
    ]
    assert words[3] == [
        *("often", "other", "queries", "1,500 queries", "samples=1500 gap=none of=near"),
        *("no", "tests 1.5", "Often: asks often."),
    ]


def test_all_of_one_tells_its_parameters_and_how_to_set_them(narrow):
    assert narrow("list", "explainers", "often") == [
        "often",
        "  Often: asks often.",
        "",
        "family  other",
        "needs   queries",
        "cost    1,500 queries",
        "signed  no",
        "source  tests 1.5",
        "",
        "parameter  default  expected",
        "samples    1500     a whole number, at least 1",
        "gap        none     a number, or none",
        "of         near     an explainer",
        "",
        "set it     xai explain PICTURE --method often --set samples=...",
        'in Python  xai_core.explainer("often", samples=...)',
    ]


def test_all_of_one_tells_its_whole_definition(narrow):
    lines = narrow("list", "explainers", "near")
    assert lines[:3] == [
        "near",
        "  Near: what is near.",
        "  A second paragraph that is broken in two.",
    ]
    assert lines[-1] == "parameters  none"


def test_machines_get_everything(xai):
    (found,) = xai("list", "explainers", "often", "--json").json["explainers"]
    assert found == {
        "name": "often",
        "family": "other",
        "needs": ["queries"],
        "cost": "1,500 queries",
        "queries": 1500,
        "parameters": [
            {"name": "samples", "default": 1500, "expected": "a whole number, at least 1"},
            {"name": "gap", "default": None, "expected": "a number, or none"},
            {"name": "of", "default": "near", "expected": "an explainer"},
        ],
        "signed": False,
        "source": "tests 1.5",
        "summary": "Often: asks often.",
    }
    every = xai("list", "explainers", "--json").json["explainers"]
    assert [each["name"] for each in every] == ["near", "odd", "often"]
    assert every[1]["signed"] == "LookupError: no sign"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("explainers oftn", "no explainer is called 'oftn'; near it: often"),
        ("plugins tests", "received 'tests' after plugins; expected a name only after explainers"),
    ],
)
def test_names_that_are_none(xai, arguments, message):
    result = xai("list", *arguments.split())
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"error: {message}")
