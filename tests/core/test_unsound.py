"""A plugin that fails is told in its own cells, with its distribution, and takes nothing down."""

import sys
from dataclasses import dataclass
from typing import ClassVar

import keras
import numpy as np
import pytest

from xai_core import Attribution, Explainer, Law, Needs, Registry, Rule, Study, hookimpl
from xai_core.errors import ExplainerError
from xai_core.registry import Plugin, PluginWarning, Source
from xai_core.types import Explanation, Failure

BAD = "explainer 'bad' of bad-plugin 6.6"


@dataclass(frozen=True)
class Bad(Explainer):
    """Does one thing wrong, as `fault` says."""

    name: ClassVar[str] = "bad"
    fault: str = ""

    def _said(self, what, value):
        if self.fault == what:
            raise LookupError(f"no {what}")
        return "odd" if self.fault == f"odd {what}" else value

    @property
    def needs(self):
        return self._said("needs", Needs.ACTIVATIONS)

    @property
    def rule(self):
        return self._said("rule", Rule.PLAIN)

    @property
    def signed(self):
        return self._said("signed", False)

    @property
    def laws(self):
        return self._said("laws", Law.NOTHING)

    @property
    def queries(self):
        return self._said("queries", 0)

    def explain(self, evidence):
        count = evidence.targets.shape[0]
        maps = np.ones((count, 2, 3))
        match self.fault:
            case "raise":
                raise LookupError("no way")
            case "exit":
                raise SystemExit(3)
            case "interrupt":
                raise KeyboardInterrupt
            case "nan":
                maps[:, 0, :2] = np.nan
            case "maps":
                return maps[0]
            case "undeclared":
                return evidence.activation_gradients
            case "facts":
                return Attribution(maps, facts={"gap": np.ones((count, 2))})
            case "words":
                return Attribution(maps, facts={"gap": np.array(["wide"] * count)})
            case "warnings":
                return Attribution(maps, warnings={"odd": ("it is odd", np.True_)})
        return maps


@pytest.fixture(scope="module")
def study(registry):
    class Hooks:
        @hookimpl
        def xai_explainers(self):
            return [Bad()]

    import xai_plugins

    plugins = [
        Plugin(Source("xai-core", "0"), xai_plugins),
        Plugin(Source("bad-plugin", "6.6"), Hooks()),
    ]
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, activation="tanh"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    )
    return Study(model, preprocess="unit", registry=Registry(plugins))


@pytest.fixture
def pictures():
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (8, 8, 3), dtype=np.uint8) for _ in range(2)]


LINE = Bad.explain.__code__.co_firstlineno
MESSAGES = {
    "raise": f"{BAD} raised LookupError: no way (test_unsound.py:{LINE + 5}, in explain)",
    "exit": f"{BAD} raised SystemExit: 3 (test_unsound.py:{LINE + 7}, in explain)",
    "needs": f"{BAD} raised LookupError: no needs",
    "rule": f"{BAD} raised LookupError: no rule",
    "signed": f"{BAD} raised LookupError: no signed",
    "odd needs": f"{BAD} says needs = 'odd'; expected a Needs",
    "odd rule": f"{BAD} says rule = 'odd'; expected a Rule",
    "odd signed": f"{BAD} says signed = 'odd'; expected a bool",
    "maps": f"{BAD} returned float64 of shape (2, 3); expected floating maps of shape (2, h, w)",
    "facts": f"{BAD} returned 'gap' as float64 of shape (2, 2); expected numbers of shape (2,)",
    "words": f"{BAD} returned 'gap' as <U4 of shape (2,); expected numbers of shape (2,)",
    "warnings": f"{BAD} returned 'odd' as bool of shape (); expected numbers of shape (2,)",
    "undeclared": "explainer 'bad' reads ACTIVATION_GRADIENTS, which its needs (ACTIVATIONS) do "
    "not declare; add Needs.ACTIVATION_GRADIENTS to them. It is of bad-plugin 6.6",
}


@pytest.mark.parametrize("fault", MESSAGES)
def test_what_fails_is_told_in_its_cells_and_the_rest_is_made(study, pictures, fault):
    many = study.compare(pictures, ["grad-cam", Bad(fault), "saliency"], [0, 2])
    assert [type(cell) for cell in many.cells] == [Explanation, Failure, Explanation] * 4
    assert [each.message for each in many.failures] == [MESSAGES[fault]] * 4
    assert {each.method.source for each in many.failures} == {"bad-plugin 6.6"}
    alone = study.compare(pictures, ["grad-cam", "saliency"], [0, 2])
    for one, other in zip(many, alone, strict=True):
        np.testing.assert_array_equal(one.map, other.map)


def test_one_that_fails_alone_is_an_error(study, pictures):
    with pytest.raises(ExplainerError) as caught:
        study.explain(pictures[0], Bad("signed"))
    assert str(caught.value) == MESSAGES["signed"]


@pytest.mark.parametrize("fault", ["laws", "queries"])
def test_what_only_the_kit_and_the_listing_ask_for_does_not_matter_here(study, pictures, fault):
    assert study.explain(pictures[0], Bad(fault)).map.tolist() == [[1.0] * 3] * 2


def test_nan_is_a_warning_on_the_map_that_names_the_distribution(study, pictures):
    many = study.compare(pictures, ["grad-cam", Bad("nan")], 0)
    assert [type(cell) for cell in many.cells] == [Explanation] * 4
    assert [[str(each) for each in cell.warnings] for cell in many.cells] == [
        [],
        ["non-finite: 2 of the 6 values that 'bad' of bad-plugin 6.6 returned are NaN or infinite"],
    ] * 2


def test_an_interruption_is_the_users(study, pictures):
    with pytest.raises(KeyboardInterrupt):
        study.compare(pictures, ["grad-cam", Bad("interrupt")], 0)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise OSError('no disk')", "OSError: no disk"),
        ("raise SystemExit('no')", "SystemExit: no"),
        (
            "made = [Shy(0)]",
            "ParameterError: shy: received size 0; expected a whole number, at least 1",
        ),
        (
            "@xai_core.hookimpl\ndef xai_explainers():\n    return [Shy(0)]",
            "RegistryError: shy-plugin 1.0: its hooks failed with ParameterError: shy: received "
            "size 0; expected a whole number, at least 1; expected each to return explainers, "
            "adapters or metrics, in a list or tuple",
        ),
    ],
    ids=["import", "exit", "in a module", "in a hook"],
)
def test_a_plugin_that_fails_at_discovery_is_left_out(tmp_path, monkeypatch, source, reason):
    (tmp_path / "shy_plugin.py").write_text(
        "import dataclasses\nimport xai_core\nfrom xai_core.parameters import Count\n\n"
        "@dataclasses.dataclass(frozen=True)\nclass Shy(xai_core.Explainer):\n"
        "    size: Count = 1\n    name = 'shy'\n    needs = xai_core.Needs.NOTHING\n"
        "    def explain(self, evidence):\n        pass\n\n" + source
    )
    installed = tmp_path / "shy_plugin-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: shy-plugin\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[xai_core]\nshy = shy_plugin\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "shy_plugin", raising=False)
    with pytest.warns(PluginWarning, match=r"plugin 'shy_plugin' of shy-plugin 1\.0 was left out"):
        found = Registry.discover()
    (broken,) = found.broken
    assert (str(broken.source), broken.reason) == ("shy-plugin 1.0", reason)
    assert "grad-cam" in found.explainers
