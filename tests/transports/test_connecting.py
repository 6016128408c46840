"""Connecting again and again leaves nothing behind."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from itertools import repeat

import anyio
import pytest

from support.loops import descriptors, running
from support.net import Net


@pytest.mark.parametrize("clock", [None, time.monotonic], ids=["the loop's", "one of its own"])
async def test_attempts_that_fail_leave_nothing_behind(
    net: Net, clock: Callable[[], float] | None
) -> None:
    """Whoever gives up waiting for a server has as many descriptors and tasks as before."""

    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    attempts = 0

    def judge(_: Exception) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 20:
            scope.cancel()

    before = descriptors(), len(running())
    with anyio.fail_after(5), anyio.CancelScope() as scope:
        async for _ in net.connect(
            f"ws://127.0.0.1:{port}/",
            clock=clock,
            process_exception=judge,
            proxy=None,
            reconnect_delays=lambda: repeat(0.001),
        ):
            raise AssertionError("there is a server")
    assert attempts == 20
    await anyio.wait_all_tasks_blocked()
    assert (descriptors(), len(running())) == before
