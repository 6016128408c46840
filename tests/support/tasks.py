"""What a test needs beside anyio: a queue without an end, and a task that is cancelled by itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import anyio
from anyio.abc import TaskGroup

T = TypeVar("T")


class Mailbox(Generic[T]):
    """What a handler leaves for its test. One task may wait for it at a time."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._came = anyio.Event()

    def put(self, item: T) -> None:
        """Leave something, without waiting."""
        self._items.append(item)
        self._came.set()

    async def get(self) -> T:
        """Wait for the next thing and take it."""
        while not self._items:
            self._came = anyio.Event()
            await self._came.wait()
        return self._items.popleft()


class WasCancelled(Exception):
    """The task that was waited for has been cancelled."""


class Task(Generic[T]):
    """A coroutine in a task of its own, whose end and outcome others may ask for.

    What it raises, it raises from `wait`, and not into its task group.
    """

    def __init__(self, group: TaskGroup, function: Callable[..., Awaitable[T]], *args: Any) -> None:
        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()
        self._outcome: Callable[[], T] = self._cancelled
        group.start_soon(self._run, function, args)

    async def _run(self, function: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> None:
        try:
            with self._scope:
                result = await function(*args)
                self._outcome = lambda: result
        except Exception as error:  # noqa: BLE001 - `wait` raises it again
            self._error = error
            self._outcome = self._raise
        finally:
            self._ended.set()

    def _cancelled(self) -> T:
        raise WasCancelled

    def _raise(self) -> T:
        raise self._error

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._ended.is_set()

    def cancel(self) -> None:
        """Cancel it, and nothing else."""
        self._scope.cancel()

    async def wait(self) -> T:
        """Wait for its end; what it returned.

        Raises:
            WasCancelled: it was cancelled.
            Exception: what it raised.
        """
        await self._ended.wait()
        return self._outcome()
