"""The kit on what is right: all that is built in conforms, and the kit itself can be trusted."""

import ast
import inspect
import random
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from keras import ops

import xai_plugins
from xai_core import Attribution, Explainer, Law, Needs, XaiError
from xai_core.errors import ParameterError, UsageError
from xai_core.testing import (
    TINY_MODELS,
    ConformanceError,
    check_adapter,
    check_explainer,
)
from xai_core.testing.adapters import ADAPTERS
from xai_core.testing.everywhere import EVERYWHERE
from xai_core.testing.findings import difference, statements
from xai_core.testing.metrics import METRICS
from xai_core.testing.models import EVERYDAY, FEATURES, ONE_RECTIFIER
from xai_core.testing.sampled import extremes
from xai_core.testing.subject import Benches, Subject
from xai_core.testing.table import declarable
from xai_plugins.cam import GradCAM
from xai_plugins.gradients import IntegratedGradients, SmoothGrad, VarGrad
from xai_plugins.perturbation.kernel_shap import KernelSHAP
from xai_plugins.perturbation.occlusion import Occlusion
from xai_plugins.perturbation.rise import RISE

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "testing.md"
EXPLAINERS = list(xai_plugins.xai_explainers())


def named(plugin):
    return plugin.name


@pytest.fixture(scope="session")
def benches():
    return Benches()


# --- what is built in


@pytest.mark.parametrize("explainer", EXPLAINERS, ids=named)
def test_every_explainer_conforms(kit, explainer):
    check_explainer(explainer, kit)


@pytest.mark.parametrize(
    "explainer",
    [
        Occlusion(window=1),
        SmoothGrad(sigma=0),
        VarGrad(sigma=0),
        IntegratedGradients(baseline="mean", tolerance=0.1),
    ],
    ids=[
        "occlusion of single pixels",
        "smoothgrad without noise",
        "vargrad without noise",
        "a path from the mean",
    ],
)
def test_with_other_parameters_they_conform_as_well(kit, explainer):
    check_explainer(explainer, kit)


@pytest.mark.parametrize("adapter", xai_plugins.xai_adapters(), ids=named)
def test_every_adapter_conforms(kit, adapter):
    check_adapter(adapter, kit)


def test_every_law_is_declared_by_one_of_them():
    declared = Law.NOTHING
    for explainer in [*EXPLAINERS, Occlusion(window=1)]:
        declared |= explainer.laws
    assert set(declared) == set(Law)


@dataclass(frozen=True)
class InFloat32(Explainer):
    """Grad-CAM in NumPy, in float32 whatever the model is in."""

    name = "in-float32"
    needs = GradCAM.needs
    laws = GradCAM.laws

    def explain(self, evidence):
        activations, gradients = (
            np.asarray(ops.convert_to_numpy(each), np.float32)
            for each in (evidence.activations, evidence.activation_gradients)
        )
        weights = gradients.mean(axis=(1, 2), keepdims=True)
        return np.maximum((weights * activations).sum(axis=-1), 0)


def test_a_method_in_float32_conforms(kit):
    check_explainer(InFloat32(), kit)


# --- how it tells


def test_laws_are_told_one_by_one_those_of_all_methods_first(kit):
    findings = kit.examine(GradCAM())
    assert next(findings).law == "interface"
    laws = [finding.law for finding in findings]
    assert ["interface", *laws] == [check.law for check in EVERYWHERE] + [
        "CONSTANT",
        "SHIFT",
        "LINEAR",
        "GAP_DENSE",
    ]


def test_a_finding_says_where_the_law_was_held(kit):
    found = {finding.law: finding for finding in kit.examine(GradCAM())}
    assert found["maps"].models == tuple(EVERYDAY)
    assert found["GAP_DENSE"].models == ("gap-dense",)
    assert found["LINEAR"].models == ("flatten-dense", "doubled")
    assert str(found["LINEAR"]) == "LINEAR: ok on flatten-dense, doubled"
    assert all(finding.ok and not finding.mistake for finding in found.values())


@dataclass(frozen=True)
class Doubled(Explainer):
    """Grad-CAM, taken twice."""

    name = "doubled-grad-cam"
    needs = GradCAM.needs
    laws = GradCAM.laws

    def explain(self, evidence):
        return 2 * GradCAM().explain(evidence)


def test_a_broken_law_tells_the_numbers(kit, benches):
    (broken,) = [each for each in kit.examine(Doubled()) if not each.ok]
    bench = benches["gap-dense"]
    features = bench.features(0)
    kernel, _ = bench.head()
    expected = np.maximum(features @ kernel[:, 0], 0) / features[..., 0].size
    place = np.unravel_index(expected.argmax(), expected.shape)
    assert broken.broken == (
        f"on gap-dense, for class 0, at ({place[0]}, {place[1]}) the map is "
        f"{2 * expected.max():.6g}; expected {expected.max():.6g}, ReLU(sum_k A_k W_kc / Z): "
        f"off by {expected.max():.3g}, of which {1e-9 * expected.max():.1g} would be rounding"
    )


def test_in_pytest_it_is_one_line_of_the_plugins_own(kit):
    with pytest.raises(ConformanceError, match="does not keep to GAP_DENSE") as caught:
        check_explainer(Doubled(), kit)
    shown = caught.traceback.filter(caught)
    assert [Path(entry.path).name for entry in shown] == [Path(__file__).name]
    assert isinstance(caught.value, AssertionError)
    assert isinstance(caught.value, XaiError)


def test_a_class_is_no_explainer_and_no_adapter():
    with pytest.raises(UsageError, match="instance of an Explainer"):
        check_explainer(GradCAM)
    with pytest.raises(UsageError, match="instance of a ModelAdapter"):
        check_adapter(GradCAM())


def test_the_global_random_states_are_left_as_they_were():
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    before = random.getstate(), np.random.get_state()  # noqa: NPY002
    check_explainer(GradCAM())
    assert random.getstate() == before[0]
    assert all(map(np.array_equal, np.random.get_state(), before[1]))  # noqa: NPY002


# --- what it costs


def test_methods_that_ask_much_are_tried_with_smaller_counts(benches):
    subject = Subject(RISE(cells=5), benches)
    subject.save_queries()
    assert subject.explainer == RISE(cells=5, masks=250)
    assert subject.note == "with masks=250, "


def test_methods_that_ask_little_are_tried_as_they_are(benches):
    for explainer in (GradCAM(), IntegratedGradients(steps=128), RISE(masks=300)):
        subject = Subject(explainer, benches)
        subject.save_queries()
        assert subject.explainer is explainer
        assert not subject.note


@dataclass(frozen=True)
class AtLeast(Explainer):
    """Asks as often as it is told, which must be often."""

    name = "at-least"
    needs = Needs.QUERIES
    laws = Law.NOTHING
    often: int = 2000
    seed: int = 4

    def __post_init__(self):
        if self.often < 1000:
            raise ParameterError("expected at least 1000")

    @property
    def queries(self):
        return self.often

    def explain(self, evidence):
        raise NotImplementedError


def test_counts_are_halved_only_as_far_as_the_method_allows(benches):
    subject = Subject(AtLeast(), benches)
    subject.save_queries()
    assert subject.explainer == AtLeast(often=1000)


def test_a_broken_law_says_what_it_was_tried_with(kit):
    *_, last = kit.examine(AtLeast())
    assert last.law == "maps"
    line = AtLeast.explain.__code__.co_firstlineno + 1
    assert last.broken == (
        f"with often=1000, on gap-dense: explainer 'at-least' of module {__name__} raised "
        f"NotImplementedError (test_kit.py:{line}, in explain)"
    )


# --- what fails


@dataclass(frozen=True)
class Failing(Explainer):
    """Sums the activations, or fails in one way."""

    name = "failing"
    needs = Needs.ACTIVATIONS
    laws = Law.LINEAR | Law.CONSTANT
    way: str = "ints"

    def explain(self, evidence):
        maps = ops.convert_to_numpy(ops.sum(evidence.activations, axis=-1))
        return WAYS[self.way](evidence, maps)


def boom(evidence, maps):
    return {}["boom"]


def leave(evidence, maps):
    raise SystemExit(3)


def undeclared(evidence, maps):
    return evidence.activation_gradients


WAYS = {
    "boom": boom,
    "leave": leave,
    "refuses": lambda evidence, maps: Occlusion(window=-1),
    "undeclared": undeclared,
    "none": lambda evidence, maps: None,
    "dict": lambda evidence, maps: {"maps": maps},
    "ragged": lambda evidence, maps: [[1.0], [1.0, 2.0]],
    "summed": lambda evidence, maps: maps.sum(axis=0),
    "two": lambda evidence, maps: np.concatenate([maps, maps]),
    "empty": lambda evidence, maps: maps[:, :0],
    "counts": lambda evidence, maps: (maps > 0).astype(int),
    "complex": lambda evidence, maps: maps * 1j,
    "fact": lambda evidence, maps: Attribution(maps, facts={"sum": maps.sum(axis=1)}),
    "infinite": lambda evidence, maps: np.full_like(maps, np.inf),
}


@pytest.mark.parametrize(
    ("way", "law", "told", "likely"),
    [
        ("boom", "maps", "raised KeyError: 'boom' (test_kit.py:", "slip in the line that is named"),
        ("leave", "maps", "raised SystemExit: 3 (test_kit.py:", "slip in the line that is named"),
        ("refuses", "maps", "received window -1", "slip in the line that is named"),
        ("undeclared", "needs", "reads ACTIVATION_GRADIENTS", "a helper, or a method that this"),
        ("none", "maps", "returned None; expected", "a `return` that is missing"),
        ("dict", "maps", "returned dict; expected", "a `return` that is missing"),
        ("ragged", "maps", "inhomogeneous", "a `return` that is missing"),
        ("summed", "maps", "float64 of shape (", "a sum over too many axes"),
        ("two", "maps", "float64 of shape (2, ", "a sum over too many axes"),
        ("empty", "maps", "float64 of shape (1, 0, ", "a sum over too many axes"),
        ("counts", "maps", "int64 of shape (1, ", "a count or a comparison"),
        ("complex", "maps", "complex128 of shape (1, ", "a count or a comparison"),
        ("fact", "maps", "returned 'sum' as float64", "a fact or a warning"),
        ("infinite", "maps", "values are NaN or infinite", "a division by 0"),
    ],
)
def test_what_is_likely_is_said_of_each_way_to_fail(kit, way, law, told, likely):
    *_, last = kit.examine(Failing(way))
    assert last.law == law
    assert told in last.broken
    assert last.mistake.startswith(likely) or last.mistake.endswith(f"{likely}.")


def test_needs_that_are_not_read_are_another_mistake_than_those_not_declared(kit):
    @dataclass(frozen=True)
    class Unread(Failing):
        needs = Needs.ACTIVATIONS | Needs.QUERIES | Needs.INPUT_GRADIENTS

        def explain(self, evidence):
            return ops.sum(evidence.activations, axis=-1)

    *_, last = kit.examine(Unread())
    assert last.broken == (
        "INPUT_GRADIENTS | QUERIES is declared, and on none of 7 models was it read"
    )
    assert last.mistake.startswith("a need that was left over from an earlier version")


def test_what_fails_is_told_as_the_authors_own_and_not_the_watchs(kit):
    *_, last = kit.examine(Failing("undeclared"))
    assert last.broken.endswith(
        f"add Needs.ACTIVATION_GRADIENTS to them. It is of module {__name__}"
    )
    *_, last = kit.examine(Failing("boom"))
    line = boom.__code__.co_firstlineno + 1
    assert last.broken == (
        f"on gap-dense: explainer 'failing' of module {__name__} raised KeyError: 'boom' "
        f"(test_kit.py:{line}, in boom)"
    )


def test_what_the_plugin_raised_is_the_cause(kit):
    with pytest.raises(ConformanceError) as caught:
        check_explainer(Failing("boom"), kit)
    assert type(caught.value.__cause__) is KeyError
    assert caught.value.__cause__.__traceback__ is not None
    with pytest.raises(ConformanceError) as caught:
        check_explainer(Failing("refuses"), kit)
    assert type(caught.value.__cause__) is ParameterError
    with pytest.raises(ConformanceError) as caught:
        check_explainer(Doubled(), kit)
    assert caught.value.__cause__ is None


def test_the_laws_that_were_not_tried_are_named(kit):
    *_, last = kit.examine(Failing("boom"))
    assert last.law == "maps"
    assert last.untried == (
        *("queries", "repeat", "batch", "traceable", "untouched", "relabel", "rule"),
        *("CONSTANT", "LINEAR"),
    )
    assert str(last).endswith(
        "not tried until it holds: queries, repeat, batch, traceable, untouched, relabel, rule, "
        "CONSTANT, LINEAR"
    )
    assert not any(each.untried for each in kit.examine(Doubled()))


# --- seeds


@pytest.mark.parametrize(
    ("explainer", "declared"),
    [
        (SmoothGrad(sigma=1e-3), True),
        (SmoothGrad(sigma=0), False),
        (VarGrad(samples=1), False),
        (KernelSHAP(segments=4), True),
    ],
    ids=["little noise", "no noise", "a variance of one", "exact values"],
)
def test_seeds_need_not_matter_where_nothing_is_drawn(kit, explainer, declared):
    assert (Law.SEEDED in explainer.laws) == declared
    check_explainer(explainer, kit)


# --- whether it would see


def test_small_models_have_the_same_weights_every_time():
    for build in TINY_MODELS.values():
        one, two = (model.get_weights() for model in (build(), build()))
        assert all(map(np.array_equal, one, two))


def test_models_differ_in_what_methods_take_for_granted(benches):
    shapes = {name: benches[name].model.input_shape[1:] for name in EVERYDAY}
    assert {shape[2] for shape in shapes.values()} == {1, 3}
    assert all(shape[0] != shape[1] for shape in shapes.values())
    assert {np.sign(shape[0] - shape[1]) for shape in shapes.values()} == {-1, 1}


def test_black_is_not_zero_where_a_formula_might_take_it_for_that(benches):
    for name in ("flatten-dense", "linear", "smooth"):
        assert (benches[name].black == -1).all()


def test_the_closed_forms_would_differ_without_their_relus(benches):
    bench = benches["gap-dense"]
    kernel, bias = bench.head()
    features = bench.features(0)
    scores = features.mean(axis=(0, 1)) @ kernel + bias
    assert scores.min() < -0.01 < 0.01 < scores.max()
    assert (kernel.min(axis=0) < 0).all()
    assert (kernel.max(axis=0) > 0).all()
    maps = features @ kernel
    assert maps.min() < 0 < maps.max()


@pytest.mark.parametrize("name", list(ONE_RECTIFIER))
def test_one_rectifier_is_open_and_closed_and_never_above_six(benches, name):
    bench = benches[name]
    kernel, bias = bench.model.get_layer(FEATURES).get_weights()
    given = bench.fed(0) @ kernel[0, 0] + bias
    back = bench.head()[0][:, 0].reshape(given.shape[1:])
    assert 0.1 < (given > 0).mean() < 0.9
    assert 0.1 < (back > 0).mean() < 0.9
    assert given.max() < 6
    expected = np.maximum(given, 0).reshape(1, -1) @ bench.head()[0] + bench.head()[1]
    np.testing.assert_allclose(bench.scores(bench.fed(0)), expected, rtol=1e-12)


def test_the_principal_component_would_have_the_wrong_sign_somewhere(benches):
    bench = benches["even"]
    matrices = [bench.features(number).reshape(-1, 6) for number in range(4)]
    for decomposed in (
        lambda matrix: np.linalg.svd(matrix, full_matrices=False)[2][0],
        lambda matrix: np.linalg.eigh(matrix.T @ matrix)[1][:, -1],
    ):
        correlations = [
            np.corrcoef(matrix @ decomposed(matrix), matrix.mean(axis=1))[0, 1]
            for matrix in matrices
        ]
        assert min(map(abs, correlations)) > 0.1
        assert set(np.sign(correlations)) == {-1, 1}


def masks(shifts, seed, cell=4, size=(12, 20)):
    """Bilinear grids of coins, (64, H, W), each moved by its shift."""
    grids = np.random.default_rng(seed).integers(0, 2, (64, 6, 8))

    def along(side, shift, nodes):
        at = (np.arange(side) + shift) / cell
        return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(nodes)))

    return np.stack(
        [
            along(size[0], down, 6) @ grid @ along(size[1], right, 8).T
            for grid, (down, right) in zip(grids, shifts, strict=True)
        ]
    )


@pytest.mark.parametrize("seed", range(25))
def test_masks_of_own_shifts_are_spread_evenly_and_those_of_one_are_not(seed):
    shifts = np.random.default_rng(seed).integers(4, size=(64, 2))
    low, high = extremes(masks(shifts, seed))
    assert low > 0.5 * high
    low, high = extremes(masks(shifts[:1].repeat(64, axis=0), seed))
    assert low < 0.4 * high


def test_a_difference_is_told_where_it_is_worst():
    expected = np.asarray([[1.0, 2.0], [0.0, -4.0]])
    assert not difference(expected + 3e-9, expected, "so")
    assert difference(expected + 5e-9, expected, "so").startswith("at (")
    assert not difference(expected.astype(np.float32) + np.float32(1e-5), expected, "so")
    worst = expected.copy()
    worst[0, 1] = 2.5
    worst[1, 1] = np.nan
    assert "at (1, 1) the map is nan; expected -4, so" in difference(worst, expected, "so")
    assert "shape (1, 2); expected (2, 2)" in difference(expected[:1], expected, "so")
    assert not difference(0 * expected, 0 * expected, "so")


# --- laws and the page that explains them


def test_every_law_has_a_statement_and_a_check():
    assert set(statements()) == set(declarable()) == set(Law)
    definition = ast.parse(textwrap.dedent(inspect.getsource(Law))).body[0]
    texts = [each.value.value for each in definition.body[1:] if isinstance(each, ast.Expr)]
    assert [" ".join(text.split()) for text in texts] == list(statements().values())
    assert statements()[Law.CONSTANT] == (
        "Where the score does not depend on the picture, the map is 0."
    )


EVERY_CHECK = [*EVERYWHERE, *declarable().values(), *ADAPTERS, *METRICS]


@pytest.mark.parametrize("check", EVERY_CHECK, ids=lambda check: check.law)
def test_the_page_has_every_law_and_what_is_usually_wrong(check):
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert f"`{check.law}` : {check.statement}" in page
    for mistake in (check.mistake, *check.mistakes.values()):
        assert mistake in page
