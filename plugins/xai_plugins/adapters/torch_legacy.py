"""Reads tensors from torch's legacy (pre-zip) files, without torch.

Such a file is five pickles (magic number, protocol, system, state, storage
keys), then for each key the number of elements and the elements. A pickle can
call anything it can import, so a file is read only if its digest is the one
expected, and then through an unpickler that admits four names.
"""

import hashlib
import io
import math
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from xai_core.errors import ModelError

Array: TypeAlias = NDArray[Any]

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


def read(path: Path, sha256: str) -> dict[str, Array]:
    """Read the tensors of a file whose content is known.

    The bytes that are parsed are those that were verified: the file is read once.

    Raises:
        ModelError: the file cannot be read, is another one, or holds what is not admitted.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ModelError(
            f"{path} is not the file expected: its sha256 is {found}, expected {sha256}. "
            "Install its package again."
        )
    return parse(data)


def parse(data: bytes) -> dict[str, Array]:
    """Read the tensors from a file's content.

    Raises:
        ModelError: it is not of this format, is cut short, or holds what is not admitted.
    """
    try:
        return _parse(data)
    except ModelError:
        raise
    except Exception as error:  # a pickle that is cut or garbled fails in many ways
        reason = f"{type(error).__name__}: {error}"
        raise ModelError(f"not a legacy torch file ({reason})") from error


def _parse(data: bytes) -> dict[str, Array]:
    stream = io.BytesIO(data)
    magic, protocol, system, references, keys = (_Unpickler(stream).load() for _ in range(5))
    if magic != _MAGIC or protocol != _PROTOCOL:
        raise ModelError("not a legacy torch file: its first numbers are others")
    if not system["little_endian"]:
        raise ModelError("expected a legacy torch file from a little-endian machine")
    wanted = {}
    for name, reference in references.items():
        if not isinstance(reference, _TensorReference):
            raise ModelError(f"{name!r} is a {type(reference).__name__}; expected a tensor")
        wanted[reference.storage.key] = reference.storage
    storages = _read_storages(data, stream.tell(), keys, wanted)
    return {name: each.resolve(name, storages) for name, each in references.items()}


@dataclass(frozen=True)
class _Storage:
    dtype: str
    key: str
    size: int


@dataclass(frozen=True)
class _TensorReference:
    """A view of a storage, whose elements come only after the pickles."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def resolve(self, name: str, storages: Mapping[str, Array]) -> Array:
        """The tensor's own elements, in C order."""
        elements = storages[self.storage.key]
        steps = zip(self.shape, self.strides, strict=True)
        last = self.offset + sum((length - 1) * stride for length, stride in steps)
        if (
            self.offset < 0
            or any(length < 1 for length in self.shape)
            or any(stride < 0 for stride in self.strides)
            or max(last + 1, math.prod(self.shape)) > elements.size
        ):
            raise ModelError(
                f"{name!r}: a view of shape {self.shape}, strides {self.strides} from "
                f"{self.offset} leaves its storage of {elements.size} elements"
            )
        strides = [stride * elements.itemsize for stride in self.strides]
        view = as_strided(elements[self.offset :], self.shape, strides, writeable=False)
        return view.copy(order="C")


def _rebuild_tensor(
    storage: object, offset: object, shape: object, strides: object, *_: object
) -> _TensorReference:
    """Stands in for torch's function; the arguments that follow are for training."""
    match storage, offset, shape, strides:
        case _Storage(), int(), tuple(), tuple():
            numbers = all(isinstance(number, int) for number in (*shape, *strides))
            if numbers and len(shape) == len(strides):
                return _TensorReference(storage, offset, shape, strides)
    raise ModelError(
        f"a tensor from {storage!r}, {offset!r}, {shape!r}, {strides!r}; expected a storage, "
        "an offset, a shape and as many strides"
    )


class _Unpickler(pickle.Unpickler):
    """Knows four names, none of which can do harm, whatever it is called with."""

    _ADMITTED: Mapping[tuple[str, str], Any] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        # A string cannot be called or changed.
        ("torch", "FloatStorage"): "<f4",
        ("torch", "LongStorage"): "<i8",
    }

    def find_class(self, module: str, name: str, /) -> Any:
        """Answer for what the file wants to import."""
        if (module, name) not in self._ADMITTED:
            known = ", ".join(".".join(each) for each in self._ADMITTED)
            raise ModelError(f"the file asks for {module}.{name}; admitted are only {known}")
        return self._ADMITTED[module, name]

    def persistent_load(self, pid: Any, /) -> _Storage:
        """Answer for a storage that the file refers to."""
        match pid:
            case ("storage", "<f4" | "<i8" as dtype, str(key), str(), int(size), None):
                return _Storage(dtype, key, size)
        raise ModelError(f"the file refers to {pid!r}; expected a storage of numbers")


def _read_storages(
    data: bytes, start: int, keys: list[Any], wanted: Mapping[str, _Storage]
) -> dict[str, Array]:
    """The elements of each storage, views of `data`."""
    if sorted(keys) != sorted(wanted):
        raise ModelError("the storages in the file are not those that its tensors refer to")
    storages = {}
    for key in keys:
        storage = wanted[key]
        size = int.from_bytes(data[start : start + 8], "little")
        end = start + 8 + size * np.dtype(storage.dtype).itemsize
        if size != storage.size or end > len(data):
            raise ModelError(
                f"storage {key!r} is cut short: it should hold {storage.size} elements"
            )
        storages[key] = np.frombuffer(data, storage.dtype, size, start + 8)
        start = end
    if start != len(data):
        raise ModelError(f"{len(data) - start} bytes behind the last storage")
    return storages
