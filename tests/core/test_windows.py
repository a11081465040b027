"""Convolutions as products, max pooling by its taps: worked out by hand, and held to Keras' own."""

from functools import partial

import numpy as np
import pytest
from keras import ops
from plain import array
from usual import usual

from xai_core.probe.highest import chosen, first_of
from xai_core.probe.products import pointwise, unrolled
from xai_core.probe.windows import made, windows

GEOMETRIES = [
    # size, strides, dilation
    ((1, 1), (1, 1), (1, 1)),
    ((1, 1), (2, 3), (1, 1)),
    ((3, 3), (1, 1), (1, 1)),
    ((3, 3), (2, 2), (1, 1)),
    ((2, 3), (3, 2), (1, 1)),
    ((1, 4), (1, 2), (1, 1)),
    ((2, 2), (4, 4), (1, 1)),
    ((3, 2), (1, 1), (2, 3)),
]
PADDINGS = ["valid", "same"]
DTYPES = {"float64": 1e-12, "float32": 1e-5}
"""And how far apart two orders of adding up may be."""


def test_each_tap_reads_its_own_places():
    picture = ops.convert_to_tensor(np.arange(15.0).reshape(1, 3, 5, 1))
    found = [array(each)[0, ..., 0].tolist() for each in windows(picture, (2, 2), (1, 2), "valid")]
    assert found == [
        [[0, 2], [5, 7]],
        [[1, 3], [6, 8]],
        [[5, 7], [10, 12]],
        [[6, 8], [11, 13]],
    ]
    # 3 in steps of 2 with 2 taps that are 2 apart: one row before, and one behind.
    shut = windows(picture, (2, 1), (2, 3), "same", (2, 1), filled_with=-1)
    assert [array(each)[0, ..., 0].tolist() for each in shut] == [
        [[-1, -1], [5, 8]],
        [[5, 8], [-1, -1]],
    ]


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("size", "strides", "dilation"), GEOMETRIES)
def test_windows_are_what_a_slice_with_steps_reads(size, strides, dilation, padding):
    sides = (9, 14)
    pictures = np.random.default_rng(0).normal(size=(2, *sides, 3))
    count = made(sides, size, strides, padding, dilation)
    before, behind = [0, 0], [0, 0]
    for axis in (0, 1):
        last = (count[axis] - 1) * strides[axis] + (size[axis] - 1) * dilation[axis]
        missing = max(last + 1 - sides[axis], 0)
        before[axis], behind[axis] = missing // 2, missing - missing // 2
    assert padding == "same" or (before, behind) == ([0, 0], [0, 0])
    padded = np.pad(
        pictures, [(0, 0), *zip(before, behind, strict=True), (0, 0)], constant_values=7
    )
    given = ops.convert_to_tensor(pictures)
    found = windows(given, size, strides, padding, dilation, filled_with=7)
    for each, (row, column) in zip(found, np.ndindex(*size), strict=True):
        part = padded[:, row * dilation[0] :: strides[0], column * dilation[1] :: strides[1]]
        np.testing.assert_array_equal(array(each), part[:, : count[0], : count[1]])


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("size", "strides", "dilation"), GEOMETRIES)
def test_a_convolution_is_a_product(size, strides, dilation, padding):
    draw = np.random.default_rng(1)
    pictures = ops.convert_to_tensor(draw.normal(size=(2, 12, 17, 3)))
    kernel = ops.convert_to_tensor(draw.normal(size=(*size, 3, 5)))
    if max(strides) > 1 and max(dilation) > 1:
        pytest.skip("Keras has no such convolution")
    with usual():
        expected = array(ops.conv(pictures, kernel, strides, padding, "channels_last", dilation))
    found = array(unrolled(pictures, kernel, strides, padding, dilation))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    if size == (1, 1):
        np.testing.assert_allclose(
            array(pointwise(pictures, kernel, strides)), expected, rtol=0, atol=1e-12
        )


def test_a_convolution_of_size_1_by_hand():
    pictures = ops.convert_to_tensor(np.arange(12.0).reshape(1, 2, 3, 2))
    kernel = ops.convert_to_tensor(np.asarray([[1.0, 0, 2], [10, 1, 0]]).reshape(1, 1, 2, 3))
    found = array(pointwise(pictures, kernel, (1, 2)))
    assert found.tolist() == [[[[10, 1, 0], [54, 5, 8]], [[76, 7, 12], [120, 11, 20]]]]


def test_the_first_that_has_the_value_is_found_and_chosen():
    def three(*rows):
        return [ops.convert_to_tensor(np.asarray(row, np.float64)) for row in rows]

    given, (highest,) = three([4, 1, 2], [4, 3, 2], [0, 3, 5]), three([4, 3, 5])
    number = first_of(given, highest)
    assert array(number).tolist() == [0, 1, 2]
    others = three([1, 2, 3], [4, 5, 6], [7, 8, 9])
    assert array(chosen(others, number)).tolist() == [1, 5, 9]
    # Where nothing has it, as of what is no number, something is chosen still.
    assert array(first_of(given, three([np.nan] * 3)[0])).tolist() == [2, 2, 2]


def both(function, *arguments):
    """What a function makes by what stands in the place of Keras', and by Keras' own."""
    import jax

    # A function of its own each: JAX keeps what it traced.
    found = jax.jit(partial(function))(*arguments)
    with usual():
        return found, jax.jit(partial(function))(*arguments)


def the_same(made, tolerance):
    import jax

    found, expected = map(jax.tree.leaves, made)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        scale = max(np.abs(array(other)).max(), 1)
        np.testing.assert_allclose(array(one), array(other), rtol=0, atol=tolerance * scale)


# 66 channels make every kernel here a large one; 32 make none of size 3 one.
@pytest.mark.jax
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(
    ("size", "strides", "dilation", "channels"),
    [*((*each, 66) for each in GEOMETRIES), ((3, 3), (1, 1), (1, 1), 32)],
)
def test_convolutions_are_those_of_keras(size, strides, dilation, channels, padding, dtype):
    """The value, its change, and the gradients, one and several, by one of the two and by both."""
    import jax

    draw = np.random.default_rng(2)

    def drawn(*shape):
        return ops.convert_to_tensor(draw.normal(size=shape), dtype)

    def convolve(pictures, kernel):
        return ops.conv(pictures, kernel, strides, padding, "channels_last", dilation)

    def all_of(at, change, gradients):
        pictures, kernel = at
        _, by_pictures = jax.vjp(lambda given: convolve(given, kernel), pictures)
        _, by_kernel = jax.vjp(lambda given: convolve(pictures, given), kernel)
        value, by_both = jax.vjp(convolve, *at)
        ways = [by_pictures, by_kernel, by_both]
        return (
            value,
            jax.jvp(convolve, at, change),
            jax.jvp(lambda given: convolve(given, kernel), at[:1], change[:1]),
            [(back(gradients[0]), jax.vmap(back)(gradients)) for back in ways],
        )

    at, change = ((drawn(2, 6, 11, 4), drawn(*size, 4, channels)) for _ in range(2))
    gradients = drawn(3, *jax.eval_shape(convolve, *at).shape)
    the_same(both(all_of, at, change, gradients), DTYPES[dtype])


@pytest.mark.jax
@pytest.mark.parametrize(
    ("kernel", "forward", "backward"),
    [
        ((1, 1, 8, 2), 0, 0),  # a product
        ((3, 3, 8, 12), 1, 0),  # 24 places, and at most as many as 2 times 12
        ((3, 3, 8, 11), 1, 1),
    ],
)
def test_which_convolutions_are_products(kernel, forward, backward):
    import jax

    weights = ops.ones(kernel)
    value, back = jax.vjp(lambda given: ops.conv(given, weights), ops.ones((2, 5, 6, 8)))
    there = jax.make_jaxpr(lambda given: ops.conv(given, weights))(ops.ones((2, 5, 6, 8)))
    assert str(there).count("conv_general_dilated[") == forward
    assert str(jax.make_jaxpr(back)(value)).count("conv_general_dilated[") == backward


POOLINGS = [
    # size, strides
    (2, 2),
    ((2, 3), (1, 1)),
    (3, 2),
    ((3, 2), (2, 3)),
    (2, 3),
    (5, 1),
    (6, 3),  # is left to Keras
]


@pytest.mark.jax
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(
    ("size", "strides", "dtype"),
    [*((*each, "float64") for each in POOLINGS), (3, 2, "float32")],
)
def test_max_pooling_is_that_of_keras_among_equals_too(size, strides, dtype, padding):
    """Whole numbers: of four values, so that most windows have several highest ones."""
    import jax

    draw = np.random.default_rng(3)

    def pool(pictures):
        return ops.max_pool(pictures, size, strides, padding)

    at = ops.convert_to_tensor(draw.integers(-1, 3, (2, 9, 14, 3)), dtype)
    gradients = ops.convert_to_tensor(draw.integers(-9, 9, (3, *pool(at).shape)), dtype)

    def all_of(at, gradients):
        value, back = jax.vjp(pool, at)
        return value, back(gradients[0]), jax.vmap(back)(gradients)

    the_same(both(all_of, at, gradients), 0)


@pytest.mark.jax
@pytest.mark.parametrize("padding", PADDINGS)
def test_max_pooling_changes_as_its_highest_do(padding):
    """Also forwards, and the change of a change."""
    import jax

    draw = np.random.default_rng(4)
    at, change = (ops.convert_to_tensor(draw.normal(size=(1, 7, 9, 2))) for _ in range(2))

    def squared(pictures):
        return ops.sum(ops.max_pool(pictures, 3, 2, padding) ** 2)

    def all_of(at, change):
        return jax.jvp(jax.grad(squared), (at,), (change,)), jax.jvp(squared, (at,), (change,))

    the_same(both(all_of, at, change), 1e-12)
    (_, hessian), _ = both(all_of, at, change)[0]
    assert np.abs(array(hessian)).max() > 0.1


@pytest.mark.jax
def test_max_pooling_by_hand():
    import jax

    # The second window of a row begins at its third place; of a column, at the second.
    picture = np.asarray([[1.0, 5, 5, 0, 2], [5, 5, 1, 2, 2], [0, 0, 3, 2, 9]])[None, ..., None]
    value, back = jax.vjp(
        lambda given: ops.max_pool(given, (2, 3), (1, 2)), ops.convert_to_tensor(picture)
    )
    assert array(value)[0, ..., 0].tolist() == [[5, 5], [5, 9]]
    (found,) = back(ops.convert_to_tensor(np.asarray([[1.0, 10], [100, 1000]])[None, ..., None]))
    assert array(found)[0, ..., 0].tolist() == [
        [0, 1, 10, 0, 0],
        [100, 0, 0, 0, 0],
        [0, 0, 0, 0, 1000],
    ]
    text = str(jax.make_jaxpr(back)(value))
    assert "select_and_scatter" not in text


@pytest.mark.jax
@pytest.mark.parametrize(
    "special",
    [
        pytest.param(lambda x, k: ops.conv(x, k[:, :, :2]), id="groups"),
        pytest.param(lambda x, k: ops.conv(x[:, 0], k[0]), id="a line"),
        pytest.param(lambda x, k: ops.conv(x[:, None], k[None]), id="a volume"),
        pytest.param(lambda x, k: ops.conv(x, k, data_format="channels_first"), id="first"),
        pytest.param(lambda x, k: ops.conv(x, ops.cast(k, "float32")), id="two precisions"),
        pytest.param(
            lambda x, k: ops.conv(ops.cast(x, "bfloat16"), ops.cast(k, "bfloat16")), id="half"
        ),
        pytest.param(lambda x, k: ops.max_pool(x[:, 0], 2, 2), id="pooling a line"),
        pytest.param(lambda x, k: ops.max_pool(ops.cast(x, "float16"), 2, 2), id="pooling half"),
        pytest.param(
            lambda x, k: ops.max_pool(x, 2, 2, "valid", "channels_first"), id="pooling first"
        ),
    ],
)
def test_what_is_special_is_left_to_keras(special):
    import jax

    draw = np.random.default_rng(5)
    pictures, kernel = (
        ops.convert_to_tensor(draw.normal(size=size)) for size in [(2, 4, 4, 4), (1, 1, 4, 50)]
    )
    made = both(lambda *given: ops.sum(special(*given) ** 2), pictures, kernel)
    the_same(made, 0)

    def text():
        return str(jax.make_jaxpr(partial(special))(pictures, kernel))

    found = text()
    with usual():
        assert found == text()


@pytest.mark.jax
@pytest.mark.parametrize("kernel", [(1, 1, 256, 512), (3, 3, 256, 256)])
def test_in_float32_gradients_are_as_exact(kernel):
    import jax

    draw = np.random.default_rng(6)
    wide = draw.normal(size=(1, 14, 14, 256)), draw.normal(size=kernel)

    def of(dtype):
        pictures, weights = (ops.convert_to_tensor(each, dtype) for each in wide)
        value, back = jax.vjp(lambda given: ops.conv(given, weights, padding="same"), pictures)
        rows = np.random.default_rng(7).normal(size=value.shape)
        return value, back(ops.convert_to_tensor(rows, dtype))[0]

    exact = of("float64")
    found = of("float32")
    with usual():
        expected = of("float32")
    for one, other, truth in zip(found, expected, exact, strict=True):
        ours, theirs = (np.std(array(each) - array(truth)) for each in (one, other))
        assert ours <= 1.1 * theirs
