"""Verdicts in the report, the figure and the notebook: whole, escaped, and each at its map."""

import html
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from xai_core import Comparison, Trust
from xai_core.metrics import Curve
from xai_core.render.figures import Panel, comparison_figure
from xai_core.report import as_html
from xai_core.report.data import collect
from xai_core.report.plots import placing_plot
from xai_core.report.recipe import recipe
from xai_core.trust import Placing, Verdict

HOSTILE_MODEL = '"><svg onload=alert(2)>'
HOSTILE_ERROR = "</pre><iframe src=javascript:alert(6)></iframe>"


@pytest.fixture(scope="module")
def tested(study, pictures):
    """A hostile model, its two pictures, and methods of which some say nothing or fail."""
    return study(HOSTILE_MODEL).compare(
        pictures, ["small", "large", "holes", "broken"], [0], trust=Trust(4000)
    )


@pytest.fixture(scope="module")
def text(tested, tmp_path_factory):
    return tested.save(tmp_path_factory.mktemp("trust") / "report.html").read_text()


def articles(text):
    """The HTML of each map's verdict, by the number of its cell."""
    found = re.findall(r'<article class="verdict" id="verdict-(\d+)">(.*?)</article>', text, re.S)
    return {int(number): content for number, content in found}


def words(content):
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", content)).split())


def test_every_map_has_its_verdict_and_figures(tested, text):
    shown = articles(text)
    maps = [n for n, cell in enumerate(tested.cells) if hasattr(cell, "verdict")]
    assert list(shown) == maps
    assert len(maps) == 6
    for number in maps:
        verdict = tested.cells[number].verdict
        said = words(shown[number])
        assert str(verdict)[1:] in said
        assert shown[number].count('<svg class="plot"') == len(verdict.placings)
        for each in verdict.placings:
            assert f"{each.value:.3f}" in said
            assert f"{min(each.elsewhere):.3f} to {max(each.elsewhere):.3f}" in said
            assert f"{each.beaten} of 19, p = {each.chance:.2f}" in said
            random = each.references["random"]
            assert f"{min(random):.3f} to {max(random):.3f}" in said
            for name in ("centre-gaussian", "edges", "uniform"):
                assert f"{each.references[name][0]:.3f}" in said
    holes = tested.cells[maps[2]]
    assert holes.method.name == "holes"
    assert words(shown[maps[2]]).endswith(
        "Could not be tested: not all values of the map are finite"
    )


def test_what_the_tests_took_is_told(tested, text):
    assert f"All tested with {tested.accounts[0].queries:,} of 4,000 queries" in words(text)
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
    stored = [cell["provenance"]["verdict"] for cell in data["cells"] if "provenance" in cell]
    assert [each["sentence"] for each in stored] == [str(each.verdict) for each in tested]
    assert len(stored[0]["tests"][0]["elsewhere"]) == 19


def test_nothing_that_anyone_named_gets_out(tested, text):
    """The policy holds every script and style; names are text."""
    assert len(re.findall("<script", text)) == 2
    assert "<iframe" not in text
    assert "<svg onload" not in text
    for content in articles(text).values():
        assert not re.search(r"<[^>]+ (style|on\w+)=", content)
    nasty = Verdict(faults=(f"deletion: {HOSTILE_ERROR}\u202e",))
    cells = tuple(replace(cell, verdict=nasty) for cell in tested)
    changed = replace(tested, cells=cells)
    from xai_core.report import write_report

    page = write_report(changed).decode()
    assert HOSTILE_ERROR not in page
    assert "\u202e" not in page
    assert html.escape(HOSTILE_ERROR) in page
    assert HOSTILE_ERROR not in as_html(changed)
    assert f"Trust: small for {tested.cells[0].target}" not in as_html(tested)  # it is escaped
    assert "Trust: small for " in as_html(tested)


def test_a_plot_by_hand():
    """160 wide and 90 high for 0..0.8: half of the height is 0.4."""
    x = np.array([0, 0.5, 1.0])
    placing = Placing(
        'a"b',
        False,
        0.4,
        Curve(x, np.array([0.8, 0.4, 0]), 'share "of"', "probability"),
        (0.5,),
        (np.array([0.8, 0.2, 0]), np.array([0.8, 0.6, 0])),
        {},
    )
    drawn = str(placing_plot(placing))
    assert 'class="plot-curve" points="0.0,0.0 80.0,45.0 160.0,90.0"' in drawn
    assert ('points="0.0,0.0 80.0,22.5 160.0,90.0 160.0,90.0 80.0,67.5 0.0,0.0"') in drawn
    assert ">0.8</text>" in drawn
    assert 'aria-label="a&#34;b: the probability begins at 0.800 and ends at 0.000' in drawn
    assert "half-way, it is 0.200 to 0.600, with the map itself 0.400" in drawn


def test_without_trust_the_page_has_no_such_section(many, report):
    assert many.accounts == ()
    assert 'id="trust"' not in report.read_text()


def test_maps_that_were_not_tested_say_so(tested):
    from xai_core.report import write_report

    cells = (tested.cells[0], replace(tested.cells[1], verdict=None))
    page = write_report(replace(tested, cells=cells)).decode()
    assert words(articles(page)[1]).endswith("Not tested.")


def test_the_recipe_asks_for_the_same_tests(study, pictures):
    made = study("calm").compare(pictures[1], "small", 0, trust=Trust(1234, seed=5))
    assert "    trust=xai.Trust(budget=1234, seed=5)," in recipe(collect(made))
    plain = Comparison(made.cells, made.predictions)
    assert "Trust" not in recipe(collect(plain))


def test_the_figure_has_the_verdict_below_each_map(tested):
    figure = comparison_figure(tested)
    drawn = " ".join(t.get_text().replace("\n", " ") for a in figure.axes for t in a.texts)
    assert "trust: " in drawn
    for word in ("could not be tested: not all values", "same map put elsewhere"):
        assert word in drawn


def test_a_verdict_takes_no_room_from_what_is_below():
    both = Panel(None, "", below="warning " * 40, verdict="word " * 80)
    below, verdict = Panel(None, "", below="warning " * 40), Panel(None, "", verdict="word " * 80)
    assert both.foot(2.5) == below.foot(2.5) + verdict.foot(2.5)
    assert len(both.foot(2.5)) == 12


@pytest.mark.browser
def test_the_shown_map_has_its_verdict_beside_it(visit, tested, tmp_path):
    page = visit(tested.save(tmp_path / "report.html"))
    for number, cell in enumerate(tested.cells):
        page.eval_on_selector(f"[data-tile='{number}']", "(tile) => tile.click()")
        if hasattr(cell, "verdict"):
            assert str(cell.verdict)[1:] in page.inner_text("#trust-here-body")
            plots = page.locator("#trust-here-body svg").count()
            assert plots == len(cell.verdict.placings)
        else:
            assert page.is_hidden("#trust-here")
