"""The page of an evaluation: every number is on it, names stay names, and nothing runs."""

import ast
import base64
import hashlib
import html
import re
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.core.report.conftest import HOSTILE_FILE
from tests.core.report.test_data import Page
from tests.core.test_agreement import evaluation, gauge, same
from xai_core.errors import MetricError
from xai_core.metrics import Curve, Score
from xai_core.render import overlay
from xai_core.report import charts
from xai_core.report.evaluation import render_evaluation
from xai_core.report.evaluation_recipe import evaluation_recipe

HOSTILE = "<script>alert(1)</script>"
ORIGIN = {
    "model": "m", "model_source": "efficientnet-lite0", "weights": "imagenet",
    "weights_sha256": "ab" * 32, "adapter": "efficientnet-lite0", "preprocessing": "tf",
    "input_size": [224, 224], "fit": "crop", "labels": None, "versions": {"keras": "3"},
}  # fmt: skip
SECONDS = {"a": 0.5, "b": 2.0, "c": 8.0, "d": 1.0}


def make(*, up=(True, False), seconds=SECONDS, **values):
    values = values or {"a": 9, "b": 5, "c": 3, "d": 4, "edges": 1}
    gauges = [gauge(f"g{number}", up=each) for number, each in enumerate(up)]
    of = [same(**values), *[same(**values)] * (len(up) - 1)]
    found = evaluation(gauges, of, seconds=seconds)
    rows = [replace(each, source="xai-core 1") for each in found.rows]
    metrics = [replace(each, source="xai-core 1") for each in found.metrics]
    return replace(found, rows=tuple(rows), metrics=tuple(metrics), origin=lambda: ORIGIN)


@pytest.fixture(scope="module")
def made():
    return make()


@pytest.fixture(scope="module")
def text(made):
    return render_evaluation(made)


def words(text):
    return " ".join(re.sub(r"<[^>]*>", " ", text.partition("<main>")[2]).split())


def test_what_is_shown_stands_first_in_words(text):
    found = words(text)
    assert "a, b, c and d beat every map that knows nothing of the model, by g0 only." in found
    assert "Metrics that disagree on all rows: g0 and g1, -1.00 (-1.00 to -1.00)." in found
    assert "Metrics that disagree on the methods alone: g0 and g1," in found
    assert found.index("beat every map") < found.index("Make it again")


def test_of_many_metrics_that_disagree_the_worst_are_told():
    """Three up and two down: six pairs disagree, four of which are told."""
    found = words(render_evaluation(make(up=(True, True, True, False, False))))
    told = re.search(r"Metrics that disagree on all rows: ([^.]*(?:\.\d[^.]*)*)\.", found)[1]
    assert told.count(" and g") == 4
    assert told.endswith("and 2 pairs more, in the matrix below")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"a": 9, "edges": 1}, "a beats every map that knows nothing of the model, by g0."),
        ({"a": 1, "edges": 9}, "a is not shown to beat them all by any metric."),
        ({"a": 1, "b": 9, "edges": 3}, "a is not shown to beat them all by any metric."),
    ],
)
def test_sentences(values, told):
    assert told in words(render_evaluation(make(up=(True,), **values)))


def test_what_each_metric_asked_and_may_ask(made):
    budgets = [replace(made.metrics[0], queries=1002), made.metrics[1]]
    found = words(render_evaluation(replace(made, metrics=tuple(budgets))))
    many = len([each for each in made.measurements if each.metric == "g0"])
    assert f"g0 1,002 {many} {many} 0 0.0 g1 it depends {many} {many} 0 0.0" in found


def test_few_pictures_are_told(made):
    few = replace(made, pictures=made.pictures[:3])
    assert "With fewer than 6 pictures no difference can be shown." in words(render_evaluation(few))


def test_every_row_with_its_mean_and_words(made, text):
    found = words(text)
    for metric in ("g0", "g1"):
        for standing in made.ranking(metric):
            if not standing.row.is_reference:
                assert standing.words in found
    assert "( edges ) 1 1.000 to 1.000 8 a reference row" in found


def test_the_bars_by_hand():
    """Means 9 to 1: the axis has 6 % of 8 beyond both ends, and better is at the right."""
    found = make()
    for number, (worst, best) in enumerate([(0.52, 9.48), (9.48, 0.52)]):
        spans = charts.spans(found.metrics[number], found.ranking(f"g{number}"))
        assert (spans.worst, spans.best) == pytest.approx((worst, best))
        at = 100 * (np.asarray([9, 5, 3, 1]) - worst) / (best - worst)
        assert [spans.by_row[name].mean for name in "abc"] == pytest.approx(at[:3], abs=0.01)
        assert spans.references == pytest.approx(at[3:], abs=0.01)


def test_costs_by_hand():
    """Log scale from 0.5 / 1.6 to 8 x 1.6; the best is at the top whichever way is better."""
    found = make()
    for number, best in enumerate("ac"):
        drawn = charts.costs(found.metrics[number], found.pareto(f"g{number}"))
        points = {each.row: each for each in drawn.points}
        share = np.log(2.0 * 1.6 / 0.5) / np.log(8 * 1.6**2 / 0.5)
        left, right = drawn.across.start, drawn.across.end
        assert points["b"].x == pytest.approx(left + share * (right - left), abs=0.01)
        assert min(points.values(), key=lambda each: each.y).row == best
        front = {e.price.row.name for e in found.pareto(f"g{number}") if e.is_on_front}
        assert {e.row for e in drawn.points if e.is_on_front} == front - {"edges"}


def test_names_do_not_lie_over_each_other():
    heights = charts._apart([50.0, 51.0, 52.0, 200.0])
    assert heights == [50.0, 63.0, 76.0, 200.0]
    low = charts._apart([charts.HEIGHT] * 3)
    assert max(low) <= charts.HEIGHT - charts.BOTTOM
    assert np.diff(low).tolist() == [13.0, 13.0]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.3, 7, ["0.5", "1", "2", "5"]), (0.01, 30, ["0.01", "0.1", "1", "10"])],
)
def test_ticks_of_a_log_axis(low, high, expected):
    axis = charts.Axis(low, high, 0, 100, is_log=True)
    assert [each.text for each in axis.ticks] == expected


def test_the_curves_are_means():
    found = make(up=(True,), a=9, edges=1)
    x = np.linspace(0, 1, 3)
    first, *rest = found.measurements
    ramps = [replace(first, outcome=Score(1.0, {}, Curve(x, x * k, "x", "y"))) for k in (1, 3)]
    found = replace(found, measurements=(*ramps, *rest))
    drawn = charts.curves(found, found.metrics[0], found.ranking("g0"))
    points = [tuple(map(float, each.split(","))) for each in drawn.lines[0].points.split()]
    assert points == [(drawn.across.place(t), drawn.up.place(2 * t)) for t in (0, 0.5, 1)]
    assert "Mean curves: y" in render_evaluation(found)


def test_a_metric_without_curves_has_none(made, text):
    assert charts.curves(made, made.metrics[0], made.ranking("g0")) is None
    assert "Mean curves" not in text


def test_names_stay_names():
    """Of pictures, methods and where they come from, models, labels, notices and failures."""
    found = make(up=(True, True), **{HOSTILE: 3, "b": 2, "edges": 1}, seconds={HOSTILE: 1.0})
    broken = replace(found.measurements[0], outcome=MetricError(HOSTILE), picture=HOSTILE)
    target = replace(broken.target, label=HOSTILE, asked=HOSTILE)
    found = replace(
        found,
        model=HOSTILE,
        rows=tuple(replace(e, source=HOSTILE, parameters={HOSTILE: HOSTILE}) for e in found.rows),
        metrics=tuple(replace(each, summary=HOSTILE, source=HOSTILE) for each in found.metrics),
        measurements=(replace(broken, target=target), *found.measurements[1:]),
        pictures=(HOSTILE, *found.pictures),
        notices=(HOSTILE,),
        warnings=(HOSTILE,),
        layers=(HOSTILE,),
        origin=lambda: {**ORIGIN, "weights": HOSTILE, "model_source": HOSTILE},
    )
    text = render_evaluation(found)
    assert "<script" not in text
    assert text.count("alert(1)") > 20
    assert not [tag for tag, _ in Page(text).elements if tag == "script"]


def test_nothing_runs_and_nothing_is_asked_for(text):
    page = Page(text)
    (policy,) = [
        attributes["content"]
        for tag, attributes in page.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    style = "".join(page.text["style", None])
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "script-src 'none'" in policy
    for tag, attributes in page.elements:
        assert tag not in ("script", "link", "iframe", "img", "object")
        assert "style" not in attributes  # the policy lets none through
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("href", "#").startswith("#")
        assert "src" not in attributes


def test_settings_and_provenance(text):
    found = words(text)
    assert "weights, SHA-256 " + "ab" * 32 in found
    assert "input size 224x224" in found
    assert "versions keras 3" in found
    assert "&#34;preprocessing&#34;: &#34;tf&#34;" in text
    assert "p0 0" in found  # a picture and its seed


def test_failures_are_grouped(made):
    broken = [replace(e, outcome=MetricError("no way")) for e in made.measurements[:3]]
    found = replace(made, measurements=(*broken, *made.measurements[3:]))
    text = words(render_evaluation(found))
    assert "× 3 failed no way a , g0 , p0 · a , g0 , p1 · a , g0 , p2" in text


def test_nothing_measured_is_still_a_page(made):
    broken = tuple(replace(e, outcome=MetricError("no way")) for e in made.measurements)
    broken = tuple(replace(e, map_seconds=0.0) for e in broken)
    text = words(render_evaluation(replace(made, measurements=broken)))
    assert text.count("failed on every picture") >= 10


# ----------------------------------------------------------------------------- the ladder


def with_ladder(maps):
    """An evaluation that asked for such maps, of methods of these names."""
    values = {str(row[0].cell.method): 5 - number for number, row in enumerate(maps.rows)}
    found = make(up=(True, False), **values, edges=1, seconds=dict.fromkeys(values, 1.0))
    metrics = (found.metrics[0], replace(found.metrics[1], name="cascading-randomisation"))
    measurements = tuple(
        replace(each, metric="cascading-randomisation") if each.metric == "g1" else each
        for each in found.measurements
    )
    return replace(
        found,
        metrics=metrics,
        measurements=measurements,
        ladder=lambda name, target, progress: maps,
    )


@pytest.fixture(scope="module")
def ladder(study, pictures):
    """Of a picture and labels with hostile names, of methods that work, fail and are not finite."""
    methods = ["saliency", "holes", "broken", "grad-cam"]
    return study("calm").ladder_maps(pictures[0], methods, rungs=2, target=0, seed=7)


def test_the_ladder_as_pictures(ladder):
    page = render_evaluation(with_ladder(ladder))
    section = page.partition('id="metric-1"')[2].partition("</section>")[0]
    assert page.count('class="descent"') == section.count('class="descent"') == 1
    (head,) = re.findall(r"<thead><tr><td>.*?</thead>", section, re.DOTALL)
    lost = np.cumsum([len(each.layers) for each in ladder.rows[0]])
    stages = zip(lost[1:], ladder.rows[0][1:], strict=True)
    titles = [f"{count} of 3 layersto {each.layers[-1]}" for count, each in stages]
    told = [re.sub("<[^>]*>", "", each) for each in re.findall(r"<th .*?</th>", head)]
    assert [html.unescape(each) for each in told] == ["As it is", *titles]
    body = section.partition('class="descent"')[2].partition("<tbody>")[2].partition("</tbody>")[0]
    rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", body, re.DOTALL)
    assert len(rows) == len(ladder.rows) == 4
    for row, maps in zip(rows, ladder.rows, strict=True):
        assert f"<bdi>{maps[0].cell.method}</bdi>" in row
        cells = re.findall(r"<td.*?</td>", row, re.DOTALL)
        assert len(cells) == 3
        for cell, each in zip(cells, maps, strict=True):
            if each.reason is not None:
                assert "<img" not in cell
                said = html.unescape(re.sub(" *<[^>]*> *", "|", cell))
                assert f"|no map||{each.reason}|" in said
            elif each.layers:
                assert f">{each.similarity:.2f}<".replace("-", "\N{MINUS SIGN}") in cell
            else:
                assert ">the learnt map<" in cell
    assert "class 0" not in section
    assert "by seed 7" in section
    assert "One picture of 8, the first that was measured" in section


def test_the_pictures_of_the_ladder_are_those_of_the_maps(ladder):
    """Within a JPEG's distance of what `overlay` draws; inside the file, each with words."""
    page = Page(render_evaluation(with_ladder(ladder)))
    images = [attributes for tag, attributes in page.elements if tag == "img"]
    drawn = [each for row in ladder.rows for each in row if each.reason is None]
    assert len(images) == 1 + len(drawn) == 1 + 2 * 3
    assert len({each["alt"] for each in images}) == len(images)
    assert images[0]["alt"] == f"The picture {HOSTILE_FILE}"
    for attributes, each in zip(images[1:], drawn, strict=True):
        kind, _, content = attributes["src"].partition(",")
        assert kind == "data:image/jpeg;base64"
        image = Image.open(BytesIO(base64.b64decode(content)))
        assert image.size == (60, 40) == (int(attributes["width"]), int(attributes["height"]))
        far = np.abs(np.asarray(image, float) - np.asarray(overlay(each.cell), float))
        assert far.mean() < 12
        assert attributes["alt"].startswith(f"Map of {each.cell.method} of {HOSTILE_FILE}, ")
        if each.layers:
            assert attributes["alt"].endswith(
                f" of 3 layers drawn anew, down to {each.layers[-1]}: rank correlation "
                f"{each.similarity:.2f}"
            )
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "iframe", "link"})
    assert not [a for _, a in page.elements if any(name.startswith("on") for name in a)]


def test_the_right_map_is_in_the_right_place(ladder):
    """A mosaic of what is drawn: each is nearer to its own map than to that of any other stage."""
    page = Page(render_evaluation(with_ladder(ladder)))
    images = [
        np.asarray(Image.open(BytesIO(base64.b64decode(a["src"].partition(",")[2]))), float)
        for tag, a in page.elements
        if tag == "img"
    ]
    drawn = [np.asarray(overlay(e.cell), float) for r in ladder.rows for e in r if not e.reason]
    far = np.asarray([[np.abs(a - b).mean() for b in drawn] for a in images[1:]])
    assert far.argmin(axis=1).tolist() == list(range(6))


def test_without_a_ladder_there_is_none(text):
    assert "on the way down" not in text
    assert "<img" not in text


def test_making_them_is_told(ladder):
    told = []

    def tell(*each):
        told.append(each)

    found = replace(with_ladder(ladder), ladder=lambda name, target, progress: progress(0, 3, name))
    render_evaluation(found, tell)
    assert told == [(0, 3, "p0")]


# ----------------------------------------------------------------------------- the recipe


def test_how_to_make_it_again(made):
    rows = [replace(made.rows[0], name="rise(masks=40)", changed={"masks": 40}), *made.rows[1:]]
    metrics = [
        replace(made.metrics[0], name="deletion", changed={"steps": "20", "baseline": "blur"}),
        replace(made.metrics[1], name="insertion"),
    ]
    found = replace(made, rows=tuple(rows), metrics=tuple(metrics), layers=("top",), seed=3)
    recipe = evaluation_recipe(found, ORIGIN)
    ast.parse(recipe)
    assert 'xai.explainer("rise", masks=40)' in recipe
    assert 'xai.metric("deletion", steps=20, baseline="blur")' in recipe
    assert '    layer="top",' in recipe
    assert "    seed=3," in recipe
    command = recipe.partition("# The same on the command line:")[2]
    for part in (
        "xai evaluate p0 p1",
        "--methods rise,b,c,d",
        "--metrics deletion,insertion",
        "--set rise.masks=40",
        "--set deletion.baseline=blur",
        "--layer top",
        "--seed 3",
        "--out evaluation.html",
    ):
        assert part in command
    own = replace(found, rows=(replace(rows[0], source="module mine"), *rows[1:]))
    recipe = evaluation_recipe(own, ORIGIN)
    assert '# "rise", of module mine, is your own' in recipe
    assert "command line" not in recipe
    twice = replace(found, metrics=(metrics[0], replace(metrics[0], changed={})))
    assert "command line" not in evaluation_recipe(twice, ORIGIN)


def test_the_recipe_runs(tmp_path):
    """What it says is asked for is what was asked for."""
    import xai_core as xai

    metric = xai.metric("deletion", steps=20, baseline="blur")
    assert (metric.steps, metric.baseline) == (20, "blur")


# ----------------------------------------------------------------------------- in a browser


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("is_laddered", [False, True], ids=["plain", "ladder"])
def test_it_fits_asks_for_nothing_and_is_drawn(
    chromium, tmp_path, scheme, width, is_laddered, ladder
):
    values = {"a": 9, "integrated-gradients(steps=64)": 5, "c": 3, "d": 4, "edges": 1}
    seconds = {**SECONDS, "integrated-gradients(steps=64)": 7.0}
    found = with_ladder(ladder) if is_laddered else make(seconds=seconds, **values)
    path = found.save(tmp_path / "page.html")
    context = chromium.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=True
    )
    page = context.new_page()
    requests, errors = [], []
    context.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: errors.append(message.text))
    page.goto(path.as_uri())
    assert [each for each in requests if not each.startswith("data:image/")] == [path.as_uri()]
    assert errors == []
    shown = page.eval_on_selector_all("img", "all => all.map(e => e.naturalWidth)")
    assert shown == [60] * (7 if is_laddered else 0)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # A name in a drawing is inside of it, and in the ink of the scheme.
    for name in page.query_selector_all(".chart .method"):
        box, chart = name.bounding_box(), name.evaluate_handle("e => e.ownerSVGElement")
        around = chart.as_element().bounding_box()
        assert around["x"] - 1 <= box["x"]
        assert box["x"] + box["width"] <= around["x"] + around["width"] + 1
    ink = page.eval_on_selector(".chart .method", "e => getComputedStyle(e).fill")
    assert ink == {"light": "rgb(24, 25, 27)", "dark": "rgb(236, 234, 230)"}[scheme]
    # The bar of the best row ends at the right of that of the worst.
    at = page.eval_on_selector_all(
        "#metric-0 .span circle", "all => all.map(e => e.getBoundingClientRect().x)"
    )
    assert at == sorted(at, reverse=True)
    context.close()
