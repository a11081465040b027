"""What a map costs, in passes through the model: what the declarations of a method say."""

from collections.abc import Iterator

from xai_core.interfaces import Explainer
from xai_core.needs import Needs
from xai_core.surgery.rewire import Rule


def cost(explainer: Explainer) -> str:
    """The passes of one map, in words: `1 forward, 1 backward through the head`.

    The forward pass is shared by all methods, classes and layers of a picture, a backward pass
    by all methods of a class. A query is a pass of its own: forward, and backward too where the
    method asks for a gradient; `some` stands where their number depends on model or picture.
    """
    return ", ".join([*_read(explainer), *_asked(explainer)])


def _read(explainer: Explainer) -> Iterator[str]:
    """What is read in the passes that are shared, and for the biases."""
    needs = explainer.needs
    by_input = Needs.INPUT_GRADIENTS in needs
    # Under another rule the gradient by the input is read in a pass of its own.
    is_rewired = by_input and explainer.rule is not Rule.PLAIN
    biases = int(Needs.BIAS_TERMS in needs)
    forwards = biases + (2 if is_rewired and needs & ~Needs.INPUT_GRADIENTS else 1)
    if needs & ~(Needs.QUERIES | Needs.HEAD_QUERIES) or not needs:
        yield _counted(forwards, "forward")
    if by_input or biases:
        yield _counted(by_input + biases, "backward")
    if Needs.ACTIVATION_GRADIENTS in needs and (is_rewired or not by_input):
        is_deep = Needs.STAGES in needs
        yield f"1 backward {'down to the shallowest layer' if is_deep else 'through the head'}"


def _asked(explainer: Explainer) -> Iterator[str]:
    """What the method asks for itself."""
    asks = explainer.needs & (Needs.QUERIES | Needs.HEAD_QUERIES)
    if not asks:
        return
    of = " of the head" if asks is Needs.HEAD_QUERIES else ""
    if explainer.queries is None:
        yield f"some queries{of}"
    else:
        yield f"{explainer.queries:,} {'query' if explainer.queries == 1 else 'queries'}{of}"


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
