"""Which explainers, adapters and metrics there are, and which distribution each comes from."""

import dataclasses
import difflib
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from itertools import chain
from types import MappingProxyType
from typing import Any, Generic, Self, TypeVar

import pluggy

from xai_core import hookspecs
from xai_core.errors import RegistryError, UnknownNameError
from xai_core.interfaces import Explainer, Metric, ModelAdapter
from xai_core.needs import Needs
from xai_core.settings import configured, configured_by_text, named
from xai_core.surgery import Graph

_NAME = re.compile(r"[a-z0-9][a-z0-9+-]*")

Item = TypeVar("Item", Explainer, ModelAdapter, Metric)


class PluginWarning(UserWarning):
    """A plugin that was left out, and why."""


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a plugin comes from."""

    distribution: str
    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".strip()


@dataclasses.dataclass(frozen=True)
class Plugin:
    """Something that implements the hooks: a module or an object."""

    source: Source
    hooks: object


@dataclasses.dataclass(frozen=True)
class Entry(Generic[Item]):
    """One explainer, adapter or metric, and where it comes from."""

    item: Item
    source: Source


@dataclasses.dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that could not be used."""

    source: Source
    entry_point: str
    reason: str


class Registry:
    """The explainers, adapters and metrics of some plugins, by name. It does not change.

    Args:
        plugins: Whatever implements the hooks.
        broken: Plugins that were found and could not be loaded.

    Raises:
        RegistryError: two plugins offer the same name, or one breaks the interface.
    """

    def __init__(self, plugins: Iterable[Plugin], broken: Iterable[BrokenPlugin] = ()) -> None:
        offers = [(plugin.source, _contributions(plugin)) for plugin in plugins]
        self.broken: tuple[BrokenPlugin, ...] = tuple(broken)
        self.explainers: Mapping[str, Entry[Explainer]] = _by_name(
            "explainer",
            [Entry(each, source) for source, mine in offers for each in mine.explainers],
        )
        self.adapters: Mapping[str, Entry[ModelAdapter]] = _by_name(
            "adapter", [Entry(each, source) for source, mine in offers for each in mine.adapters]
        )
        self.metrics: Mapping[str, Entry[Metric]] = _by_name(
            "metric", [Entry(each, source) for source, mine in offers for each in mine.metrics]
        )

    @classmethod
    def discover(cls) -> Self:
        """Load every plugin installed under the entry-point group `xai_core`.

        A plugin that cannot be loaded is left out with a `PluginWarning`.
        """
        plugins, broken = [], []
        for point in sorted(entry_points(group=hookspecs.PROJECT), key=lambda each: each.name):
            source = _source(point)
            try:
                plugin = Plugin(source, point.load())
                _contributions(plugin)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - anyone's code runs at import
                broken.append(BrokenPlugin(source, point.value, f"{type(error).__name__}: {error}"))
                warnings.warn(
                    f"plugin {point.value!r} of {source} was left out: {broken[-1].reason}",
                    PluginWarning,
                    stacklevel=2,
                )
            else:
                plugins.append(plugin)
        return cls(plugins, broken)

    def explainer(self, name: str, /, **parameters: Any) -> Explainer:
        """Look an explainer up, and set it up.

        Args:
            name: Its name; `UnknownNameError` names those that are near.
            **parameters: Values in place of those it comes with. Plain data, as it is in
                provenance, will do: for an explainer its name, for a tuple a list.

        Raises:
            ParameterError: it has no such parameter, or one that does not take the value.
        """
        return configured(_look_up("explainer", name, self.explainers), parameters, self._named)

    def explainer_by_text(self, name: str, texts: Mapping[str, str]) -> Explainer:
        """The same from text, as on the command line: `{"masks": "4000", "of": "saliency"}`."""
        return configured_by_text(self.explainer(name), texts, self._named)

    def metric(self, name: str, /, **parameters: Any) -> Metric:
        """Look a metric up, and set it up, as `explainer` does.

        Raises:
            UnknownNameError: there is none of that name; it says which are near.
            ParameterError: it has no such parameter, or one that does not take the value.
        """
        return configured(_look_up("metric", name, self.metrics), parameters, self._named)

    def metric_by_text(self, name: str, texts: Mapping[str, str]) -> Metric:
        """The same from text, as on the command line: `{"steps": "50"}`."""
        return configured_by_text(self.metric(name), texts, self._named)

    def _named(self, kind: type, text: str) -> Explainer:
        """What a parameter of a type means by a name: only explainers have any."""
        if not issubclass(kind, Explainer):
            raise ValueError(text)
        return named(text, self.explainer, self._named)

    def adapter(self, name: str) -> ModelAdapter:
        """Look an adapter up; `UnknownNameError` names those that are near."""
        return _look_up("adapter", name, self.adapters)

    def adapter_for(self, graph: Graph) -> ModelAdapter:
        """The adapter of highest rank that recognises the model.

        Raises:
            UnknownNameError: none does; the built-in plugins have one that always does.
        """
        ranked = sorted(
            (entry.item for entry in self.adapters.values()),
            key=lambda adapter: (-adapter.rank, adapter.name),
        )
        for adapter in ranked:
            if _matches(adapter, graph):
                return adapter
        raise UnknownNameError(
            f"no adapter recognises {graph.name!r}; expected at least the fall-back of the "
            "built-in plugins: is the distribution xai-core installed whole?"
        )

    @property
    def families(self) -> tuple[str, ...]:
        """The names of the adapters of families, which can build a model; not the fall-backs."""
        return tuple(name for name, entry in self.adapters.items() if entry.item.rank >= 0)

    def source_of(self, item: Explainer | Metric) -> Source:
        """The distribution an explainer or metric comes from, or the module of one in none."""
        entry: Entry[Explainer] | Entry[Metric] | None
        if isinstance(item, Metric):
            entry = self.metrics.get(item.name)
        else:
            entry = self.explainers.get(item.name)
        if entry is not None and type(entry.item) is type(item):
            return entry.source
        return Source(f"module {type(item).__module__}", "")


def _matches(adapter: ModelAdapter, graph: Graph) -> bool:
    """Whether an adapter recognises a model; one that raises does not."""
    try:
        return adapter.matches(graph)
    except Exception as error:  # noqa: BLE001 - anyone's code
        warnings.warn(
            f"adapter {adapter.name!r} was left out: it raised {type(error).__name__}: {error}",
            PluginWarning,
            stacklevel=3,
        )
        return False


@dataclasses.dataclass(frozen=True)
class _Offer:
    """What one plugin offers."""

    explainers: tuple[Explainer, ...]
    adapters: tuple[ModelAdapter, ...]
    metrics: tuple[Metric, ...]


def _contributions(plugin: Plugin) -> _Offer:
    """What one plugin offers, each held to its interface.

    Each plugin has a manager of its own, so that what it offers is known to be its.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin.hooks)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise RegistryError(
            f"{plugin.source}: {' '.join(str(error).split())}; expected only the hooks "
            "xai_explainers, xai_adapters and xai_metrics, without arguments"
        ) from error
    try:
        offer = _Offer(
            tuple(chain.from_iterable(manager.hook.xai_explainers())),
            tuple(chain.from_iterable(manager.hook.xai_adapters())),
            tuple(chain.from_iterable(manager.hook.xai_metrics())),
        )
    except Exception as error:
        raise RegistryError(
            f"{plugin.source}: its hooks failed with {type(error).__name__}: {error}; expected "
            "each to return explainers, adapters or metrics, in a list or tuple"
        ) from error
    if not (offer.explainers or offer.adapters or offer.metrics):
        raise RegistryError(
            f"{plugin.source} offers neither explainers nor adapters nor metrics; expected a "
            "function xai_explainers, xai_adapters or xai_metrics marked with @xai_core.hookimpl"
        )
    for explainer in offer.explainers:
        _check(plugin.source, explainer, Explainer)
        if not isinstance(getattr(explainer, "needs", None), Needs):
            raise RegistryError(
                f"{plugin.source}: explainer {explainer.name!r} declares needs = "
                f"{getattr(explainer, 'needs', None)!r}; expected a value of xai_core.Needs"
            )
    for adapter in offer.adapters:
        _check(plugin.source, adapter, ModelAdapter)
    for metric in offer.metrics:
        _check(plugin.source, metric, Metric)
        told = breach_of_metric(metric)
        if told:
            raise RegistryError(f"{plugin.source}: metric {metric.name!r} says {told}")
    return offer


def _check(source: Source, item: Any, interface: type) -> None:
    if not isinstance(item, interface):
        raise RegistryError(
            f"{source} offers {item!r}; expected an instance of xai_core.{interface.__name__}"
        )
    # Its own, not that of a class above it, which would know nothing of new fields.
    parameters = vars(type(item)).get("__dataclass_params__")
    if parameters is None or not parameters.frozen:
        raise RegistryError(
            f"{source}: {type(item).__name__} is no frozen dataclass; expected "
            "@dataclass(frozen=True), with the parameters as its fields"
        )
    name = getattr(item, "name", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise RegistryError(
            f"{source}: {type(item).__name__} has the name {name!r}; expected lower case "
            "letters, digits, - and +"
        )


def breach_of_metric(metric: Metric) -> str:
    """What a ranking cannot do without, and the metric does not say properly; empty if nothing."""
    for name, (fits, expected) in _OF_METRICS.items():
        value = getattr(metric, name, None)
        if not fits(value):
            return f"{name} = {value!r}; expected {expected}"
    return ""


def _are_bounds(value: Any) -> bool:
    is_pair = isinstance(value, tuple) and len(value) == 2
    return is_pair and all(isinstance(each, (int, float)) for each in value) and value[0] < value[1]


_OF_METRICS: Mapping[str, tuple[Callable[[Any], bool], str]] = MappingProxyType(
    {
        "summary": (
            lambda value: isinstance(value, str) and bool(value.strip()) and "\n" not in value,
            "one line of text",
        ),
        "higher_is_better": (lambda value: isinstance(value, bool), "True or False"),
        "bounds": (_are_bounds, "two numbers, the lower first, such as (0.0, 1.0)"),
    }
)


def _by_name(kind: str, entries: Iterable[Entry[Item]]) -> Mapping[str, Entry[Item]]:
    found: dict[str, Entry[Item]] = {}
    for entry in sorted(entries, key=lambda each: each.item.name):
        name = entry.item.name
        if name in found:
            raise RegistryError(
                f"the {kind} {name!r} is offered twice, by {found[name].source} and by "
                f"{entry.source}; uninstall one, or rename it there"
            )
        found[name] = entry
    return MappingProxyType(found)


def _look_up(kind: str, name: str, entries: Mapping[str, Entry[Item]]) -> Item:
    if name not in entries:
        near = difflib.get_close_matches(name, entries, n=3, cutoff=0.4)
        raise UnknownNameError(
            f"no {kind} is called {name!r}"
            + (f"; near it: {', '.join(near)}" if near else "")
            + f". There are: {', '.join(entries) or 'none'}"
        )
    return entries[name].item


def _source(point: EntryPoint) -> Source:
    if point.dist is None:
        return Source(point.value, "")
    return Source(point.dist.name, point.dist.version)
