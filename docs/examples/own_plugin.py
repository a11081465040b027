"""A plugin from `xai new-plugin`, tried before it is installed."""

import sys
from pathlib import Path

import xai_core as xai
import xai_core.demo
from xai_core.cli import main
from xai_core.testing import Kit

main(["new-plugin", "my-cam"])

sys.path.insert(0, str(Path("my-cam", "src").resolve()))
from my_cam.explainer import MyCam  # noqa: E402 - it is there only now

many = xai.Study().compare(
    xai_core.demo.cat_over_coffee(),
    ["grad-cam", MyCam(channels=4)],
    ["Egyptian cat", "espresso"],
)
many.save("own_plugin.png")

print("\n")
for finding in Kit().examine(MyCam()):
    print(f"{finding.law}: {finding.broken or 'ok'}")
