"""The conformance kit: holds explainers, adapters and metrics to the laws they are under.

One line in a plugin's own tests is enough: `check_explainer(MyMethod())`.
"""

from xai_core.testing.findings import ConformanceError, Finding
from xai_core.testing.kit import Kit, check_adapter, check_explainer, check_metric
from xai_core.testing.models import TINY_MODELS

__all__ = [
    "TINY_MODELS",
    "ConformanceError",
    "Finding",
    "Kit",
    "check_adapter",
    "check_explainer",
    "check_metric",
]
