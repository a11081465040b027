"""A report: one self-contained HTML file with every map, to be opened from disk."""

from pathlib import Path

import xai_core as xai
import xai_core.demo

many = xai.Study().compare(
    xai_core.demo.cat_over_coffee(),
    ["grad-cam", "grad-cam++", "saliency"],
    ["Egyptian cat", "espresso"],
)
many.save("report.html")
print(f"{len(many)} maps in {Path('report.html').stat().st_size / 1e6:.1f} MB")
