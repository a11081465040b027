"""For every law, explainers that break it and no other: the kit must catch each."""

from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
import pytest
from keras import ops

from xai_core import Attribution, Explainer, Law, Needs, Rule
from xai_core.testing import ConformanceError, check_explainer
from xai_core.testing.everywhere import EVERYWHERE
from xai_core.testing.table import declarable

CAM = Needs.ACTIVATIONS | Needs.ACTIVATION_GRADIENTS
MUTANTS = []


def mutant(law, needs=Needs.QUERIES, laws=None, **attributes):
    """Register `explain(self, evidence)` as an explainer that breaks one law.

    Attributes with a value that is no property become parameters where they are annotated.
    """
    declared = (law if isinstance(law, Law) else Law.NOTHING) if laws is None else laws

    def register(explain):
        annotations = attributes.pop("fields", {})
        body = {
            "name": explain.__name__.replace("_", "-"),
            "needs": needs,
            "laws": declared,
            "explain": explain,
            "__annotations__": annotations,
            **attributes,
        }
        kind = dataclass(frozen=True)(type(explain.__name__, (Explainer,), body))
        MUTANTS.append((law.name if isinstance(law, Law) else law, kind()))
        return explain

    return register


def host(tensor):
    return ops.convert_to_numpy(tensor)


def weighed(evidence, weights):
    return ops.relu(ops.sum(weights * evidence.activations, axis=-1))


def mean_gradient(evidence):
    return ops.mean(evidence.activation_gradients, axis=(1, 2), keepdims=True)


def noisy(evidence, samples=24, seed=0):
    """Gradients (N, samples, H, W, C) at noisy copies."""
    inputs = evidence.inputs
    noise = np.random.default_rng(seed).normal(size=(samples, *inputs.shape[1:]), scale=0.2)
    copies = inputs[:, None] + ops.convert_to_tensor(noise[None], inputs.dtype)
    return evidence.gradients(copies)


def largest(gradients):
    return ops.max(ops.abs(gradients), axis=-1)


# --- of every method


@dataclass
class NotFrozen(Explainer):
    name = "not-frozen"
    needs = Needs.NOTHING

    def explain(self, evidence):
        raise NotImplementedError


@dataclass(frozen=True)
class Shrinking(Explainer):
    """Halves its parameter each time it is made."""

    name = "shrinking"
    needs = Needs.ACTIVATIONS
    laws = Law.NOTHING
    share: float = 1.0

    def __post_init__(self):
        object.__setattr__(self, "share", self.share / 2)

    def explain(self, evidence):
        return self.share * ops.mean(evidence.activations, axis=-1)


@dataclass(frozen=True)
class WithoutDefault(Explainer):
    name = "without-default"
    needs = Needs.ACTIVATIONS
    laws = Law.NOTHING
    share: float

    def explain(self, evidence):
        return self.share * ops.mean(evidence.activations, axis=-1)


@dataclass(frozen=True)
class Remembering(Explainer):
    """Returns the first map of a shape that it made for the next of that shape, mixed in."""

    name = "remembering"
    needs = Needs.ACTIVATIONS
    laws = Law.NOTHING
    seen: ClassVar[dict] = {}

    def explain(self, evidence):
        maps = host(ops.mean(evidence.activations, axis=-1))
        before = self.seen.setdefault(maps.shape[1:], np.zeros(maps.shape[1:]))
        self.seen[maps.shape[1:]] = maps[0]
        return maps + before


MUTANTS += [
    ("interface", NotFrozen()),
    ("interface", Shrinking()),
    ("interface", WithoutDefault(1.0)),
    ("repeat", Remembering()),
]


@mutant("interface", needs=CAM, name="Grad CAM")
def name_with_a_space(self, evidence):
    return weighed(evidence, mean_gradient(evidence))


@mutant("interface", needs=CAM, signed="yes")
def signed_in_words(self, evidence):
    return weighed(evidence, mean_gradient(evidence))


for unfillable in (np.ndarray | None, list[int] | None, dict | None, Any):

    @mutant("interface", needs=CAM, fields={"of_the_channels": unfillable}, of_the_channels=None)
    def field_that_no_text_stands_for(self, evidence):
        return weighed(evidence, mean_gradient(evidence))


@mutant("needs", needs=CAM | Needs.INPUT_GRADIENTS)
def needs_left_over(self, evidence):
    return weighed(evidence, mean_gradient(evidence))


@mutant("needs", needs=Needs.ACTIVATIONS)
def needs_not_declared(self, evidence):
    return weighed(evidence, mean_gradient(evidence))


@mutant("needs", needs=CAM | Needs.STAGES)
def stages_that_are_not_read(self, evidence):
    return ops.zeros((evidence.inputs.shape[0], 2, 2), evidence.inputs.dtype)


@mutant("maps", needs=CAM)
def keeps_the_channels(self, evidence):
    return evidence.activation_gradients * evidence.activations


@mutant("maps", needs=CAM)
def divides_by_a_range_that_may_be_zero(self, evidence):
    maps = weighed(evidence, -ops.abs(mean_gradient(evidence)) - 1)
    return maps / ops.max(maps, axis=(1, 2), keepdims=True)


@mutant("maps", needs=Needs.INPUT_GRADIENTS)
def takes_three_channels_for_granted(self, evidence):
    red, green, blue = (evidence.input_gradients[..., c] for c in range(3))
    return red + green + blue


@mutant("maps", needs=Needs.ACTIVATIONS)
def takes_float32_for_granted(self, evidence):
    return ops.mean(evidence.activations, axis=-1) * keras.ops.ones((1,), "float32").numpy().item


@mutant("maps", needs=Needs.ACTIVATIONS)
def counts_in_whole_numbers(self, evidence):
    return ops.sum(ops.cast(evidence.activations > 0, "int32"), axis=-1)


@mutant("queries", queries=8)
def forgets_the_baseline(self, evidence):
    inputs = evidence.inputs
    asked = inputs[:, None] * ops.reshape(
        ops.cast(ops.arange(9), inputs.dtype) / 9, (1, 9, 1, 1, 1)
    )
    return ops.sum(evidence.scores(asked), axis=1)[:, None, None] * ops.mean(inputs, axis=-1)


@mutant("batch", needs=CAM)
def normalised_over_the_batch(self, evidence):
    maps = weighed(evidence, mean_gradient(evidence))
    return maps / (1 + ops.max(maps))


@mutant("batch")
def noise_of_the_whole_batch(self, evidence):
    noise = np.random.default_rng(0).normal(size=evidence.inputs.shape, scale=0.1)
    at = evidence.inputs + ops.convert_to_tensor(noise, evidence.inputs.dtype)
    return largest(evidence.gradients(at[:, None])[:, 0])


@mutant("batch", needs=CAM)
def first_weights_for_all(self, evidence):
    return weighed(evidence, mean_gradient(evidence)[:1])


@mutant("repeat")
def noise_without_a_seed(self, evidence):
    return largest(ops.mean(noisy(evidence, samples=2, seed=None), axis=1))


@mutant("repeat")
def noise_of_keras_without_a_seed(self, evidence):
    at = evidence.inputs + keras.random.normal(evidence.inputs.shape, dtype=evidence.inputs.dtype)
    return largest(evidence.gradients(at[:, None])[:, 0])


@mutant("repeat", needs=Needs.INPUT_GRADIENTS)
def seeds_the_global_state(self, evidence):
    np.random.seed(0)  # noqa: NPY002
    noise = np.random.normal(size=(1, *evidence.inputs.shape[1:3]))  # noqa: NPY002
    return largest(evidence.input_gradients) * ops.convert_to_tensor(noise, evidence.inputs.dtype)


@mutant("untouched", needs=Needs.NOTHING)
def writes_into_the_pixels(self, evidence):
    pixels = evidence.pixels
    pixels -= pixels.mean(axis=(1, 2), keepdims=True)
    return pixels.mean(axis=-1)


@mutant("untouched", needs=CAM)
def trains_the_model(self, evidence):
    model = evidence.oracle.oracle._study.model
    bias = model.layers[-1].bias
    bias.assign(bias + 1e-7)
    return weighed(evidence, mean_gradient(evidence))


@mutant("relabel", needs=CAM)
def counts_the_class_index(self, evidence):
    share = ops.cast(evidence.targets + 1, evidence.inputs.dtype)
    return share[:, None, None] * weighed(evidence, mean_gradient(evidence))


@mutant("relabel")
def asks_for_the_first_class(self, evidence):
    gradients = evidence.oracle.gradients(evidence.inputs, 0 * evidence.targets)
    evidence.scores(evidence.inputs[:, None])
    return largest(gradients)


@mutant("rule", needs=CAM, rule=Rule.GUIDED)
def rule_without_effect(self, evidence):
    return weighed(evidence, mean_gradient(evidence))


# --- of those that declare them


@mutant(Law.CONSTANT, needs=CAM)
def shows_the_activations_too(self, evidence):
    return weighed(evidence, mean_gradient(evidence) + 1)


@mutant(Law.CONSTANT, needs=CAM)
def adds_a_little(self, evidence):
    return weighed(evidence, mean_gradient(evidence)) + 1e-6


@mutant(Law.SHIFT, needs=CAM)
def sees_the_centre_better(self, evidence):
    height, width = evidence.activations.shape[1:3]
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    maps = weighed(evidence, mean_gradient(evidence))
    return maps * ops.convert_to_tensor(window, maps.dtype)


@mutant(Law.SCALE_FREE, needs=Needs.ACTIVATIONS | Needs.HEAD_QUERIES)
def drops_that_are_not_divided(self, evidence):
    return drops(evidence, 1)


@mutant(Law.LINEAR, needs=CAM)
def normalised_for_display(self, evidence):
    maps = weighed(evidence, mean_gradient(evidence))
    return maps / (1e-9 + ops.max(maps, axis=(1, 2), keepdims=True))


@mutant(Law.LINEAR)
def scores_through_a_sigmoid(self, evidence):
    masks = random_masks(evidence, 32)
    scores = ops.sigmoid(evidence.scores(covered(evidence, masks)))
    return ops.sum(scores[:, :, None, None] * masks, axis=1)


@mutant(Law.QUADRATIC)
def not_squared(self, evidence):
    return largest(ops.std(noisy(evidence), axis=1))


def path(evidence, along):
    """Gradients at black + a (x - black), (N, M, H, W, C), and x - black."""
    way = evidence.inputs - evidence.black
    along = ops.convert_to_tensor(np.reshape(along, (1, -1, 1, 1, 1)), way.dtype)
    return evidence.gradients(evidence.black[:, None] + along * way[:, None]), way


@mutant(Law.COMPLETE)
def without_the_difference(self, evidence):
    gradients, _ = path(evidence, (np.arange(32) + 0.5) / 32)
    return ops.sum(ops.mean(gradients, axis=1), axis=-1)


@mutant(Law.COMPLETE)
def both_ends_counted_whole(self, evidence):
    gradients, way = path(evidence, np.linspace(0, 1, 33))
    return ops.sum(way * ops.sum(gradients, axis=1) / 32, axis=-1)


@mutant(Law.LINEAR_MODEL, needs=Needs.INPUT_GRADIENTS)
def gradient_times_input_where_black_is_not_zero(self, evidence):
    return ops.sum(evidence.inputs * evidence.input_gradients, axis=-1)


@mutant(Law.LINEAR_INPUT, needs=Needs.INPUT_GRADIENTS)
def over_black_and_not_over_zero(self, evidence):
    return ops.sum((evidence.inputs - evidence.black) * evidence.input_gradients, axis=-1)


@mutant(Law.LINEAR_MODEL, needs=Needs.INPUT_GRADIENTS)
def mean_over_the_channels(self, evidence):
    way = evidence.inputs - evidence.black
    return ops.mean(way * evidence.input_gradients, axis=-1)


@mutant(Law.SENSITIVITY, needs=Needs.INPUT_GRADIENTS)
def magnitudes_summed_over_the_channels(self, evidence):
    return ops.sum(ops.abs(evidence.input_gradients), axis=-1)


@mutant(Law.SENSITIVITY, needs=Needs.INPUT_GRADIENTS)
def signed_maximum(self, evidence):
    return ops.max(evidence.input_gradients, axis=-1)


@mutant(Law.GAP_DENSE, needs=CAM)
def gradients_summed_over_the_places(self, evidence):
    return weighed(evidence, ops.sum(evidence.activation_gradients, axis=(1, 2), keepdims=True))


@mutant(Law.GAP_DENSE, needs=CAM)
def rectified_weights(self, evidence):
    return weighed(evidence, ops.relu(mean_gradient(evidence)))


@mutant(Law.GAP_DENSE, needs=CAM, signed=True)
def rectified_though_it_says_signed(self, evidence):
    return weighed(evidence, mean_gradient(evidence))


@mutant(Law.GAP_DENSE_POSITIVE, needs=CAM)
def only_the_map_is_rectified(self, evidence):
    return weighed(evidence, evidence.activation_gradients)


def alpha_weights(evidence, total):
    gradients = evidence.activation_gradients
    alpha = ops.where(gradients != 0, 1 / (2 + total * gradients), 0)
    return ops.sum(alpha * ops.relu(gradients), axis=(1, 2), keepdims=True)


@mutant(Law.GAP_DENSE_ALPHA, needs=CAM)
def mean_instead_of_the_sum_in_alpha(self, evidence):
    mean = ops.mean(evidence.activations, axis=(1, 2), keepdims=True)
    return weighed(evidence, alpha_weights(evidence, mean))


@mutant(Law.GAP_DENSE_ALPHA, needs=CAM)
def alpha_that_sums_to_one(self, evidence):
    total = ops.sum(evidence.activations, axis=(1, 2), keepdims=True)
    places = evidence.activations.shape[1] * evidence.activations.shape[2]
    gradients = evidence.activation_gradients
    alpha = ops.where(gradients != 0, 1 / (2 + total * gradients), 0)
    alpha = alpha / ops.sum(alpha, axis=(1, 2), keepdims=True)
    del places
    return weighed(evidence, ops.sum(alpha * ops.relu(gradients), axis=(1, 2), keepdims=True))


def drops(evidence, divisor):
    activations = evidence.activations
    channels = activations.shape[-1]
    without = (1 - ops.eye(channels, dtype=activations.dtype))[None, :, None, None, :]
    left = evidence.head_scores(activations[:, None] * without)
    weights = (evidence.score[:, None] - left) / divisor
    return weighed(evidence, weights[:, None, None, :])


@mutant(Law.GAP_DENSE_DROP, needs=Needs.ACTIVATIONS | Needs.HEAD_QUERIES)
def drops_divided_by_a_signed_score(self, evidence):
    return drops(evidence, evidence.score[:, None])


def first_component(features, fix):
    count, height, width, channels = features.shape
    made = []
    for matrix in host(features).reshape(count, height * width, channels):
        component = matrix @ np.linalg.svd(matrix, full_matrices=False)[2][0]
        made.append(fix(component, matrix).reshape(height, width))
    return np.stack(made)


@mutant(Law.PRINCIPAL, needs=Needs.ACTIVATIONS, signed=True)
def sign_as_it_comes(self, evidence):
    return first_component(evidence.activations, lambda component, matrix: component)


@mutant(Law.PRINCIPAL, needs=Needs.ACTIVATIONS, signed=True)
def centred(self, evidence):
    activations = evidence.activations
    activations = activations - ops.mean(activations, axis=(1, 2), keepdims=True)
    return first_component(
        activations,
        lambda component, matrix: (
            component * np.sign(np.corrcoef(component, matrix.mean(axis=1))[0, 1])
        ),
    )


@mutant(Law.GUIDED, needs=Needs.INPUT_GRADIENTS, signed=True)
def plain_gradient_passed_off_as_guided(self, evidence):
    return ops.sum(evidence.input_gradients, axis=-1)


@mutant(Law.GUIDED, needs=Needs.INPUT_GRADIENTS, signed=True)
def rectified_at_the_input_alone(self, evidence):
    return ops.sum(ops.relu(evidence.input_gradients), axis=-1)


@mutant(Law.DECONVNET, needs=Needs.INPUT_GRADIENTS, signed=True, rule=Rule.GUIDED)
def guided_passed_off_as_deconvnet(self, evidence):
    return ops.sum(evidence.input_gradients, axis=-1)


@mutant(Law.POOLS_MEAN)
def averaged_magnitudes(self, evidence):
    return ops.max(ops.mean(ops.abs(noisy(evidence)), axis=1), axis=-1)


@mutant(Law.POOLS_VARIANCE)
def mean_square_in_the_place_of_the_variance(self, evidence):
    return largest(ops.mean(ops.square(noisy(evidence)), axis=1))


@mutant(Law.POOLS_VARIANCE)
def variance_of_the_magnitudes(self, evidence):
    return largest(ops.var(ops.abs(noisy(evidence)), axis=1))


@mutant(Law.POOLS_SQUARES)
def square_of_the_mean(self, evidence):
    return largest(ops.square(ops.mean(noisy(evidence), axis=1)))


def random_masks(evidence, count, own_shift=True, seed=0, p=0.5, cell=4):
    """Masks (1, count, H, W) of bilinear grids, each or all with a random shift."""
    draw = np.random.default_rng(seed)
    height, width = evidence.inputs.shape[1:3]
    grids = draw.random((count, height // cell + 3, width // cell + 3)) < p
    shifts = draw.integers(cell, size=(count, 2))
    if not own_shift:
        shifts = shifts[:1].repeat(count, axis=0)

    def along(side, number, shift):
        at = (shift + np.arange(side)) / cell
        return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(number)))

    masks = [
        along(height, grid.shape[0], down) @ grid @ along(width, grid.shape[1], right).T
        for grid, (down, right) in zip(grids, shifts, strict=True)
    ]
    return ops.convert_to_tensor(np.stack(masks)[None], evidence.inputs.dtype)


def covered(evidence, masks, cover=None):
    cover = evidence.black if cover is None else cover
    return cover[:, None] + masks[..., None] * (evidence.inputs - cover)[:, None]


def masked(evidence, masks, cover=None):
    scores = evidence.scores(covered(evidence, masks, cover))
    return scores[:, :, None, None] * masks


@mutant(Law.MASKED_MEAN)
def one_shift_for_all_masks(self, evidence):
    return ops.mean(masked(evidence, random_masks(evidence, 240, own_shift=False)), axis=1) / 0.5


@mutant(Law.MASKED_MEAN)
def covered_with_zero_where_black_is_not(self, evidence):
    zero = ops.zeros_like(evidence.black)
    return ops.mean(masked(evidence, random_masks(evidence, 240), zero), axis=1) / 0.5


@mutant(Law.MASKED_MEAN)
def divided_by_the_masks_at_each_place(self, evidence):
    masks = random_masks(evidence, 240)
    return ops.sum(masked(evidence, masks), axis=1) / ops.sum(masks, axis=1)


@mutant(Law.MASKED_MEAN)
def not_divided_by_the_share_that_shows(self, evidence):
    return ops.mean(masked(evidence, random_masks(evidence, 240)), axis=1)


@mutant(Law.STANDARD_ERROR, fields={"seed": int}, seed=0)
def spread_of_one_sample(self, evidence):
    drawn = masked(evidence, random_masks(evidence, 96, seed=self.seed))
    spread = ops.sqrt(ops.mean(ops.var(drawn, axis=1), axis=(1, 2)))
    return Attribution(ops.mean(drawn, axis=1), facts={"standard error": spread})


@mutant(Law.STANDARD_ERROR, fields={"seed": int}, seed=0)
def error_that_is_not_told(self, evidence):
    return ops.mean(masked(evidence, random_masks(evidence, 96, seed=self.seed)), axis=1)


@mutant(Law.STANDARD_ERROR)
def no_seed_to_draw_again_with(self, evidence):
    drawn = masked(evidence, random_masks(evidence, 96))
    spread = ops.sqrt(ops.mean(ops.var(drawn, axis=1), axis=(1, 2)) / 95)
    return Attribution(ops.mean(drawn, axis=1), facts={"standard error": spread})


@mutant(Law.SEEDED, fields={"seed": int}, seed=0)
def seed_that_is_written_into_the_code(self, evidence):
    return largest(ops.mean(noisy(evidence, seed=0), axis=1))


@mutant(Law.SEEDED)
def no_seed_at_all(self, evidence):
    return largest(ops.mean(noisy(evidence), axis=1))


@mutant(Law.SEEDED, fields={"seed": int}, seed=0)
def seed_that_only_the_error_depends_on(self, evidence):
    error = np.full(evidence.inputs.shape[0], 1.0 + self.seed)
    maps = largest(ops.mean(noisy(evidence), axis=1))
    return Attribution(maps, facts={"standard error": error})


@mutant("traceable", CAM, traceable=True)
def if_on_a_value(self, evidence):
    if float(evidence.score[0]) > 1e9:
        return 2 * weighed(evidence, mean_gradient(evidence))
    return weighed(evidence, mean_gradient(evidence))


@mutant("traceable", CAM, traceable=True)
def pixels_in_a_program(self, evidence):
    light = ops.cast(evidence.pixels.mean(axis=(1, 2, 3)) > 0, evidence.score.dtype)
    return weighed(evidence, mean_gradient(evidence)) * light[:, None, None]


@mutant("traceable", CAM, traceable=True)
def error_that_is_worked_around(self, evidence):
    try:
        size = abs(float(evidence.score[0])) + 1
    except TypeError:
        size = 1.0
    return weighed(evidence, mean_gradient(evidence)) * (size * 0 + (2 if size > 1 else 1))


@mutant("traceable", traceable=True)
def questions_in_a_program(self, evidence):
    return ops.sum(evidence.gradients(evidence.inputs[:, None])[:, 0], axis=-1)


# --- the tests

EVERY_LAW = [check.law for check in EVERYWHERE] + [law.name for law in Law]


def test_every_law_has_a_check_and_a_mutant():
    assert set(declarable()) == set(Law)
    assert {law for law, _ in MUTANTS} == set(EVERY_LAW)


def marks(wrong):
    """What is no mistake on some backend, or none that shows.

    Where nothing is compiled, what goes wrong only in a compiled program does not. JAX reads the
    last element in the place of one that is out of range, and says nothing.
    """
    of_programs = ("if-on-a-value", "error-that-is-worked-around")
    out_of_range = ("takes-three-channels-for-granted",)
    return [
        *([pytest.mark.compiles] if wrong.name in of_programs else []),
        *([pytest.mark.bounds] if wrong.name in out_of_range else []),
    ]


@pytest.mark.parametrize(
    ("law", "wrong"),
    [pytest.param(law, each, id=f"{law}: {each.name}", marks=marks(each)) for law, each in MUTANTS],
)
def test_it_is_caught_and_told_why(kit, law, wrong):
    with pytest.raises(ConformanceError) as caught:
        check_explainer(wrong, kit)
    told = str(caught.value)
    assert [each.law for each in caught.value.findings] == [law], told
    (finding,) = caught.value.findings
    assert told.startswith(f"{wrong.name!r} does not keep to {law}\n")
    for said in (finding.statement, finding.broken, finding.mistake, finding.read):
        assert said
        assert said in told
