"""Which framework Keras runs on: chosen in time, or a clear error."""

import os
import subprocess
import sys
from importlib.resources import files

import keras
import pytest

from xai_core import backends
from xai_core.errors import UsageError

RUNNING = keras.backend.backend()
OTHER = next(each for each in backends.BACKENDS if each != RUNNING)


def test_an_unknown_backend_is_refused():
    with pytest.raises(
        UsageError, match="received backend 'theano'; expected one of tensorflow, jax"
    ):
        backends.choose("theano")


def test_a_backend_that_is_not_installed_is_refused(monkeypatch):
    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    with pytest.raises(
        UsageError,
        match=r"needs the package jax, which is not installed; .* pip install 'xai-core\[jax\]'",
    ):
        backends.choose("jax")


def test_another_backend_than_the_one_that_runs_is_refused(monkeypatch):
    monkeypatch.setattr(backends, "find_spec", lambda name: name)
    with pytest.raises(
        UsageError,
        match=f"Keras runs on '{RUNNING}' since it was first imported; .* KERAS_BACKEND=",
    ):
        backends.choose(OTHER)


def test_the_one_that_runs_is_fine():
    before = os.environ.get(backends.VARIABLE)
    try:
        backends.choose(RUNNING)
        assert os.environ[backends.VARIABLE] == RUNNING
    finally:
        os.environ.pop(backends.VARIABLE, None)
        if before is not None:
            os.environ[backends.VARIABLE] = before


def python(program, **environment):
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_environment_is_held_to_what_there_is():
    done = python("import xai_core; xai_core.Study", KERAS_BACKEND="theano")
    assert done.returncode == 1
    assert "UsageError: received backend 'theano'; expected one of" in done.stderr
    # Nothing is wrong until something is needed.
    assert python("import xai_core", KERAS_BACKEND="theano").returncode == 0


@pytest.mark.parametrize("given", [["--backend", "theano"], []], ids=["option", "environment"])
def test_on_the_command_line_it_is_an_error_without_a_traceback(given):
    environment = {} if given else {"KERAS_BACKEND": "theano"}
    picture = files("xai_core.demo").joinpath("chelsea.png")
    arguments = ["predict", str(picture), *given]
    program = (
        f"import sys; from xai_core.cli import main; sys.argv[1:] = {arguments!r}; sys.exit(main())"
    )
    done = python(program, **environment)
    assert done.returncode == 2
    assert "theano" in done.stderr
    assert "Traceback" not in done.stderr
