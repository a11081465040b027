"""A law of the kit: what it says, how a plugin is tried, and what is usually wrong."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from xai_core.errors import XaiError
from xai_core.testing.findings import Finding


class Tried(Protocol):
    """A plugin that is being tried."""

    used: dict[str, None]
    """The models it was tried on, in order, since this was last emptied."""
    note: str
    """How it is tried, where that is not as it was given."""


T = TypeVar("T", bound=Tried)


@dataclass(frozen=True)
class Check(Generic[T]):
    """One law."""

    law: str
    statement: str
    mistake: str
    """What is usually wrong where it is broken."""
    read: str
    """Where the right way is told."""
    breaches: Callable[[T], Iterator[str]]
    """Tries the plugin, and says in numbers what breaks the law; nothing where nothing does."""

    def hold(self, tried: T) -> Finding:
        """Hold a plugin to it, up to the first breach."""
        tried.used.clear()
        try:
            broken = next(self.breaches(tried), "")
        except Exception as error:  # noqa: BLE001 - it is the plugin's code that runs
            where = [f"on {name}" for name in list(tried.used)[-1:]]
            kind = [] if isinstance(error, XaiError) else [type(error).__name__]
            broken = ": ".join([*where, *kind, str(error)])
        models = tuple(tried.used)
        if broken:
            told = f"{tried.note}{broken}"
            return Finding(self.law, self.statement, models, told, self.mistake, self.read)
        return Finding(self.law, self.statement, models)
