"""One kit for all tests here: its models and what is compiled for them are shared."""

import pytest


@pytest.fixture(scope="session")
def kit():
    from xai_core.testing import Kit

    return Kit()
