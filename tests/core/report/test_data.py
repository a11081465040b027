"""What goes into a report comes out of it, small, and as text."""

import base64
import hashlib
import json
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

import xai_core.demo
from xai_core import Comparison, compare
from xai_core.errors import UsageError
from xai_core.images import display_pixels, read_picture
from xai_core.render import scales
from xai_core.report import write_report
from xai_core.report.axes import lay_out
from xai_core.report.data import collect
from xai_core.report.encode import choose_bits, pack_map, pack_pictures
from xai_core.report.recipe import recipe
from xai_core.report.text import plain, to_json
from xai_core.types import Failure


class Page(HTMLParser):
    """The elements of a page, and the text of those that hold no others."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self.inside = [], {}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.inside = (tag, dict(attrs).get("type"))

    def handle_data(self, data):
        self.text.setdefault(self.inside, []).append(data)

    def handle_endtag(self, tag):
        self.inside = None

    def data(self):
        return json.loads("".join(self.text["script", "application/json"]))


@pytest.fixture(scope="module")
def page(report):
    return Page(report.read_text())


def unpack(packed):
    content = base64.b64decode(packed["data"])
    shape = (packed["h"], packed["w"])
    if packed["kind"] in ("f4", "f8"):
        return np.frombuffer(content, f"<{packed['kind']}").reshape(shape)
    planes = np.frombuffer(zlib.decompress(content), np.uint8).reshape(-1, *shape).astype(int)
    codes = planes[0] if packed["kind"] == "q1" else planes[0] * 256 + planes[1]
    values = packed["low"] + codes * packed["step"]
    for above, value in enumerate((np.nan, np.inf, -np.inf), 1):
        values[codes == packed["levels"] + above] = value
    return values


# Maps


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_maps_are_stored_as_they_are(dtype):
    raw = np.random.default_rng(0).normal(0, 1e-30, (64, 64)).astype(dtype)
    raw[0, :3] = np.nan, np.inf, -np.inf
    stored = unpack(pack_map(raw, 8))
    assert stored.dtype == dtype
    np.testing.assert_array_equal(stored, raw)


@pytest.mark.parametrize(("bits", "parts"), [(16, 65535), (12, 4092), (8, 252)])
def test_large_maps_are_stored_to_a_known_part_of_their_range(bits, parts):
    raw = np.random.default_rng(0).standard_t(2, (65, 65)).astype(np.float32)
    raw[3, :3] = np.nan, np.inf, -np.inf
    packed = pack_map(raw, bits)
    stored = unpack(packed)
    known = np.isfinite(raw)
    np.testing.assert_array_equal(stored[~known], raw[~known])
    spread = raw[known].max() - raw[known].min()
    off = np.abs(stored[known] - raw[known]).max()
    assert off <= packed["step"] / 2 * (1 + 1e-9)
    assert off <= spread / parts


@pytest.mark.parametrize("value", [0.0, 3.5, np.nan, np.inf])
def test_a_large_map_of_one_value(value):
    raw = np.full((80, 80), value, np.float32)
    np.testing.assert_array_equal(unpack(pack_map(raw, 16)), raw)


def test_a_range_beyond_float64_is_stored_as_it_is():
    raw = np.full((80, 80), 1.5e308)
    raw[0, 0] = -1.5e308
    np.testing.assert_array_equal(unpack(pack_map(raw, 16)), raw)


def test_many_large_maps_are_stored_more_coarsely():
    large, small = np.zeros((224, 224)), np.zeros((64, 64))
    assert choose_bits([large] * 3) == 16
    assert choose_bits([large] * 15) == 12
    assert choose_bits([large] * 50) == 8
    assert choose_bits([small] * 10_000) == 16


def test_every_map_of_a_report_comes_back(many, page):
    cells = page.data()["cells"]
    assert len(cells) == len(many.cells)
    for cell, stored in zip(many.cells, cells, strict=True):
        if isinstance(cell, Failure):
            assert "map" not in stored
            assert stored["failure"] == plain(cell.message)
            continue
        exact = cell.map.size <= 64 * 64
        raw = cell.map.astype(np.float64)
        spread = np.ptp(raw[np.isfinite(raw)])
        np.testing.assert_allclose(
            unpack(stored["map"]), raw, rtol=0, atol=0 if exact else spread / 65535
        )
        assert stored["score"] == cell.score
        assert stored["focus"] == (None if cell.focus is None else str(cell.focus))


@pytest.mark.parametrize("sharing", ["map", "row", "all"])
def test_scales_are_those_of_the_figures(many, page, sharing):
    expected = scales(list(many), sharing)
    stored = [cell["scales"][sharing] for cell in page.data()["cells"] if "map" in cell]
    assert stored == [
        [scale.low, scale.high, scale.signed] for scale in (expected[id(each)] for each in many)
    ]


# Pictures


def test_a_small_picture_is_stored_without_loss(pictures):
    picture = read_picture(pictures[0])
    (packed,) = pack_pictures([picture])
    kind, content = packed.source.split(";base64,")
    assert kind == "data:image/png"
    stored = np.asarray(Image.open(BytesIO(base64.b64decode(content))))
    np.testing.assert_array_equal(stored, display_pixels(picture))


def test_a_large_picture_is_made_smaller():
    noise = np.random.default_rng(0).integers(0, 256, (900, 2000, 3), dtype=np.uint8)
    (packed,) = pack_pictures([read_picture(noise)])
    assert packed.source.startswith("data:image/jpeg;base64,")
    assert (packed.width, packed.height) == (1024, 461)


def test_every_picture_is_stored_once(page, report):
    sources = [attrs["src"] for tag, attrs in page.elements if tag == "img"]
    assert len(sources) == len(set(sources)) == 2
    assert report.read_text().count("data:image/") == 2


# Size


def test_a_report_of_one_picture_five_columns_three_classes_is_small(study):
    subject = study("calm", ["a", "b", "c"], size=224)
    columns = ["grad-cam", "grad-cam++", "saliency"]
    layers = ["low-->conv", "high_conv"]
    made = subject.compare(xai_core.demo.coffee(), columns, [0, 1, 2], layers=layers)
    assert len(made) == 15
    assert max(each.map.shape for each in made) == (224, 224)
    assert len(write_report(made)) < 2_000_000


def test_it_is_small_even_where_every_map_is_large(study):
    subject = study("calm", ["a", "b", "c"], size=224)
    one = subject.compare(xai_core.demo.cat(), ["saliency"], [0, 1, 2])
    assert len(write_report(Comparison(one.cells * 5, one.predictions))) < 2_000_000


# Hostile text


def test_no_text_becomes_an_element(page, many):
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == 2
    assert not {"iframe", "svg onload", "object", "embed", "link", "base"} & set(tags)
    for tag, attrs in page.elements:
        assert not [name for name in attrs if name.startswith("on") or name == "style"], tag
        assert attrs.get("href", "#").startswith("#")


def test_the_data_cannot_end_its_element(report):
    block = re.search(r'<script type="application/json"[^>]*>(.*?)</script', report.read_text())
    assert block is not None
    assert not set("<>&") & set(block[1])
    assert block[1].isascii()
    json.loads(block[1])


@pytest.mark.parametrize(
    "text", ["</script>", "<!--<script>", "]]>", "\u2028\u2029", "\u202e", "\ud800", "\0", "'\"\\"]
)
def test_json_keeps_any_text(text):
    written = to_json({text: [text]})
    assert written.isascii()
    assert not set("<>&") & set(written)
    assert json.loads(written) == {text: [text]}


def test_json_says_what_json_cannot():
    document = {"a": float("nan"), "b": [float("-inf")], 3: np.float32(0.5), "c": {1}, "d": None}
    assert json.loads(to_json(document)) == {
        "a": "NaN",
        "b": ["-Infinity"],
        "3": 0.5,
        "c": "{1}",
        "d": None,
    }


def test_what_a_method_tells_is_in_the_page_as_plain_text(many):
    (one, *_) = (cell for cell in many if cell.method.name == "holes")
    nothing = replace(
        one,
        map=np.full((2, 2), np.inf, np.float32),
        method=replace(one.method, poles=("\u202ewarm", "cold\x07")),
        facts={"gap\u202e": 0.25, "queries": 4000.0},
    )
    found = collect(Comparison((one, nothing))).payload()["cells"]
    assert [cell["extent"] for cell in found] == [(36.0, 63.0), None]
    assert found[0]["fault"] is None
    assert found[1]["fault"] == plain(one.warnings[0].message)
    assert found[1]["facts"] == [["gap\ufffd", 0.25], ["queries", 4000.0]]
    (method,) = collect(Comparison((nothing,))).payload()["axes"]["method"]
    assert method["poles"] == ["\ufffdwarm", "cold\ufffd"]


def test_text_that_steers_is_not_shown():
    assert (
        plain("a\u202eb\u2066c\x1b[31m\u2028\ud800\n") == "a\ufffdb\ufffdc\ufffd[31m\ufffd\ufffd\n"
    )


def test_the_policy_lets_only_its_own_style_and_script_in(page):
    metas = [attrs for tag, attrs in page.elements if tag == "meta"]
    (content,) = [m["content"] for m in metas if m.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in content.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for name, inside in (("style-src", ("style", None)), ("script-src", ("script", "module"))):
        digest = hashlib.sha256("".join(page.text[inside]).encode()).digest()
        assert rules[name] == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert "unsafe" not in content


def test_style_and_script_cannot_end_their_elements(page):
    for inside in (("style", None), ("script", "module")):
        text = "".join(page.text[inside]).lower()
        assert not re.search(r"</(style|script)|<!--|<script", text)


def test_the_page_names_no_address(report):
    text = report.read_text()
    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//""", text)
    assert "@import" not in text


# Axes


def test_axes_and_places(many):
    axes, places = lay_out(many)
    assert [method.name for method in axes.methods] == [
        "small",
        "large",
        "signed",
        "holes",
        "broken",
    ]
    assert axes.layers == ("low-->conv", "high_conv")
    assert axes.targets == ("0", "predicted")
    assert len(axes.pictures) == len(axes.models) == 2
    assert len(set(places)) == len(many.cells)


def test_a_failure_stands_with_the_picture_that_lacks_its_map(study, tmp_path, pictures):
    twin = tmp_path / pictures[1].name
    twin.write_bytes(pictures[0].read_bytes())
    parts = [study("calm").compare(path, ["small", "broken"]) for path in (pictures[1], twin)]
    axes, places = lay_out(Comparison(tuple(cell for part in parts for cell in part.cells)))
    assert axes.picture_titles == ("second.png", "second.png (2)")
    assert [place.picture for place in places] == [0, 0, 1, 1]


def test_a_picture_that_cannot_be_read_has_its_place(study, tmp_path, pictures):
    bad = tmp_path / "bad.png"
    bad.write_text("nothing")
    made = study("calm").compare([pictures[0], bad], ["small"])
    text = write_report(made).decode()
    assert "This picture could not be read" in text
    assert lay_out(made)[0].picture_titles[1] == "bad.png"


def test_a_model_that_cannot_be_loaded_shares_the_others_axes(study, pictures, methods):
    made = compare([pictures[1]], [study("calm"), "gone.keras"], ["small"], registry=methods)
    axes, _ = lay_out(made)
    assert axes.models == ("calm", "gone.keras")
    assert len(axes.methods) == len(axes.pictures) == 1
    write_report(made)


# The recipe


class Recorder:
    def __init__(self):
        self.calls = []

    def __call__(self, *args, **kwargs):
        self.calls.append((args, kwargs))
        return self

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self


def run(script):
    recorder = Recorder()
    lines = script.replace("import xai_core as xai", "")
    exec(compile(lines, "recipe", "exec"), {"xai": recorder, "your_model": "MODEL"})
    return recorder.calls


def test_the_recipe_asks_for_the_same(study, pictures):
    label = "</script><script>alert(3)</script>"
    hostile = "'\"); import os #"
    made = study(hostile).compare(pictures, ["small", "signed"], [1, None, label])
    calls = run(recipe(collect(made)))
    assert hostile not in str(calls[0])
    assert calls[0][0] == ("MODEL",)
    assert calls[0][1] == {
        "adapter": "generic",
        "preprocess": "unit",
        "size": (32, 32),
        "fit": "crop",
        "score": "logit",
        "engine": "auto",
        "device": study(hostile).device,
        "labels": list(study(hostile).classes.names),
    }
    assert calls[1][1] == {
        "pictures": [path.name for path in pictures],
        "methods": ["small", "signed"],
        "targets": [1, None, label],
        "layers": ["high_conv"],
    }
    assert calls[2] == (("report.html",), {})


@pytest.mark.parametrize("asked", [{"top": 2}, {"bottom": 2}])
def test_the_recipe_knows_ranks(study, pictures, asked):
    made = study("calm").compare(pictures[1], ["small"], **asked)
    call = run(recipe(collect(made)))[1][1]
    assert {name: call[name] for name in asked} == asked
    assert "targets" not in call


def test_the_recipe_of_several_models(many):
    script = recipe(collect(many))
    assert script.count("xai.Study(") == 2
    assert "xai.compare(" in script
    assert '# "signed", of <b>evil</b> 1, ran with strength=2.0' in script
    run(script)


# Writing


def test_the_same_comparison_makes_the_same_bytes(many):
    assert write_report(many) == write_report(many)


def test_how_it_opens_is_asked_for_as_of_a_figure(many):
    text = write_report(many, colour_map="magma", opacity=0.5, scale="all").decode()
    data = Page(text).data()
    assert data["sequential"][0] == data["diverging"][0] == "magma"
    assert data["opacity"] == 0.5
    assert data["scale"] == "all"


@pytest.mark.parametrize(
    "wrong", [{"colour_map": "nope"}, {"opacity": 2.0}, {"scale": "nope"}], ids=str
)
def test_what_cannot_be_drawn_is_said_before_anything_is_written(many, tmp_path, wrong):
    with pytest.raises(UsageError, match=r"received|no colour map"):
        many.save(tmp_path / "report.html", **wrong)
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_report():
    with pytest.raises(UsageError, match="at least one"):
        write_report(Comparison(()))


def test_a_comparison_of_failures_alone(many):
    page = Page(write_report(Comparison(many.failures)).decode())
    assert all("failure" in cell for cell in page.data()["cells"])


def test_provenance_is_whole(many, page):
    data = page.data()
    stored = [
        {**cell["provenance"], **data["origins"][cell["origin"]]}
        for cell in data["cells"]
        if "map" in cell
    ]
    assert stored == [json.loads(to_json(each.provenance)) for each in many]
