"""Parameters: what a field's type takes, in Python and as text, and what is said of the rest."""

import json
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pytest

import xai_core
from xai_core import Explainer, Needs, Registry, hookimpl
from xai_core.errors import ParameterError, UnknownNameError
from xai_core.parameters import Count, Seed, Share, Within, parameters
from xai_core.planner import describe_explainer
from xai_core.registry import Plugin, Source
from xai_core.settings import text_of


@dataclass(frozen=True)
class Inner(Explainer):
    """What another one works on."""

    name: ClassVar[str] = "inner"
    needs: ClassVar[Needs] = Needs.NOTHING

    power: float = 1.0

    def explain(self, evidence):
        return evidence.inputs[..., 0]


@dataclass(frozen=True)
class Every(Explainer):
    """A parameter of each kind."""

    name: ClassVar[str] = "every"
    needs: ClassVar[Needs] = Needs.NOTHING

    masks: Count = 8
    seed: Seed = 0
    share: Share = 0.5
    shift: float = -1.0
    title: str = "plain"
    loud: bool = False
    mode: Literal["mean", "largest"] = "mean"
    level: Literal[1, 2] = 1
    gap: Annotated[float | None, Within(0)] = None
    most: Count | None = 3
    word: str | None = None
    files: tuple[str, ...] = ()
    widths: tuple[Count, ...] = (1,)
    of: Explainer = field(default_factory=Inner)
    odd: Any = None

    def explain(self, evidence):
        return evidence.inputs[..., 0]


@dataclass(frozen=True)
class Picky(Inner):
    """Refuses in its own words."""

    name: ClassVar[str] = "picky"

    def __post_init__(self):
        if self.power > 2:
            raise RuntimeError("too much")


@pytest.fixture
def registry():
    class Hooks:
        @hookimpl
        def xai_explainers(self):
            return [Every(), Inner(), Picky()]

    return Registry([Plugin(Source("tests", "1"), Hooks())])


def refused(call, *arguments, **named):
    with pytest.raises(ParameterError) as caught:
        call(*arguments, **named)
    assert caught.value.exit_code == 2
    return str(caught.value)


# ------------------------------------------------------------------------ as values


def test_without_parameters_it_is_what_the_plugin_offers(registry):
    assert registry.explainer("every") is registry.explainers["every"].item


def test_parameters_are_set_and_the_rest_stays(registry):
    made = registry.explainer("every", masks=4000, gap=0.1, of=Inner(power=3.0))
    assert made == Every(masks=4000, gap=0.1, of=Inner(power=3.0))
    assert registry.explainer("every") == Every()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("masks", np.int64(3)),
        ("share", 1),
        ("share", np.float32(0.25)),
        ("gap", None),
        ("gap", 0),
        ("files", ("a", "b")),
        ("widths", (2, 3)),
        ("odd", object),
        ("loud", True),
        ("level", 2),
    ],
)
def test_values_that_fit(registry, name, value):
    found = getattr(registry.explainer("every", **{name: value}), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("masks", 0, "a whole number, at least 1"),
        ("masks", 2.0, "a whole number, at least 1"),
        ("masks", True, "a whole number, at least 1"),
        ("masks", None, "a whole number, at least 1"),
        ("seed", 2**31, "a whole number, 0 to 2,147,483,647"),
        ("share", 1.01, "a number, 0 to 1"),
        ("share", float("nan"), "a number, 0 to 1"),
        ("shift", float("inf"), "a number"),
        ("title", 3, "a text"),
        ("loud", 1, "one of true, false"),
        ("mode", "median", "one of mean, largest"),
        ("level", "1", "one of 1, 2"),
        ("level", True, "one of 1, 2"),
        ("gap", -0.5, "a number, at least 0, or none"),
        ("most", 0, "a whole number, at least 1, or none"),
        ("files", "a", "a tuple (as text a,b,...), each of it a text"),
        ("files", ("a", 1), "a tuple (as text a,b,...), each of it a text"),
        ("widths", (2, 0), "a tuple (as text a,b,...), each of it a whole number, at least 1"),
        ("of", Inner, "an explainer"),
    ],
)
def test_values_that_do_not_fit_are_told_with_what_was_expected(registry, name, value, expected):
    message = f"every: received {name} {value!r}; expected {expected}"
    assert refused(registry.explainer, "every", **{name: value}) == message
    assert refused(Every, **{name: value}) == message


@pytest.mark.parametrize(
    ("name", "data", "value"),
    [
        ("files", ["a", "b"], ("a", "b")),
        ("widths", [2], (2,)),
        ("of", "picky", Picky()),
        ("of", "inner(power=2)", Inner(power=2.0)),
        ("of", "every(of=every(of=inner, masks=2), masks=3)", Every(masks=3, of=Every(masks=2))),
    ],
)
def test_plain_data_stands_for_what_it_was_written_of(registry, name, data, value):
    assert getattr(registry.explainer("every", **{name: data}), name) == value


@pytest.mark.parametrize(
    "made",
    [
        Every(),
        Every(masks=3, gap=0.5, most=None, loud=True, files=("a", "b"), widths=(4, 5)),
        Every(of=Inner(power=2.0)),
        Every(of=Every(masks=3, loud=True, files=("a", "b"), of=Picky(power=0.5), level=2)),
    ],
)
def test_a_method_is_made_again_from_its_provenance(registry, made):
    told = json.loads(json.dumps(dict(describe_explainer(made, registry).parameters)))
    assert registry.explainer("every", **told) == made


def test_a_number_too_large_for_a_float_is_still_a_number(registry):
    assert registry.explainer("every", masks=10**400).masks == 10**400
    assert "expected a whole number, 0 to" in refused(Every, seed=10**400)


def test_a_parameter_that_is_none_is_told_with_those_near_it(registry):
    assert refused(registry.explainer, "every", mask=3) == (
        "every has no parameter 'mask'; near it: masks. There are: masks, seed, share, shift, "
        "title, loud, mode, level, gap, most, word, files, widths, of, odd"
    )


def test_a_method_that_is_none(registry):
    with pytest.raises(UnknownNameError, match="no explainer is called 'evry'; near it: every"):
        registry.explainer("evry", masks=3)


def test_what_a_plugin_refuses_in_its_own_words_is_told(registry):
    assert refused(registry.explainer, "picky", power=3.0) == (
        "picky: received power 3.0; it was refused with RuntimeError: too much"
    )


def test_the_public_function_finds_what_is_installed():
    made = xai_core.explainer("smoothgrad", samples=4, of=xai_core.explainer("saliency"))
    assert (made.name, made.samples, made.of.name) == ("smoothgrad", 4, "saliency")
    assert (
        refused(xai_core.explainer, "smoothgrad", samples="many")
        == "smoothgrad: received samples 'many'; expected a whole number, at least 1"
    )


# --------------------------------------------------------------------------- as text


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("masks", "4000", 4000),
        ("share", "0.25", 0.25),
        ("share", "1", 1.0),
        ("shift", "-1e-3", -0.001),
        ("title", "a = b", "a = b"),
        ("title", "", ""),
        ("loud", "true", True),
        ("loud", "false", False),
        ("mode", "largest", "largest"),
        ("level", "2", 2),
        ("gap", "none", None),
        ("gap", "0.5", 0.5),
        ("most", "none", None),
        ("most", "7", 7),
        ("word", "none", None),
        ("word", "nine", "nine"),
        ("files", "a.png, b.png", ("a.png", "b.png")),
        ("files", "", ()),
        ("widths", "2,3", (2, 3)),
        ("of", "picky", Picky()),
    ],
)
def test_text_stands_for_a_value_of_the_fields_type(registry, name, text, value):
    found = getattr(registry.explainer_by_text("every", {name: text}), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "received"),
    [
        ("masks", "many", "'many'"),
        ("masks", "2.5", "'2.5'"),
        ("masks", "0", "0"),
        ("masks", "", "''"),
        ("shift", "nan", "nan"),
        ("loud", "yes", "'yes'"),
        ("mode", "Mean", "'Mean'"),
        ("gap", "-1", "'-1'"),
        ("gap", "None", "'None'"),
        ("widths", "2,x", "'2,x'"),
        ("widths", "2,0", "(2, 0)"),
        ("odd", "3", "'3'"),
    ],
)
def test_text_that_stands_for_no_value_is_told_with_what_was_expected(
    registry, name, text, received
):
    (expected,) = (each.expected for each in parameters(Every()) if each.name == name)
    assert refused(registry.explainer_by_text, "every", {name: text}) == (
        f"every: received {name} {received}; expected {expected}"
    )


def test_an_explainer_in_a_parameter_has_its_own_behind_a_dot(registry):
    texts = {"of.power": "2", "masks": "3"}
    assert registry.explainer_by_text("every", texts) == Every(masks=3, of=Inner(power=2.0))
    texts = {"of": "picky", "of.power": "0.5"}
    assert registry.explainer_by_text("every", texts) == Every(of=Picky(power=0.5))
    deep = {"of": "every", "of.of.power": "4"}
    assert registry.explainer_by_text("every", deep).of.of == Inner(power=4.0)


def test_what_has_no_parameters_of_its_own_is_told(registry):
    assert refused(registry.explainer_by_text, "every", {"masks.power": "2"}) == (
        "every: received masks.power; expected masks alone, a whole number, at least 1, which "
        "has no parameters of its own"
    )
    assert refused(registry.explainer_by_text, "every", {"of.masks": "2"}) == (
        "inner has no parameter 'masks'. There are: power"
    )


def test_an_explainer_that_is_none_is_told_by_name(registry):
    with pytest.raises(UnknownNameError, match="no explainer is called 'iner'; near it: inner"):
        registry.explainer_by_text("every", {"of": "iner"})


@pytest.mark.parametrize(
    "made",
    [
        Every(masks=3, share=0.125, title="x y", loud=True, mode="largest", level=2),
        Every(gap=0.5, most=None, word="w", files=("a", "b"), widths=(4, 5), of=Picky()),
    ],
)
def test_every_value_is_read_from_the_text_that_it_is_written_as(registry, made):
    texts = {each.name: text_of(each.value) for each in parameters(made) if each.is_changed}
    assert registry.explainer_by_text("every", texts) == made


def test_an_explainer_is_written_with_what_is_changed_of_it():
    assert text_of(Inner()) == "inner"
    assert text_of(Inner(power=2.0)) == "inner(power=2.0)"


@dataclass(frozen=True)
class Mixed(Inner):
    """Types of which texts stand for all, some or none of the values."""

    name: ClassVar[str] = "mixed"

    array: np.ndarray | None = None
    arrays: tuple[np.ndarray, ...] = ()
    listed: list[int] = field(default_factory=list)
    either: np.ndarray | int = 0
    inner: Inner | None = None
    inners: tuple[Inner, ...] = ()
    nothing: None = None


def test_a_type_is_written_if_texts_stand_for_its_values():
    def has_names(kind):
        return issubclass(kind, Explainer)

    kinds = {each.name: each.kind for each in parameters(Every()) + parameters(Mixed())}
    unwritten = [name for name, kind in kinds.items() if not kind.written(has_names)]
    assert unwritten == ["odd", "array", "arrays", "listed"]
    assert not kinds["of"].written(lambda kind: False)


def test_arrays_differ_from_whatever_they_are_compared_with():
    (_, odd) = parameters(Every(odd=np.zeros(2)))[-2:]
    assert odd.is_changed


def test_types_that_cannot_be_read_are_not_held_to():
    made = dataclass(frozen=True)(
        type("Vague", (Inner,), {"__annotations__": {"size": "Missing"}, "size": 3})
    )
    assert [(e.name, e.value, e.takes("x")) for e in parameters(made())] == [
        ("power", 1.0, True),
        ("size", 3, True),
    ]
