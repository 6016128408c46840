"""How a server of any kind begins and ends on trio."""

import socket as stdlib_socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, ClassVar, Self, cast

import trio

from ..driver import Clock, Driver
from ..server_life import ServerLife
from .driver import driver_of_loop

__all__ = ["TrioServerLife"]


class TrioServerLife(ServerLife):
    """Its tasks run in a nursery of its own. Use it as `async with …`, or start its `run`."""

    _shields_tasks: ClassVar[bool] = False
    """Whether tasks go on while the server ends, though its block was cancelled."""

    _manager: AbstractAsyncContextManager[trio.Nursery]
    _nursery: trio.Nursery
    _hosted: trio.Nursery | None = None

    def _make_driver(self, clock: Clock | None) -> Driver:
        return driver_of_loop(clock)

    async def _resolve(self, host: str | None, port: int) -> list[Any]:
        return await trio.socket.getaddrinfo(
            host,
            port,
            family=self._family,
            type=stdlib_socket.SOCK_STREAM,
            flags=stdlib_socket.AI_PASSIVE,
        )

    def _spawn(self, function: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        assert self._hosted is not None
        self._hosted.start_soon(function, *arguments)

    def _spawn_shut_down(self, function: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        self._nursery.start_soon(self._finish, function, *arguments)

    async def _finish(self, function: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        with trio.CancelScope(shield=True):
            await function(*arguments)

    def _cancel_tasks(self) -> None:
        if self._hosted is not None:
            self._hosted.cancel_scope.cancel()

    async def _host(
        self, *, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED
    ) -> None:
        """A nursery of the tasks' own, so that they can be cancelled without the user's block."""
        async with trio.open_nursery() as self._hosted:
            self._hosted.cancel_scope.shield = self._shields_tasks
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self.close()  # cancelled from outside: no task can run any more

    async def serve_forever(self) -> None:
        """Wait until the server is closed; if cancelled, close it."""
        self._check_started()
        self._accept()
        try:
            await self.wait_closed()
        finally:
            await self._close_now()

    async def _close_now(self) -> None:
        with trio.CancelScope(shield=True):
            self.close()
            await self.wait_closed()

    async def run(self, *, task_status: "trio.TaskStatus[Any]" = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled or closed: `server = await nursery.start(serve(…).run)`."""
        async with self:
            task_status.started(self)
            await self.serve_forever()

    async def __aenter__(self) -> Self:
        """Start to listen; the server itself."""
        self._check_new()
        self._manager = trio.open_nursery()
        self._nursery = await self._manager.__aenter__()
        try:
            await self._nursery.start(self._host)
            await self._listen()
        except BaseException as error:
            await self._leave(error)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """Close it, and wait until that is done."""
        await self._close_now()
        self._nursery.cancel_scope.cancel()
        return await self._leave(error)

    async def _leave(self, error: BaseException | None) -> bool | None:
        """Leave the nursery. Nobody outside knows of it, so an error leaves as it came."""
        self._cancel_tasks()
        kind = None if error is None else type(error)
        try:
            return await self._manager.__aexit__(
                kind, error, None if error is None else error.__traceback__
            )
        except BaseExceptionGroup as group:
            raised = _alone(group)
            if raised is error:
                return False
            if raised is group:
                raise
            raise raised from None


def _alone(group: "BaseExceptionGroup[BaseException]") -> BaseException:
    """What a group, and groups in it, hold, if that is one exception."""
    error = group.exceptions[0]
    if len(group.exceptions) > 1:
        return group
    if not isinstance(error, BaseExceptionGroup):
        return error
    return _alone(cast("BaseExceptionGroup[BaseException]", error))
