"""The laws that hold for every method."""

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from xai_core.errors import ExplainerError, UndeclaredNeedError, XaiError
from xai_core.interfaces import Explainer
from xai_core.laws import Law
from xai_core.needs import Needs
from xai_core.parameters import parameters
from xai_core.probe import backend
from xai_core.surgery.rewire import Rule
from xai_core.testing.findings import difference
from xai_core.testing.laws import Breach, Breaches, Check
from xai_core.testing.models import EVERYDAY, RELABELLED
from xai_core.testing.subject import Subject, snapshot
from xai_core.testing.watch import Counted, Log, Runs
from xai_core.types import Explanation

_NAME = re.compile(r"[a-z0-9][a-z0-9+-]*")
_MAIN = "flatten-dense"
"""Behind a hidden layer the gradients depend on the picture."""
_PLUGINS = "the reference's page of plugins"


def interface(subject: Subject) -> Iterator[str]:
    """What an explainer says of itself."""
    explainer = subject.explainer
    kind = type(explainer)
    frozen = getattr(vars(kind).get("__dataclass_params__"), "frozen", False)
    if not is_dataclass(explainer) or not frozen:
        yield f"{kind.__name__} is no frozen dataclass; expected @dataclass(frozen=True)"
        return
    for name, fits in _ATTRIBUTES.items():
        value = getattr(explainer, name, "nothing")
        if not fits(value):
            yield f"{name} is {value!r}; expected what xai_core.Explainer says of it"
    try:
        kind()
    except (TypeError, XaiError) as error:
        yield f"{kind.__name__}() fails: {error}; expected every parameter to have a default"
    for parameter in parameters(explainer):
        if not parameter.kind.written(lambda named: issubclass(named, Explainer)):
            yield (
                f"{parameter.name} takes {parameter.expected}, of which `--set` can fill in "
                f"nothing; expected {_WRITTEN}"
            )
    twin: Any = replace(explainer)
    for each in fields(kind):
        ours, theirs = getattr(explainer, each.name), getattr(twin, each.name)
        if ours != theirs:
            yield f"dataclasses.replace() made {each.name}={theirs!r} of {ours!r}"
    if twin != explainer:
        yield "dataclasses.replace() with no changes makes one that is not equal"


_WRITTEN = (
    "int, float, bool, str, a Literal, an Explainer, a tuple of any length of one of them "
    "(tuple[int, ...]), or several of these with | (int | None)"
)
"""The types that a text can stand for a value of."""

_ATTRIBUTES: Mapping[str, Callable[[Any], bool]] = MappingProxyType(
    {
        "name": lambda value: isinstance(value, str) and bool(_NAME.fullmatch(value)),
        "family": lambda value: isinstance(value, str) and bool(value),
        "needs": lambda value: isinstance(value, Needs),
        "signed": lambda value: isinstance(value, bool),
        "rule": lambda value: isinstance(value, Rule),
        "laws": lambda value: isinstance(value, Law),
        "queries": lambda value: value is None or (isinstance(value, int) and value >= 0),
        "traceable": lambda value: isinstance(value, bool),
    }
)


def needs(subject: Subject) -> Breaches:
    """What is declared is what is read."""
    ran = 0
    for name in _everyday(subject):
        try:
            subject.one(name)
            ran += 1
        except UndeclaredNeedError as error:
            yield Breach(f"on {name}: {error}", "undeclared", error)
        except XaiError:
            pass  # told by the law after this one
    unread = subject.explainer.needs & ~subject.read
    if ran and unread:
        yield Breach(f"{unread} is declared, and on none of {ran} models was it read", "unread")


def maps(subject: Subject) -> Breaches:
    """It runs on every model, and returns maps."""
    for name in _everyday(subject):
        try:
            found = subject.one(name).map
        except XaiError as error:
            yield Breach(f"on {name}: {error}", _failing(subject.returned), error)
            continue
        odd = int(np.count_nonzero(~np.isfinite(found)))
        if odd:
            yield Breach(
                f"on {name}: {odd} of {found.size} values are NaN or infinite", "non-finite"
            )


def _failing(returned: list[Any]) -> str:
    """In what way there is no map: of one picture, since that is what was asked for."""
    if not returned:
        return "raised"
    try:
        found = backend().to_host(returned[-1])
    except (TypeError, ValueError):  # as of a list of lists that differ in length
        return "no array"
    if found.dtype.kind not in "biufc":
        return "no array"
    if found.ndim != 3 or found.shape[0] != 1 or found.size == 0:
        return "shape"
    return "dtype" if found.dtype.kind != "f" else "facts"


def queries(subject: Subject) -> Iterator[str]:
    """It costs what it says."""
    said = subject.explainer.queries
    if said is None:
        return
    for name in _everyday(subject):
        asked = subject.one(name).facts.get("queries", 0)
        if asked != said:
            yield f"on {name} it asked about {asked:g} pictures for one map; it says {said}"


def batch(subject: Subject) -> Iterator[str]:
    """A map depends on its own picture alone."""
    name = _MAIN
    alone = subject.one(name, 0)
    together = subject.run(name, (0, 1, 2), batch=3)
    # The first three in another order, and one more, in a batch that is filled up.
    others = subject.run(name, (2, 1, 3, 0), batch=3)
    cases = (
        (together[0], alone, "as when it is explained alone"),
        (others[3], alone, "as when it is explained alone (here, in a batch filled up with zeros)"),
        (others[1], together[1], "as beside other pictures in another order"),
        (others[0], together[2], "as beside other pictures in another order"),
    )
    for found, expected, what in cases:
        told = difference(found.map, expected.map, what)
        if told:
            yield f"on {name}, 3 pictures to a batch, {told}"


def repeat(subject: Subject) -> Iterator[str]:
    """The same again gives the same again, whatever the global random states are."""
    name = _MAIN
    first = subject.one(name)
    before = random.getstate(), np.random.get_state()  # noqa: NPY002 - theirs, not drawn from
    try:
        random.seed(77)
        np.random.seed(77)  # noqa: NPY002
        given = random.getstate(), np.random.get_state()  # noqa: NPY002
        (again,) = subject.run(name)
        left = random.getstate(), np.random.get_state()  # noqa: NPY002
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
    told = difference(again.map, first.map, "as the first time")
    if told:
        yield f"on {name}, run a second time, {told}"
    for what, is_same in (
        ("Python's random", given[0] == left[0]),
        ("numpy.random", all(map(np.array_equal, given[1], left[1]))),
    ):
        if not is_same:
            yield f"on {name} it draws from, or seeds, the global state of {what}"
    (twin,) = subject.run(name, explainer=replace(subject.explainer))  # type: ignore[type-var]
    told = difference(twin.map, first.map, "as before dataclasses.replace() with no changes")
    if told:
        yield f"on {name}, {told}"


def traceable(subject: Subject) -> Breaches:
    """What may be compiled can be, and then makes the same maps."""
    explainer = subject.explainer
    if not explainer.traceable:
        return
    if explainer.needs & Needs.ASKS:
        yield Breach("it asks questions, which a program cannot answer", "asks")
        return
    name = next(filter(subject.fits, (_MAIN, *EVERYDAY)))
    runs, bench = Runs(), subject.bench(name)
    counted = Counted(explainer, Log(), runs)
    for number in (0, 1):
        (found,) = bench.compiled.compare([bench.pictures[number]], [counted], [1]).cells
        for error in runs.raised:
            told = f"on {name} it cannot be compiled: {type(error).__name__}: {error}"
            yield Breach(told, "raised")
            return
        if isinstance(found, Explanation):
            told = difference(
                found.map, subject.one(name, number).map, "as when it is not compiled"
            )
            if told:
                yield Breach(f"on {name}, compiled, picture {number}, {told}", "other")


def untouched(subject: Subject) -> Iterator[str]:
    """Neither the models nor the evidence are changed."""
    for name in _everyday(subject):
        bench = subject.bench(name)
        after = snapshot(bench.model)
        for layer, state in bench.before.items():
            changed = [what for what, value in state.items() if after[layer][what] != value]
            if changed:
                # They are the next one's too.
                subject.benches.clear()
                yield f"on {name}, {', '.join(changed)} of layer {layer!r} changed"
    if subject.changed:
        yield f"it wrote into the evidence: {', '.join(sorted(subject.changed))}"


def relabel(subject: Subject) -> Iterator[str]:
    """What a class is called, and where it stands, does not matter."""
    for there, here in enumerate(RELABELLED):
        found = subject.one("relabelled", target=there).map
        expected = subject.one("flatten-dense", target=here).map
        told = difference(found, expected, f"as of class {here} before")
        if told:
            yield f"on relabelled, of class {there}, {told}"


def rule(subject: Subject) -> Iterator[str]:
    """A rule that nothing follows is an error."""
    explainer = subject.explainer
    if explainer.rule is Rule.PLAIN:
        return
    try:
        subject.run("linear")
    except ExplainerError as error:
        if "has no ReLU" not in str(error):
            yield f"on linear, which has no rectifier, it fails otherwise: {error}"
    else:
        yield (
            f"on linear, which has no rectifier, it makes a map under the rule "
            f"{explainer.rule.value!r}"
        )


def _everyday(subject: Subject) -> list[str]:
    return [name for name in EVERYDAY if subject.fits(name)]


EVERYWHERE = (
    Check(
        "interface",
        "An explainer is a frozen dataclass whose fields have defaults, can be set by text and "
        "survive `dataclasses.replace`, with a name, needs, and the rest that "
        "`xai_core.Explainer` asks for.",
        "a field without a default; one of a type that no text stands for, as an array (take the "
        "path of a file), or that is imported for a type checker alone; `@dataclass` without "
        "`frozen=True` on a subclass, or a `__post_init__` that changes what it was given.",
        f"Explainer, on {_PLUGINS}",
        interface,
    ),
    Check(
        "needs",
        "What is declared in `needs` is what is read: nothing more, and nothing less.",
        "a declaration that does not go with what `explain` does.",
        f"Needs, on {_PLUGINS}",
        needs,
        MappingProxyType(
            {
                "unread": "a need that was left over from an earlier version, which costs every "
                "user a pass.",
                "undeclared": "a helper, or a method that this one works on, reads it, and it was "
                "not added to `needs`.",
            }
        ),
    ),
    Check(
        "maps",
        "On every model there is a map of each picture: (N, h, w), floating, finite.",
        "something that holds for one model and not for all.",
        f"Explainer.explain, on {_PLUGINS}",
        maps,
        MappingProxyType(
            {
                "raised": "three channels, a size, a dtype or a layer that is taken for granted, "
                "or a slip in the line that is named.",
                "no array": "a `return` that is missing on one way through, or a list, a "
                "dictionary or a function returned in the place of its result.",
                "shape": "a sum over too many axes, or too few; the axis of the batch lost where "
                "there is one picture.",
                "dtype": "a count or a comparison that was not cast to a floating dtype.",
                "facts": "a fact or a warning that is one number for the batch, or one for each "
                "place: there is one for each picture.",
                "non-finite": "a division by 0 where a channel, a range or a sum is 0, or a "
                "logarithm or root of what can be 0 or below.",
            }
        ),
    ),
    Check(
        "queries",
        "It asks about as many pictures, or activations, for each map as `queries` says.",
        "the baseline, or the last short chunk, is not counted; where it depends on the picture, "
        "say `None`.",
        f"Explainer.queries, on {_PLUGINS}",
        queries,
    ),
    Check(
        "repeat",
        "The same picture, class and parameters give the same map, and leave the global random "
        "states as they were.",
        "random numbers without a seed, or from a global generator: take a field `seed: Seed` "
        "and a generator of your own from it, and declare `Law.SEEDED`.",
        f"Explainer, on {_PLUGINS}",
        repeat,
    ),
    Check(
        "batch",
        "The map of a picture does not depend on the other pictures, their order or padding.",
        "a mean, maximum or normalisation over the first axis; noise drawn for the whole batch "
        "at once.",
        f"Explainer.explain, on {_PLUGINS}",
        batch,
    ),
    Check(
        "traceable",
        "A method that says it is traceable can be compiled, and then makes the same maps.",
        "something in `explain` that is not `keras.ops` on tensors of the evidence.",
        f"Explainer.traceable, on {_PLUGINS}",
        traceable,
        MappingProxyType(
            {
                "asks": "`traceable` and one of `QUERIES`, `HEAD_QUERIES` and `BIAS_TERMS` "
                "declared together.",
                "raised": "an `if` on a value, a tensor handed to NumPy, `evidence.pixels` or "
                "`evidence.black`: leave `traceable` out, or write it with `keras.ops`.",
                "other": "an error that is caught and worked around, or a value from outside the "
                "evidence that is not the same each time.",
            }
        ),
    ),
    Check(
        "untouched",
        "Neither the model nor the evidence is changed.",
        "an array of the evidence written to in place: work on a copy.",
        f"Evidence, on {_PLUGINS}",
        untouched,
    ),
    Check(
        "relabel",
        "With the classes in another order, the maps are those in that order.",
        "a class index that is built in or counts in the result, or scores asked for another "
        "class than the evidence's.",
        f"Evidence.scores, on {_PLUGINS}",
        relabel,
    ),
    Check(
        "rule",
        "A rule other than the plain one is an error on a model without rectifiers.",
        "a rule that is declared while no gradient by the input is read, or the error caught.",
        f"Rule, on {_PLUGINS}",
        rule,
    ),
)
"""In the order in which they are tried."""
