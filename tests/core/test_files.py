"""Files: whole or not at all."""

import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from xai_core.errors import OutputError
from xai_core.files import write_atomically


def hello(file) -> None:
    file.write(b"hello")


def refused(path, reason: str) -> None:
    text = f"cannot write {str(path)!r}: {reason}; expected a place that can be written to"
    with pytest.raises(OutputError, match=f"^{re.escape(text)}$") as caught:
        write_atomically(path, hello)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.exit_code == 1


def test_a_file_is_written_and_nothing_else(tmp_path):
    path = tmp_path / "new" / "folders" / "file.bin"
    assert write_atomically(path, hello) == path
    assert path.read_bytes() == b"hello"
    assert list(path.parent.iterdir()) == [path]


def test_an_old_file_is_replaced_in_one_step(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    seen = []

    def write(file):
        file.write(b"ne")
        file.flush()
        seen.append(path.read_bytes())  # what another program would read meanwhile
        file.write(b"w")

    with path.open("rb") as opened:
        write_atomically(path, write)
        assert opened.read() == b"old"  # who reads it already, reads the old one to its end
    assert seen == [b"old"]
    assert path.read_bytes() == b"new"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("error", [ValueError("bad"), RuntimeError("worse"), KeyboardInterrupt()])
def test_a_writer_that_fails_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write(file):
        file.write(b"half of the new o")
        raise error

    with pytest.raises(type(error)):
        write_atomically(path, write)
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_writer_that_fails_leaves_no_file_where_there_was_none(tmp_path):
    def write(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    path = tmp_path / "file"
    text = f"^cannot write {re.escape(repr(str(path)))}: No space left on device; expected"
    with pytest.raises(OutputError, match=text):
        write_atomically(path, write)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_when_all_is_written(tmp_path, monkeypatch):
    def sync(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("os.fsync", sync)
    (tmp_path / "file").write_bytes(b"old")
    refused(tmp_path / "file", "Input/output error")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    refused(tmp_path / "file" / "out.png", "File exists")
    refused(tmp_path / "file" / "deeper" / "out.png", "Not a directory")
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_folder_that_may_not_be_written_to(tmp_path, monkeypatch):
    def deny(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", deny)  # root may write everywhere
    refused(tmp_path / "out.png", "Permission denied")


def test_a_folder_in_the_place_of_the_file(tmp_path):
    (tmp_path / "out.png").mkdir()
    refused(tmp_path / "out.png", "Is a directory")
    assert [each.name for each in tmp_path.iterdir()] == ["out.png"]


def test_names_as_long_as_the_disk_allows(tmp_path):
    path = tmp_path / ("n" * 251 + ".png")
    assert write_atomically(path, hello).read_bytes() == b"hello"
    refused(tmp_path / ("n" * 252 + ".png"), "File name too long")
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_it_as_any_new_file(tmp_path):
    os.close(os.open(tmp_path / "plain", os.O_CREAT | os.O_WRONLY, 0o666))
    made = write_atomically(tmp_path / "file", hello)
    assert made.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_many_writers_of_one_file(tmp_path):
    contents = [bytes([number]) * 5000 for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(lambda c: write_atomically(tmp_path / "file", lambda f: f.write(c)), contents)
        )
    assert (tmp_path / "file").read_bytes() in contents
    assert len(list(tmp_path.iterdir())) == 1
