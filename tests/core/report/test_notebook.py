"""What a notebook shows."""

from html.parser import HTMLParser

import pytest

from xai_core import Comparison
from xai_core.types import Explanation

PNG = b"\x89PNG\r\n\x1a\n"


class Shown(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = [], {}, ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.update(attrs)

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def few(many):
    """One map with a warning, one failure."""
    bad = next(each for each in many if each.method.name == "holes")
    return Comparison((bad, many.failures[0]))


def test_a_comparison_shows_its_figure_and_what_is_wrong(few):
    shown = Shown(few._repr_html_())
    assert set(shown.tags) == {"figure", "img", "figcaption", "ul", "li"}
    assert set(shown.attributes) == {"src", "alt"}
    assert shown.attributes["src"].startswith("data:image/png;base64,")
    assert "Warning: non-finite: 48 of the 64 values" in shown.text
    assert "</pre><iframe src=javascript:alert(6)></iframe>" in shown.text
    assert few.cells[0].picture.name in shown.attributes["alt"]
    assert ": failed" in shown.attributes["alt"]


def test_an_explanation_shows_itself(many):
    one = next(each for each in many if each.method.name == "small")
    assert isinstance(one, Explanation)
    shown = Shown(one._repr_html_())
    assert shown.tags == ["figure", "img"]
    assert "half of the evidence lies in" in shown.attributes["alt"]
    assert one._repr_png_().startswith(PNG)


def test_many_maps_stay_small(many):
    html = many._repr_html_()
    assert len(html) < 2_000_000
    assert f"and {len(many.cells) - 6} more" in html
    assert many._repr_png_().startswith(PNG)


def test_nothing():
    assert Comparison(())._repr_html_() == "<p>A comparison without maps</p>"
    assert Comparison(())._repr_png_() is None
