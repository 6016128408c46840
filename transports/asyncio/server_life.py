"""How a server of any kind begins and ends on asyncio."""

import asyncio
import socket as stdlib_socket
from collections.abc import Awaitable, Callable, Generator
from types import TracebackType
from typing import Any, Self

from ..driver import Clock, Driver
from ..server_life import ServerLife
from .driver import driver_of_loop

__all__ = ["AsyncioServerLife"]


class AsyncioServerLife(ServerLife):
    """Its tasks are asyncio's. Use it as `async with …`, or await it."""

    def _make_driver(self, clock: Clock | None) -> Driver:
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None
        return driver_of_loop(clock)

    async def _resolve(self, host: str | None, port: int) -> list[Any]:
        loop = asyncio.get_running_loop()
        return await loop.getaddrinfo(
            host,
            port,
            family=self._family,
            type=stdlib_socket.SOCK_STREAM,
            flags=stdlib_socket.AI_PASSIVE,
        )

    def _spawn(self, function: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        task: asyncio.Task[None] = self._loop.create_task(function(*arguments))  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _spawn_shut_down(self, function: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        self._closing = self._loop.create_task(function(*arguments))  # type: ignore[arg-type]

    async def _finish(self, function: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        await asyncio.shield(function(*arguments))

    def _cancel_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that it runs on."""
        return self._loop

    async def serve_forever(self) -> None:
        """Wait until the server is closed; if cancelled, close it."""
        self._check_started()
        self._accept()
        try:
            await self.wait_closed()
        except asyncio.CancelledError:
            self.close()
            await self.wait_closed()
            raise

    async def _start(self) -> Self:
        # After `await serve(…)` it may be entered too.
        if self._driver is None or self._shut_down is not None:
            await self._listen()
        return self

    def __await__(self) -> Generator[Any, None, Self]:
        """Start to listen; the server itself."""
        return self._start().__await__()

    async def __aenter__(self) -> Self:
        """Start to listen; the server itself."""
        return await self._start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it, and wait until that is done."""
        self.close()
        await self.wait_closed()
