"""Every coroutine here is a test, and runs on each event loop with the adapter for it."""

from __future__ import annotations

from typing import cast

import pytest

from support.certificates import Certificate, make_certificate
from support.loops import BACKENDS, run_coroutine
from support.net import Net, adapter


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The event loop that a test runs on. A test of one alone says so by `parametrize`."""
    return cast(str, request.param)


@pytest.fixture
def net(backend: str) -> Net:
    """The adapter for it."""
    return adapter(backend)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run coroutines, each of which takes `net` or `backend`."""
    return run_coroutine(pyfuncitem, str(pyfuncitem.funcargs.get("backend")))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for localhost."""
    return make_certificate(tmp_path_factory.mktemp("tls"))
