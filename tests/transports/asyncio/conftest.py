"""Every coroutine here is a test, and runs on each event loop."""

from __future__ import annotations

from typing import cast

import pytest

from support.certificates import Certificate, make_certificate
from support.loops import LOOPS, run_coroutine


@pytest.fixture(params=LOOPS, autouse=True)
def loop_name(request: pytest.FixtureRequest) -> str:
    """The event loop that a test runs on."""
    return cast(str, request.param)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run coroutines."""
    return run_coroutine(pyfuncitem, LOOPS[str(pyfuncitem.funcargs["loop_name"])])


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for localhost."""
    return make_certificate(tmp_path_factory.mktemp("tls"))
