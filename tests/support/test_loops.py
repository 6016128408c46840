"""What runs the tests of the adapters finds what they leave behind, on each loop."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest
import trio

from support.loops import ASYNCIO_LOOPS, BACKENDS, run

every = pytest.mark.parametrize("backend", BACKENDS)


@every
def test_each_loop_is_the_real_one_and_fresh(backend: str) -> None:
    """A backend is what its name says, and two tests never share a loop."""
    seen: list[Any] = []

    async def look() -> None:
        if backend == "trio":
            seen.append(trio.lowlevel.current_root_task())
        else:
            seen.append(asyncio.get_running_loop())
            assert type(seen[-1]).__module__.partition(".")[0] == backend

    run(backend, look)
    run(backend, look)
    assert seen[0] is not seen[1]


@every
def test_a_test_that_hangs_fails(backend: str) -> None:
    """At its deadline."""
    with pytest.raises((TimeoutError, trio.TooSlowError)):
        run(backend, anyio.sleep_forever, deadline=0.05)


@every
def test_a_task_that_is_left_running_fails(backend: str) -> None:
    """It is given a moment to end; then the test has failed."""
    kept = set()

    async def leave(seconds: float) -> None:
        if backend == "trio":
            trio.lowlevel.spawn_system_task(trio.sleep, seconds)
        else:
            kept.add(asyncio.create_task(asyncio.sleep(seconds)))

    run(backend, lambda: leave(0.01), ending=5)
    with pytest.raises(AssertionError, match="left running"):
        run(backend, lambda: leave(60), ending=0.05)


@pytest.mark.parametrize("backend", ASYNCIO_LOOPS)
def test_a_callback_that_raises_fails(backend: str) -> None:
    """So does a task that nobody has awaited, and that failed."""

    async def call() -> None:
        asyncio.get_running_loop().call_soon(divmod, 1, 0)
        await asyncio.sleep(0)

    async def forget() -> None:
        task = asyncio.create_task(asyncio.to_thread(divmod, 1, 0))
        await asyncio.wait([task])

    for test in (call, forget):
        with pytest.raises(AssertionError, match="ZeroDivisionError"):
            run(backend, test)
