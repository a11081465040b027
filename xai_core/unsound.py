"""What stands in the place of a method that cannot say what it is: anyone's code may raise."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from xai_core.errors import ExplainerError
from xai_core.evidence import Evidence
from xai_core.interfaces import Explainer
from xai_core.needs import Needs
from xai_core.parameters import parameters
from xai_core.registry import Registry
from xai_core.surgery.rewire import Rule
from xai_core.typing import Tensor

_SAID: Mapping[str, type] = MappingProxyType(
    {"needs": Needs, "rule": Rule, "signed": bool, "poles": tuple, "traceable": bool}
)
"""What a method says of itself before it is run."""


@dataclass(frozen=True)
class Unsound(Explainer):
    """Fails in the cells of the method that it stands for, and in no others."""

    name: str  # type: ignore[misc]  # of whatever it stands for
    source: str
    error: ExplainerError
    needs: ClassVar[Needs] = Needs.NOTHING

    def explain(self, evidence: Evidence) -> Tensor:
        """Say why."""
        raise self.error


def sound(explainer: Explainer, registry: Registry) -> Explainer:
    """The explainer; where it cannot say what it needs and is, what stands in its place."""
    try:
        parameters(explainer)
        said = {name: getattr(explainer, name) for name in _SAID}
    except (Exception, SystemExit) as error:  # noqa: BLE001 - anyone's code
        return _unsound(explainer, registry, f"raised {type(error).__name__}: {error}")
    for name, value in said.items():
        if not isinstance(value, _SAID[name]):
            told = f"says {name} = {value!r}; expected a {_SAID[name].__name__}"
            return _unsound(explainer, registry, told)
    return explainer


def _unsound(explainer: Explainer, registry: Registry, told: str) -> Unsound:
    source = str(registry.source_of(explainer))
    error = ExplainerError(f"explainer {explainer.name!r} of {source} {told}")
    return Unsound(explainer.name, source, error)
