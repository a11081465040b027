"""What a map costs: in words, from what a method declares, and in passes that are counted."""

from dataclasses import dataclass, replace

import keras
import numpy as np
import pytest

from xai_core import Explainer, Needs, Rule, Study
from xai_core.cost import cost


@dataclass(frozen=True)
class Declares(Explainer):
    """Declares whatever it is told to."""

    needs: Needs = Needs.NOTHING
    rule: Rule = Rule.PLAIN
    queries: int | None = 0

    name = "declares"

    def explain(self, evidence):
        return np.zeros((evidence.targets.shape[0], 2, 2))


A, G, X = Needs.ACTIVATIONS, Needs.ACTIVATION_GRADIENTS, Needs.INPUT_GRADIENTS
Q, H, B, S = Needs.QUERIES, Needs.HEAD_QUERIES, Needs.BIAS_TERMS, Needs.STAGES
PLAIN, GUIDED = Rule.PLAIN, Rule.GUIDED
HEAD, DEEP = "1 backward through the head", "1 backward down to the shallowest layer"


@pytest.mark.parametrize(
    ("needs", "rule", "queries", "words"),
    [
        (Needs.NOTHING, PLAIN, 0, "1 forward"),
        (A, PLAIN, 0, "1 forward"),
        (A | G, PLAIN, 0, f"1 forward, {HEAD}"),
        (A | G | S, PLAIN, 0, f"1 forward, {DEEP}"),
        (X, PLAIN, 0, "1 forward, 1 backward"),
        (A | G | X, PLAIN, 0, "1 forward, 1 backward"),
        (X, GUIDED, 0, "1 forward, 1 backward"),
        (A | G | X, GUIDED, 0, f"2 forwards, 1 backward, {HEAD}"),
        (A | X, GUIDED, 0, "2 forwards, 1 backward"),
        (A | G, GUIDED, 0, f"1 forward, {HEAD}"),
        (Q, PLAIN, 4000, "4,000 queries"),
        (Q, PLAIN, 1, "1 query"),
        (Q, GUIDED, 32, "32 queries"),
        (Q, PLAIN, None, "some queries"),
        (A | H, PLAIN, None, "1 forward, some queries of the head"),
        (A | H, PLAIN, 64, "1 forward, 64 queries of the head"),
        (A | Q | H, PLAIN, 64, "1 forward, 64 queries"),
        (X | B, PLAIN, 1, "2 forwards, 2 backwards"),
        (B, PLAIN, 1, "2 forwards, 1 backward"),
    ],
    ids=str,
)
def test_what_is_declared_is_told_in_passes(needs, rule, queries, words):
    assert cost(Declares(needs, rule, queries)) == words


@pytest.mark.parametrize(
    "method",
    [
        Declares(),
        Declares(A | G),
        Declares(X),
        Declares(A | G | X),
        Declares(X, GUIDED),
        Declares(A | G | X, GUIDED),
    ],
    ids=cost,
)
def test_the_passes_are_those_that_the_planner_makes(registry, method):
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((6, 6, 3)),
        keras.layers.Conv2D(3, 3, activation="relu"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(2),
    ]
    study = Study(keras.Sequential(layers), preprocess="unit", registry=registry)
    made = study.compare(np.zeros((6, 6, 3), np.uint8), [method])
    assert cost(method).startswith(f"{len(made.passes)} forward")
    (cell,) = made
    assert "queries" not in cell.facts


def test_the_count_follows_the_parameters(registry):
    smooth = registry.explainer("smoothgrad")
    assert cost(smooth) == f"{smooth.samples} queries"
    assert cost(replace(smooth, samples=1500)) == "1,500 queries"
