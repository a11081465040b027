"""`xai compare --trust`: verdicts in words and numbers, mistakes, and nothing lost on Ctrl-C."""

import json

import numpy as np
import pytest
from PIL import Image

from xai_core.cli import output

METHODS = ("--methods", "saliency,grad-cam")


@pytest.fixture
def run(xai, small, noise):
    def run(*arguments):
        return xai("compare", noise, "--model", small, *METHODS, *arguments)

    return run


def test_each_map_has_a_line(run, tmp_path):
    result = run("--trust", "--budget", "700")
    assert result.code == 0, result.err
    assert "trust saliency, class " in result.words
    assert "trust grad-cam at conv, class " in result.words
    assert result.words.count("same map put elsewhere") == 2
    assert "tests all tested with " in result.words
    assert " of 700 queries and 1 pass with weights drawn anew" in result.words
    assert "8 steps, 19 other places, seed 0" in result.words
    with Image.open(tmp_path / "noise.compare.png") as picture:
        assert np.asarray(picture.convert("RGB")).std() > 10


def test_everything_for_machines(run):
    document = run("--trust", "--budget", "900", "--seed", "3", "--json").json
    (account,) = document["trust"]
    assert (account["budget"], account["seed"], account["tested"]) == (900, 3, 2)
    assert account["queries"] <= 900
    for each in document["explanations"]:
        assert each["verdict"]["sentence"]
        assert [test["metric"] for test in each["verdict"]["tests"]] == ["deletion", "insertion"]
        assert all(len(test["elsewhere"]) == 19 for test in each["verdict"]["tests"])
    assert run("--json").json["trust"] == []


def test_a_page_with_several_pictures(xai, small, noise, pictures, tmp_path):
    command = ("compare", noise, pictures / "moving.gif", "--model", small, *METHODS)
    result = xai(*command, "--trust", "--out", "page.html")
    assert result.code == 0, result.err
    assert ", noise.png: " in result.words
    assert ", moving.gif: " in result.words
    assert (tmp_path / "page.html").read_text().count('<article class="verdict"') == 4


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--budget", "700"), "received --budget without --trust; expected both"),
        (("--seed", "7", "--budget", "9"), "received --budget and --seed without --trust"),
        (("--trust", "--expect", "1"), "received --expect and --trust; expected one of them"),
        (("--trust", "--budget", "674"), "a budget of 674 queries to test 2 maps of 1 picture; "
         "expected at least 675"),
        (("--trust", "--budget", "0"), "--budget"),
    ],
)  # fmt: skip
def test_mistakes(run, arguments, told, tmp_path):
    result = run(*arguments)
    assert result.code == 2
    assert told in " ".join(result.err.split())
    assert list(tmp_path.glob("noise.compare.*")) == []


def test_several_models_each_have_an_account(xai, small, noise):
    models = ("--models", f"{small},{small}")
    result = xai("compare", noise, *models, *METHODS, "--trust", "--budget", "1400")
    assert result.code == 0, result.err
    assert result.words.count(" of 700 queries") == 2
    short = xai("compare", noise, *models, *METHODS, "--trust", "--budget", "700")
    assert short.code == 2
    assert "each of 2 models has an equal share of the budget" in " ".join(short.err.split())


def test_an_interrupt_keeps_what_was_made(run, monkeypatch, tmp_path):
    from contextlib import contextmanager

    @contextmanager
    def stopping():
        def tell(done, total, what):
            if done == 1 and "testing" in what:
                raise KeyboardInterrupt

        yield tell

    monkeypatch.setattr(output, "progress", stopping)
    result = run("--trust", "--json")
    assert result.code == 130
    document = json.loads(result.out)
    assert ["verdict" in each for each in document["explanations"]] == [True, False]
    assert document["notices"] == ["interrupted: 1 of 2 maps are tested, and all are kept"]
    assert (tmp_path / "noise.compare.png").exists()
    assert "grad-cam at conv" in run("--trust").words
    assert "not tested" in run("--trust").words
