"""Every error xai-core raises on purpose, under one root.

Each message says what was received, what was expected and what to do. The
command line prints the message alone and exits with the class's `exit_code`.
"""

from typing import ClassVar


class XaiError(Exception):
    """The root: catch this to catch everything raised on purpose."""

    exit_code: ClassVar[int] = 1


class UsageError(XaiError):
    """What was asked for does not exist or does not fit: nothing was run."""

    exit_code: ClassVar[int] = 2


class UnknownNameError(UsageError):
    """No explainer, adapter, metric, scheme or family carries the name asked for."""


class TargetError(UsageError):
    """A class that the model does not have, or a name that fits several."""


class LayerError(UsageError):
    """A layer that does not exist, is no cut of the graph, or has no spatial extent."""


class ParameterError(UsageError):
    """A parameter that an explainer or metric does not have, or a value it cannot take."""


class BudgetError(UsageError):
    """Too few queries for what is to be tested with them."""


class PictureError(XaiError):
    """A picture that cannot be read, or that does not fit the model."""


class ModelError(XaiError):
    """A model that cannot be loaded, built or given its weights."""


class SurgeryError(ModelError):
    """A model whose graph cannot be read or cut."""


class OutOfMemoryError(XaiError):
    """The device has no room for a pass over the model."""


class LabelsError(XaiError):
    """Class names that cannot be read or do not fit the model's outputs."""


class OutputError(XaiError):
    """A result that cannot be written where it was asked to be."""


class RegistryError(XaiError):
    """Plugins that contradict each other or the interfaces."""


class ExplainerError(XaiError):
    """An explainer that raised, or returned what is not a map."""


class MetricError(XaiError):
    """A metric that raised, or returned what is not a score; a map that cannot be scored."""


class UndeclaredNeedError(ExplainerError):
    """An explainer that read evidence it had not declared in its `needs`."""


def let_go(error: BaseException) -> None:
    """Drop the tracebacks of an error that is kept: they hold what every function had then.

    That is the arrays of a pass, and of whoever called. Where it was raised, the message says.
    """
    found: BaseException | None = error
    while found is not None:
        found.__traceback__ = None
        found = found.__cause__ or found.__context__
