"""Cancelling a coroutine at each moment at which it can be cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any

import trio

Function = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Outcome:
    """What became of a coroutine."""

    suspensions: int
    """How often it gave the loop a turn."""
    cancelled: bool
    """Whether it ended by being cancelled."""


class _Watched:
    """An awaitable that runs a coroutine and reports each time that it gives up control, or gets it back."""

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, None],
        suspends: Callable[[int, Any], None],
        resumes: Callable[[int], None],
    ) -> None:
        self._coroutine = coroutine
        self._suspends = suspends
        self._resumes = resumes
        self.count = 0

    def __await__(self) -> Generator[Any, Any, None]:
        answer: Any = None
        error: BaseException | None = None
        while True:
            try:
                if error is None:
                    asked = self._coroutine.send(answer)
                else:
                    asked = self._coroutine.throw(error)
            except StopIteration:
                return
            self.count += 1
            self._suspends(self.count, asked)
            answer, error = None, None
            try:
                answer = yield asked
            except BaseException as thrown:  # noqa: BLE001 - the coroutine gets it
                error = thrown
            else:
                self._resumes(self.count)


async def cancelled_at(number: int, function: Function, *, late: bool) -> Outcome:
    """Run a coroutine function and cancel it at its `number`th suspension.

    Args:
        number: which one, from 1.
        function: what to run.
        late: cancel when what it waits for has happened, and before it has heard of that. On trio
            that is told at the next checkpoint.
    """
    run = _on_trio if trio.lowlevel.in_trio_run() else _on_asyncio
    return await run(number, function, late)


async def _on_asyncio(number: int, function: Function, late: bool) -> Outcome:
    task = asyncio.current_task()
    assert task is not None

    def cancel(_: object = None) -> None:
        task.cancel()

    def suspends(count: int, asked: Any) -> None:
        if count != number:
            return
        if not late:
            cancel()
        elif asked is None:
            asyncio.get_running_loop().call_soon(cancel)
        else:
            # Called before the task's own callback, which is added when the task has suspended.
            asked.add_done_callback(cancel)

    watched = _Watched(function(), suspends, lambda _: None)
    try:
        await watched
    except asyncio.CancelledError:
        assert watched.count >= number, "cancelled by somebody else"
        task.uncancel()
        return Outcome(watched.count, cancelled=True)
    return Outcome(watched.count, cancelled=False)


async def _on_trio(number: int, function: Function, late: bool) -> Outcome:
    def suspends(count: int, asked: Any) -> None:
        if count == number and not late:
            scope.cancel()

    def resumes(count: int) -> None:
        if count == number and late:
            scope.cancel()

    watched = _Watched(function(), suspends, resumes)
    with trio.CancelScope() as scope:
        await watched
    return Outcome(watched.count, scope.cancelled_caught)
