"""The conformance kit: holds a plugin to the laws that it is under."""

from collections.abc import Iterator
from dataclasses import replace

from xai_core.errors import UsageError
from xai_core.interfaces import Explainer, Metric, ModelAdapter
from xai_core.testing.adapters import ADAPTERS, Candidate
from xai_core.testing.everywhere import EVERYWHERE
from xai_core.testing.findings import ConformanceError, Finding
from xai_core.testing.metrics import METRICS, Measured
from xai_core.testing.subject import Benches, Subject
from xai_core.testing.table import declarable

_VITAL = frozenset(
    {
        "interface",
        "needs",
        "maps",
        "repeat",
        "untouched",
        "builds",
        "recognises",
        "layers",
        "scores",
    }
)
"""Laws without which nothing more can be told."""


class Kit:
    """Small models under study, on which plugins are held to laws.

    Models, and the programs compiled for them, are made when they are first needed and kept: one
    kit for many plugins saves most of the time. The global random states are left as they are.
    """

    def __init__(self) -> None:
        self._benches = Benches()

    def examine(self, explainer: Explainer) -> Iterator[Finding]:
        """Hold an explainer to each law that it is under, one after the other.

        Those that hold for every method come first, then those that it declares in `laws`.
        Where it has no proper interface, does not run on every model, makes another map each
        time, or changes the model, nothing more can be told: that finding names the laws that
        were not tried. A method that asks about many pictures is tried with smaller counts.

        Raises:
            UsageError: it is no instance of an explainer.
        """
        if not isinstance(explainer, Explainer):
            raise UsageError(
                f"received {explainer!r}; expected an instance of an Explainer, such as GradCAM()"
            )
        subject = Subject(explainer, self._benches)
        for number, check in enumerate(EVERYWHERE, 1):
            finding = check.hold(subject)
            if not finding.ok and check.law in _VITAL:
                rest = *(each.law for each in EVERYWHERE[number:]), *_declared(explainer)
                yield replace(finding, untried=rest)
                return
            yield finding
            if check.law == "interface":
                subject.save_queries()
        every = declarable()
        for law in subject.explainer.laws:
            yield every[law].hold(subject)

    def examine_adapter(self, adapter: ModelAdapter) -> Iterator[Finding]:
        """Hold an adapter to each law, one after the other, on its own model with random weights.

        Where it has no proper interface, builds no model, does not recognise it, or has no proper
        layers, nothing more can be told: that finding names the laws that were not tried.

        Raises:
            UsageError: it is no instance of an adapter.
        """
        if not isinstance(adapter, ModelAdapter):
            raise UsageError(f"received {adapter!r}; expected an instance of a ModelAdapter")
        candidate = Candidate(adapter, self._benches)
        for number, check in enumerate(ADAPTERS, 1):
            finding = check.hold(candidate)
            if not finding.ok and check.law in _VITAL:
                yield replace(finding, untried=tuple(each.law for each in ADAPTERS[number:]))
                return
            yield finding

    def examine_metric(self, metric: Metric) -> Iterator[Finding]:
        """Hold a metric to each law, one after the other, where a model reads one patch.

        Where it has no proper interface, does not score every map, or scores them otherwise each
        time, nothing more can be told: that finding names the laws that were not tried.

        Raises:
            UsageError: it is no instance of a metric.
        """
        if not isinstance(metric, Metric):
            raise UsageError(
                f"received {metric!r}; expected an instance of a Metric, such as Deletion()"
            )
        measured = Measured(metric)
        for number, check in enumerate(METRICS, 1):
            finding = check.hold(measured)
            if not finding.ok and check.law in _VITAL:
                yield replace(finding, untried=tuple(each.law for each in METRICS[number:]))
                return
            yield finding


def _declared(explainer: Explainer) -> tuple[str, ...]:
    """The laws that it declares; none where it cannot say."""
    try:
        return tuple(str(law.name) for law in explainer.laws)
    except Exception:  # noqa: BLE001 - its own law tells
        return ()


def check_explainer(explainer: Explainer, kit: Kit | None = None) -> None:
    """Hold an explainer to every law that it is under.

    Args:
        explainer: With the parameters that it is to be tried with.
        kit: Small models that were made before; by default they are made anew.

    Raises:
        ConformanceError: laws are broken; all of them are told.
    """
    __tracebackhide__ = True
    _fail(explainer, (kit or Kit()).examine(explainer))


def check_adapter(adapter: ModelAdapter, kit: Kit | None = None) -> None:
    """Hold an adapter to every law, on its own model with random weights.

    Args:
        adapter: The adapter.
        kit: Small models that were made before; by default they are made anew.

    Raises:
        ConformanceError: laws are broken; all of them are told.
    """
    __tracebackhide__ = True
    _fail(adapter, (kit or Kit()).examine_adapter(adapter))


def check_metric(metric: Metric, kit: Kit | None = None) -> None:
    """Hold a metric to every law, on pictures of which a model reads one patch.

    Args:
        metric: With the parameters that it is to be tried with.
        kit: As for explainers; no model is needed.

    Raises:
        ConformanceError: laws are broken; all of them are told.
    """
    __tracebackhide__ = True
    _fail(metric, (kit or Kit()).examine_metric(metric))


def _fail(plugin: Explainer | ModelAdapter | Metric, findings: Iterator[Finding]) -> None:
    __tracebackhide__ = True
    broken = tuple(each for each in findings if not each.ok)
    if broken:
        name = str(getattr(plugin, "name", type(plugin).__name__))
        raise ConformanceError(name, broken) from broken[0].cause
