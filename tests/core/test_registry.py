"""The registry: what plugins offer is found, held to the interfaces, and told by name."""

import os
import re
import subprocess
import sys
import zipfile
from dataclasses import FrozenInstanceError, dataclass
from importlib.metadata import version
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import ClassVar

import keras
import numpy as np
import pytest

import xai_core
from xai_core import Explainer, ModelAdapter, Needs, Study, hookimpl
from xai_core.errors import RegistryError, UnknownNameError, UsageError
from xai_core.registry import BrokenPlugin, Plugin, PluginWarning, Registry, Source
from xai_plugins.cam import GradCAM

ALPHA, BETA = Source("alpha-plugin", "1.0"), Source("beta-plugin", "2.0")


@dataclass(frozen=True)
class Plain(Explainer):
    name: ClassVar[str] = "plain"
    needs: ClassVar[Needs] = Needs.NOTHING
    strength: float = 1.0

    def explain(self, evidence):
        return evidence.inputs[..., 0]


@dataclass(frozen=True)
class Adapter(ModelAdapter):
    """Notes in `asked` that it was asked, and answers `answer`."""

    name: str
    rank: int = 0
    answer: bool = False
    asked: list = None
    summary: str = "of the tests"
    input_size: None = None
    preprocessing: None = None
    fit: str = "stretch"

    def build(self, weights):
        raise NotImplementedError

    def matches(self, graph):
        self.asked.append(self.name)
        return self.answer

    def feature_layers(self, graph):
        return ()

    def labels(self, classes):
        return None


def named(name: str) -> Explainer:
    """An explainer of that name."""
    kind = type("Named", (Plain,), {"name": name, "__module__": __name__})
    return dataclass(frozen=True)(kind)()


def hooks(**functions):
    """An object that implements hooks, as a module does."""
    return SimpleNamespace(**{name: hookimpl(function) for name, function in functions.items()})


def offering(*explainers, adapters=(), source=ALPHA) -> Plugin:
    return Plugin(
        source, hooks(xai_explainers=lambda: explainers, xai_adapters=lambda: tuple(adapters))
    )


def refused(*plugins) -> str:
    with pytest.raises(RegistryError) as caught:
        Registry(plugins)
    return str(caught.value)


# --------------------------------------------------------------------- what is offered


def test_everything_is_found_by_name_with_its_source():
    adapter = Adapter("family", asked=[])
    registry = Registry(
        [offering(named("zeta"), Plain()), offering(named("a+"), adapters=[adapter], source=BETA)]
    )
    assert list(registry.explainers) == ["a+", "plain", "zeta"]  # sorted, not as registered
    assert registry.explainer("plain") == Plain()
    assert registry.adapter("family") is adapter
    assert registry.explainers["zeta"].source == ALPHA
    assert registry.explainers["a+"].source == BETA
    assert registry.adapters["family"].source == BETA
    assert registry.broken == ()


def test_order_does_not_depend_on_the_order_of_registration():
    plugins = [offering(named("b")), offering(named("a"), source=BETA)]
    there, back = Registry(plugins), Registry(plugins[::-1])
    assert list(there.explainers) == list(back.explainers) == ["a", "b"]


def test_a_registry_does_not_change():
    registry = Registry([offering(Plain())])
    with pytest.raises(TypeError, match="does not support item assignment"):
        registry.explainers["other"] = None
    with pytest.raises(FrozenInstanceError):
        registry.explainers["plain"].source = BETA


def test_hooks_may_be_generators_or_a_class_or_any_object():
    def lazily():
        yield Plain()
        yield named("second")

    class Hooks:
        @hookimpl
        def xai_explainers(self):
            return [named("third")]

    registry = Registry([Plugin(ALPHA, hooks(xai_explainers=lazily)), Plugin(BETA, Hooks())])
    assert list(registry.explainers) == ["plain", "second", "third"]


def test_the_builtin_plugins_pass_their_own_checks(registry):
    assert {"grad-cam", "grad-cam++", "saliency"} <= set(registry.explainers)
    assert {"vgg16", "xception", "resnet50", "efficientnet-lite0", "generic"} <= set(
        registry.adapters
    )


# ----------------------------------------------------------------------------- refusals


def test_two_explainers_of_one_name_name_both_distributions():
    assert refused(offering(Plain()), offering(Plain(), source=BETA)) == (
        "the explainer 'plain' is offered twice, by alpha-plugin 1.0 and by beta-plugin 2.0; "
        "uninstall one, or rename it there"
    )


def test_two_adapters_of_one_name_name_both_distributions():
    first = offering(adapters=[Adapter("family", asked=[])])
    second = offering(adapters=[Adapter("family", rank=3, asked=[])], source=BETA)
    assert refused(first, second) == (
        "the adapter 'family' is offered twice, by alpha-plugin 1.0 and by beta-plugin 2.0; "
        "uninstall one, or rename it there"
    )


def test_one_plugin_offers_a_name_twice():
    assert "by alpha-plugin 1.0 and by alpha-plugin 1.0" in refused(offering(Plain(), Plain()))


def test_an_explainer_and_an_adapter_may_share_a_name():
    registry = Registry([offering(named("family"), adapters=[Adapter("family", asked=[])])])
    assert list(registry.explainers) == list(registry.adapters) == ["family"]


def test_not_a_dataclass():
    class Loose(Explainer):
        name = "loose"
        needs = Needs.NOTHING

        def explain(self, evidence):
            return evidence.inputs

    assert refused(offering(Loose())) == (
        "alpha-plugin 1.0: Loose is no frozen dataclass; expected @dataclass(frozen=True), with "
        "the parameters as its fields"
    )


def test_a_dataclass_that_is_not_frozen():
    @dataclass
    class Open(Explainer):
        name = "open"
        needs = Needs.NOTHING

        def explain(self, evidence):
            return evidence.inputs

    assert "Open is no frozen dataclass; expected @dataclass(frozen=True)" in refused(
        offering(Open())
    )


def test_a_subclass_of_a_frozen_dataclass_that_is_none_itself():
    class Stronger(Plain):  # `extra` is no field: it would be in no provenance
        name = "stronger"
        extra: int = 3

    assert "Stronger is no frozen dataclass" in refused(offering(Stronger()))


def test_an_adapter_that_is_no_frozen_dataclass():
    class Loose(Adapter):
        pass

    assert "alpha-plugin 1.0: Loose is no frozen dataclass" in refused(
        offering(adapters=[Loose("family", asked=[])])
    )


@pytest.mark.parametrize(
    "name", ["Grad CAM", "GRAD-CAM", "grad_cam", "-cam", "+", "", "gräd", "cam\n", 7, None]
)
def test_a_bad_name(name):
    kind = dataclass(frozen=True)(type("Misnamed", (Plain,), {"name": name}))
    assert refused(offering(kind())) == (
        f"alpha-plugin 1.0: Misnamed has the name {name!r}; expected lower case letters, digits, "
        "- and +"
    )


def test_no_name():
    @dataclass(frozen=True)
    class Nameless(Explainer):
        needs = Needs.NOTHING

        def explain(self, evidence):
            return evidence.inputs

    assert "Nameless has the name None" in refused(offering(Nameless()))


@pytest.mark.parametrize("name", ["grad-cam++", "x", "3d", "a-b+c"])
def test_a_good_name(name):
    assert list(Registry([offering(named(name))]).explainers) == [name]


@pytest.mark.parametrize("needs", [3, "activations", None, {Needs.ACTIVATIONS}])
def test_needs_of_another_type(needs):
    kind = dataclass(frozen=True)(type("Needy", (Plain,), {"needs": needs}))
    assert refused(offering(kind())) == (
        f"alpha-plugin 1.0: explainer 'plain' declares needs = {needs!r}; expected a value of "
        "xai_core.Needs"
    )


def test_needs_that_are_missing():
    @dataclass(frozen=True)
    class Careless(Explainer):
        name = "careless"

        def explain(self, evidence):
            return evidence.inputs

    assert "explainer 'careless' declares needs = None" in refused(offering(Careless()))


def test_a_class_in_place_of_an_instance():
    assert refused(offering(GradCAM)) == (
        "alpha-plugin 1.0 offers <class 'xai_plugins.cam.grad_cam.GradCAM'>; expected an "
        "instance of xai_core.Explainer"
    )


def test_an_explainer_among_the_adapters():
    text = refused(offering(adapters=[Plain()]))
    assert text.endswith("expected an instance of xai_core.ModelAdapter")
    assert text.startswith("alpha-plugin 1.0 offers Plain")


NO_HOOKS = (
    "alpha-plugin 1.0 offers neither explainers nor adapters nor metrics; expected a function "
    "xai_explainers, xai_adapters or xai_metrics marked with @xai_core.hookimpl"
)


@pytest.mark.parametrize(
    "without",
    [
        SimpleNamespace(),
        SimpleNamespace(xai_explainers=lambda: [Plain()]),  # not marked
        hooks(xai_explainers=lambda: ()),
        hooks(xai_explainers=lambda: None),
        None,
    ],
    ids=["no function", "unmarked", "nothing in it", "returns None", "None"],
)
def test_no_hooks(without):
    assert refused(Plugin(ALPHA, without)) == NO_HOOKS


def test_a_misspelt_hook():
    text = refused(Plugin(ALPHA, hooks(xai_explainer=lambda: [Plain()])))
    assert text.startswith("alpha-plugin 1.0: unknown hook 'xai_explainer' in plugin")
    assert text.endswith(
        "expected only the hooks xai_explainers, xai_adapters and xai_metrics, without arguments"
    )


def test_a_misspelt_hook_beside_a_good_one():
    both = hooks(xai_explainers=lambda: [Plain()], xai_adapter=lambda: ())
    assert "unknown hook 'xai_adapter'" in refused(Plugin(ALPHA, both))


def test_a_hook_that_takes_an_argument():
    text = refused(Plugin(ALPHA, hooks(xai_explainers=lambda model: [Plain()])))
    assert "Argument(s) {'model'} are declared in the hookimpl but can not be found" in text
    assert text.startswith("alpha-plugin 1.0: ")
    assert "\n" not in text


def test_a_hook_that_returns_one_explainer_bare():
    def bare():
        return Plain()

    assert refused(Plugin(ALPHA, hooks(xai_explainers=bare))) == (
        "alpha-plugin 1.0: its hooks failed with TypeError: 'Plain' object is not iterable; "
        "expected each to return explainers, adapters or metrics, in a list or tuple"
    )


def test_a_hook_that_raises():
    def broken():
        raise RuntimeError("no licence")

    text = refused(Plugin(ALPHA, hooks(xai_explainers=broken)))
    assert text.startswith("alpha-plugin 1.0: its hooks failed with RuntimeError: no licence;")


# ------------------------------------------------------------------------------ looking up


def test_an_unknown_explainer_names_those_that_are_near():
    names = ("saliency", "grad-cam", "grad-cam++", "rise")
    registry = Registry([offering(*map(named, names))])
    with pytest.raises(UnknownNameError) as caught:
        registry.explainer("gradcam")
    assert str(caught.value) == (
        "no explainer is called 'gradcam'; near it: grad-cam, grad-cam++. There are: grad-cam, "
        "grad-cam++, rise, saliency"
    )
    assert isinstance(caught.value, UsageError)  # exit code 2


def test_an_unknown_adapter_near_none(registry):
    with pytest.raises(UnknownNameError) as caught:
        registry.adapter("qqqq")
    assert str(caught.value) == (
        f"no adapter is called 'qqqq'. There are: {', '.join(registry.adapters)}"
    )


def test_nothing_to_look_up():
    with pytest.raises(UnknownNameError, match=r"^no explainer is called 'x'\. There are: none$"):
        Registry([]).explainer("x")


def test_source_of_a_registered_explainer():
    registry = Registry([offering(Plain())])
    assert registry.source_of(Plain()) == ALPHA
    assert str(registry.source_of(Plain(strength=7.0))) == "alpha-plugin 1.0"


def test_source_of_a_foreign_explainer_is_its_module():
    registry = Registry([offering(Plain())])
    assert str(registry.source_of(GradCAM())) == "module xai_plugins.cam.grad_cam"
    impostor = named("plain")  # another class under a name that is taken
    assert str(registry.source_of(impostor)) == f"module {__name__}"


# ------------------------------------------------------------------------- recognising


def test_adapters_are_asked_from_the_highest_rank_down():
    asked = []
    made = [
        Adapter("last", rank=-1, answer=True, asked=asked),
        Adapter("b", asked=asked, answer=True),
        Adapter("a", asked=asked),
        Adapter("first", rank=5, asked=asked),
    ]
    registry = Registry([offering(adapters=made)])
    assert registry.adapter_for(SimpleNamespace(name="mine")).name == "b"
    assert asked == ["first", "a", "b"]  # equal ranks by name; no more once one answers


def test_the_fall_back_is_asked_last():
    asked = []
    made = [Adapter("any", rank=-1, answer=True, asked=asked), Adapter("vgg", asked=asked)]
    registry = Registry([offering(adapters=made)])
    assert registry.adapter_for(SimpleNamespace(name="mine")).name == "any"
    assert asked == ["vgg", "any"]


def test_a_fall_back_is_no_family():
    made = [Adapter("any", rank=-1), Adapter("vgg"), Adapter("lenet", rank=3)]
    registry = Registry([offering(adapters=made)])
    assert registry.families == ("lenet", "vgg")
    assert list(registry.adapters) == ["any", "lenet", "vgg"]


def test_no_adapter_recognises_the_model():
    registry = Registry([offering(adapters=[Adapter("family", asked=[])])])
    with pytest.raises(UnknownNameError) as caught:
        registry.adapter_for(SimpleNamespace(name="mine"))
    assert str(caught.value) == (
        "no adapter recognises 'mine'; expected at least the fall-back of the built-in plugins: "
        "is the distribution xai-core installed whole?"
    )


# --------------------------------------------------------------- installed distributions

GOOD = '''
    from dataclasses import dataclass
    from typing import ClassVar
    from xai_core import Explainer, Needs, hookimpl

    @dataclass(frozen=True)
    class Brightness(Explainer):
        """How bright the model's input is."""

        name: ClassVar[str] = "{name}"
        needs: ClassVar[Needs] = Needs.NOTHING
        gain: float = 2.0

        def explain(self, evidence):
            return self.gain * evidence.inputs[..., 0]

    @hookimpl
    def xai_explainers():
        return [Brightness()]
'''


def write_distribution(folder: Path, name: str, module: str, code: str) -> None:
    """What installing a small distribution leaves behind."""
    info = folder / f"{name.replace('-', '_')}-1.5.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text(f"[xai_core]\n{name} = {module}\n")
    (folder / f"{module}.py").write_text(dedent(code))


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution whose one module is a plugin, for the length of the test."""

    def install(name: str, code: str) -> str:
        module = f"{name.replace('-', '_')}_of_a_test"
        folder = tmp_path / name
        write_distribution(folder, name, module, code)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, module, raising=False)
        return module

    before = set(sys.modules)
    yield install
    for module in set(sys.modules) - before:
        if module.endswith("_of_a_test"):
            del sys.modules[module]


def tiny_model() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 6, 3))
    features = keras.layers.Conv2D(2, 3, padding="same", name="features")(inputs)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    return keras.Model(inputs, keras.layers.Dense(3)(pooled), name="tiny")


def test_discovery_finds_the_builtin_plugins():
    registry = Registry.discover()
    source = registry.explainers["grad-cam"].source
    assert (source.distribution, source.version) == ("xai-core", version("xai-core"))
    assert registry.broken == ()


def test_an_installed_plugin_is_found_beside_the_builtin_ones_and_works_in_a_study(install):
    install("bright-plugin", GOOD.format(name="brightness"))
    assert {"brightness", "grad-cam"} <= set(xai_core.list_explainers())
    assert "generic" in xai_core.list_adapters()

    picture = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    study = Study(tiny_model(), preprocess="none")
    explanation = study.explain(picture, "brightness", target=1)
    np.testing.assert_array_equal(explanation.map, 2.0 * picture[..., 0])
    assert explanation.method.source == "bright-plugin 1.5"
    assert explanation.provenance["method_source"] == "bright-plugin 1.5"
    assert explanation.provenance["parameters"] == {"gain": 2.0}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        (
            "import a_module_that_is_not_there",
            "ModuleNotFoundError: No module named 'a_module_that_is_not_there'",
        ),
        ("def broken(:\n    pass", r"SyntaxError: .*line 1\)"),
        ("raise SystemExit('my way or none')", "SystemExit: my way or none"),
        ("import sys\nsys.exit(3)", "SystemExit: 3"),
        (
            "x = 1",
            "RegistryError: bad-plugin 1.5 offers neither explainers nor adapters nor metrics; .*",
        ),
        (
            "from xai_core import hookimpl\n@hookimpl\ndef xai_explainers():\n    return 1 / 0\n",
            "RegistryError: bad-plugin 1.5: its hooks failed with ZeroDivisionError: .*",
        ),
        (
            "from xai_core import hookimpl\n@hookimpl\ndef xai_explainers():\n    exit(4)\n",
            "SystemExit: 4",
        ),
        (
            "from xai_core import hookimpl\n@hookimpl\ndef xai_explainer():\n    return []\n",
            "RegistryError: bad-plugin 1.5: unknown hook 'xai_explainer' .*",
        ),
    ],
    ids=["raises", "missing", "syntax", "exits", "sys.exit", "empty", "hook", "hook exits", "typo"],
)
def test_a_plugin_that_cannot_be_loaded_is_a_warning_and_the_others_work(install, code, reason):
    install("good-plugin", GOOD.format(name="brightness"))
    module = install("bad-plugin", code)
    said = f"plugin {module!r} of bad-plugin 1.5 was left out: "
    with pytest.warns(PluginWarning, match=f"^{re.escape(said)}{reason}$") as caught:
        registry = Registry.discover()
    assert len(caught) == 1
    assert {"brightness", "grad-cam"} <= set(registry.explainers)
    (broken,) = registry.broken
    assert isinstance(broken, BrokenPlugin)
    assert str(broken.source) == "bad-plugin 1.5"
    assert broken.entry_point == module
    assert re.fullmatch(reason, broken.reason)


def test_the_user_may_still_interrupt(install):
    install("slow-plugin", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        Registry.discover()


def test_an_entry_point_that_names_nothing_in_its_module(install, tmp_path):
    module = install("lost-plugin", "x = 1")
    (entry_points,) = tmp_path.glob("lost-plugin/*/entry_points.txt")
    entry_points.write_text(f"[xai_core]\nlost = {module}:hooks\n")
    with pytest.warns(PluginWarning, match="AttributeError: module .* has no attribute 'hooks'"):
        registry = Registry.discover()
    assert registry.broken[0].entry_point == f"{module}:hooks"


def test_an_installed_plugin_with_a_name_that_is_taken_is_an_error(install):
    install("copy-plugin", GOOD.format(name="grad-cam"))
    with pytest.raises(RegistryError) as caught:
        Registry.discover()
    ours = f"xai-core {version('xai-core')}"
    first, second = sorted(["copy-plugin 1.5", ours], key=str(caught.value).index)
    assert {first, second} == {"copy-plugin 1.5", ours}
    assert str(caught.value) == (
        f"the explainer 'grad-cam' is offered twice, by {first} and by {second}; uninstall one, "
        "or rename it there"
    )


def test_two_broken_plugins_make_two_warnings(install):
    install("one-plugin", "raise ValueError(1)")
    install("two-plugin", "raise ValueError(2)")
    with pytest.warns(PluginWarning) as caught:
        registry = Registry.discover()
    assert [str(each.source) for each in registry.broken] == ["one-plugin 1.5", "two-plugin 1.5"]
    assert len(caught) == 2


# ------------------------------------------------------------------------------ for real


def write_wheel(folder: Path) -> Path:
    """A wheel of one module, as a build backend would write it."""
    path = folder / "xai_separate-0.3-py3-none-any.whl"
    info = "xai_separate-0.3.dist-info"
    files = {
        "xai_separate.py": dedent(GOOD.format(name="separate-brightness")),
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: xai-separate\nVersion: 0.3\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        f"{info}/entry_points.txt": "[xai_core]\nseparate = xai_separate\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            wheel.writestr(name, text)
    return path


def test_a_plugin_installed_from_a_separate_distribution_is_found(tmp_path):
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    options = ["--no-index", "--no-deps", "--no-cache-dir", "--target", str(site)]
    subprocess.run([*pip, *options, str(write_wheel(tmp_path))], check=True, capture_output=True)
    ask = """
        from xai_core.registry import Registry
        found = Registry.discover().explainers
        print(found["separate-brightness"].source, "|", found["grad-cam"].source.distribution)
    """
    answer = subprocess.run(
        [sys.executable, "-c", dedent(ask)],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == "xai-separate 0.3 | xai-core"
