"""The laws that a method declares, where one run, or two, can tell."""

from collections.abc import Callable, Iterator

import numpy as np

from xai_core.testing.findings import difference
from xai_core.testing.models import FEATURES, ONE_RECTIFIER
from xai_core.testing.subject import PICTURES, Subject, draw
from xai_core.typing import FloatArray

_MAIN = "flatten-dense"


def constant(subject: Subject) -> Iterator[str]:
    """Where the score does not depend on the picture, the map is 0."""
    found, usual = subject.one("constant").map, subject.one(_MAIN).map
    told = difference(
        found,
        np.zeros_like(found),
        "for the score is the same for every picture",
        size=float(np.abs(usual).max()),
    )
    if told:
        yield f"on constant, {told}"


def shift(subject: Subject) -> Iterator[str]:
    """A shifted picture has the shifted map."""
    name = "shiftable"
    height, width = subject.bench(name).study.input.size
    thing = draw((6, 8), 3, 0)
    strides = 2
    for down, right in ((1, 0), (2, 4)):
        pictures = [np.zeros((height, width, 3), np.float32) for _ in range(2)]
        for picture, (top, left) in zip(
            pictures, ((8, 8), (8 + strides * down, 8 + strides * right)), strict=True
        ):
            picture[top : top + 6, left : left + 8] = thing
        before, after = (each.map for each in subject.show(name, pictures))
        by = (strides * down * before.shape[0] / height, strides * right * before.shape[1] / width)
        moved = np.roll(before, [round(each) for each in by], axis=(0, 1))
        told = difference(after, moved, "the map before, shifted")
        if told:
            yield f"on {name}, {strides * down} pixels down and {strides * right} right, {told}"


def scale(subject: Subject, factor: float) -> Iterator[str]:
    """How the map of 2 S is related to that of S."""
    for target in range(2):
        one, two = (subject.one(name, target=target).map for name in (_MAIN, "doubled"))
        told = difference(two, factor * one, f"{factor:g} times the map of S")
        if told:
            yield f"on doubled, for class {target}, {told}"


def complete(subject: Subject) -> Iterator[str]:
    """The map sums to what the picture adds to the score."""
    bench = subject.bench("smooth")
    for number in range(2):
        for target in range(2):
            total = float(subject.one(bench.name, number, target).map.sum())
            ahead = bench.scores(bench.fed(number)) - bench.scores(bench.black)
            change = float(ahead[0, target])
            # Quadrature is exact here, but any that is right comes this near.
            if not abs(total - change) <= 1e-3 * abs(change):
                yield (
                    f"on smooth, for class {target}, the map sums to {total:.6g}; expected "
                    f"{change:.6g}, which is S(x) - S(black): off by {abs(total - change):.3g}"
                )


def linear_model(subject: Subject) -> Iterator[str]:
    """The map is (x - black) dS/dx, and dS/dx is the same for every x."""
    yield from _added_by_each_place(subject, subject.bench("linear").black)


def linear_input(subject: Subject) -> Iterator[str]:
    """The map is x dS/dx, and dS/dx is the same for every x."""
    yield from _added_by_each_place(subject, 0 * subject.bench("linear").black)


def _added_by_each_place(subject: Subject, start: FloatArray) -> Iterator[str]:
    """The map is what the score gains over that of `start` by each pixel alone."""
    bench = subject.bench("linear")
    x, size = bench.fed(0), bench.fed(0).shape[1:3]
    for target in range(2):
        # The model is linear, so that each pixel can be asked for by itself.
        alone = np.repeat(start, size[0] * size[1], axis=0)
        for place, (row, column) in enumerate(np.ndindex(size)):
            alone[place, row, column] = x[0, row, column]
        added = bench.scores(alone)[:, target] - bench.scores(start)[0, target]
        found = subject.one("linear", target=target).map
        told = difference(found, added.reshape(size), "what the score gains by that pixel alone")
        if told:
            yield f"on linear, for class {target}, {told}"


def sensitivity(subject: Subject) -> Iterator[str]:
    """The map is max_c |dS/dx_c|."""
    bench = subject.bench("smooth")
    x, step = bench.fed(0), 1e-4
    moved = np.repeat(x, 2 * x.size, axis=0).reshape(2, x.size, x.size)
    every = np.arange(x.size)
    moved[0, every, every] += step
    moved[1, every, every] -= step
    scores = bench.scores(moved.reshape(2 * x.size, *x.shape[1:])).reshape(2, x.size, -1)
    slopes = (scores[0] - scores[1]) / (2 * step)
    for target in range(2):
        largest = np.abs(slopes[:, target].reshape(x.shape[1:])).max(axis=-1)
        found = subject.one("smooth", target=target).map
        told = difference(found, largest, "max_c |dS/dx_c| by finite differences", within=1e-6)
        if told:
            yield f"on smooth, for class {target}, {told}"


def gap_dense(subject: Subject) -> Iterator[str]:
    """The map is sum_k A_k W_kc / Z."""
    finish = np.asarray if subject.explainer.signed else _relu
    yield from _as_on_paper(
        subject,
        lambda features, kernel, bias: finish(features @ kernel) / features[..., 0].size,
        "sum_k A_k W_kc / Z" if subject.explainer.signed else "ReLU(sum_k A_k W_kc / Z)",
    )


def gap_dense_positive(subject: Subject) -> Iterator[str]:
    """There the map is sum_k A_k ReLU(W_kc) / Z."""
    yield from _as_on_paper(
        subject,
        lambda features, kernel, bias: features @ _relu(kernel) / features[..., 0].size,
        "sum_k A_k ReLU(W_kc) / Z",
    )


def gap_dense_alpha(subject: Subject) -> Iterator[str]:
    """There the map is that of Grad-CAM++ with dS/dA = W / Z."""
    yield from _as_on_paper(
        subject,
        lambda features, kernel, bias: _relu(
            features @ (_relu(kernel) / (2 + features.mean(axis=(0, 1)) * kernel))
        ),
        "ReLU(sum_k A_k w_k), w_k = ReLU(W_kc) / (2 + mean(A_k) W_kc)",
    )


def gap_dense_drop(subject: Subject) -> Iterator[str]:
    """There a channel's drop is its share of the score."""

    def weigh(features: FloatArray, kernel: FloatArray, bias: float) -> FloatArray:
        drops = kernel * features.mean(axis=(0, 1))
        return _relu(features @ (drops / abs(drops.sum() + bias)))

    yield from _as_on_paper(subject, weigh, "ReLU(sum_k A_k w_k), w_k = W_kc mean(A_k) / |S|")


def principal(subject: Subject) -> Iterator[str]:
    """The map is the first principal component, its sign that of its correlation."""
    bench = subject.bench("even")
    for number in range(PICTURES):
        features = bench.features(number)
        matrix = features.reshape(-1, features.shape[-1])
        component = matrix @ np.linalg.svd(matrix, full_matrices=False)[2][0]
        component *= np.sign(np.corrcoef(component, matrix.mean(axis=1))[0, 1])
        component = component.reshape(features.shape[:2])
        found = subject.one("even", number).map
        size = float(np.linalg.norm(found) / np.linalg.norm(component))
        told = difference(found, size * component, "that in proportion to A v")
        if told:
            turned = difference(found, -size * component, "")
            why = "the sign is the other one; " if not turned else ""
            yield f"on even, picture {number}, {why}{told}"


def guided(subject: Subject) -> Iterator[str]:
    """Through one rectifier passes 1[x > 0] 1[dy > 0] dy."""
    yield from _passed_by(
        subject, lambda x, dy: (x > 0) * _relu(dy), "with 1[x > 0] 1[dy > 0] dy through the ReLU"
    )


def deconvnet(subject: Subject) -> Iterator[str]:
    """Through one rectifier passes 1[dy > 0] dy."""
    yield from _passed_by(subject, lambda x, dy: _relu(dy), "with 1[dy > 0] dy through the ReLU")


def _relu(values: FloatArray) -> FloatArray:
    positive: FloatArray = np.maximum(values, 0)
    return positive


def _as_on_paper(
    subject: Subject,
    form: Callable[[FloatArray, FloatArray, float], FloatArray],
    what: str,
) -> Iterator[str]:
    """Hold the map to what follows from activations (h, w, K), kernel (K,) and bias."""
    bench = subject.bench("gap-dense")
    kernel, bias = bench.head()
    for number in range(2):
        features = bench.features(number)
        for target in range(len(bias)):
            expected = form(features, kernel[:, target], bias[target])
            told = difference(subject.one("gap-dense", number, target).map, expected, what)
            if told:
                yield f"on gap-dense, for class {target}, {told}"


def _passed_by(
    subject: Subject, passes: Callable[[FloatArray, FloatArray], FloatArray], what: str
) -> Iterator[str]:
    """Hold the map to the gradient that a rule lets through, however the ReLU is written."""
    for name in ONE_RECTIFIER:
        bench = subject.bench(name)
        kernel, bias = bench.model.get_layer(FEATURES).get_weights()
        kernel = kernel[0, 0]
        given = bench.fed(0)[0] @ kernel + bias
        for target in range(2):
            back = bench.head()[0][:, target].reshape(given.shape)
            expected = (passes(given, back) @ kernel.T).sum(axis=-1)
            told = difference(subject.one(name, target=target).map, expected, what)
            if told:
                yield f"on {name}, for class {target}, {told}"
