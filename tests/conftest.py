"""The environment of every test, set before anything imports TensorFlow."""

import os

import pytest

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["MPLBACKEND"] = "Agg"


@pytest.fixture(scope="session")
def registry():
    """The built-in plugins, registered by hand: nothing depends on what is installed."""
    import xai_plugins
    from xai_core.registry import Plugin, Registry, Source

    return Registry([Plugin(Source("xai-core", "0"), xai_plugins)])
