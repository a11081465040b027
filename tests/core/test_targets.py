"""Targets: from an index, a name or a rank to a class, and names from a file."""

import json
import re

import numpy as np
import pytest

from xai_core.errors import LabelsError, TargetError, UsageError
from xai_core.targets import Classes, Wanted, make_classes

ANIMALS = ("Egyptian cat", "tiger cat", "Tiger", "tiger shark", "goose")
MNIST = tuple(str(digit) for digit in range(9, -1, -1))  # label "7" is class 2


def classes(*names: str) -> Classes:
    return Classes(len(names), names)


def refused(of: Classes, target) -> str:
    with pytest.raises(TargetError) as caught:
        of.find(target)
    return str(caught.value)


@pytest.fixture(scope="module")
def imagenet() -> Classes:
    from xai_plugins.adapters.imagenet import imagenet_names

    return make_classes(1000, imagenet_names())


# ------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ("Egyptian cat", 0),  # exact
        ("egyptian CAT", 0),  # in any case
        ("  goose\n", 4),  # with space around
        ("Eg", 0),  # an unambiguous beginning
        ("TIGER S", 3),
        ("tiger", 2),  # the whole of one name, though others begin with it
        ("g", 4),
    ],
)
def test_a_name(asked, index):
    assert classes(*ANIMALS).find(asked) == Wanted(index, asked)


def test_space_around_a_name_does_not_hide_it():
    assert classes(" cat ", "dog").find("cat").code == 0


def test_case_is_folded_as_unicode_does():
    assert classes("Straße", "ÉCLAIR").find("STRASSE").code == 0
    assert classes("Straße", "ÉCLAIR").find("straße").code == 0
    assert classes("Straße", "ÉCLAIR").find("écl").code == 1


def test_a_beginning_that_fits_several_lists_them_with_their_indices():
    assert refused(classes(*ANIMALS), "tig") == (
        "class 'tig' fits 3 classes: 1 tiger cat, 2 Tiger, 3 tiger shark; give the index of one"
    )


def test_a_beginning_that_fits_very_many_lists_twelve():
    names = [f"cat {number:02}" for number in range(15)]
    assert refused(classes(*names), "cat") == (
        "class 'cat' fits 15 classes: "
        + ", ".join(f"{number} cat {number:02}" for number in range(12))
        + " and 3 more; give the index of one"
    )


def test_the_two_cranes_of_imagenet(imagenet):
    assert refused(imagenet, "crane") == (
        "class 'crane' fits 2 classes: 134 crane, 517 crane; give the index of one"
    )
    assert imagenet.find("517") == Wanted(517, "517")
    assert imagenet.title(134) == "134 crane"
    assert imagenet.find("Egyptian cat").code == 285
    assert imagenet.find("espresso").code == 967  # "espresso maker" begins with it, too


def test_an_unknown_name_says_which_names_hold_it():
    assert refused(classes(*ANIMALS), "cat") == (
        "no class is called 'cat'; names that hold it: 0 Egyptian cat, 1 tiger cat; expected an "
        "index from 0 to 4, a class name, or an unambiguous beginning of one"
    )
    assert refused(classes(*ANIMALS), "spoon") == (
        "no class is called 'spoon'; expected an index from 0 to 4, a class name, or an "
        "unambiguous beginning of one"
    )


@pytest.mark.parametrize("empty", ["", "   ", "\n"])
def test_an_empty_name_fits_nothing(empty):
    assert refused(classes(*ANIMALS), empty).startswith(f"no class is called {empty!r}; expected")
    assert refused(classes("only one"), empty).startswith(f"no class is called {empty!r}; expected")
    assert refused(classes("", "b"), empty).startswith(f"no class is called {empty!r}; expected")


def test_a_name_where_none_are_known():
    assert refused(Classes(10, None), "cat") == (
        "received class 'cat', and the model's classes have no names; expected an index from 0 to "
        "9, or give the names with labels (--labels FILE)"
    )


# ----------------------------------------------------------------------------- indices


@pytest.mark.parametrize(
    "index", [0, 4, np.int64(4), np.uint8(3), np.array(2)], ids=lambda i: type(i).__name__
)
def test_an_index(index):
    assert classes(*ANIMALS).find(index) == Wanted(int(index), str(int(index)))


@pytest.mark.parametrize(("asked", "index"), [("0", 0), (" 3 ", 3), ("04", 4)])
def test_digits_are_an_index(asked, index):
    assert classes(*ANIMALS).find(asked) == Wanted(index, asked)
    assert Classes(5, None).find(asked) == Wanted(index, asked)


def test_digits_that_are_a_name_are_that_name():
    assert classes(*MNIST).find("7") == Wanted(2, "7")
    assert classes(*MNIST).find(7) == Wanted(7, "7")  # a number is always an index


def test_digits_are_no_beginning_of_a_name():
    cars = classes("3-door hatchback", "coupe", "van", "estate")
    assert cars.find("3") == Wanted(3, "3")
    assert cars.find("3-").code == 0
    assert classes("10 dollars", "20 dollars").find("1").code == 1


@pytest.mark.parametrize("index", [-1, -5, 5, 1000, np.int64(-1), 2**70])
def test_an_index_out_of_range(index):
    assert refused(classes(*ANIMALS), index) == (
        f"received class {index}; expected 0 to 4, for the model has 5 classes"
    )


def test_a_negative_index_as_text():
    assert refused(classes(*ANIMALS), "-1").startswith("no class is called '-1'; expected an index")
    assert refused(Classes(5, None), "-1").startswith("received class '-1', and the model's")


@pytest.mark.parametrize("digits", ["5", "99999999999999999999", "9" * 5000])
def test_digits_out_of_range(digits):
    assert refused(classes(*ANIMALS), digits) == (
        f"received class {digits}; expected 0 to 4, for the model has 5 classes"
    )


@pytest.mark.parametrize(
    "target", [True, False, np.True_, 1.0, 1.7, np.float32(2), [1], (1,), b"goose", np.array([1])]
)
def test_what_is_neither_a_whole_number_nor_a_name(target):
    assert refused(classes(*ANIMALS), target) == (
        f"received {target!r} as the class; expected a whole number, a class name, or None for "
        "the predicted class"
    )


# ------------------------------------------------------------------------------- ranks


@pytest.mark.parametrize("asked", [None, "predicted", "Predicted"])
def test_the_predicted_class(asked):
    assert classes(*ANIMALS).find(asked) == Wanted(-1, "predicted")


def test_a_class_may_be_called_predicted():
    assert classes("observed", "predicted").find("predicted") == Wanted(1, "predicted")


def test_the_highest():
    assert classes(*ANIMALS).ranked(3) == (
        Wanted(-1, "rank 1"),
        Wanted(-2, "rank 2"),
        Wanted(-3, "rank 3"),
    )
    assert len(classes(*ANIMALS).ranked(5)) == 5


@pytest.mark.parametrize("count", [0, -1, 6])
def test_more_than_there_are(count):
    with pytest.raises(TargetError) as caught:
        classes(*ANIMALS).ranked(count)
    assert str(caught.value) == f"received top {count}; expected 1 to 5, the model's classes"
    assert isinstance(caught.value, UsageError)  # exit code 2


def test_titles():
    assert classes("cat", "dog").title(1) == "1 dog"
    assert classes("cat", "dog").label(1) == "dog"
    assert Classes(2, None).title(1) == "class 1"
    assert Classes(2, None).label(1) is None


# ------------------------------------------------------------------------------ labels


def test_no_labels():
    assert make_classes(3, None) == Classes(3, None)


@pytest.mark.parametrize(
    "labels",
    [["a", "b", "c"], ("a", "b", "c"), np.array(["a", "b", "c"]), iter("abc")],
    ids=["list", "tuple", "array", "iterator"],
)
def test_labels_from_python(labels):
    made = make_classes(3, labels)
    assert made == Classes(3, ("a", "b", "c"))
    assert all(type(name) is str for name in made.names)


@pytest.mark.parametrize("labels", [5, b"abc", {0: "a", 1: "b", 2: "c"}, {"a", "b", "c"}])
def test_labels_without_an_order(labels):
    with pytest.raises(LabelsError) as caught:
        make_classes(3, labels)
    assert str(caught.value) == (
        f"received a {type(labels).__name__} as labels; expected a list of names in the order of "
        "the classes, or a file of them"
    )


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cat\ndog\n", ("cat", "dog")),
        ("cat\ndog", ("cat", "dog")),
        ("\ufeffcat\ndog\n", ("cat", "dog")),  # a byte order mark
        ("cat\r\ndog\r\n", ("cat", "dog")),
        ("\n  cat \n\n\tdog\n\n\n", ("cat", "dog")),
        ("Käfer\n猫\n", ("Käfer", "猫")),
    ],
    ids=["lines", "no newline at the end", "mark", "carriage returns", "blank lines", "unicode"],
)
def test_labels_from_a_text_file(tmp_path, text, names):
    path = tmp_path / "labels.txt"
    path.write_bytes(text.encode())
    assert make_classes(2, path) == make_classes(2, str(path)) == Classes(2, names)


@pytest.mark.parametrize(
    "data", [["cat", "dog"], {"0": "cat", "1": "dog"}, {"1": "dog", "0": "cat"}]
)
@pytest.mark.parametrize("name", ["labels.json", "labels.JSON"])
def test_labels_from_a_json_file(tmp_path, data, name):
    path = tmp_path / name
    path.write_text(json.dumps(data), encoding="utf-8-sig")
    assert make_classes(2, path) == Classes(2, ("cat", "dog"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "3",
        '"cat"',
        "[1, 2]",
        '["cat", null]',
        '{"1": "cat", "2": "dog"}',  # does not begin at 0
        '{"cat": 0, "dog": 1}',
        '{"0": 0, "1": 1}',
        '["cat", "dog"',
        "[" * 100_000,
        '{"0": ' * 100_000,
        "9" * 5000,  # longer than Python reads as a number
    ],
    ids=lambda text: text[:12],
)
def test_a_json_file_of_something_else(tmp_path, text):
    path = tmp_path / "labels.json"
    path.write_text(text)
    with pytest.raises(LabelsError) as caught:
        make_classes(2, path)
    assert str(caught.value) == (
        f"{str(path)!r} does not hold labels; expected a JSON list of names, or an object from "
        '"0", "1", ... to names'
    )


def test_too_few_or_too_many_names(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("cat\ndog\nhare\n")
    with pytest.raises(LabelsError) as caught:
        make_classes(10, path)
    assert str(caught.value) == (
        f"{str(path)!r} has 3 names; expected 10, one for each class of the model"
    )
    with pytest.raises(LabelsError) as caught:
        make_classes(2, ["one"])
    assert str(caught.value) == (
        "labels has 1 names; expected 2, one for each class of the model (0 first, then 1)"
    )
    with pytest.raises(LabelsError, match=r"^labels has 3 names; expected 2, one for each"):
        make_classes(2, ["a", "b", "c"])
    with pytest.raises(LabelsError, match=r"has 0 names; expected 3"):
        make_classes(3, [])


def cannot(path, reason: str) -> None:
    text = (
        f"cannot read labels from {str(path)!r}: {reason}; expected a text file with one name a "
        "line, or a JSON list"
    )
    with pytest.raises(LabelsError, match=f"^{re.escape(text)}$") as caught:
        make_classes(2, path)
    assert caught.value.exit_code == 1


def test_labels_that_cannot_be_read(tmp_path, monkeypatch):
    cannot(tmp_path / "missing.txt", "No such file or directory")
    cannot(tmp_path, "Is a directory")
    cannot(str(tmp_path / "null\0.txt"), "embedded null byte")
    cannot(tmp_path / ("n" * 300), "File name too long")
    binary = tmp_path / "labels.txt"
    binary.write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    cannot(binary, "not UTF-8 text")
    binary.rename(tmp_path / "labels.json")
    cannot(tmp_path / "labels.json", "not UTF-8 text")

    def deny(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_text", deny)  # root may read everything
    cannot(binary, "Permission denied")
