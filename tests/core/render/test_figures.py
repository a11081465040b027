"""Sheets of maps: nothing overlaps, nothing is lost, and Matplotlib is left as it was."""

import dataclasses
import itertools
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from textwrap import dedent
from xml.etree import ElementTree

import keras
import matplotlib
import numpy as np
import pytest
from matplotlib.text import Text

import xai_plugins
from xai_core import Study
from xai_core.errors import ExplainerError, UsageError
from xai_core.images import Region, read_picture
from xai_core.registry import Plugin, Registry, Source
from xai_core.render import common_scale, comparison_figure
from xai_core.types import Comparison, Explanation, Failure, MapWarning, Method, Pass, Target


def picture(name: str = "cat.png", height: int = 20, width: int = 30, notes=()):
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    return dataclasses.replace(read_picture(pixels), name=name, notes=tuple(notes))


CAT = picture()


@lru_cache
def from_a_study() -> Explanation:
    """With everything that an explanation has; the tests change what they are about."""
    plugins = [Plugin(Source("xai-core", "0"), xai_plugins)]
    inputs = keras.Input((4, 4, 3))
    outputs = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(inputs))
    study = Study(keras.Model(inputs, outputs), preprocess="none", registry=Registry(plugins))
    return study.explain(np.zeros((4, 4), np.uint8), "saliency", target=0)


def explanation(number: int = 0, **changes) -> Explanation:
    rng = np.random.default_rng(number)
    fields = {
        "model": "mobile.keras",
        "map": rng.random((5, 7), np.float32),
        "picture": CAT,
        "method": Method("grad-cam", {}, False, "test 1"),
        "layer": "block14",
        "target": Target(285, "Egyptian cat", "predicted"),
        "score": 9.128,
        "logit": 9.128,
        "score_kind": "logit",
        "probability": 0.3829,
        "warnings": (),
        "seconds": 0.012,
        "origin": dict,
        **changes,
    }
    height, width = fields["picture"].pixels.shape[:2]
    return dataclasses.replace(from_a_study(), region=Region(0, 0, width, height), **fields)


def method(name: str, signed: bool = False, **parameters) -> Method:
    return Method(name, parameters, signed, "test 1")


def failure(message: str, **changes) -> Failure:
    fields = {
        "model": "mobile.keras",
        "picture": "cat.png",
        "method": method("lime"),
        "layer": None,
        "target": Target(285, "Egyptian cat", "predicted"),
        "error": ExplainerError(message),
    }
    return Failure(**{**fields, **changes})


def figure(*cells, **drawing):
    return Comparison(cells).figure(**drawing)


def texts(made) -> list[Text]:
    """Every text that is seen."""
    return [each for each in made.findobj(Text) if each.get_visible() and each.get_text().strip()]


def words(made) -> list[str]:
    return [each.get_text().replace(r"\$", "$") for each in texts(made)]


def pictures(made) -> list:
    return [axes for axes in made.axes if axes.images]


def overlap(one, other) -> bool:
    return (
        min(one.x1, other.x1) - max(one.x0, other.x0) > 1
        and min(one.y1, other.y1) - max(one.y0, other.y0) > 1
    )


def assert_nothing_overlaps(made) -> None:
    """In pixels, of which the sheet has 120 to an inch."""
    renderer = made.canvas.get_renderer()
    made.draw(renderer)
    boxes = [(each.get_text(), each.get_window_extent(renderer)) for each in texts(made)]
    panels = [axes.images[0].get_window_extent(renderer) for axes in pictures(made)]
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= made.bbox.width, text
        assert box.y1 <= made.bbox.height, text
        assert not any(overlap(box, panel) for panel in panels), text
    for (one, box), (other, beside) in itertools.combinations(boxes, 2):
        assert not overlap(box, beside), f"{one!r} lies over {other!r}"
    for one, other in itertools.combinations(panels, 2):
        assert not overlap(one, other)
    for panel in panels:
        assert panel.x0 >= 0
        assert panel.y0 >= 0
        assert panel.x1 <= made.bbox.width
        assert panel.y1 <= made.bbox.height


def variants(count: int, name: str = "name"):
    """Many maps of one picture, each of another class, with all that stands around a panel."""
    kinds = ("all-zero", "vanished-gradients", "random-weights", "guessed-preprocessing")
    return [
        explanation(
            number,
            picture=dataclasses.replace(CAT, name=name),
            target=Target(number, name, "asked"),
            layer=name,
            model=name,
            warnings=tuple(MapWarning(kind, "why") for kind in kinds[: number % 5]),
        )
        for number in range(count)
    ]


# ------------------------------------------------------------------------------- layout


@pytest.mark.parametrize(
    ("count", "scale"),
    [(1, "map"), (1, "all"), (2, "map"), (3, "row"), (7, "all"), (12, "map"), (60, "map")],
)
def test_panels_in_any_number(count, scale):
    made = figure(*variants(count), scale=scale)
    assert len(pictures(made)) == count + 1
    assert_nothing_overlaps(made)


@pytest.mark.parametrize(("targets", "methods"), [(2, 3), (3, 2), (5, 8)])
def test_a_row_for_each_class_and_a_column_for_each_method(targets, methods):
    cells = [
        explanation(
            target=Target(target, f"class of mine {target}", "asked"),
            method=method(f"method-{number}", signed=number % 2 == 1),
        )
        for target in range(targets)
        for number in range(methods)
    ]
    made = figure(*cells)
    assert len(pictures(made)) == targets * (methods + 1)
    assert_nothing_overlaps(made)

    boxes = [axes.get_position() for axes in pictures(made)]
    assert len({round(box.x0, 6) for box in boxes}) == methods + 1
    assert len({round(box.y0, 6) for box in boxes}) == targets
    titles = [axes.texts[0].get_text() for axes in pictures(made)]
    assert titles[0] == "0 class of mine 0\np = 0.383, logit 9.13"
    assert titles[1] == "method-0\nat block14"
    assert titles[methods + 1].startswith("1 class of mine 1\n")


def test_the_maps_of_one_class_flow_after_their_picture():
    made = figure(*[explanation(method=method(f"m{number}")) for number in range(3)])
    titles = [axes.texts[0].get_text() for axes in pictures(made)]
    assert titles == ["285 Egyptian cat\np = 0.383, logit 9.13"] + [
        f"m{number}\nat block14" for number in range(3)
    ]
    assert len({round(axes.get_position().y0, 6) for axes in made.axes}) == 1


def test_models_and_pictures_are_named_where_there_are_several():
    made = figure(explanation(model="one"), explanation(model="two"))
    assert sum("one\n285 Egyptian cat" in text for text in words(made)) == 1
    made = figure(explanation(), explanation(picture=picture("dog.png")))
    assert sum("dog.png\n285 Egyptian cat" in text for text in words(made)) == 1
    assert_nothing_overlaps(made)


HOSTILE = [
    pytest.param("$x_{$", id="half a formula"),
    pytest.param(r"$\alpha$ and $\frac{1}{$", id="formulas"),
    pytest.param(r"\$5 \ $ \\ % # _^ {}", id="escapes"),
    pytest.param("one\ntwo\r\n\n\nthree\n" * 4, id="newlines"),
    pytest.param("a\tb  c", id="tabs"),
    pytest.param("a", id="short"),
    pytest.param("", id="empty"),
    pytest.param("i" * 300, id="one long word"),
    pytest.param("a cat of mine " * 22, id="many words"),
    pytest.param("Ünïcödé Ελληνικά жираф ščř " * 6, id="unicode"),
    pytest.param("GERMAN SHORT-HAIRED POINTER " * 5, id="capitals"),
    pytest.param("W" * 300, id="one wide word"),
    pytest.param("$" * 300, id="one expensive word"),
    pytest.param("a\x00b\x1b[31m\x07", id="control characters"),
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_are_hard_to_set(name):
    for count in (1, 3):
        assert_nothing_overlaps(figure(*variants(count, name)))


def test_parameters_in_a_title():
    with_parameters = method("grad-cam", samples=50, noise=0.15, seed=0)
    assert_nothing_overlaps(figure(explanation(method=with_parameters)))


def test_dollars_are_dollars():
    made = figure(explanation(target=Target(1, "$x$ and $y_{$", "asked")))
    assert any("1 $x$ and $y_{$" in text for text in words(made))
    before = texts(made)[0].get_text()
    made.draw(made.canvas.get_renderer())
    assert texts(made)[0].get_text() == before


def test_a_text_that_is_far_too_long_is_cut():
    made = figure(failure("a long story " * 100), explanation())
    (told,) = [text for text in words(made) if text.startswith("a long story")]
    assert len(told.splitlines()) == 6
    assert told.endswith("…")
    assert_nothing_overlaps(made)


@pytest.mark.parametrize(
    "shape", [(1, 1), (20, 30), (30, 20), (4, 400), (400, 4), (1, 2000), (700, 900)]
)
def test_the_shape_of_a_picture_is_kept(shape):
    made = figure(explanation(picture=picture("one", *shape)))
    assert_nothing_overlaps(made)
    renderer = made.canvas.get_renderer()
    for axes in pictures(made):
        box = axes.images[0].get_window_extent(renderer)
        rows, columns = axes.images[0].get_array().shape[:2]
        assert box.height / box.width == pytest.approx(rows / columns, rel=1e-6)
        assert max(rows, columns) == min(480, max(shape))
        if min(shape) > 300:
            assert rows / columns == pytest.approx(shape[0] / shape[1], rel=0.01)


def test_pictures_of_several_shapes_on_one_sheet():
    shapes = [(10, 40), (40, 10), (20, 20), (5, 5)]
    cells = [explanation(picture=picture(f"{n}.png", *s)) for n, s in enumerate(shapes)]
    made = figure(*cells)
    assert_nothing_overlaps(made)
    renderer = made.canvas.get_renderer()
    boxes = [axes.images[0].get_window_extent(renderer) for axes in pictures(made)]
    for box, (height, width) in zip(boxes, shapes, strict=True):
        assert box.height / box.width == pytest.approx(height / width, rel=1e-6)
        assert box.y1 == pytest.approx(boxes[0].y1)  # they hang from one line


def test_small_pictures_are_drawn_pixel_for_pixel():
    one = explanation()
    made = figure(one)
    original, overlay = (axes.images[0].get_array() for axes in pictures(made))
    np.testing.assert_array_equal(original, CAT.pixels)
    np.testing.assert_array_equal(overlay, np.asarray(one.overlay()))
    assert all(axes.images[0].get_interpolation() == "nearest" for axes in pictures(made))


# ----------------------------------------------------------------------- what is written


def test_the_range_of_each_map_is_below_it():
    # Of 35 values, the 99.5th percentile lies between the two highest: 0.83 of 1.
    one = explanation(map=np.asarray([0] * 34 + [1], np.float32).reshape(5, 7))
    assert common_scale([one]).high == pytest.approx(0.83)
    assert words(figure(one)).count("0 to 1 · 12 ms") == 1
    caption = words(figure(one))[-1].replace("\n", " ")
    assert "each map on its own scale, the range of its values below it, colours to" in caption


def test_what_a_method_tells_of_a_map_is_below_it():
    facts = {"steps": 64.0, "completeness gap": 0.36, "queries": 1.0, "$x_{$ of mine": 1e-9}
    one = explanation(map=np.eye(2, dtype=np.float32), facts=facts)
    made = figure(one)
    (below,) = (text for text in words(made) if text.startswith("0 to 1"))
    assert below.replace("\n", " ") == "0 to 1 · steps 64 · gap 0.36 · $x_{$ of mine 1e-09 · 12 ms"
    assert len(below.splitlines()) > 1
    assert_nothing_overlaps(made)


@pytest.mark.parametrize(
    ("poles", "colour_map", "said"),
    [
        (("for", "against"), None, "red for, blue against"),
        (("with the mean", "against the mean"), None, "red with the mean, blue against the mean"),
        (("raises", "lowers"), "PuOr_r", "high raises"),
    ],
)
def test_what_the_colours_of_a_signed_map_say(poles, colour_map, said):
    signed = dataclasses.replace(method("ig", signed=True), poles=poles)
    one = explanation(map=np.eye(2, dtype=np.float32), method=signed)
    told = [text.replace("\n", " ") for text in words(figure(one, colour_map=colour_map))]
    assert f"0 to 1 · {said} · 12 ms" in told
    unsigned = dataclasses.replace(signed, signed=False)
    assert not any(said in text for text in words(figure(explanation(method=unsigned))))


MESSAGE = "6 of the 6 values that 'lime' of mine 1 returned are NaN or infinite"


@pytest.mark.parametrize("scale", ["map", "row", "all"])
def test_a_map_without_a_finite_value_is_shown_as_a_failure_is(scale):
    nothing = explanation(
        map=np.asarray([[np.nan, np.inf, -np.inf]] * 2, np.float32),
        warnings=(MapWarning("non-finite", MESSAGE), MapWarning("random-weights", "why")),
    )
    made = figure(nothing, explanation(1), scale=scale)
    assert len(pictures(made)) == 2
    assert "no finite value" in words(made)
    assert f"{MESSAGE} · random-weights" in [text.replace("\n", " ") for text in words(made)]
    assert_nothing_overlaps(made)
    alone = figure(nothing, scale=scale)
    assert len(pictures(alone)) == 1
    assert_nothing_overlaps(alone)


def test_a_map_with_holes_keeps_its_range_and_its_message():
    holes = np.asarray([[np.nan, np.inf], [-2, 3]], np.float32)
    one = explanation(map=holes, warnings=(MapWarning("non-finite", MESSAGE),))
    made = figure(one)
    assert len(pictures(made)) == 2
    assert f"-2 to 3 · 12 ms · {MESSAGE}" in [text.replace("\n", " ") for text in words(made)]


@pytest.mark.parametrize(
    ("scale", "said"),
    [("row", "the maps of a picture and class on one scale"), ("all", "all maps on one scale")],
)
def test_a_shared_scale_is_said(scale, said):
    made = figure(explanation(1), explanation(2, method=method("other")), scale=scale)
    assert sum(said in text for text in words(made)) == 1
    assert not any(" to 0." in text for text in words(made))


def test_a_colour_bar_only_where_one_scale_serves_all():
    cells = [explanation(1), explanation(2, method=method("other"))]
    for scale, bars in (("map", 0), ("row", 0), ("all", 1)):
        made = figure(*cells, scale=scale)
        assert len(made.axes) - len(pictures(made)) == bars
    high = common_scale(cells).high
    np.testing.assert_allclose(made.axes[-1].get_ylim(), (0, high), rtol=1e-6)
    assert_nothing_overlaps(made)

    signed = [explanation(1, method=method("ig", signed=True)), cells[1]]
    made = figure(*signed, scale="all")
    np.testing.assert_allclose(made.axes[-1].get_ylim(), (-high, high), rtol=1e-6)


def test_warnings_are_in_the_figure():
    kinds = ("all-zero", "random-weights")
    one = explanation(
        map=np.zeros((3, 3), np.float32),
        warnings=tuple(MapWarning(kind, "why") for kind in kinds),
    )
    assert "0 to 0 · 12 ms · all-zero · random-weights" in words(figure(one))


def test_notes_on_the_picture_are_in_the_figure():
    one = explanation(picture=picture(notes=["first of 3 frames", "16-bit scaled to 0..255"]))
    assert "first of 3 frames · 16-bit scaled to 0..255" in words(figure(one))


def test_the_caption_names_the_model_and_the_score():
    made = figure(explanation(), explanation(1, score_kind="probability"))
    caption = words(made)[-1].replace("\n", " ")
    assert caption.startswith("mobile.keras · cat.png · grad-cam at block14 · score explained: ")
    assert "score explained: logit, probability · " in caption
    assert caption.endswith("to the 99.5th percentile")


@pytest.mark.parametrize(("scale", "times"), [("map", 0), ("row", 1), ("all", 1)])
def test_a_scale_shared_by_methods_is_warned_about(scale, times):
    said = "values of different methods and layers have different units"
    made = figure(explanation(1), explanation(2, method=method("other")), scale=scale)
    assert words(made)[-1].replace("\n", " ").count(said) == times
    alone = figure(explanation(1), explanation(2), scale=scale)
    assert said not in words(alone)[-1].replace("\n", " ")


def test_what_it_took_is_told_below():
    one = explanation()
    ran = Pass(("ACTIVATIONS",), ("block14",), "plain", 1, 1, 0.25)
    caption = words(comparison_figure(Comparison((one,), (), (ran,))))[-1].replace("\n", " ")
    assert caption.endswith(" · 1 shared pass of the model, 250 ms")
    caption = words(comparison_figure(Comparison((one,), (), (ran, ran))))[-1].replace("\n", " ")
    assert caption.endswith(" · 2 shared passes of the model, 500 ms")


def test_the_logit_is_told_beside_the_probability():
    made = figure(explanation(score_kind="probability", score=0.4))
    assert "285 Egyptian cat\np = 0.383, logit 9.13" in words(made)


def test_a_map_that_failed_keeps_its_place():
    cells = [explanation(), failure("explainer 'lime' raised $x_{$"), explanation(1)]
    made = figure(*cells)
    assert len(pictures(made)) == 3
    assert "failed" in words(made)
    assert any(text.startswith("explainer 'lime' raised") for text in words(made))
    lefts = [axes.get_position().x0 for axes in made.axes]
    assert lefts == sorted(lefts)
    assert not made.axes[2].images
    assert_nothing_overlaps(made)


def test_nothing_but_failures():
    other = Target(1, "other", "asked")
    made = figure(failure("no luck"), failure("none here", target=other), scale="all")
    assert {"no luck", "none here"} <= set(words(made))
    assert_nothing_overlaps(made)


# --------------------------------------------------------------------------- refusals


def test_nothing_to_draw():
    with pytest.raises(UsageError) as caught:
        figure()
    assert str(caught.value) == (
        "received a comparison without maps; expected at least one to draw"
    )


@pytest.mark.parametrize(
    ("drawing", "text"),
    [
        ({"scale": "column"}, "received scale 'column'; expected one of map, row, all"),
        ({"colour_map": "rainbows"}, "no colour map is called 'rainbows'; expected one of"),
        ({"opacity": 2}, r"received opacity 2; expected 0 \(picture\) to 1 \(map\)"),
    ],
)
def test_drawing_that_cannot_be_done(drawing, text):
    with pytest.raises(UsageError, match=f"^{text}"):
        figure(explanation(), **drawing)


# ------------------------------------------------------------------- files, and Matplotlib


def test_files_of_every_kind(tmp_path):
    comparison = Comparison((explanation(target=Target(1, "$x_{$ & <cat>", "asked")),))
    for suffix, start in ((".png", b"\x89PNG\r\n"), (".svg", b"<?xml"), (".pdf", b"%PDF-")):
        path = comparison.save(tmp_path / f"sheet{suffix}")
        assert path.read_bytes().startswith(start)
    root = ElementTree.parse(tmp_path / "sheet.svg").getroot()
    assert len(root.findall(".//{http://www.w3.org/2000/svg}image")) == 2
    assert read_picture(tmp_path / "sheet.png").pixels.std() > 10


def drawn(number: int) -> np.ndarray:
    cells = [explanation(number + m, method=method(f"m{m}", signed=m == 1)) for m in range(3)]
    made = figure(*cells, scale="all")
    made.canvas.draw()
    return np.asarray(made.canvas.buffer_rgba()).copy()


def test_four_threads_draw_what_one_does():
    numbers = list(range(4))
    alone = [drawn(number) for number in numbers]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(drawn, numbers))
    assert (alone[0] != alone[1]).any()
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_matplotlibs_settings_are_left_alone(tmp_path):
    before = dict(matplotlib.rcParams)
    Comparison((explanation(),)).save(tmp_path / "sheet.png", scale="all")
    assert dict(matplotlib.rcParams) == before


def test_pyplot_is_never_imported(tmp_path):
    """It would choose a screen, and keep every figure alive."""
    comparison = Comparison((explanation(), explanation(1)))
    (tmp_path / "comparison").write_bytes(pickle.dumps(comparison))
    code = f"""
        import pickle, sys
        from pathlib import Path

        folder = Path({str(tmp_path)!r})
        comparison = pickle.loads((folder / "comparison").read_bytes())
        comparison.cells[0].save(folder / "one.png")
        for suffix in ("png", "svg", "pdf"):
            comparison.save(folder / f"sheet.{{suffix}}", scale="all")
        print([name for name in sys.modules if name in ("matplotlib.pyplot", "tensorflow")])
    """
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    answer = subprocess.run(
        [sys.executable, "-c", dedent(code)],
        env={**environment, "DISPLAY": ":99"},  # where there is no screen
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == "[]"
    assert answer.stderr == ""
