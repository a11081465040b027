"""With other parameters than the defaults, metrics keep to the laws as well."""

import pytest

from xai_core.testing import Kit, check_metric
from xai_plugins.metrics import GridPointingGame, MaxSensitivity, PointingGame, Stability


@pytest.fixture(scope="module")
def kit():
    return Kit()


@pytest.mark.parametrize(
    "metric",
    [
        PointingGame(tolerance=0),
        PointingGame(tolerance=3),
        GridPointingGame(side=3),
        MaxSensitivity(samples=1, radius=40.0),
        Stability(shift=1, quality=95),
        Stability(shift=2, quality=30),
    ],
    ids=str,
)
def test_they_conform(kit, metric):
    check_metric(metric, kit)
