"""`xai evaluate`: tables, files, failures told, and nothing lost on an interrupt."""

import json

import pytest
from PIL import Image

from xai_core import Study
from xai_core.cli import output

QUICK = ("--methods", "saliency,grad-cam", "--set", "deletion.steps=5", "--set",
         "insertion.steps=4")  # fmt: skip


@pytest.fixture
def run(xai, small):
    def run(*arguments):
        return xai("evaluate", *arguments, "--model", small, *QUICK)

    return run


def test_a_table_for_each_metric(run, noise, tmp_path):
    result = run(noise)
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0].startswith("deletion(steps=5): how soon the class is lost")
    assert lines[0].endswith("lower is better")
    header = "row mean 95 % interval pictures against the reference rows against the next row"
    assert " ".join(lines[1].split()) == header
    rankings = lines[: lines.index("what a map takes")]
    for row in ("saliency", "grad-cam", "(random)", "(centre-gaussian)", "(edges)", "(uniform)"):
        assert sum(line.startswith(row) for line in rankings) == 2
    assert "one picture: no interval" in result.out
    assert "Wrote noise.evaluate.md" in result.out
    assert "## insertion(steps=4)" in (tmp_path / "noise.evaluate.md").read_text()


def test_a_reference_row_that_cannot_be_scored_is_no_failure(xai, small, noise):
    """The uniform map has no order, which the metric says."""
    result = xai("evaluate", noise, "--model", small, "--methods", "saliency", "--metrics",
                 "random-logit")  # fmt: skip
    assert result.code == 0, result.out
    assert "(uniform)" in result.out
    assert "failed noise.png, uniform, random-logit: the map is 1 everywhere" in result.words


def test_everything_for_machines(run, noise, tmp_path):
    document = run(noise, "--json", "--seed", "7", "--out", "t.json").json
    assert document["files"] == {"evaluation": "t.json"}
    written = json.loads((tmp_path / "t.json").read_text())
    assert written["seed"] == document["seed"] == 7
    assert len(written["measurements"]) == 2 * 6


def test_what_is_told_beside_the_rankings(run, noise):
    result = run(noise)
    assert "deletion(steps=5) insertion(steps=4) " in result.words
    assert "not shown: 1 pictures, fewer than 6" in result.out
    (line,) = [line for line in result.out.splitlines() if line.endswith("through the head")]
    assert line.startswith("grad-cam")
    document = run(noise, "--json").json
    assert len(document["agreement"]) == 1
    assert [each["row"] for each in document["costs"]][:2] == ["saliency", "grad-cam"]


def test_the_page(run, noise, tmp_path):
    assert "Wrote page.html" in run(noise, "--out", "page.html").out
    assert "noise.png" in (tmp_path / "page.html").read_text()


def test_a_journal_is_gone_on_with(run, noise, tmp_path):
    first = run(noise, "--journal", "run.jsonl", "--out", "t.json")
    assert "taken over" not in first.out
    content = (tmp_path / "run.jsonl").read_bytes()
    again = run(noise, "--journal", "run.jsonl", "--out", "t.json")
    assert "note 12 measurements were taken over from 'run.jsonl'" in again.words
    assert (tmp_path / "run.jsonl").read_bytes() == content
    assert run(noise, "--seed", "1", "--journal", "run.jsonl").code == 0


def test_what_is_no_journal_is_told_and_left(run, noise, tmp_path):
    (tmp_path / "run.jsonl").write_text("mine\n")
    result = run(noise, "--journal", "run.jsonl")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: 'run.jsonl' is no journal of an evaluation")
    assert (tmp_path / "run.jsonl").read_text() == "mine\n"


def test_the_curves(run, noise, tmp_path):
    assert run(noise, "--out", "curves.png").code == 0
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.format == "PNG"


def test_a_broken_picture_is_told_and_the_others_are_measured(run, noise, pictures):
    result = run(noise, pictures / "broken.png")
    assert result.code == 1
    assert "failed broken.png, saliency, deletion(steps=5): " in result.words
    assert "and 7 more that failed" in result.out
    assert "Wrote noise.evaluate.md" in result.out


def test_nothing_but_a_broken_picture_writes_nothing(run, pictures, tmp_path):
    result = run(pictures / "broken.png", "--out", "t.png")
    assert result.code == 1
    assert "failed on every picture" in result.out
    assert "Wrote" not in result.out
    assert not (tmp_path / "t.png").exists()


def test_an_interrupt_writes_what_there_is(run, noise, pictures, tmp_path, monkeypatch):
    second = tmp_path / "second.png"
    with Image.open(noise) as picture:
        picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(second)
    feed = Study.compare.__globals__["run_plan"]
    from xai_core import evaluating

    def interrupted(study, plan, sources, *rest):
        if sources[0].name == "second.png":
            raise KeyboardInterrupt
        return feed(study, plan, sources, *rest)

    monkeypatch.setattr(evaluating, "run_plan", interrupted)
    result = run(noise, second)
    assert result.code == 130
    assert "interrupted: 1 of 2 pictures are whole" in result.out
    assert "interrupted: 1 of 2" in (tmp_path / "noise.evaluate.md").read_text()


def test_it_tells_how_far_it_is(run, noise, monkeypatch):
    from contextlib import contextmanager

    told = []

    @contextmanager
    def progress():
        yield lambda *each: told.append(each)

    monkeypatch.setattr(output, "progress", progress)
    run(noise)
    assert told[0] == (0, 12, "noise.png: the maps")
    assert told[-1] == (12, 12, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--metrics", "deletio"), "no metric is called 'deletio'; near it: deletion"),
        (("--metrics", " "), "received --metrics ' '; expected names, such as deletion,insertion"),
        (("--set", "insertion.steps=0", "--metrics", "insertion"),
         "insertion: received steps 0; expected a whole number, at least 1"),
        (("--out", "t.csv"),
         "received --out 't.csv'; expected a name that ends in .html, .md, .json or .png"),
        (("--journal", "t.json"),
         "received --journal 't.json'; expected a name that ends in .jsonl"),
        (("--methods", "saliency,saliency"), "received methods with 'saliency' twice"),
        (("--set", "deletio.steps=3"),
         "received --set deletio.steps=3, and 'deletio' is not among the methods chosen: "),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_before_anything_is_run(xai, noise, small, arguments, message):
    result = xai("evaluate", noise, "--model", small, *arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"error: {message}")
