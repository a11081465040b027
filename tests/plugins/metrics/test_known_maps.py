"""Every built-in metric on maps whose worth is known, where a Keras model reads one patch.

The pictures are not square: 6 x 10 pixels, of one grey in the patch and a darker one beside it. The
patch has 12 of the 60 pixels, and so has the wrong one. Each metric is held to the true mask, the
wrong patch, the inverted map, a uniform and a random map, a blob in the centre and the edges of the
picture: to a number where there is one, and within four standard deviations of what is expected
where ties, subsets or the random map are drawn. A metric that is not in `HELD` fails.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from typing import ClassVar, Literal

import keras
import numpy as np
import pytest
from keras import layers, ops
from patches import PATCH, SIZE, WRONG, bright, mask
from PIL import Image

import xai_plugins
from xai_core import Explainer, Law, Metric, Needs, Score, Study
from xai_core.references import REFERENCES
from xai_plugins import metrics

N, PART = 60, 12
TRUE, WRONG_MASK = mask(), mask(WRONG)
LEVELS = ((240, 40), (250, 30), (230, 60), (220, 20), (210, 50), (245, 70))
"""Of each picture, in the patch and beside it."""
GAIN = 4.0

BLOB = np.exp(
    -8
    * np.add.outer(
        np.square([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]) / 36, np.square(np.arange(-4.5, 5)) / 100
    )
)
EDGES = np.hypot(
    np.outer([1, 3, 4, 3, 1, 0], [0, 1, 1, 0, 0, -1, -1, 0, 0, 0]),
    np.outer([1, 1, 0, -1, -1, 0], [0, 1, 3, 4, 4, 3, 1, 0, 0, 0]),
)
"""Of a picture that is 1 in the patch and 0 beside it: smoothed by 1 2 1 one way, differences the
other."""
MAPS = {
    "planted": lambda level: TRUE,
    "planted(what=wrong)": lambda level: WRONG_MASK,
    "planted(what=inverted)": lambda level: 1 - TRUE,
    "uniform": lambda level: np.ones(SIZE),
    "centre-gaussian": lambda level: BLOB,
    "edges": lambda level: EDGES * (level[0] - level[1]),
}
"""All but the random one, by their rows."""
FIXED = ("planted", "planted(what=wrong)", "planted(what=inverted)", "centre-gaussian", "edges")
"""Those with an order that are the same for every class and whatever the weights are."""


# ------------------------------------------------------------------------ models and methods


def reader(activation, gain=1.0, dtype="float64"):
    """Two classes: the mean of the patch over 255 times a gain, and that of the wrong one."""
    inputs = keras.Input((*SIZE, 3), dtype=dtype)
    grey = layers.Conv2D(1, 1, use_bias=False, dtype=dtype)
    head = layers.Dense(2, activation, dtype=dtype)
    model = keras.Model(inputs, head(layers.Flatten(dtype=dtype)(grey(inputs))))
    grey.set_weights([np.full((1, 1, 3, 1), 1 / 3)])
    kernel = np.stack([TRUE, WRONG_MASK], axis=-1).reshape(N, 2) * gain / 255 / PART
    head.set_weights([kernel, np.zeros(2)])
    return model


def colours():
    """Four classes: red, green, blue, and none of them."""
    inputs = keras.Input((*SIZE, 3))
    head = layers.Dense(4, "softmax")
    model = keras.Model(inputs, head(layers.Flatten()(inputs)))
    kernel = np.zeros((N, 3, 4))
    kernel[:, [0, 1, 2], [0, 1, 2]] = 8 / 255 / N
    head.set_weights([kernel.reshape(3 * N, 4), np.asarray([0, 0, 0, 2.0])])
    return model


def pictures():
    return [bright(*level).astype(np.uint8) for level in LEVELS]


@dataclass(frozen=True)
class Planted(Explainer):
    """A map that is known; `turned` has the other sign for the other class."""

    name: ClassVar[str] = "planted"
    needs: ClassVar[Needs] = Needs.NOTHING
    laws: ClassVar[Law] = Law.COMPLETE  # as it says: `completeness` finds out
    what: Literal["true", "wrong", "inverted", "turned"] = "true"

    def explain(self, evidence):
        targets = np.asarray(ops.convert_to_numpy(evidence.targets))
        made = {"wrong": WRONG_MASK, "inverted": 1 - TRUE}.get(self.what, TRUE)
        signs = 1.0 - 2 * targets if self.what == "turned" else np.ones(len(targets))
        return signs[:, None, None] * made


@dataclass(frozen=True)
class Slope(Explainer):
    """The gradient by the input, which is the true mask; times the input; or its sum's sign."""

    name: ClassVar[str] = "slope"
    needs: ClassVar[Needs] = Needs.INPUT_GRADIENTS
    laws: ClassVar[Law] = Law.COMPLETE
    what: Literal["alone", "product", "sign"] = "alone"

    @property
    def signed(self):
        return True

    def explain(self, evidence):
        slope = evidence.input_gradients
        if self.what == "sign":
            return ops.sign(ops.sum(slope, axis=(1, 2, 3)))[:, None, None] * ops.cast(
                TRUE, slope.dtype
            )
        return ops.sum(slope * evidence.inputs if self.what == "product" else slope, axis=-1)


@dataclass(frozen=True)
class Channel(Explainer):
    """A colour of the picture, or what it lacks of red; or where it is bright."""

    name: ClassVar[str] = "channel"
    needs: ClassVar[Needs] = Needs.NOTHING
    what: Literal["red", "green", "less-red", "bright"] = "red"

    def explain(self, evidence):
        pixels = np.asarray(ops.convert_to_numpy(evidence.inputs), np.float64)
        if self.what == "bright":
            middle = (pixels.max(axis=(1, 2, 3)) + pixels.min(axis=(1, 2, 3))) / 2
            return (pixels[..., 0] > middle[:, None, None]).astype(np.float64)
        red, green = pixels[..., 0], pixels[..., 1]
        return {"red": red, "green": green, "less-red": 255 - red}[self.what]


@dataclass(frozen=True)
class Lossy(Explainer):
    """A map that is the true mask in float64, and another one in float32."""

    name: ClassVar[str] = "lossy"
    needs: ClassVar[Needs] = Needs.INPUT_GRADIENTS
    what: Literal["true", "wrong", "inverted", "opposite", "uniform", "random", "blob", "edges"] = (
        "true"
    )

    def explain(self, evidence):
        slope = np.asarray(ops.convert_to_numpy(evidence.input_gradients))
        made = LOST[self.what] if slope.dtype == np.float32 else TRUE
        return np.stack([made] * len(slope))


LOST = {
    "true": TRUE,
    "wrong": WRONG_MASK,
    "inverted": 1 - TRUE,
    "opposite": -TRUE,
    "uniform": np.ones(SIZE),
    "random": np.random.default_rng(5).random(SIZE),
    "blob": BLOB,
    "edges": EDGES,
}

PLANTED = (Planted(), Planted("wrong"), Planted("inverted"))


class Studies:
    """Of each model, made when it is asked for."""

    def __init__(self, registry):
        self._registry = registry

    def _of(self, model):
        return Study(model, preprocess="none", registry=self._registry)

    @cached_property
    def linear(self):
        """Its output itself is read: no softmax or sigmoid can be undone."""
        return self._of(reader("relu"))

    @cached_property
    def softmax(self):
        return self._of(reader("softmax", GAIN))

    @cached_property
    def narrow(self):
        return self._of(reader("softmax", GAIN, "float32"))

    @cached_property
    def colours(self):
        return self._of(colours())


@pytest.fixture(scope="module")
def studies(registry):
    return Studies(registry)


# ------------------------------------------------------------------------------- comparisons


class Found:
    """What a metric says of each row and picture, and the maps that it was shown."""

    def __init__(self, study, metric, methods=PLANTED, **named):
        shown = []

        @dataclass(frozen=True)
        class Look(Metric):
            name: ClassVar[str] = "look"
            summary: ClassVar[str] = "keeps the map"
            higher_is_better: ClassVar[bool] = True
            bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)

            def score(self, trial):
                shown.append(trial.attribution)
                return Score(0.0)

        named.setdefault("targets", 0)
        given = named.pop("pictures", None) or pictures()
        self.metric = metric
        self.all = study.evaluate(given, methods, [Look(), metric], **named)
        mine = [each for each in self.all.measurements if each.metric != "look"]
        self.rows = [each.name for each in self.all.rows]
        self.scores = {row: [each.score for each in mine if each.row == row] for row in self.rows}
        self.maps = {row: shown[n :: len(self.rows)] for n, row in enumerate(self.rows)}
        self.held = set()
        """The rows that were compared with what is known of them."""

    def values(self, row):
        """One for each picture; none may have failed."""
        return [each.value for each in self.scores[row]]

    def mean(self, row):
        return float(np.mean(self.values(row)))

    def holds(self, expected, rows=None, rounding=1e-6):
        """Each value, and the mean over the pictures, within four deviations of what is expected.

        `expected` is told a map and the levels of its picture, and tells a number, or the mean and
        the deviation of what is drawn.
        """
        for row in rows or self.rows:
            told = [
                (each if isinstance(each, tuple) else (each, 0.0))
                for each in map(expected, self.maps[row], LEVELS)
            ]
            means, deviations = np.transpose(told)
            away = np.abs(np.subtract(self.values(row), means))
            assert (away <= 4 * deviations + rounding).all(), (row, self.values(row), told)
            allowed = 4 * np.sqrt(np.sum(deviations**2)) / len(away) + rounding
            assert abs(self.mean(row) - means.mean()) <= allowed, (row, self.mean(row), told)
            self.held.add(row)

    def are(self, rounding=1e-6, **expected):
        """These rows have that number on every picture."""
        names = {"true": "planted", "wrong": "planted(what=wrong)", "blob": "centre-gaussian",
                 "inverted": "planted(what=inverted)"}  # fmt: skip
        for name, value in expected.items():
            row = names.get(name, name)
            assert self.values(row) == pytest.approx([value] * len(LEVELS), abs=rounding), row
            self.held.add(row)

    def fails(self, row, message):
        """No other row does, and this one on every picture."""
        assert [each.row for each in self.all.failures] == [row] * len(LEVELS)
        assert message in self.all.failures[0].message
        self.held.add(row)

    def are_ordered(self, *groups):
        """Each of a group is better than each of the next, in the mean over the pictures."""
        sign = 1 if self.metric.higher_is_better else -1
        for better, worse in pairwise(groups):
            least = min(sign * self.mean(row) for row in better)
            assert least > max(sign * self.mean(row) for row in worse) + 1e-9, (better, worse)


TRUTH, AWAY, INVERTED = ("planted",), ("planted(what=wrong)",), ("planted(what=inverted)",)
NOTHING = ("uniform", "random")
"""Say nothing of where the patch is."""
NEAR = ("centre-gaussian", "edges")
"""Find a part of the patch."""
EVERY = (*TRUTH, *AWAY, *INVERTED, *NOTHING, *NEAR)


def by_places(values, weights):
    """The mean and deviation of the sum of weights times the share of pixels gone when each goes.

    From the highest value down, half of a pixel being gone with it; of equal values the order is
    random, and the variance that of a sum under a random permutation (Hoeffding 1951).
    """
    mean = variance = 0.0
    for level in np.unique(values):
        group = weights[values == level]
        mean += group.sum() * ((values > level).sum() + group.size / 2) / N
        spread = np.sum((group - group.mean()) ** 2)
        variance += spread * group.size * (group.size + 1) / 12 / N**2
    return mean, math.sqrt(variance)


def rho(one, other):
    """Spearman's: Pearson's of the ranks, equal values at their mean; None without an order."""
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    ranks = [
        [(each < value).sum() + (each == value).sum() / 2 for value in each.ravel()]
        for each in map(np.asarray, (one, other))
    ]
    return float(np.corrcoef(*ranks)[0, 1])


# ------------------------------------------------------------------------------ faithfulness


def deletion(studies):
    """The patch goes pixel by pixel, and v = inside / 255 with it; black is left."""
    found = Found(studies.linear, metrics.Deletion(steps=N))

    def expected(values, level):
        mean, deviation = by_places(values, TRUE / PART)
        return level[0] / 255 * mean, level[0] / 255 * deviation

    found.holds(expected)
    for row, share in (("planted", 0.1), ("planted(what=inverted)", 0.9)):
        assert found.values(row) == pytest.approx([share * v / 255 for v, _ in LEVELS], abs=1e-6)
    # Twelve of the wrong patch first, then 24 of 48 on average: 0.6.
    assert expected(WRONG_MASK, (255, 0))[0] == pytest.approx(0.6)
    assert expected(np.ones(SIZE), (255, 0))[0] == pytest.approx(0.5)
    found.are_ordered(TRUTH, NEAR, NOTHING, AWAY, INVERTED)
    return found


def insertion(studies):
    """From the mean colour, 12 of 60 of the patch's and the rest of the other, up to the patch."""
    found = Found(studies.linear, metrics.Insertion(steps=N, baseline="mean"))

    def expected(values, level):
        start = 0.2 * level[0] + 0.8 * level[1]
        mean, deviation = by_places(values, TRUE / PART)
        rise = (level[0] - start) / 255
        return start / 255 + rise * (1 - mean), rise * deviation

    found.holds(expected)
    # The first picture's mean is 80.
    assert found.values("planted")[0] == pytest.approx((80 + 160 * 0.9) / 255, abs=1e-6)
    assert found.values(*INVERTED)[0] == pytest.approx((80 + 160 * 0.1) / 255, abs=1e-6)
    found.are_ordered(TRUTH, NEAR, NOTHING, AWAY, INVERTED)
    return found


@cache
def _neighbours():
    """How much each pixel counts for each, (60, 60): 2 beside, 1 across a corner, as shares."""
    rows, columns = (each.ravel() for each in np.indices(SIZE))
    down, across = (np.abs(np.subtract.outer(each, each)) for each in (rows, columns))
    weights = np.where(np.maximum(down, across) == 1, 3 - down - across, 0)
    return weights / weights.sum(axis=1, keepdims=True)


def filled(removed):
    """What is left of the patch, 1 in it and 0 beside it, when removed pixels are made up."""
    shares, gone, made = _neighbours(), removed.ravel(), TRUE.ravel().copy()
    system = np.eye(gone.sum()) - shares[np.ix_(gone, gone)]
    made[gone] = np.linalg.solve(system, shares[np.ix_(gone, ~gone)] @ made[~gone])
    return made.reshape(SIZE)[PATCH].mean()


@cache
def _worth(values):
    """The mean and deviation of ROAD of a map, over orders of its equal values."""
    values, draw, found = np.reshape(values, SIZE), np.random.default_rng(1), []
    for _ in range(1 if np.unique(values).size == N else 200):
        places = np.empty(N, int)
        places[np.lexsort((draw.random(N), -values.ravel()))] = np.arange(N)
        most, least = (
            [filled(order < count) for count in (12, 24, 36, 48)]
            for order in (places.reshape(SIZE), N - 1 - places.reshape(SIZE))
        )
        found.append(np.mean(least) - np.mean(most))
    return np.mean(found), np.std(found)


def road(studies):
    """Worth the contrast of patch and rest, times what a dense solver makes of the patch."""
    found = Found(studies.linear, metrics.Road(shares=4, noise=0.0))

    def expected(values, level):
        mean, deviation = _worth(tuple(values.ravel()))
        contrast = (level[0] - level[1]) / 255
        return contrast * mean, contrast * deviation

    found.holds(expected, rounding=1e-5)
    contrasts = np.asarray([(inside - outside) / 255 for inside, outside in LEVELS])
    assert found.values("planted") == pytest.approx(contrasts, abs=1e-5)
    assert found.values(*INVERTED) == pytest.approx(-contrasts, abs=1e-5)
    found.are_ordered(TRUTH, NEAR, NOTHING, AWAY, INVERTED)
    return found


@cache
def _drawn(size, subsets, times=60):
    """Subsets of the pixels of that size."""
    order = np.random.default_rng(2).random((times, subsets, N)).argsort(axis=-1)
    return (order < size).astype(np.float64)


def correlation(values, sizes, subsets):
    """Pearson's with the patch over pixels, which that over subsets of any one size is on average.

    The covariance of sums over k of n is k (n - k) / (n - 1) times that of what is summed, for
    every pair alike. The deviation is that of 60 draws of the subsets, for the mean over the sizes.
    """
    if np.ptp(values) == 0:
        return 0.0
    variances = []
    for size in sizes:
        taken = _drawn(size, subsets)
        sums, drops = taken @ values.ravel(), taken @ TRUE.ravel()
        variances.append(
            np.var([np.corrcoef(a, b)[0, 1] for a, b in zip(sums, drops, strict=True)])
        )
    mean = float(np.corrcoef(values.ravel(), TRUE.ravel())[0, 1])
    return mean, math.sqrt(np.sum(variances)) / len(sizes)


def mu_fidelity(studies):
    """The drop counts the pixels of the patch."""
    found = Found(studies.linear, metrics.MuFidelity(subsets=600, grid=None))
    found.holds(lambda values, level: correlation(values, (12,), 600))
    found.are(true=1, inverted=-1, uniform=0)
    assert correlation(WRONG_MASK, (12,), 600)[0] == pytest.approx(-0.25)
    found.are_ordered(TRUTH, NEAR, NOTHING, AWAY, INVERTED)
    return found


def sensitivity_n(studies):
    """The same of 1, 7 and 48 pixels; the expected value is that of each size."""
    found = Found(studies.linear, metrics.SensitivityN(sizes=3, subsets=300))
    assert found.scores["planted"][0].curve.x.tolist() == [1, 7, 48]
    found.holds(lambda values, level: correlation(values, (1, 7, 48), 300))
    found.are(true=1, inverted=-1, uniform=0)
    found.are_ordered(TRUTH, NEAR, NOTHING, AWAY, INVERTED)
    return found


def probabilities(values, level):
    """Of the picture, and of what a map shows of it: a sigmoid of patch less wrong patch."""
    shown = values / values.max()
    return [
        1 / (1 + math.exp(-GAIN * (level[0] * inside - level[1] * outside) / 255))
        for inside, outside in ((1, 1), (shown[PATCH].mean(), shown[WRONG].mean()))
    ]


def average_drop(studies):
    """The perfect map hides what speaks against the class; a uniform one hides nothing."""
    found = Found(studies.softmax, metrics.AverageDrop())

    def expected(values, level):
        before, after = probabilities(values, level)
        return max(0, before - after) / before

    found.holds(expected)
    found.are(true=0, uniform=0)
    found.are_ordered((*TRUTH, "uniform"), ("random", *NEAR), (*AWAY, *INVERTED))
    return found


def average_increase(studies):
    """The perfect map brings the class out on every picture.

    The edges leave 0.805 of the patch and 0.168 of the wrong one, so the class gains where the
    patch is less than 0.832 / 0.195 = 4.26 times as bright as the rest: on three of six.
    """
    found = Found(studies.softmax, metrics.AverageIncrease())

    def expected(values, level):
        before, after = probabilities(values, level)
        return float(after > before)

    found.holds(expected)
    found.are(true=1, wrong=0, inverted=0, uniform=0, blob=0)
    assert found.values("edges") == [inside / outside < 4.26 for inside, outside in LEVELS]
    assert found.mean("edges") == 0.5
    found.are_ordered(TRUTH, ("random", *NEAR, "uniform", *AWAY, *INVERTED))
    return found


def completeness(studies):
    """The gradient times the input sums to the change, v; any other sum is off by its own share.

    Where the values lie does not count: the wrong patch is as far off as the true mask.
    """
    methods = (*PLANTED, Slope("product"))
    found = Found(studies.linear, metrics.Completeness(), methods)
    found.holds(lambda values, level: abs(values.sum() / (level[0] / 255) - 1), rounding=1e-5)
    found.are(**{"slope(what=product)": 0})
    v = LEVELS[0][0] / 255
    sums = {"planted": 12, "planted(what=wrong)": 12, "planted(what=inverted)": 48, "uniform": 60}
    for row, total in sums.items():
        assert found.values(row)[0] == pytest.approx(total / v - 1)
    found.are_ordered(("slope(what=product)",), EVERY)
    # From the mean colour, 0.8 of the contrast is left.
    other = Found(studies.linear, metrics.Completeness(baseline="mean"), methods)
    other.holds(
        lambda values, level: abs(values.sum() / (0.8 * (level[0] - level[1]) / 255) - 1),
        rounding=1e-5,
    )
    return found


# -------------------------------------------------------------------------------- complexity


def sparseness(studies):
    """The mean difference of two values over twice their mean; where they lie does not count."""
    found = Found(studies.linear, metrics.Sparseness())

    def expected(values, level):
        flat = values.ravel()
        return np.abs(np.subtract.outer(flat, flat)).mean() / (2 * flat.mean())

    found.holds(expected)
    found.are(true=0.8, wrong=0.8, inverted=0.2, uniform=0)
    # Of two values between 0 and 1, a third; that of 60 has a deviation of 0.031.
    assert found.mean("random") == pytest.approx(1 / 3, abs=4 * 0.031 / math.sqrt(len(LEVELS)))
    found.are_ordered((*TRUTH, *AWAY), ("edges",), ("random", "centre-gaussian"), ("uniform",))
    found.are_ordered((*TRUTH, *AWAY), INVERTED, ("uniform",))
    return found


def entropy(studies):
    """Of 12, 48 and 60 equal pixels their logarithm."""
    found = Found(studies.linear, metrics.Entropy())

    def expected(values, level):
        return -sum(p * math.log(p) for p in values.ravel() / values.sum() if p > 0)

    found.holds(expected)
    found.are(true=math.log(12), wrong=math.log(12), inverted=math.log(48), uniform=math.log(60))
    found.are_ordered((*TRUTH, *AWAY), ("edges",), INVERTED, ("uniform",))
    found.are_ordered(("edges",), ("random", "centre-gaussian"), ("uniform",))
    return found


def effective_area(studies):
    """11 of 12, 44 of 48 and 54 of 60 equal pixels hold 90 %."""
    found = Found(studies.linear, metrics.EffectiveArea())

    def expected(values, level):
        falling, held = sorted(values.ravel(), reverse=True), 0.0
        for count, value in enumerate(falling, start=1):
            held += value
            if held >= (0.9 - 1e-9) * sum(falling):
                return count / N
        pytest.fail("the sum of all is less than 90 %")

    found.holds(expected)
    found.are(true=11 / 60, wrong=11 / 60, inverted=44 / 60, uniform=54 / 60)
    found.are_ordered((*TRUTH, *AWAY), ("edges",), INVERTED, ("uniform",))
    found.are_ordered(("edges",), ("random", "centre-gaussian"), ("uniform",))
    return found


# ------------------------------------------------------------------------------ localisation


def located(studies, metric):
    return Found(studies.linear, metric, masks=[TRUE.astype(bool)] * len(LEVELS))


def pointing_game(studies):
    """The four highest of the edges are the corners of the patch; the centre lies in it.

    By one pixel more, 14 of the 48 beside it hit, and two of the wrong patch.
    """
    found = located(studies, metrics.PointingGame(tolerance=0))
    found.holds(lambda values, level: TRUE[values == values.max()].mean())
    found.are(true=1, wrong=0, inverted=0, uniform=0.2, blob=1, edges=1)
    assert found.scores["edges"][0].facts["highest pixels"] == 4
    found.are_ordered((*TRUTH, *NEAR), ("uniform",), (*AWAY, *INVERTED))
    wider = located(studies, metrics.PointingGame(tolerance=1))
    wider.are(true=1, wrong=2 / 12, inverted=14 / 48, uniform=26 / 60, blob=1, edges=1)
    return found


def relevance_mass(studies):
    """Of the edges, four corners and six sides lie in the patch."""
    found = located(studies, metrics.RelevanceMass())
    found.holds(lambda values, level: values[PATCH].sum() / values.sum())
    corners = 4 * math.sqrt(18) + 6 * 4
    beside = 6 * 4 + 4 * math.sqrt(2) + 8 * math.sqrt(10)
    found.are(true=1, wrong=0, inverted=0, uniform=0.2, edges=corners / (corners + beside))
    # A sum of 12 among 60 uniform values: the deviation is the root of 0.2 x 0.8 / 3 / 60.
    assert found.mean("random") == pytest.approx(0.2, abs=4 * 0.0298 / math.sqrt(len(LEVELS)))
    found.are_ordered(TRUTH, NEAR, NOTHING, (*AWAY, *INVERTED))
    return found


def relevance_rank(studies):
    """Of the edges, four corners are first and 8 of 12 equal sides follow, half in the patch."""
    found = located(studies, metrics.RelevanceRank())

    def expected(values, level):
        """Each is among the 12 by the share of its equals that is."""
        return (
            sum(
                min(1, max(0, 12 - (values > value).sum()) / (values == value).sum())
                for value in values[PATCH].ravel()
            )
            / PART
        )

    found.holds(expected)
    found.are(true=1, wrong=0, inverted=0, uniform=0.2, blob=8 / 12, edges=(4 + 8 / 2) / 12)
    found.are_ordered(TRUTH, NEAR, NOTHING, (*AWAY, *INVERTED))
    return found


def grid_pointing_game(studies):
    """The patch is the cell of the one red picture, which the class red reads.

    Its grey is 80 and that of the others 40: its edges are those of a corner of 3 x 5 pixels. The
    map that lacks red has 15 there and 255 in the three others. A mask that stays where it is has
    6, 2, 3 or 1 of its 12 pixels in the cell, and the wrong patch then 0, 0, 2 or 10.
    """
    painted = [
        np.full((*SIZE, 3), colour, np.uint8)
        for colour in ((240, 0, 0), (0, 120, 0), (0, 0, 120), (0, 60, 60))
    ]
    methods = [Slope("product"), *map(Channel, ("red", "green", "less-red")), *PLANTED]
    random, cells = [], set()
    for seed in range(len(LEVELS)):
        found = Found(
            studies.colours, metrics.GridPointingGame(), methods,
            pictures=painted, targets=(None,), seed=seed,
        )  # fmt: skip
        first = {row: found.values(row)[0] for row in found.rows}
        inside = 24 + math.sqrt(18)
        beside = 24 + 2 * math.sqrt(10) + math.sqrt(2)
        expected = {
            "slope(what=product)": 1,
            "channel": 1,
            "channel(what=green)": 0,
            "channel(what=less-red)": 15 / (15 + 3 * 255),
            "uniform": 1 / 4,
            "centre-gaussian": 1 / 4,
            "edges": inside / (inside + beside),
        }
        assert {row: first[row] for row in expected} == pytest.approx(expected, abs=1e-5)
        number = round(PART * first["planted"])
        assert first["planted"] == pytest.approx(number / PART)
        assert first["planted(what=wrong)"] == pytest.approx(
            {6: 0, 2: 0, 3: 2, 1: 10}[number] / PART
        )
        assert first["planted(what=inverted)"] == pytest.approx((15 - number) / 48)
        random.append(first["random"])
        cells.add(number)
    assert len(cells) > 1
    # 15 of 60 uniform values: the deviation is the root of 1/4 x 3/4 / 3 / 60.
    np.testing.assert_allclose(random, 0.25, atol=4 * 0.0323)
    assert np.mean(random) == pytest.approx(0.25, abs=4 * 0.0323 / math.sqrt(len(LEVELS)))
    found.held.update(first)
    return found


# ------------------------------------------------------------- robustness and randomisation


def drawn(make, times=300):
    """The mean and the deviation of what is made of a generator."""
    found = [make(np.random.default_rng((3, number))) for number in range(times)]
    return float(np.mean(found)), float(np.std(found))


def max_sensitivity(studies):
    """What stays cannot be beaten, right or wrong; the rest by noise that is drawn here.

    The perfect map moves with the noise on the patch, the edges with that on the picture.
    """
    found = Found(studies.linear, metrics.MaxSensitivity(), (*PLANTED, Slope("product")))
    found.are(true=0, wrong=0, inverted=0, uniform=0, blob=0)

    def furthest(make):
        def one(draw):
            own = make(None, draw)
            noise = draw.uniform(-5, 5, (10, *SIZE, 3))
            return max(np.linalg.norm(make(each, draw) - own) for each in noise) / np.linalg.norm(
                own
            )

        return drawn(one)

    moves = {
        "random": lambda level: lambda noise, draw: draw.random(SIZE),
        "edges": lambda level: (
            lambda noise, draw: REFERENCES["edges"](
                bright(*level) + (0 if noise is None else noise), draw
            )
        ),
        "slope(what=product)": lambda level: (
            lambda noise, draw: TRUE * (level[0] + (0 if noise is None else noise.mean(axis=-1)))
        ),
    }
    for row, make in moves.items():
        found.holds(lambda values, level, make=make: furthest(make(level)), [row])
    found.are_ordered(
        (*TRUTH, "uniform", "centre-gaussian"), ("slope(what=product)",), ("edges",), ("random",)
    )
    return found


def stability(studies):
    """What lies where the picture is bright goes with it; what stays is compared with itself aside.

    A random map is drawn anew: of n pixels, the correlation of ranks has a deviation of
    1 / sqrt(n - 1), with n = 40 where the picture goes up or down by 2, 48 aside, 60 for JPEG.
    """
    found = Found(studies.linear, metrics.Stability(shift=2), (*PLANTED, Channel("bright")))
    sides = (
        (np.s_[2:, :], np.s_[:-2, :]), (np.s_[:-2, :], np.s_[2:, :]),
        (np.s_[:, 2:], np.s_[:, :-2]), (np.s_[:, :-2], np.s_[:, 2:]),
    )  # fmt: skip

    def likeness(one, other):
        """Of the parts that both show; a part that is the same everywhere is like no other."""
        return rho(one, other) or 0.0

    def stays(values, level):
        return (1 + sum(likeness(values[here], values[there]) for here, there in sides)) / 5

    found.holds(stays, [*TRUTH, *AWAY, *INVERTED, "centre-gaussian"])

    def redrawn(values, level):
        return 0.0, math.sqrt(2 / 39 + 2 / 47 + 1 / 59) / 5

    found.holds(redrawn, ["random"])

    def follows(values, level):
        pixels, of = bright(*level), lambda pixels: REFERENCES["edges"](pixels, None)
        wide = np.pad(pixels, ((2, 2), (2, 2), (0, 0)), mode="edge")
        moved = (wide[4:, 2:-2], wide[:-4, 2:-2], wide[2:-2, 4:], wide[2:-2, :-4])
        file = io.BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(file, "JPEG", quality=75, subsampling=2)
        saved = np.asarray(Image.open(file), np.float64)
        return (rho(of(pixels), of(saved)) + sum(
            rho(of(pixels)[here], of(each)[there])
            for each, (here, there) in zip(moved, sides, strict=True)
        )) / 5  # fmt: skip

    found.holds(follows, ["edges"])
    found.are(uniform=1, **{"channel(what=bright)": 1})
    found.are_ordered(("uniform", "channel(what=bright)"), ("edges",), TRUTH, ("random",))
    found.are_ordered(("channel(what=bright)",), AWAY)
    return found


HALF_NORMAL = (math.sqrt(2 / math.pi), math.sqrt(1 - 2 / math.pi))
"""Mean and deviation of the magnitude of what has a deviation of 1."""


def magnitude_of_chance(values, level, maps=1):
    """Of the correlation of the ranks of two random maps, or of the mean of some."""
    mean, deviation = np.asarray(HALF_NORMAL) / math.sqrt(N - 1)
    return mean, deviation / math.sqrt(maps)


def cascading_randomisation(studies):
    """The gradient by drawn weights is their head's, and goes with the patch by chance alone.

    A map that only turns round is as much the learnt one as before: what counts is the magnitude.
    """
    methods = (*PLANTED, Slope(), Slope("sign"))
    found = Found(studies.softmax, metrics.CascadingRandomisation(), methods)
    _, ladder = studies.softmax.ladder(found.all.seed)
    each = []
    for layers_drawn in (1, 2):
        ladder.stand(layers_drawn)
        grey, _, head = (layer.get_weights() for layer in ladder.model.layers[1:])
        each.append(rho(TRUE, grey[0].sum() * head[0][:, 0].reshape(SIZE)))
    assert abs(each[0]) == pytest.approx(abs(each[1]))
    found.are(slope=np.abs(each).mean(), **{"slope(what=sign)": 1})
    assert found.scores["slope"][0].facts["mean spearman"] == pytest.approx(np.mean(each))
    found.are(true=1, wrong=1, inverted=1, blob=1, edges=1)
    found.holds(lambda *told: magnitude_of_chance(*told, maps=2), ["random"])
    found.fails("uniform", "everywhere; expected one with an order")
    found.are_ordered(("slope", "random"), FIXED)
    return found


def random_logit(studies):
    """The other class reads the wrong patch: of two masks of 12 of 60, -12 / 48.

    A map that only turns round says as much of the one class as of the other.
    """
    methods = (*PLANTED, Planted("turned"), Slope())
    found = Found(studies.softmax, metrics.RandomLogit(), methods)
    found.are(slope=0.25, true=1, wrong=1, inverted=1, blob=1, edges=1)
    found.are(**{"planted(what=turned)": 1})
    for row, signed in (("planted(what=turned)", -1), ("slope", -0.25)):
        assert found.scores[row][0].facts["spearman"] == pytest.approx(signed)
    found.holds(magnitude_of_chance, ["random"])
    found.fails("uniform", "everywhere; expected one with an order")
    found.are_ordered(("slope", "random"), FIXED)
    return found


# --------------------------------------------------------------------------------- numerical


def float64_distance(studies):
    """The true mask in float64, and each of the maps in float32; what never rounds has 0.

    Beside the patch the blob has 0.79 at most, and in it 0.37 at least.
    """
    methods = (*PLANTED, Slope("product"), *map(Lossy, LOST))
    found = Found(studies.narrow, metrics.Float64Distance(), methods)
    found.are(0.0, **dict.fromkeys(EVERY, 0))
    assert max(found.values("slope(what=product)")) < 1e-6
    expected = {
        "lossy": 0,
        "lossy(what=wrong)": 1,
        "lossy(what=inverted)": 1,
        "lossy(what=opposite)": 2,
        "lossy(what=uniform)": 1,
        "lossy(what=random)": max(
            (1 - LOST["random"][PATCH]).max(), LOST["random"][TRUE == 0].max()
        ),
        "lossy(what=blob)": math.exp(-8 * (0.25 / 36 + 2.25 / 100)),
        "lossy(what=edges)": 4,
    }
    found.are(**expected)
    assert set(expected) == {row for row in found.rows if row.startswith("lossy")}
    return found


HELD: dict[str, Callable[[Studies], Found]] = {
    "average-drop": average_drop,
    "average-increase": average_increase,
    "cascading-randomisation": cascading_randomisation,
    "completeness": completeness,
    "deletion": deletion,
    "effective-area": effective_area,
    "entropy": entropy,
    "float64-distance": float64_distance,
    "grid-pointing-game": grid_pointing_game,
    "insertion": insertion,
    "max-sensitivity": max_sensitivity,
    "mu-fidelity": mu_fidelity,
    "pointing-game": pointing_game,
    "random-logit": random_logit,
    "relevance-mass": relevance_mass,
    "relevance-rank": relevance_rank,
    "road": road,
    "sensitivity-n": sensitivity_n,
    "sparseness": sparseness,
    "stability": stability,
}


@pytest.mark.parametrize("name", [each.name for each in xai_plugins.xai_metrics()])
def test_a_metric_on_maps_whose_worth_is_known(studies, name):
    assert name in HELD, f"{name} is held to no known map; add what it says of them to HELD"
    assert HELD[name](studies).held >= {*EVERY}


def test_there_is_no_metric_but_the_built_in_ones():
    assert set(HELD) == {each.name for each in xai_plugins.xai_metrics()}


def test_the_maps_are_those_that_metrics_are_shown(studies):
    """The blob and the edges by hand are the reference rows, and the mask is the gradient."""
    found = Found(studies.linear, metrics.Entropy(), (*PLANTED, Slope()))
    for row, make in MAPS.items():
        for shown, level in zip(found.maps[row], LEVELS, strict=True):
            np.testing.assert_allclose(shown, make(level), atol=1e-9)
    for shown in found.maps["slope"]:
        np.testing.assert_allclose(shown, TRUE / PART / 255, atol=1e-12)
    for shown in found.maps["random"]:
        assert shown.shape == SIZE
        assert (shown.min() >= 0, shown.max() <= 1) == (True, True)
        assert np.unique(shown).size == N
    assert not np.array_equal(*found.maps["random"][:2])
