"""A law of the kit: what it says, how a plugin is tried, and what is usually wrong."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeAlias, TypeVar

from xai_core.errors import XaiError
from xai_core.probe import backend
from xai_core.testing.findings import Finding


class Tried(Protocol):
    """A plugin that is being tried."""

    used: dict[str, None]
    """The models it was tried on, in order, since this was last emptied."""
    note: str
    """How it is tried, where that is not as it was given."""


T = TypeVar("T", bound=Tried)


@dataclass(frozen=True)
class Breach:
    """What breaks a law of which there are several ways to break it."""

    told: str
    """In numbers."""
    kind: str = ""
    """Which way, of those that the law tells apart."""
    error: XaiError | None = None
    """Why it failed, where it did."""


Breaches: TypeAlias = Iterator[str | Breach]


@dataclass(frozen=True)
class Check(Generic[T]):
    """One law."""

    law: str
    statement: str
    mistake: str
    """What is usually wrong where it is broken."""
    read: str
    """Where the right way is told."""
    breaches: Callable[[T], Breaches]
    """Tries the plugin, and says in numbers what breaks the law; nothing where nothing does."""
    mistakes: Mapping[str, str] = field(default_factory=dict)
    """What is usually wrong where it is broken in one of several ways, by kind of breach."""

    def hold(self, tried: T) -> Finding:
        """Hold a plugin to it, up to the first breach."""
        tried.used.clear()
        cause: BaseException | None = None
        try:
            with backend().precise():
                found = next(self.breaches(tried), "")
            breach = found if isinstance(found, Breach) else Breach(found)
            cause = breach.error
        except Exception as error:  # noqa: BLE001 - it is the plugin's code that runs
            where = [f"on {name}" for name in list(tried.used)[-1:]]
            kind = [] if isinstance(error, XaiError) else [type(error).__name__]
            breach, cause = Breach(": ".join([*where, *kind, str(error)])), error
        models = tuple(tried.used)
        if not breach.told:
            return Finding(self.law, self.statement, models)
        return Finding(
            self.law,
            self.statement,
            models,
            f"{tried.note}{breach.told}",
            self.mistakes.get(breach.kind, self.mistake),
            self.read,
            # What the author's code raised, where that is what the error tells of.
            cause=(cause and cause.__cause__) or cause,
        )
