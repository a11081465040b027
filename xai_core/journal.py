"""A file that keeps every measurement as it is made, so that an evaluation can be gone on with.

A line is one JSON document: first what the file is, then settings (a model as it is fed and run),
methods and metrics, each under the hash of what it is, and measurements, which name them by it.
"""

import errno
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

import numpy as np

from xai_core.errors import OutputError, UsageError
from xai_core.evaluation import Measurement
from xai_core.fingerprint import digest
from xai_core.metrics import Curve, Score
from xai_core.types import Target

_HEAD = b'{"journal": "xai-core evaluation", "format": 1}\n'

_OTHER = MappingProxyType(
    {
        "structure": "another model",
        "weights_sha256": "other weights",
        "preprocessing": "another preprocessing",
        "score": "another score",
        "input_size": "another size",
        "channels": "other channels",
        "fit": "another fit",
        "input_dtype": "another dtype",
        "engine": "another engine",
        "backend": "another backend",
        "device": "another device",
        "versions": "other versions",
        "seed": "another seed",
    }
)
"""What to call it where a part of a setting is another."""

_PLAIN = (
    *("picture", "row", "metric", "asked", "queries", "seconds"),
    *("maps", "map_queries", "map_seconds", "pass_seconds"),
)
"""The fields of a measurement that are in JSON what they are in Python."""


@dataclass(frozen=True)
class Key:
    """What a measurement is of: all that it depends on, save the setting and other pictures."""

    picture: str | None
    """The hash of its content; None where it cannot be read."""
    mask: str | None
    """The hash of where its object is; None where nothing was said."""
    target: int
    row: str
    metric: str


@dataclass(frozen=True)
class Entry:
    """A score, as it stands in the file."""

    setting: str
    key: Key
    code: int
    """How the class was asked for: its index or, where negative, its rank."""
    others: str | None
    """The hash of all pictures of the evaluation, where the metric asked for others."""
    measurement: Measurement


class NoJournal:
    """Knows nothing, and keeps nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""

    def find(self, key: Key, others: Callable[[], str]) -> Measurement | None:
        """What was measured before; where others were asked for, if they are the same pictures."""
        return None

    def target(self, picture: str, code: int) -> int | None:
        """The class that a rank stood for, where it is known without a pass."""
        return None

    def add(self, key: Key, code: int, others: str | None, measurement: Measurement) -> None:
        """Keep a measurement."""

    def notices(self) -> Iterator[str]:
        """What there is to say of the file."""
        return iter(())


class Journal(NoJournal):
    """Measurements that are kept in a file, whatever ends the process.

    Args:
        path: It is made where there is none; else what is measured is appended.
        setting: What every number depends on: see `xai_core.fingerprint`.
        items: The methods, reference rows and metrics that are used, by their hashes.

    Raises:
        UsageError: it is no journal; it is left as it is.
        OutputError: it cannot be read or written.
    """

    def __init__(
        self, path: Path, setting: Mapping[str, Any], items: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._path = path
        self._setting = digest(setting)
        self._items = items
        # A method whose code cannot be seen may be another one by now.
        self._unseen = {key for key, item in items.items() if item["code"] is None}
        self._known: dict[str, dict[str, Mapping[str, Any]]] = {"setting": {}, "item": {}}
        self._entries: list[Entry] = []
        whole, self._is_torn = _read(path)
        for number, line in enumerate(whole.splitlines()[1:], 2):
            self._take(number, line)
        here = [each for each in self._entries if each.setting == self._setting]
        self._found: dict[Key, dict[str | None, Measurement]] = {}
        for each in here:
            self._found.setdefault(each.key, {})[each.others] = each.measurement
        self._targets = {(each.key.picture, each.code): each.key.target for each in here}
        self._taken = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab")
            self._file.truncate(len(whole))
        except OSError as error:
            raise _unusable(path, error) from error
        if not whole:
            self._write(_HEAD)
        elif not whole.endswith(b"\n"):
            self._write(b"\n")
        self._define("setting", self._setting, setting)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def find(self, key: Key, others: Callable[[], str]) -> Measurement | None:
        """What was measured before; where others were asked for, if they are the same pictures."""
        if {key.row, key.metric} & self._unseen:
            return None
        known = self._found.get(key, {})
        found = known.get(None) or (known.get(others()) if known else None)
        self._taken += found is not None
        return found

    def target(self, picture: str, code: int) -> int | None:
        """The class that a rank stood for, where it is known without a pass."""
        return self._targets.get((picture, code))

    def add(self, key: Key, code: int, others: str | None, measurement: Measurement) -> None:
        """Keep a measurement."""
        for used in (key.row, key.metric):
            self._define("item", used, self._items[used])
        depends = {"setting": self._setting, **asdict(key), "code": code, "others": others}
        self._append({"of": depends, "measured": _ready(measurement.to_dict())})

    def notices(self) -> Iterator[str]:
        """What was taken over, and what was not, and why."""
        where = repr(str(self._path))
        if self._is_torn:
            yield f"the last line of {where} was cut short; what it held is measured again"
        if self._taken:
            yield f"{self._taken:,} measurements were taken over from {where}"
        left = Counter(filter(None, map(self._why_not, self._entries)))
        if left:
            told = "; ".join(f"{count:,} {why}" for why, count in left.items())
            yield f"{left.total():,} measurements in {where} were left out: {told}"
        for key in sorted(self._unseen, key=lambda key: str(self._items[key]["name"])):
            yield (
                f"the code of {self._items[key]['name']} cannot be read, so that nothing measured "
                f"with it is taken over from {where}; expected a class in a file or a notebook"
            )

    def _why_not(self, entry: Entry) -> str:
        """Why a score is not used here; nothing where it was not asked for, or is used."""
        if entry.setting != self._setting:
            there, here = (self._known["setting"][at] for at in (entry.setting, self._setting))
            names = [name for name in here if there.get(name) != here[name]]
            return f"with {', '.join(_OTHER.get(name, name) for name in names)}"
        for used in (entry.key.row, entry.key.metric):
            old = self._known["item"][used]
            if used not in self._items and any(_alike(old, each) for each in self._items.values()):
                return f"of another version of {old['name']}"
        return ""

    def _take(self, number: int, line: bytes) -> None:
        """What one line says."""
        try:
            told = json.loads(line)
            if "measured" not in told:
                (kind,) = told.keys() - {"of"}
                self._known[kind][told[kind]] = told["of"]
            elif told["measured"]["value"] is not None:
                self._entries.append(_entry(told["of"], told["measured"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"line {number} of {str(self._path)!r} is none that an evaluation wrote "
                f"({type(error).__name__}: {error}); expected a journal as it was left. Take the "
                "line out, or name another file"
            ) from error

    def _define(self, kind: str, key: str, of: Mapping[str, Any]) -> None:
        if key not in self._known[kind]:
            self._known[kind][key] = of
            self._append({kind: key, "of": _ready(of)})

    def _append(self, document: Mapping[str, Any]) -> None:
        self._write(json.dumps(document, allow_nan=False).encode() + b"\n")

    def _write(self, line: bytes) -> None:
        """A line, which is out of this process when this returns."""
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise _unusable(self._path, error) from error


def _read(path: Path) -> tuple[bytes, bool]:
    """The whole lines of a file, and whether a torn one stands behind them."""
    if path.exists() and not path.is_file():  # a device may have no end
        raise _unusable(path, OSError(errno.EINVAL, "it is no regular file"))
    try:
        content = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise _unusable(path, error) from error
    if _HEAD.startswith(content):
        return b"", False
    if not content.startswith(_HEAD):
        raise UsageError(
            f"{str(path)!r} is no journal of an evaluation, or of another version; expected a file "
            "that `journal` (--journal) made, or none yet. It was left as it is: name another"
        )
    whole, end, last = content.rpartition(b"\n")
    try:
        json.loads(last or b"{}")
    except ValueError:
        return whole + end, True
    return content, False


def _unusable(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"cannot keep a journal in {str(path)!r}: {error.strerror or error}; expected a file that "
        "can be read and written"
    )


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two items would be called the same."""
    return all(one.get(name) == other.get(name) for name in ("name", "parameters"))


def _entry(of: Mapping[str, Any], measured: Mapping[str, Any]) -> Entry:
    key = Key(of["picture"], of["mask"], of["target"], of["row"], of["metric"])
    return Entry(of["setting"], key, of["code"], of["others"], _measurement(measured))


def _measurement(told: Mapping[str, Any]) -> Measurement:
    """What `Measurement.to_dict` told of one that has a score."""
    plain = {name: told[name] for name in _PLAIN}
    facts = {name: _number(value) for name, value in told["facts"].items()}
    return Measurement(
        target=Target(**told["target"]),
        outcome=Score(_number(told["value"]), facts, _curve(told["curve"])),
        seed=tuple(told["seed"]),
        **plain,
    )


def _curve(told: Mapping[str, Any] | None) -> Curve | None:
    if told is None:
        return None
    x, y = (np.asarray([_number(each) for each in told[axis]], np.float64) for axis in "xy")
    return Curve(x, y, told["x_label"], told["y_label"])


def _number(told: Any) -> Any:
    """A number: strict JSON has no word for those that are not finite."""
    return float(told) if isinstance(told, str) else told


def _ready(value: Any) -> Any:
    """Plain data for strict JSON, of which every number can be read back as it was."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(name): _ready(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_ready(each) for each in value]
    return value if isinstance(value, (str, int, float, type(None))) else repr(value)
