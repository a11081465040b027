"""The report in a real browser, opened from disk."""

from dataclasses import replace

import numpy as np
import pytest

from xai_core.images import Picture, display_pixels
from xai_core.render import blend, common_scale, on_picture, scales
from xai_core.report.text import plain
from xai_core.types import Comparison, Explanation, Failure

pytestmark = pytest.mark.browser


@pytest.fixture
def page(visit, report):
    return visit(report)


def settle(page):
    """Until what was asked for is drawn."""
    page.evaluate(
        """async () => {
            const canvas = document.getElementById("main-map");
            const frame = () => new Promise(requestAnimationFrame);
            await frame(); await frame();
            while (canvas.dataset.cell !== canvas.dataset.drawn) await frame();
            await frame();
        }"""
    )


def shown(page):
    return int(page.get_attribute("#main-map", "data-cell"))


def pixels(page, selector="#main-map"):
    """The colours on a canvas."""
    settle(page)
    width, height, values = page.eval_on_selector(
        selector,
        """(canvas) => [canvas.width, canvas.height,
            [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]]""",
    )
    return np.asarray(values, int).reshape(height, width, 4)[..., :3]


def number(many, *, model="calm", method, layer=None, target="0", picture=1):
    """The number of a cell."""
    names = list(dict.fromkeys(each.picture.name for each in many))
    for number, cell in enumerate(many.cells):
        name = cell.picture.name if isinstance(cell, Explanation) else cell.picture
        place = (cell.model, cell.method.name, cell.layer, cell.target.asked, name)
        if place == (model, method, layer, target, names[picture]):
            return number
    raise AssertionError((model, method, layer, target, picture))


def choose(page, number):
    page.eval_on_selector(f"[data-tile='{number}']", "(tile) => tile.click()")
    settle(page)
    assert shown(page) == number


def point(page, across, down, selector="#frame"):
    """The mouse over a place of a map, 0..1; where the pixel that it met lies."""
    page.locator(selector).scroll_into_view_if_needed()
    box = page.locator(selector).bounding_box()
    page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
    settle(page)


def expected_value(cell, across, down):
    height, width = cell.picture.pixels.shape[:2]
    h, w = cell.map.shape
    row = int((down * height - cell.region.top) / cell.region.height * h)
    column = int((across * width - cell.region.left) / cell.region.width * w)
    return cell.map[row, column], row, column


# Colours


@pytest.mark.parametrize("sharing", ["map", "row", "all"])
def test_colours_are_those_of_the_figures(page, many, sharing):
    page.check(f"input[name=sharing][value={sharing}]", force=True)
    shared = scales(list(many), sharing)
    for method, layer in [("small", "high_conv"), ("large", None), ("signed", None)]:
        for picture in (0, 1):
            chosen = number(many, method=method, layer=layer, picture=picture)
            choose(page, chosen)
            cell = many.cells[chosen]
            scale = shared[id(cell)]
            expected = blend(cell.picture, scale(on_picture(cell)), scale)
            off = np.abs(pixels(page) - expected.astype(int))
            assert off.max() <= 8  # a value on the edge between two colours of the table
            assert (off <= 1).mean() > 0.999


def test_other_colours(page, many):
    chosen = number(many, method="small", layer="high_conv")
    choose(page, chosen)
    cell = many.cells[chosen]
    scale = common_scale([cell])
    for name in ("viridis", "cividis", "jet"):
        page.select_option("#colours", name)
        expected = blend(cell.picture, scale(on_picture(cell)), scale, name)
        assert (np.abs(pixels(page) - expected.astype(int)) <= 1).mean() > 0.999


def test_signed_maps_have_diverging_colours_only(page, many):
    choose(page, number(many, method="signed"))
    assert page.locator("#colours option").all_text_contents() == ["RdBu_r", "PuOr_r"]
    assert page.locator("#ticks span").all_text_contents()[1] == "0"
    choose(page, number(many, method="small", layer="high_conv"))
    assert page.locator("#colours option").all_text_contents()[0] == "inferno"


def test_opacity(page, many):
    chosen = number(many, method="small", layer="high_conv")
    choose(page, chosen)
    before = pixels(page)
    page.locator("#opacity").fill("30")
    assert page.locator("#opacity-value").text_content() == "30%"
    assert (pixels(page) != before).any()
    page.locator("#opacity").fill("0")
    cell = many.cells[chosen]
    grey = display_pixels(cell.picture) @ np.asarray((0.299, 0.587, 0.114))
    region = cell.region
    rows = slice(region.top, region.top + region.height)
    columns = slice(region.left, region.left + region.width)
    now = pixels(page)
    inside = now[rows, columns]
    assert np.abs(inside - grey[rows, columns, None]).max() <= 1
    outside = np.ones(now.shape[:2], bool)
    outside[rows, columns] = False
    assert np.abs(now[outside] - 0.4 * grey[outside][:, None]).max() <= 1


def test_the_picture_alone(page, many):
    chosen = number(many, method="small", layer="high_conv")
    choose(page, chosen)
    page.keyboard.press("p")
    np.testing.assert_array_equal(pixels(page), display_pixels(many.cells[chosen].picture))


def test_raw_entries_have_edges(page, many):
    chosen = number(many, method="small", layer="high_conv", picture=0)
    choose(page, chosen)
    page.locator("#opacity").fill("100")
    smooth = pixels(page)
    page.keyboard.press("r")
    raw = pixels(page)
    assert (smooth != raw).any()
    cell = many.cells[chosen]
    row, column = np.unravel_index(cell.map.argmax(), cell.map.shape)
    region = cell.region
    top = region.top + int(row * region.height / 5) + 2
    left = region.left + int((column + 0.5) * region.width / 7)
    np.testing.assert_array_equal(raw[top, left], raw[top + 3, left])


def test_places_without_a_number_are_hatched(page, many):
    chosen = number(many, method="holes", picture=0)
    choose(page, chosen)
    page.keyboard.press("r")
    now, plain_picture = pixels(page), display_pixels(many.cells[chosen].picture).astype(int)
    region = many.cells[chosen].region
    corner = np.s_[
        region.top : region.top + region.height // 2, region.left : region.left + region.width // 2
    ]
    off = np.abs(now[corner] - plain_picture[corner]).sum(axis=-1)
    assert (off > 30).mean() > 0.9
    assert (now[corner].sum(axis=-1) > 500).any()
    assert (now[corner].sum(axis=-1) < 250).any()


# The value under the pointer


def test_value_under_the_pointer(page, many):
    for method, layer in [("small", "low-->conv"), ("large", None), ("signed", None)]:
        chosen = number(many, method=method, layer=layer)
        choose(page, chosen)
        cell = many.cells[chosen]
        height, width = cell.picture.pixels.shape[:2]
        for across, down in [(0.303, 0.403), (0.503, 0.603), (0.903, 0.503)]:
            point(page, across, down)
            value, row, column = expected_value(cell, across, down)
            stored = float(page.get_attribute("#value", "data-value"))
            spread = np.ptp(cell.map)
            assert abs(stored - value) <= (spread / 65535 if cell.map.size > 4096 else 0)
            text = page.locator("#value").text_content().replace("−", "-")
            assert abs(float(text) - value) <= max(2e-6 * abs(value), spread / 65535 * 1.5)
            assert page.locator("#entry").text_content() == f"row {row}, column {column}"
            where = f"x {int(across * width)}, y {int(down * height)}"
            assert page.locator("#where").text_content() == where


def test_values_that_are_no_numbers(page, many):
    chosen = number(many, method="holes", picture=0)
    choose(page, chosen)
    for across, down, words in [
        (0.3, 0.2, "not a number"),
        (0.7, 0.2, "infinity"),
        (0.3, 0.8, "−infinity"),
        (0.05, 0.5, "outside what the model saw"),
    ]:
        point(page, across, down)
        assert page.locator("#value").text_content() == words


def test_the_cursor_is_linked(page, many):
    choose(page, number(many, method="small", layer="high_conv", picture=0))
    page.locator("#all").scroll_into_view_if_needed()
    visible = [
        number(many, model=many.cells[0].model, method=name, layer=layer, picture=0)
        for name, layer in [("small", "low-->conv"), ("small", "high_conv"), ("large", None)]
    ]
    for each in visible:
        page.wait_for_selector(f"[data-tile='{each}'] .drawn")
    for across, down in [(0.4, 0.3), (0.6, 0.7)]:
        point(page, across, down, f"[data-tile='{visible[0]}'] .thumb")
        for each in [f"[data-tile='{n}'] .thumb" for n in visible] + ["#frame"]:
            found = page.eval_on_selector(
                each,
                """(box) => {
                    const place = box.getBoundingClientRect();
                    return [...box.querySelectorAll(".cross")].map((line) => {
                        const { left, top, width, height } = line.getBoundingClientRect();
                        return [(left + width / 2 - place.left) / place.width,
                                (top + height / 2 - place.top) / place.height,
                                getComputedStyle(line).display];
                    });
                }""",
            )
            (_, line, _), (column, _, _), (x, y, display) = found
            assert display == "block"
            np.testing.assert_allclose([x, y, column, line], [across, down] * 2, atol=0.02)
        style = "getComputedStyle(document.documentElement).getPropertyValue"
        met = [
            float(page.evaluate(f"{style}('--{axis}')")[:-1]) / 100 for axis in ("across", "down")
        ]
        np.testing.assert_allclose(met, (across, down), atol=0.01)
        for each in visible:
            value, _, _ = expected_value(many.cells[each], *met)
            # Readings are drawn with the next frame, on a tile that came into view later still.
            page.wait_for_function(
                """([at, value]) => {
                    const text = document.querySelector(at).textContent.replaceAll("−", "-");
                    return Math.abs(Number(text || NaN) - value) <= 6e-3 * Math.abs(value);
                }""",
                arg=[f"[data-tile='{each}'] .reading", float(value)],
            )


def test_a_click_pins_the_cursor_and_escape_takes_it_away(page):
    point(page, 0.5, 0.5)
    page.mouse.down()
    page.mouse.up()
    before = page.locator("#value").text_content()
    point(page, 0.2, 0.2)
    page.mouse.move(2, 2)
    assert page.locator("#value").text_content() == before
    page.keyboard.press("Escape")
    assert page.locator("#where").text_content() == "–"
    assert not page.locator("#frame .cross.ring").is_visible()


def test_touch(visit, report):
    page = visit(report, viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True)
    page.locator("#frame").tap(position={"x": 120, "y": 90})
    assert page.locator("#frame .cross.ring").is_visible()
    assert page.locator("#where").text_content() != "–"


def test_the_cursor_by_keys(page):
    page.focus("#frame")
    page.keyboard.press("ArrowRight")
    first = page.locator("#where").text_content()
    page.keyboard.press("Shift+ArrowRight")
    assert page.locator("#where").text_content() != first
    page.get_by_role("status").get_by_text(" at x ").wait_for(state="attached")


# Switching


def test_switching_by_tabs(page, many):
    start = number(many, method="small", layer="high_conv", picture=0, model=many.cells[0].model)
    choose(page, start)
    before = pixels(page)
    page.get_by_role("group", name="Method").get_by_role("radio", name="signed").check(force=True)
    assert many.cells[shown(page)].method.name == "signed"
    assert (pixels(page) != before).any()
    page.get_by_role("group", name="Picture").get_by_role("radio", name="second.png").check(
        force=True
    )
    cell = many.cells[shown(page)]
    assert (cell.method.name, cell.picture.name) == ("signed", "second.png")
    page.get_by_role("group", name="Model").get_by_role("radio", name="calm").check(force=True)
    page.get_by_role("group", name="Class").get_by_role("radio", name="predicted").check(force=True)
    cell = many.cells[shown(page)]
    assert (cell.model, cell.target.asked) == ("calm", "predicted")


def test_switching_by_keys(page, many):
    def now():
        settle(page)
        cell = many.cells[shown(page)]
        name = cell.picture.name if isinstance(cell, Explanation) else cell.picture
        return cell.model, name, cell.target.asked, cell.method.name, cell.layer

    choose(page, 0)
    model, picture, target, method, layer = now()
    seen = [now()]
    for key in ("m", "M", "l", "L", "c", "C", "i", "I", "o", "O"):
        page.keyboard.press(key)
        seen.append(now())
    assert seen[0::2] == [seen[0]] * 6
    changed = [[a for a, b in zip(seen[0], each, strict=True) if a != b] for each in seen[1::2]]
    assert changed[1:] == [[layer], [target], [picture], [model]]
    assert method in changed[0]


def test_a_layer_is_remembered_over_a_method_that_has_none(page, many):
    choose(page, number(many, method="small", layer="high_conv"))
    radios = page.get_by_role("group", name="Method")
    radios.get_by_role("radio", name="large").check(force=True)
    assert page.locator("#here").text_content().startswith("Layernone")
    radios.get_by_role("radio", name="small").check(force=True)
    assert many.cells[shown(page)].layer == "high_conv"


def test_values_follow_the_map(page, many):
    choose(page, number(many, method="small", layer="high_conv"))
    point(page, 0.5, 0.5)
    page.mouse.down()
    page.mouse.up()
    before = page.locator("#value").text_content()
    page.keyboard.press("m")
    settle(page)
    assert page.locator("#value").text_content() != before


def test_keys_can_be_switched_off(page):
    start = shown(page)
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.locator("#keys-on").uncheck(force=True)
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()
    page.keyboard.press("m")
    assert shown(page) == start


def test_other_keys(page):
    page.keyboard.press("[")
    assert page.locator("#opacity-value").text_content() == "75%"
    page.keyboard.press("s")
    assert page.locator("input[name=sharing][value=row]").is_checked()
    page.keyboard.press("t")
    assert page.get_attribute("html", "data-theme") == "light"


def test_the_scale_can_be_shared(page, many):
    choose(page, number(many, method="small", layer="high_conv"))
    own = page.locator("#ticks").text_content()
    page.locator("input[name=sharing][value=all]").check(force=True)
    assert page.locator("#ticks").text_content() != own
    low, _, high = page.locator("#ticks span").all_text_contents()
    assert low.endswith("against")
    assert high.endswith("for")


# The grid


def test_every_cell_has_its_tile(page, many):
    tiles = page.locator("[data-tile]")
    assert tiles.count() == len(many.cells)
    for failed in (n for n, cell in enumerate(many.cells) if isinstance(cell, Failure)):
        text = page.locator(f"[data-tile='{failed}'] .failed").text_content()
        assert "</pre><iframe src=javascript:alert(6)></iframe>" in text
    warned = number(many, method="holes")
    assert page.locator(f"[data-tile='{warned}'] .badge").count() == 1


def test_a_failure_can_be_looked_at(page, many):
    choose(page, number(many, method="broken"))
    assert "</pre><iframe" in page.locator("#fault").text_content()
    cell = next(cell for cell in many if cell.picture.name == "second.png")
    np.testing.assert_array_equal(pixels(page), display_pixels(cell.picture))


def test_what_a_method_tells_stands_beside_its_map(visit, many, tmp_path):
    signed = many.cells[number(many, method="signed")]
    evil = "<img src=x onerror=alert(7)>"
    told = replace(
        signed,
        map=np.asarray([[-0.25, 0], [0, 0.5]], np.float32),
        method=replace(signed.method, poles=("with it", evil)),
        facts={"standard error": 0.0125, "queries": 12345.0, evil: np.nan},
    )
    page = visit(Comparison((told,)).save(tmp_path / "told.html"))
    lines = page.locator("#about-details li").all_text_contents()
    assert lines[1:-1] == [
        *("values −0.25 to 0.5", "standard error 0.0125", "queries 12345", f"{evil} NaN"),
    ]
    low, middle, high = page.locator("#ticks span").all_text_contents()
    assert (low.endswith(evil), middle, high.endswith("with it")) == (True, "0", True)
    assert page.locator("#ticks img, #about img").count() == 0


def test_a_map_without_a_finite_value_says_who_made_it(visit, many, tmp_path):
    holes = many.cells[number(many, method="holes")]
    message = "64 of the 64 values that 'holes' of <b>evil</b> 1 returned are NaN or infinite"
    nothing = replace(
        holes,
        map=np.full((8, 8), np.nan, np.float32),
        layer="high_conv",
        warnings=(replace(holes.warnings[0], message=message),),
    )
    page = visit(Comparison((holes, nothing)).save(tmp_path / "holes.html"))
    settle(page)
    assert not page.locator("#fault").is_visible()
    assert page.locator("[data-tile='0'] canvas").count() == 1
    assert "values 36 to 63" in page.locator("#about-details li").all_text_contents()
    said = page.locator("#about-warnings").text_content()
    assert "48 of the 64 values that 'holes' of <b>evil</b> 1 returned are NaN or infinite" in said
    assert page.locator("[data-tile='1'] canvas").count() == 0
    assert message in page.locator("[data-tile='1'] .failed").text_content()
    choose(page, 1)
    assert page.locator("#fault").text_content() == message
    assert page.locator("#finding").text_content() == "No value of this map is finite."
    assert not any(
        "values" in line for line in page.locator("#about-details li").all_text_contents()
    )


def test_tables_lead_to_the_map(page, many):
    wanted = number(many, method="signed")
    page.locator(f"#focus [data-cell='{wanted}']").click()
    assert shown(page) == wanted
    assert page.evaluate("document.activeElement.id") == "frame"


def test_the_provenance_of_the_shown_map(page, many):
    import json

    page.locator("#provenance summary").click()
    wanted = number(many, method="signed")
    choose(page, wanted)
    stored = json.loads(page.locator("#provenance-text").text_content())
    assert stored == many.cells[wanted].provenance


# Safety


def test_hostile_text_is_inert(page, many):
    settle(page)
    assert page.locator("img").count() == 2
    assert page.locator("iframe, svg[onload], script[src], [onerror], [onload]").count() == 0
    assert page.locator("script").count() == 2
    title = page.locator("#axis-model bdi").first.text_content()
    assert title == many.cells[0].model
    labels = {cell.target.label for cell in many}
    titles = page.locator(".card-title bdi").all_text_contents()
    assert {title.split(" ", 1)[1] for title in titles} == set(map(plain, labels))
    page.wait_for_timeout(200)
    assert page.watch.dialogs == []


def test_the_policy_stops_what_escaping_would_have_let_through(visit, report, tmp_path):
    spoilt = tmp_path / "spoilt.html"
    evil = (
        "<script>alert(1)</script><img src=x onerror=alert(2)><p style='color: red' "
        "onclick=alert(3)>x</p><img src=https://example.invalid/x.png><iframe src=other.html>"
        "</iframe><link rel=stylesheet href=other.css><base href=https://example.invalid/>"
    )
    spoilt.write_text(report.read_text().replace("<main>", f"<main>{evil}"))
    page = visit(spoilt, strict=False)
    page.get_by_text("x", exact=True).click()
    written = page.evaluate(
        "() => { try { document.body.innerHTML = '<b>x</b>'; return true } catch { return false } }"
    )
    assert not written
    assert page.watch.dialogs == []
    expected = {
        "base-uri",
        "frame-src",
        "img-src",
        "require-trusted-types-for",
        "script-src-attr",
        "script-src-elem",
        "style-src-attr",
        "style-src-elem",
    }
    # A browser tells of a violation in a task of its own, after the call that it refused.
    heard = page.evaluate(
        """async (count) => {
            const until = performance.now() + 10000;
            while (new Set(window.violations).size < count && performance.now() < until)
                await new Promise(requestAnimationFrame);
            return window.violations;
        }""",
        len(expected),
    )
    assert set(heard) == expected


# Screens


def test_a_phone_is_wide_enough(visit, report):
    page = visit(report, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    settle(page)
    for fold in page.locator("details").all():
        fold.evaluate("(fold) => (fold.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator("#frame").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390


CONTRAST = """(element) => {
    const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const luminance = (colour) => {
        const [r, g, b] = channels(colour).slice(0, 3).map((c) => c / 255)
            .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    let behind = element;
    const ground = (e) => getComputedStyle(e).backgroundColor;
    while (behind.parentElement && (channels(ground(behind))[3] ?? 1) === 0) {
        behind = behind.parentElement;
    }
    const [a, b] = [getComputedStyle(element).color, ground(behind)].map(luminance);
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(visit, report, scheme):
    page = visit(report, color_scheme=scheme)
    settle(page)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 150) == (scheme == "dark")
    for selector in (
        "h1 > span",
        ".facts li",
        ".facts a",
        "legend",
        ".segments input:checked + span",
        ".segments input:not(:checked) + span",
        "#caption span",
        "#ticks span",
        ".finding",
        "#about-details li",
        ".card-note",
        ".tile-layer",
        ".failed-text strong",
        "thead th",
        ".alarms .message",
        ".note",
        "pre",
        ".foot p",
    ):
        assert page.locator(selector).first.evaluate(CONTRAST) >= 4.5, selector


def test_the_theme_can_be_chosen(visit, report):
    page = visit(report, color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.locator("#theme").click()
    assert page.evaluate(ground) == light
    page.locator("#theme").click()
    assert page.locator("#theme").text_content() == "Theme: dark"
    assert page.evaluate(ground) != light


def test_everything_works_by_keys_alone(page, many):
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            """() => {
                const at = document.activeElement;
                const marked = [at, at.nextElementSibling, at.querySelector?.(".thumb")]
                    .filter(Boolean).some((e) => getComputedStyle(e).outlineStyle !== "none");
                return [at.id || at.name || at.dataset.tile || at.className || at.tagName, marked];
            }"""
        )
        assert outline, name
        reached.append(name)
        if name == "sharing":
            page.keyboard.press("ArrowRight")
            assert page.locator("input[name=sharing][value=row]").is_checked()
        if name == "opacity":
            page.keyboard.press("ArrowLeft")
            assert page.locator("#opacity-value").text_content() == "79%"
        if name == "axis-method":
            before = shown(page)
            page.keyboard.press("ArrowRight")
            assert shown(page) != before
            page.keyboard.press("ArrowLeft")
        if name == "0":
            page.keyboard.press("ArrowRight")
            page.keyboard.press("Enter")
            assert shown(page) == 1
            page.keyboard.press("ArrowDown")
            assert page.evaluate("document.activeElement.dataset.tile") == str(
                next(n for n, cell in enumerate(many.cells) if cell.target != many.cells[0].target)
                + 1
            )
    order = ["theme", "help-open", "frame", "axis-method", "opacity", "sharing", "colours", "0"]
    assert [name for name in reached if name in order] == order


def test_roles(page):
    page.keyboard.press("Escape")
    assert page.get_by_role("slider", name="Overlay").get_attribute("aria-valuetext") == "80%"
    assert page.get_by_role("grid", name="All maps").get_by_role("row").count() == 8
    assert page.get_by_role("application").count() == 1
    assert page.get_by_role("group", name="Scale").get_by_role("radio").count() == 3
    assert page.locator("[data-tile][aria-current]").count() == 1
    assert page.locator("[data-tile][tabindex='0']").count() == 1


def test_without_script_the_words_remain(chromium, report):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.locator("#predictions img").first.is_visible()
    assert page.locator("#focus table").is_visible()
    assert not page.locator("#viewer").is_visible()
    assert "drawn by a script" in page.locator("noscript").text_content()
    context.close()


# Many


@pytest.fixture(scope="module")
def crowd(study, tmp_path_factory):
    """Fifty pictures, three methods."""
    random = np.random.default_rng(0)
    pictures = [
        Picture(
            random.uniform(0, 255, (96, 128, 3)).astype(np.float32), f"picture {n}", f"hash {n}"
        )
        for n in range(50)
    ]
    made = study("calm").compare(pictures, ["small", "large", "signed"])
    return made.save(tmp_path_factory.mktemp("crowd") / "report.html"), made


def test_many_cells_are_drawn_as_they_come_into_view(visit, crowd):
    path, made = crowd
    page = visit(path)
    assert page.locator("[data-tile]").count() == 150
    assert page.locator("#axis-picture select option").count() == 50
    last = page.locator("[data-tile='149']")
    last.scroll_into_view_if_needed()
    page.wait_for_selector("[data-tile='149'] .drawn", timeout=10_000)
    last.click()
    settle(page)
    assert shown(page) == 149
    page.keyboard.press("I")
    assert many_name(made, shown(page)) == "picture 48"


def many_name(made, number):
    return made.cells[number].picture.name


def test_a_comparison_of_failures_alone_opens(visit, many, tmp_path):
    page = visit(Comparison(many.failures).save(tmp_path / "failures.html"))
    assert page.locator("#fault").is_visible()
