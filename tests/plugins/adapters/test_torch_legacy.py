"""The reader of torch's legacy files, on files written here by hand."""

import hashlib
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from xai_core.errors import ModelError
from xai_plugins.adapters import torch_legacy

MAGIC = 0x1950A86A20F9469CFC6C
SYSTEM = {
    "protocol_version": 1001,
    "little_endian": True,
    "type_sizes": {"short": 2, "int": 4, "long": 4},
}
ORDERED_DICT = b"ccollections\nOrderedDict\n)R"


def push(value):
    """The opcodes that put a plain value on the pickle machine's stack."""
    return pickle.dumps(value, 2)[2:-1]


def storage(key, size, kind="FloatStorage", tag="storage"):
    body = push(tag) + f"ctorch\n{kind}\n".encode() + push(key) + push("cpu")
    return b"(" + body + push(size) + push(None) + b"tQ"


def tensor(store, offset, shape, strides):
    arguments = store + push(offset) + push(shape) + push(strides) + push(False) + ORDERED_DICT
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tR"


def legacy(tensors, storages, *, magic=MAGIC, protocol=1001, system=None, keys=None):
    state = b"\x80\x02" + ORDERED_DICT + b"("
    state += b"".join(push(name) + code for name, code in tensors.items()) + b"u."
    heads = [pickle.dumps(value, 2) for value in (magic, protocol, system or SYSTEM)]
    file = b"".join(heads) + state + pickle.dumps(keys or list(storages), 2)
    for elements in storages.values():
        file += struct.pack("<q", elements.size) + elements.tobytes()
    return file


SIX = np.arange(6, dtype="<f4")


def six(offset=0, shape=(2, 3), strides=(3, 1)):
    return legacy({"w": tensor(storage("0", 6), offset, shape, strides)}, {"0": SIX})


def test_reads_strides_as_they_are():
    tensors = torch_legacy.parse(six(shape=(2, 3), strides=(1, 2)))
    assert list(tensors) == ["w"]
    np.testing.assert_array_equal(tensors["w"], [[0, 2, 4], [1, 3, 5]])
    assert tensors["w"].dtype == np.float32
    assert tensors["w"].flags.c_contiguous
    assert tensors["w"].flags.writeable


def test_reads_views_of_one_storage_and_numbers_of_either_kind():
    counts = np.array([7, 8], "<i8")
    store = storage("a", 6)
    file = legacy(
        {
            "column": tensor(store, 1, (2,), (3,)),
            "whole": tensor(store, 0, (6,), (1,)),
            "scalar": tensor(storage("b", 2, "LongStorage"), 1, (), ()),
            "same": tensor(store, 2, (3,), (0,)),
        },
        {"b": counts, "a": SIX},
    )
    tensors = torch_legacy.parse(file)
    np.testing.assert_array_equal(tensors["column"], [1, 4])
    np.testing.assert_array_equal(tensors["whole"], SIX)
    np.testing.assert_array_equal(tensors["same"], [2, 2, 2])
    assert tensors["scalar"].shape == ()
    assert tensors["scalar"] == 8
    assert tensors["scalar"].dtype == np.int64


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (1, (2, 3), (3, 1)),
        (0, (7,), (1,)),
        (0, (2,), (6,)),
        (0, (4, 2), (2, 1)),
        (6, (1,), (1,)),
        (-1, (2,), (1,)),
        (5, (2,), (-1,)),
        (0, (0,), (1,)),
        (0, (-1,), (1,)),
        (2**70, (1,), (1,)),
        (0, (2**40,), (0,)),
    ],
)
def test_refuses_a_view_that_leaves_its_storage(offset, shape, strides):
    with pytest.raises(ModelError, match=r"'w': a view of shape .* leaves its storage of 6"):
        torch_legacy.parse(six(offset, shape, strides))


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(0, (2, 3), (1,)), (0, ("2",), (1,)), (0.5, (1,), (1,)), (0, [2], (1,))],
)
def test_refuses_a_tensor_that_is_none(offset, shape, strides):
    with pytest.raises(ModelError, match="expected a storage, an offset, a shape"):
        torch_legacy.parse(six(offset, shape, strides))


class Shout:
    """Writes a file when it is unpickled by anyone who imports what it names."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


def test_runs_nothing_that_the_file_names(tmp_path):
    target = tmp_path / "shouted"
    pickle.loads(pickle.dumps(Shout(target)))
    assert target.exists()
    target.unlink()
    file = pickle.dumps(MAGIC, 2) + pickle.dumps(1001, 2) + pickle.dumps(Shout(target), 2)
    with pytest.raises(ModelError, match="the file asks for "):
        torch_legacy.parse(file)
    assert not target.exists()


@pytest.mark.parametrize(
    "name",
    ["builtins\neval", "os\nsystem", "torch._utils\n_rebuild_tensor", "torch\nHalfStorage"],
)
def test_names_what_it_does_not_admit(name):
    file = b"\x80\x02c" + name.encode() + b"\n."
    with pytest.raises(ModelError) as caught:
        torch_legacy.parse(file)
    assert f"asks for {name.replace(chr(10), '.')}; admitted are only" in str(caught.value)


def test_a_storage_type_cannot_be_called():
    with pytest.raises(ModelError, match="not a legacy torch file"):
        torch_legacy.parse(b"\x80\x02ctorch\nFloatStorage\n)R.")


def test_refuses_a_reference_to_anything_else():
    file = legacy({"w": tensor(storage("0", 6, tag="module"), 0, (6,), (1,))}, {"0": SIX})
    with pytest.raises(ModelError, match=r"refers to \('module', .*expected a storage"):
        torch_legacy.parse(file)


def test_refuses_a_state_of_other_things():
    with pytest.raises(ModelError, match="'w' is a int; expected a tensor"):
        torch_legacy.parse(legacy({"w": push(3)}, {"0": SIX}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"magic": MAGIC + 1}, "first numbers are others"),
        ({"protocol": 1000}, "first numbers are others"),
        ({"system": SYSTEM | {"little_endian": False}}, "little-endian"),
        ({"keys": ["1"]}, "not those that its tensors refer to"),
        ({"keys": ["0", "0"]}, "not those that its tensors refer to"),
        ({"keys": [0]}, "not those that its tensors refer to"),
    ],
)
def test_refuses_another_header(change, message):
    file = legacy({"w": tensor(storage("0", 6), 0, (6,), (1,))}, {"0": SIX}, **change)
    with pytest.raises(ModelError, match=message):
        torch_legacy.parse(file)


def test_refuses_a_storage_of_another_size():
    file = legacy({"w": tensor(storage("0", 6), 0, (6,), (1,))}, {"0": SIX[:5]})
    with pytest.raises(ModelError, match="storage '0' is cut short: it should hold 6"):
        torch_legacy.parse(file)


def test_refuses_a_file_cut_anywhere_and_bytes_too_many():
    file = six()
    for length in range(len(file)):
        with pytest.raises(ModelError):
            torch_legacy.parse(file[:length])
    with pytest.raises(ModelError, match="1 bytes behind the last storage"):
        torch_legacy.parse(file + b"\0")


def test_reads_a_file_whose_digest_is_right(tmp_path):
    path = tmp_path / "six.pth"
    path.write_bytes(six())
    tensors = torch_legacy.read(path, hashlib.sha256(six()).hexdigest())
    np.testing.assert_array_equal(tensors["w"], [[0, 1, 2], [3, 4, 5]])


def test_parses_the_bytes_that_it_verified(tmp_path, monkeypatch):
    path = tmp_path / "six.pth"
    path.write_bytes(six())
    original = Path.read_bytes
    monkeypatch.setattr(torch_legacy, "parse", lambda data: {"bytes": data})

    def read_and_replace(self):
        data = original(self)
        self.write_bytes(b"another")
        return data

    monkeypatch.setattr(Path, "read_bytes", read_and_replace)
    digest = hashlib.sha256(six()).hexdigest()
    assert torch_legacy.read(path, digest) == {"bytes": six()}


def test_does_not_parse_a_file_whose_digest_is_wrong(tmp_path, monkeypatch):
    path = tmp_path / "six.pth"
    path.write_bytes(six())
    monkeypatch.setattr(torch_legacy, "parse", lambda data: pytest.fail("parsed"))
    with pytest.raises(ModelError) as caught:
        torch_legacy.read(path, "0" * 64)
    found = hashlib.sha256(six()).hexdigest()
    assert f"{path} is not the file expected: its sha256 is {found}, expected 00" in str(
        caught.value
    )


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(ModelError, match=r"cannot read .*gone.pth: No such file"):
        torch_legacy.read(tmp_path / "gone.pth", "0" * 64)
