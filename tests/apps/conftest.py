"""Coroutines here are tests, on asyncio's own loop; the programs are processes of their own."""

from __future__ import annotations

import pytest

from support.certificates import Certificate, make_certificate
from support.loops import run_coroutine


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run coroutines."""
    return run_coroutine(pyfuncitem, "asyncio")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for localhost."""
    return make_certificate(tmp_path_factory.mktemp("tls"))
