"""Two graphs that are to compute the same, forwards and back."""

import numpy as np
from keras import ops
from plain import array, gradient


def assert_same(one, two, shape, within):
    """That two graphs, and their gradients, are alike up to a share of the largest value."""
    draw = np.random.default_rng(1)
    given = draw.normal(size=shape).astype(np.float32)

    def run(graph, at):
        return graph.run({graph.input: at}, [graph.output])[graph.output]

    def held(found, expected):
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(found, expected, rtol=0, atol=within * np.abs(expected).max())

    expected, found = (array(run(each, ops.convert_to_tensor(given))) for each in (one, two))
    held(found, expected)
    weights = ops.convert_to_tensor(draw.normal(size=expected.shape).astype(np.float32))
    expected, found = (
        gradient(lambda at, each=each: ops.sum(weights * run(each, at)), given)
        for each in (one, two)
    )
    held(found, expected)
