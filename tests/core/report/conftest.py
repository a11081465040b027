"""A comparison of everything that may go wrong, and a browser to look at its report in."""

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from xai_core import Comparison, Explainer, Needs, Study, hookimpl

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]

HOSTILE_FILE = "<img src=x onerror=alert(1)>.png"
HOSTILE_MODEL = '"><svg onload=alert(2)>'
LABELS = [
    "</script><script>alert(3)</script>",
    "\"; alert(4); // ' ${alert(5)} {{ 7 * 7 }}",
    f"<!-- \u202e\u2028\u2029 {'long' * 40}",
]
HOSTILE_ERROR = "</pre><iframe src=javascript:alert(6)></iframe>"


def pytest_configure(config):
    config.addinivalue_line("markers", "browser: looks at a page in Chromium")


@dataclass(frozen=True)
class Small(Explainer):
    name: ClassVar[str] = "small"
    needs: ClassVar[Needs] = Needs.ACTIVATIONS

    def explain(self, evidence):
        maps = np.random.default_rng(1).gamma(1.0, 2.0, (len(evidence.targets), 5, 7))
        targets = np.asarray(evidence.targets)[:, None, None]
        return (maps + targets).astype(np.float32)


@dataclass(frozen=True)
class Large(Explainer):
    """More places than are stored as they are, heavy in the tail, with negative values."""

    name: ClassVar[str] = "large"
    needs: ClassVar[Needs] = Needs.NOTHING
    signed: ClassVar[bool] = True

    def explain(self, evidence):
        random = np.random.default_rng(2)
        return random.standard_t(3, (len(evidence.targets), 96, 80)).astype(np.float32) * 1e-4


@dataclass(frozen=True)
class Signed(Explainer):
    strength: float = 2.0
    name: ClassVar[str] = "signed"
    needs: ClassVar[Needs] = Needs.NOTHING
    signed: ClassVar[bool] = True

    def explain(self, evidence):
        shape = (len(evidence.targets), 4, 4)
        return np.random.default_rng(3).normal(0, self.strength, shape)


@dataclass(frozen=True)
class Holes(Explainer):
    name: ClassVar[str] = "holes"
    needs: ClassVar[Needs] = Needs.NOTHING

    def explain(self, evidence):
        one = np.arange(64, dtype=np.float32).reshape(8, 8)
        one[:4, :4] = np.nan
        one[:4, 4:] = np.inf
        one[4:, :4] = -np.inf
        return np.tile(one, (len(evidence.targets), 1, 1))


@dataclass(frozen=True)
class Broken(Explainer):
    name: ClassVar[str] = "broken"
    needs: ClassVar[Needs] = Needs.NOTHING

    def explain(self, evidence):
        raise ValueError(HOSTILE_ERROR)


class Hooks:
    @hookimpl
    def xai_explainers(self):
        return [Small(), Large(), Signed(), Holes(), Broken()]


@pytest.fixture(scope="session")
def methods():
    """Registered by hand, beside the built-in ones."""
    import xai_plugins
    from xai_core.registry import Plugin, Registry, Source

    return Registry(
        [
            Plugin(Source("xai-core", "0"), xai_plugins),
            Plugin(Source("<b>evil</b>", "1"), Hooks()),
        ]
    )


@pytest.fixture(scope="session")
def study(methods):
    """Makes a study of a tiny model; its pictures are cut where they are not square."""
    import keras

    def make(name, labels=LABELS, size=32):
        keras.utils.set_random_seed(len(name))
        fed = keras.Input((size, size, 3))
        low = keras.layers.Conv2D(4, 3, 2, "same", activation="relu", name="low-->conv")(fed)
        high = keras.layers.Conv2D(6, 3, 2, "same", activation="relu", name="high_conv")(low)
        pooled = keras.layers.GlobalAveragePooling2D()(high)
        out = keras.layers.Dense(len(labels), activation="softmax")(pooled)
        model = keras.Model(fed, out, name=name)
        return Study(model, labels=labels, preprocess="unit", fit="crop", registry=methods)

    return make


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Two pictures of different shapes, one of them under a hostile name."""
    folder = tmp_path_factory.mktemp("pictures")
    down, across = np.mgrid[:40, :60]
    pixels = np.stack([4 * across, 6 * down, 2 * (across + down)], axis=-1).astype(np.uint8)
    paths = [folder / HOSTILE_FILE, folder / "second.png"]
    Image.fromarray(pixels).save(paths[0])
    Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 0, 2)[::-1])).save(paths[1])
    return paths


@pytest.fixture(scope="session")
def many(study, pictures):
    """Two models, two pictures, two classes, five methods, two layers."""
    names = ["small", "large", "signed", "holes", "broken"]
    parts = [
        study(name).compare(pictures, names, [0, None], layers=["low-->conv", "high_conv"])
        for name in (HOSTILE_MODEL, "calm")
    ]
    return Comparison(
        tuple(cell for part in parts for cell in part.cells),
        tuple(each for part in parts for each in part.predictions),
        tuple(each for part in parts for each in part.passes),
    )


@pytest.fixture(scope="session")
def report(many, tmp_path_factory):
    return many.save(tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(scope="session")
def chromium():
    missing = not CHROMIUM.exists() or importlib.util.find_spec("playwright") is None
    if missing and "CI" not in os.environ:
        pytest.skip("Chromium or Playwright is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Watch:
    """What a page did that it should not."""

    errors: list
    requests: list
    dialogs: list


@pytest.fixture
def visit(chromium):
    """Opens a file; afterwards, holds that nothing was logged, asked for or let through."""
    contexts = []

    def go(path, *, strict=True, **options):
        options.setdefault("viewport", {"width": 1280, "height": 900})
        context = chromium.new_context(**options)
        watch = Watch([], [], [])
        context.on("request", lambda request: watch.requests.append(request.url))
        page = context.new_page()
        contexts.append((context, page, watch, path.as_uri() if strict else None))
        page.on("console", lambda message: watch.errors.append(message.text))
        page.on("pageerror", lambda error: watch.errors.append(str(error)))
        page.on("dialog", lambda dialog: (watch.dialogs.append(dialog.message), dialog.dismiss()))
        page.add_init_script(
            "addEventListener('securitypolicyviolation', (e) => "
            "(window.violations ??= []).push(e.violatedDirective));"
        )
        page.goto(path.as_uri())
        page.wait_for_selector("#main-map[data-drawn]")
        page.watch = watch
        return page

    yield go
    for context, page, watch, address in contexts:
        if address is not None:
            assert page.evaluate("window.violations ?? []") == []
            assert watch.errors == []
            assert watch.dialogs == []
            assert {url for url in watch.requests if not url.startswith("data:")} == {address}
        context.close()
