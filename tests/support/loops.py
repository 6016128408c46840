"""Coroutines as tests, on each event loop: a fresh one for each test, with a deadline, left empty."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio
import uvloop

Test = Callable[[], Coroutine[Any, Any, None]]

BACKENDS = ("asyncio", "uvloop", "trio")
"""What every test of an adapter runs on."""

ASYNCIO_LOOPS: Mapping[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}

DEADLINE = 60.0
"""Seconds for one test: only a test that hangs comes near it."""

ENDING = 5.0
"""Seconds in which the tasks of a test must have ended after it."""


def run_coroutine(item: pytest.Function, backend: str) -> bool | None:
    """Run a test that is a coroutine function; leave any other to pytest."""
    function = item.obj
    if not inspect.iscoroutinefunction(function):
        return None
    arguments = {name: item.funcargs[name] for name in inspect.signature(function).parameters}
    run(backend, partial(function, **arguments))
    return True


def run(backend: str, test: Test, *, deadline: float = DEADLINE, ending: float = ENDING) -> None:
    """Run a coroutine function on a fresh loop.

    It fails if a callback or a forgotten task raised, or if a task is left running. On trio the first
    ends the whole run by itself, since there everything belongs to a nursery.
    """
    if backend == "trio":
        trio.run(_on_trio, test, deadline, ending)
    else:
        with asyncio.Runner(loop_factory=ASYNCIO_LOOPS[backend]) as runner:
            runner.run(_on_asyncio(test, deadline, ending))


async def _on_asyncio(test: Test, deadline: float, ending: float) -> None:
    raised: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
    async with asyncio.timeout(deadline):
        await test()
    others = running() - {asyncio.current_task()}
    if others:
        _, late = await asyncio.wait(others, timeout=ending)
        assert not late, f"left running: {late}"
    assert not raised, raised


async def _on_trio(test: Test, deadline: float, ending: float) -> None:
    before = running()
    with trio.fail_after(deadline):
        await test()
    with trio.move_on_after(ending):
        while running() - before:  # noqa: ASYNC110 - nothing tells of the end of another's task
            await trio.sleep(0.005)
    late = running() - before
    assert not late, f"left running: {late}"


def running() -> set[Any]:
    """Every task of this loop, this one and the loop's own among them."""
    if not trio.lowlevel.in_trio_run():
        return set(asyncio.all_tasks())
    found: set[Any] = set()
    ahead = [trio.lowlevel.current_root_task()]
    while ahead:
        task = ahead.pop()
        if task is not None:
            found.add(task)
            ahead += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return found


def descriptors() -> int:
    """How many files and sockets this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something holds that nothing announces; look again every few milliseconds."""
    with anyio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - there is no event
            await anyio.sleep(0.005)
