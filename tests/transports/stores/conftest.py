"""Stores run on asyncio and on trio; uvloop is asyncio to them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

MEMORY = Path("/dev/shm")


@pytest.fixture(params=("asyncio", "trio"))
def backend(request: pytest.FixtureRequest) -> str:
    """The event loop that a test runs on."""
    return cast(str, request.param)


@pytest.fixture
def quick_path(tmp_path: Path) -> Iterator[Path]:
    """An empty folder in memory, where there is such a thing: syncing costs nothing there."""
    if not os.access(MEMORY, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        yield Path(folder)
