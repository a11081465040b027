"""The environment of every test, set before anything imports TensorFlow."""

import os

import pytest

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["MPLBACKEND"] = "Agg"
if os.environ.get("KERAS_BACKEND") == "jax":
    # Each test compiles programs of its own and runs them once or twice: JAX takes three quarters
    # of the time to make them fast.
    os.environ.setdefault(
        "XLA_FLAGS",
        "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",
    )


@pytest.fixture(scope="session")
def registry():
    """The built-in plugins, registered by hand: nothing depends on what is installed."""
    import xai_plugins
    from xai_core.registry import Plugin, Registry, Source

    return Registry([Plugin(Source("xai-core", "0"), xai_plugins)])


@pytest.fixture(scope="session", autouse=True)
def precise():
    """What a test computes by itself is as exact as a study is: float64 stays float64."""
    from xai_core.probe import backend

    with backend().precise():
        yield


@pytest.fixture(scope="module", autouse=True)
def room():
    """JAX keeps what it compiled: gigabytes, after the whole suite."""
    yield
    if os.environ.get("KERAS_BACKEND") == "jax":
        import jax

        jax.clear_caches()


def pytest_collection_modifyitems(items):
    """Leave out what a backend does not have."""
    import keras

    name = keras.backend.backend()
    left_out = {
        "tensorflow": "tensorflow",
        "torch": "torch",
        "jax": "jax",
        "compiles": "tensorflow and jax",
        "bounds": "tensorflow and torch",
        "backwards": "tensorflow and jax",
    }
    for item in items:
        for mark, needed in left_out.items():
            if item.get_closest_marker(mark) and name not in needed.split(" and "):
                item.add_marker(pytest.mark.skip(f"needs {needed}, and Keras runs on {name}"))
