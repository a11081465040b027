"""An evaluation that is gone on with: nothing that was measured is measured again, or lost."""

import json
import math
import shutil
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from tests.core.test_evaluate import Planted, noise, patch
from xai_core import Curve, Explainer, Metric, Needs, Score, Study, fingerprint
from xai_core.errors import OutputError, UsageError
from xai_core.journal import Journal
from xai_core.references import REFERENCES
from xai_plugins.metrics import Deletion, Insertion

METRICS = (Deletion(steps=4), Insertion(steps=3))
FACTS = {"tenth": 0.1, "third": 1 / 3, "tiny": 5e-324, "none": math.nan, "most": -math.inf}


@dataclass(frozen=True)
class Odd(Metric):
    """A number that has no short decimals, with facts and a curve of them."""

    name: ClassVar[str] = "odd"
    summary: ClassVar[str] = "anything"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, trial):
        draw = trial.generator().random(5)
        curve = Curve(np.arange(4.0) / 3, draw[:4], "share", "π")
        return Score(np.float32(draw[4]), FACTS, curve)


@dataclass(frozen=True)
class Meet(Metric):
    """How many other pictures of other classes there are, up to one: it sees the others."""

    name: ClassVar[str] = "meet"
    summary: ClassVar[str] = "whether there is another"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 255.0)

    def score(self, trial):
        return Score(float(trial.others(1)[0].pixels.mean()))


@dataclass(frozen=True)
class Inside(Metric):
    """The share of the picture that the mask takes."""

    name: ClassVar[str] = "inside"
    summary: ClassVar[str] = "the share of the mask"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def score(self, trial):
        return Score(float(trial.needed_mask().mean()))


@dataclass(frozen=True)
class Flaky(Metric):
    """Fails until it is mended."""

    name: ClassVar[str] = "flaky"
    summary: ClassVar[str] = "anything"
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    is_mended: ClassVar[bool] = False

    def score(self, trial):
        if not self.is_mended:
            raise LookupError("no way")
        return Score(0.25)


@dataclass(frozen=True)
class Asking(Explainer):
    """Asks for scores of its own, and counts how often it is run."""

    name: ClassVar[str] = "asking"
    needs: ClassVar[Needs] = Needs.QUERIES
    ran: ClassVar[list] = []

    def explain(self, evidence):
        self.ran.append(len(evidence.targets))
        evidence.scores(evidence.inputs[:, None])
        return np.arange(60.0).reshape(1, 6, 10)


@pytest.fixture(scope="module")
def study(registry):
    return Study(patch("softmax", gain=4.0), preprocess="none", registry=registry)


@pytest.fixture
def passes(monkeypatch):
    """What the model is run on, whoever asks: a list of batch sizes."""
    shapes = []
    read = Study.read

    def watched(self, images, *arguments, **named):
        shapes.append(images.shape[0])
        return read(self, images, *arguments, **named)

    monkeypatch.setattr(Study, "read", watched)
    return shapes


def told(found):
    """All of the measurements, as JSON that holds every digit."""
    return [json.dumps(each.to_dict(), default=float) for each in found.measurements]


def lines(path):
    return path.read_bytes().splitlines(keepends=True)


def measured(path):
    return [json.loads(line) for line in lines(path) if b'"measured"' in line]


def test_a_finished_journal_takes_no_pass_and_no_method(study, tmp_path, passes):
    path = tmp_path / "deep" / "run.jsonl"
    given = (noise(3), [Planted(), Asking()], [*METRICS, Odd()], [None, 1])
    first = study.evaluate(*given, journal=path)
    assert (first.notices, first.failures) == ((), ())
    assert len(passes) > 3
    size, ran = path.stat().st_size, len(Asking.ran)
    passes.clear()
    again = study.evaluate(*given, journal=path)
    assert passes == []
    assert len(Asking.ran) == ran
    assert told(again) == told(first)
    assert path.stat().st_size == size
    assert again.notices == (f"108 measurements were taken over from {str(path)!r}",)
    assert not again.is_interrupted
    assert again.to_dict()["rankings"] == first.to_dict()["rankings"]


def test_scores_facts_and_curves_are_the_same_to_the_last_bit(study, tmp_path):
    path = tmp_path / "run.jsonl"
    given = (noise(1), Planted(), Odd(), 0)
    first, again = (study.evaluate(*given, journal=path) for _ in range(2))
    for one, other in zip(first.measurements, again.measurements, strict=True):
        assert float(one.score.value) == other.score.value
        assert list(other.score.facts) == list(FACTS)
        np.testing.assert_array_equal(list(other.score.facts.values()), list(FACTS.values()))
        np.testing.assert_array_equal(one.score.curve.x, other.score.curve.x)
        np.testing.assert_array_equal(one.score.curve.y, other.score.curve.y)
        assert other.score.curve.x.dtype == np.float64
        assert (other.score.curve.x_label, other.score.curve.y_label) == ("share", "π")
        assert replace(one, outcome=None) == replace(other, outcome=None)
    # Strict JSON, which has no word for NaN.
    for line in lines(path):
        json.loads(line, parse_constant=pytest.fail)


def test_what_is_added_is_measured_alone(study, tmp_path, passes):
    path = tmp_path / "run.jsonl"
    pictures = noise(3)
    alone = study.evaluate(pictures, [Planted(), Asking()], METRICS, 0)
    study.evaluate(pictures[:2], Asking(), METRICS[0], 0, journal=path)
    ran = len(Asking.ran)
    more = study.evaluate(pictures[1::-1], [Planted(), Asking()], METRICS[0], 0, journal=path)
    assert len(Asking.ran) == ran  # another method: this one's maps are not made again
    assert len(more.measurements) == 2 * 6
    all_of_it = study.evaluate(pictures, [Planted(), Asking()], METRICS, 0, journal=path)
    assert len(measured(path)) == 3 * 6 * 2
    values = [[each.score.value for each in found.measurements] for found in (alone, all_of_it)]
    assert values[0] == values[1]
    assert [e.row for e in alone.measurements] == [e.row for e in all_of_it.measurements]
    passes.clear()
    study.evaluate(pictures[::-1], [Asking(), Planted()], METRICS[::-1], 0, journal=path)
    assert passes == []


def test_a_name_is_no_content(study, tmp_path, passes):
    path = tmp_path / "run.jsonl"
    one, other = tmp_path / "one.png", tmp_path / "other.png"
    Image.fromarray(noise(1)[0]).save(one)
    shutil.copy(one, other)
    study.evaluate(one, Planted(), METRICS, journal=path)
    passes.clear()
    found = study.evaluate(other, Planted(), METRICS, journal=path)
    assert passes == []
    assert {each.picture for each in found.measurements} == {"other.png"}
    Image.fromarray(noise(2)[1]).save(other)
    study.evaluate(other, Planted(), METRICS, journal=path)
    assert passes != []


def test_a_class_by_its_rank_is_the_class_by_its_index(study, tmp_path, passes):
    path = tmp_path / "run.jsonl"
    found = study.evaluate(noise(1), Planted(), METRICS, None, journal=path)
    index = found.measurements[0].target.index
    passes.clear()
    again = study.evaluate(noise(1), Planted(), METRICS, index, journal=path)
    assert passes == []
    assert again.measurements[0].target.asked == str(index)
    study.evaluate(noise(1), Planted(), METRICS, 1 - index, journal=path)
    assert passes != []


def test_every_byte_at_which_a_process_may_be_killed(study, tmp_path, passes):
    """In the last line, whose measurement is lost; in the first, before which there is nothing."""
    path, torn = tmp_path / "run.jsonl", tmp_path / "torn.jsonl"
    given = (noise(1), Planted(), Odd(), 0)
    first = study.evaluate(*given, journal=path)
    whole = path.read_bytes()
    head, *_, last = lines(path)
    assert b'"measured"' in last
    before = whole.removesuffix(last)
    for cut in range(len(last)):
        torn.write_bytes(before + last[:cut])
        with Journal(torn, {}, {}) as journal:
            is_whole = cut == len(last) - 1  # but for the end of its line
            assert len(journal._entries) == 4 + is_whole
            assert journal._is_torn == (0 < cut < len(last) - 1)
        assert torn.read_bytes().startswith(whole if is_whole else before)
        assert all(json.loads(line) for line in lines(torn))
    for cut in range(len(head)):
        torn.write_bytes(whole[:cut])
        with Journal(torn, {}, {}) as journal:
            assert not journal._is_torn
        assert lines(torn)[0] == head
    where = repr(str(torn))
    for cut in (0, 1, len(last) // 2, len(last) - 2, len(last) - 1):
        torn.write_bytes(before + last[:cut])
        passes.clear()
        again = study.evaluate(*given, journal=torn)
        is_whole, is_torn = cut == len(last) - 1, 0 < cut < len(last) - 1
        told_so = f"the last line of {where} was cut short; what it held is measured again"
        taken = f"{4 + is_whole} measurements were taken over from {where}"
        assert again.notices == (*([told_so] if is_torn else []), taken)
        assert len(passes) == (0 if is_whole else 1)  # of the picture's own probability
        assert told(again)[:4] == told(first)[:4]
        assert len(lines(torn)) == len(lines(path))


def test_an_interrupt_is_gone_on_with(study, tmp_path, monkeypatch):
    path = tmp_path / "run.jsonl"
    calls = []
    score = Odd.score

    def late(self, trial):
        calls.append(trial)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return score(self, trial)

    monkeypatch.setattr(Odd, "score", late)
    found = study.evaluate(noise(3), Planted(), Odd(), 0, journal=path)
    assert found.is_interrupted
    assert len(found.measurements) == len(measured(path)) == 7
    found = study.evaluate(noise(3), Planted(), Odd(), 0, journal=path)
    assert len(found.measurements) == 15
    assert len(calls) == 8 + 8
    assert found.notices == (f"7 measurements were taken over from {str(path)!r}",)


def test_what_failed_is_tried_again(study, tmp_path, monkeypatch):
    path = tmp_path / "run.jsonl"
    missing = tmp_path / "none.png"
    found = study.evaluate([noise(1)[0], missing], Planted(), Flaky(), 0, journal=path)
    assert len(found.failures) == len(measured(path)) == 10
    assert "no way" in measured(path)[0]["measured"]["error"]
    monkeypatch.setattr(Flaky, "is_mended", True)
    Image.fromarray(noise(2)[1]).save(missing)
    found = study.evaluate([noise(1)[0], missing], Planted(), Flaky(), 0, journal=path)
    assert found.failures == ()
    assert found.notices == ()
    assert len(measured(path)) == 20


def test_who_sees_the_others_depends_on_them(study, tmp_path, passes):
    path = tmp_path / "run.jsonl"
    pictures = [*noise(2), np.zeros((6, 10, 3), np.uint8)]
    given = ([Planted()], [Odd(), Meet()], 1)
    first = study.evaluate(pictures, *given, journal=path)
    of = {e["measured"]["metric"]: e["of"]["others"] for e in measured(path)}
    assert of["odd"] is None
    assert len(of["meet"]) == 64
    passes.clear()
    again = study.evaluate(pictures[::-1], *given, journal=path)
    assert passes == []
    values = [
        {(e.metric, e.row, e.seed): e.score.value for e in each.measurements}
        for each in (first, again)
    ]
    assert values[0] == values[1]
    fewer = study.evaluate(pictures[:2], *given, journal=path)
    assert fewer.notices[0] == f"10 measurements were taken over from {str(path)!r}"


def test_others_are_the_same_in_whatever_order(study):
    pictures = [*noise(4), np.zeros((6, 10, 3), np.uint8)]
    values = []
    for order in (pictures, pictures[::-1], [pictures[k] for k in (2, 0, 4, 1, 3)]):
        found = study.evaluate(order, Planted(), Meet(), 1)
        values.append({each.seed: each.score.value for each in found.measurements})
    assert values[0] == values[1] == values[2]
    assert len(set(values[0].values())) > 1


def test_another_mask_is_another_measurement(study, tmp_path, passes):
    path = tmp_path / "run.jsonl"
    given = (noise(1), Planted(), Inside(), 0)

    def shares(columns):
        mask = np.zeros((6, 10), bool)
        mask[:, :columns] = True
        found = study.evaluate(*given, masks=[mask], journal=path)
        return {each.score.value for each in found.measurements}

    assert shares(2) == {0.2}
    passes.clear()
    assert shares(2) == {0.2}
    assert passes == []
    assert shares(5) == {0.5}
    assert shares(2) == {0.2}
    assert len(study.evaluate(*given, journal=path).failures) == 5  # without one, it fails


# ----------------------------------------------------------------------- what is another


def others(study, registry, tmp_path):
    """By what is to be told of it, a study that differs in one thing."""
    moved = patch("softmax", gain=4.0)
    moved.set_weights([weight + 1e-3 for weight in moved.get_weights()])
    given = {"preprocess": "none", "registry": registry}
    same = patch("softmax", gain=4.0)
    return {
        "other weights": Study(moved, **given),
        "another model": Study(patch("sigmoid", gain=4.0), **given),
        "another preprocessing": Study(same, **{**given, "preprocess": lambda x: x + 1}),
        "another score": Study(same, score="probability", **given),
        "another fit": Study(same, fit="crop", **given),
        "another engine": Study(same, engine="eager", **given),
        "": Study(same, labels=["a", "b"], **given),
    }


@pytest.mark.parametrize(
    "word",
    ["other weights", "another model", "another preprocessing", "another score", "another fit",
     "another engine", ""],
)  # fmt: skip
def test_of_another_model_nothing_is_taken_over_and_it_is_said(study, registry, tmp_path, word):
    path = tmp_path / "run.jsonl"
    study.evaluate(noise(1), Planted(), METRICS, 0, journal=path)
    other = others(study, registry, tmp_path)[word]
    found = other.evaluate(noise(1), Planted(), METRICS, 0, journal=path)
    where = repr(str(path))
    if not word:
        assert found.notices == (f"10 measurements were taken over from {where}",)
        assert found.measurements[0].target.label == "a"
        return
    assert found.notices == (f"10 measurements in {where} were left out: 10 with {word}",)
    assert len(measured(path)) == 20
    # Both are in the file from now on, and each finds its own.
    again = other.evaluate(noise(1), Planted(), METRICS, 0, journal=path)
    assert told(again) == told(found)
    assert again.notices[0] == f"10 measurements were taken over from {where}"


def test_another_seed_or_version(study, tmp_path, monkeypatch):
    path = tmp_path / "run.jsonl"
    where = repr(str(path))
    study.evaluate(noise(1), Planted(), METRICS, 0, journal=path)
    found = study.evaluate(noise(1), Planted(), METRICS, 0, seed=1, journal=path)
    assert found.notices == (f"10 measurements in {where} were left out: 10 with another seed",)
    monkeypatch.setattr("xai_core.study._versions", lambda: {"numpy": "0", "python": "2"})
    found = study.evaluate(noise(1), Planted(), METRICS, 0, journal=path)
    assert found.notices == (
        f"20 measurements in {where} were left out: 10 with other versions; 10 with other "
        "versions, another seed",
    )


def test_a_method_that_is_written_anew_is_another(study, tmp_path, monkeypatch):
    path = tmp_path / "run.jsonl"
    study.evaluate(noise(1), Planted(), METRICS, 0, journal=path)
    code = fingerprint.code
    monkeypatch.setattr(fingerprint, "code", lambda of: "new" if of is Planted else code(of))
    found = study.evaluate(noise(1), Planted(), METRICS, 0, journal=path)
    assert found.notices == (
        f"8 measurements were taken over from {str(path)!r}",
        f"2 measurements in {str(path)!r} were left out: 2 of another version of planted",
    )
    # Other parameters are another method, of which nothing is to be said.
    found = study.evaluate(noise(1), Planted("wrong"), METRICS, 0, journal=path)
    assert len(found.notices) == 1


def test_code_that_cannot_be_read_is_never_taken_over(study, tmp_path, passes):
    typed = dataclass(frozen=True)(
        type("Typed", (Planted,), {"name": "typed", "__annotations__": {}, "__module__": "nowhere"})
    )
    assert fingerprint.code(typed) is None
    path = tmp_path / "run.jsonl"
    for _ in range(2):
        passes.clear()
        found = study.evaluate(noise(1), typed(), METRICS[0], 0, journal=path)
        assert passes != []
    assert found.notices == (
        f"4 measurements were taken over from {str(path)!r}",
        f"the code of typed cannot be read, so that nothing measured with it is taken over from "
        f"{str(path)!r}; expected a class in a file or a notebook",
    )


def test_a_method_inside_a_method_counts(registry):
    from xai_plugins.gradients import Saliency, SmoothGrad

    of = fingerprint.of_item(SmoothGrad(), registry)
    inner = [each for each in of["parameters"].values() if isinstance(each, dict)]
    if inner:
        assert inner[0] == fingerprint.of_item(Saliency(), registry)


def test_names_of_layers_do_not_count(registry):
    """Or a model that is built twice in one notebook were another."""
    one, other = (
        fingerprint.of_study(Study(patch("softmax"), preprocess="none", registry=registry))
        for _ in range(2)
    )
    assert one == other


def test_weights_that_have_changed(registry, tmp_path):
    model = patch("softmax")
    study = Study(model, preprocess="none", registry=registry)
    model.set_weights([weight + 1 for weight in model.get_weights()])
    with pytest.raises(UsageError, match="have changed since the study was made"):
        study.evaluate(noise(1), Planted(), METRICS, journal=tmp_path / "run.jsonl")


# ------------------------------------------------------------------------------- the file


@pytest.mark.parametrize("content", [b"picture names\n", b"{}\n", b'{"journal": "x"', b"\x89PNG"])
def test_what_is_no_journal_is_left_alone(study, tmp_path, content):
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        study.evaluate(noise(1), Planted(), METRICS, journal=path)
    assert str(caught.value) == (
        f"{str(path)!r} is no journal of an evaluation, or of another version; expected a file "
        "that `journal` (--journal) made, or none yet. It was left as it is: name another"
    )
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "line", [b"{", b"3", b"{}", b'{"measured": {}}', b'{"what": 1, "of": 2}', b"\xff"]
)
def test_a_damaged_line_in_the_middle(study, tmp_path, line):
    path = tmp_path / "run.jsonl"
    study.evaluate(noise(1), Planted(), METRICS, 0, journal=path)
    whole = lines(path)
    path.write_bytes(b"".join([*whole[:4], line + b"\n", *whole[4:]]))
    content = path.read_bytes()
    with pytest.raises(UsageError) as caught:
        study.evaluate(noise(1), Planted(), METRICS, 0, journal=path)
    assert str(caught.value).startswith(f"line 5 of {str(path)!r} is none that an evaluation wrote")
    assert path.read_bytes() == content


@pytest.mark.parametrize("where", [".", "/dev/null"])
def test_a_folder_or_a_device_is_no_file(study, tmp_path, where):
    with pytest.raises(OutputError, match=r"cannot keep a journal in .*: it is no regular file;"):
        study.evaluate(noise(1), Planted(), METRICS, journal=tmp_path / where)


def test_a_disk_that_is_full_is_told_and_what_was_kept_stays(study, tmp_path, monkeypatch):
    path = tmp_path / "run.jsonl"
    write = Journal._write

    class Full:
        def write(self, line):
            raise OSError(28, "No space left on device")

        def close(self):
            pass

    def until(self, line):
        if len(lines(path)) == 9:
            self._file.close()
            self._file = Full()
        write(self, line)

    monkeypatch.setattr(Journal, "_write", until)
    with pytest.raises(OutputError, match=r"cannot keep a journal .* No space left on device"):
        study.evaluate(noise(1), Planted(), METRICS, 0, journal=path)
    monkeypatch.undo()
    assert len(lines(path)) == 9
    kept = len(measured(path))
    found = study.evaluate(noise(1), Planted(), METRICS, 0, journal=path)
    assert found.notices == (f"{kept} measurements were taken over from {str(path)!r}",)


def test_it_is_json_and_nothing_is_run_that_stands_in_it(study, tmp_path):
    path = tmp_path / "run.jsonl"
    study.evaluate(noise(1), Planted(), METRICS, 0, journal=path)
    kinds = [sorted(json.loads(line)) for line in lines(path)]
    assert kinds[:2] == [["format", "journal"], ["of", "setting"]]
    assert {tuple(each) for each in kinds[2:]} == {("item", "of"), ("measured", "of")}
    assert len([each for each in kinds if each == ["item", "of"]]) == 1 + len(REFERENCES) + 2
