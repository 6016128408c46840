"""Stores run on asyncio and on trio; uvloop is asyncio to them."""

from __future__ import annotations

from typing import cast

import pytest


@pytest.fixture(params=("asyncio", "trio"))
def backend(request: pytest.FixtureRequest) -> str:
    """The event loop that a test runs on."""
    return cast(str, request.param)
