"""Coroutines here are tests. Those that take `net` or `backend` run on each event loop."""

from __future__ import annotations

from typing import cast

import pytest

from support.loops import BACKENDS, run_coroutine
from support.net import Net, adapter


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The event loop that a test runs on."""
    return cast(str, request.param)


@pytest.fixture
def net(backend: str) -> Net:
    """The adapter for it."""
    return adapter(backend)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run coroutines; on asyncio's own loop, if none is asked for."""
    return run_coroutine(pyfuncitem, str(pyfuncitem.funcargs.get("backend", "asyncio")))
