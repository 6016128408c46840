"""Coroutines as tests: each gets a fresh event loop and a deadline, and must leave nothing behind."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import pytest
import uvloop

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

LOOPS: Mapping[str, LoopFactory] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}

DEADLINE = 30.0
"""Seconds for one test: only a test that hangs comes near it."""

ENDING = 5.0
"""Seconds in which the tasks of a test must have ended after it."""


def run_coroutine(item: pytest.Function, loop_factory: LoopFactory) -> bool | None:
    """Run a test that is a coroutine function; leave any other to pytest.

    It fails if a callback or a forgotten task raised, or if a task is left running.
    """
    function = item.obj
    if not inspect.iscoroutinefunction(function):
        return None
    arguments = {name: item.funcargs[name] for name in inspect.signature(function).parameters}
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_alone(function(**arguments)))
    return True


async def _alone(test: Coroutine[Any, Any, None]) -> None:
    raised: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
    async with asyncio.timeout(DEADLINE):
        await test
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        _, running = await asyncio.wait(others, timeout=ENDING)
        assert not running, f"left running: {running}"
    assert not raised, raised


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something holds that nothing announces; look again every few milliseconds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - there is no event
            await asyncio.sleep(0.005)
