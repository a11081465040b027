"""xai-core: an explainability workbench for Keras 3 image classifiers.

The names below are the public ones. Each is imported when it is first used, so
that `import xai_core` and `xai --help` do not wait for TensorFlow.
"""

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from xai_core.backends import check

if TYPE_CHECKING:
    from xai_core.across_models import compare
    from xai_core.disagreement import Disagreement
    from xai_core.discovery import (
        explainer,
        list_adapters,
        list_explainers,
        list_metrics,
        metric,
    )
    from xai_core.errors import XaiError
    from xai_core.evaluation import Evaluation
    from xai_core.evidence import Attribution, Evidence
    from xai_core.hookspecs import hookimpl
    from xai_core.images import read_picture
    from xai_core.interfaces import Explainer, Metric, ModelAdapter
    from xai_core.laws import Law
    from xai_core.masks import Box
    from xai_core.metrics import Curve, Score, Trial
    from xai_core.needs import Needs
    from xai_core.placement import devices
    from xai_core.preprocessing import Preprocessing
    from xai_core.registry import Registry
    from xai_core.study import Study
    from xai_core.surgery import FeatureLayer
    from xai_core.surgery.rewire import Rule
    from xai_core.trust import Trust, Verdict
    from xai_core.types import Comparison, Explanation, Prediction, Target

_HOMES = {
    "Attribution": "evidence",
    "Box": "masks",
    "Comparison": "types",
    "Curve": "metrics",
    "Disagreement": "disagreement",
    "Evaluation": "evaluation",
    "Evidence": "evidence",
    "Explainer": "interfaces",
    "Explanation": "types",
    "FeatureLayer": "surgery",
    "Law": "laws",
    "Metric": "interfaces",
    "ModelAdapter": "interfaces",
    "Needs": "needs",
    "Prediction": "types",
    "Preprocessing": "preprocessing",
    "Registry": "registry",
    "Rule": "surgery.rewire",
    "Score": "metrics",
    "Study": "study",
    "Target": "types",
    "Trial": "metrics",
    "Trust": "trust",
    "Verdict": "trust",
    "XaiError": "errors",
    "compare": "across_models",
    "devices": "placement",
    "explainer": "discovery",
    "hookimpl": "hookspecs",
    "list_adapters": "discovery",
    "list_explainers": "discovery",
    "list_metrics": "discovery",
    "metric": "discovery",
    "read_picture": "images",
}

__all__ = [
    "Attribution",
    "Box",
    "Comparison",
    "Curve",
    "Disagreement",
    "Evaluation",
    "Evidence",
    "Explainer",
    "Explanation",
    "FeatureLayer",
    "Law",
    "Metric",
    "ModelAdapter",
    "Needs",
    "Prediction",
    "Preprocessing",
    "Registry",
    "Rule",
    "Score",
    "Study",
    "Target",
    "Trial",
    "Trust",
    "Verdict",
    "XaiError",
    "__version__",
    "compare",
    "devices",
    "explainer",
    "hookimpl",
    "list_adapters",
    "list_explainers",
    "list_metrics",
    "metric",
    "read_picture",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("xai-core")
    if name in _HOMES:
        check()
        return getattr(importlib.import_module(f"xai_core.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'xai_core' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
