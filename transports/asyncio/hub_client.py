"""`connect_hub(uri)` on asyncio."""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context

from ..client import BaseConnect
from ..driver import Clock, Driver
from ..hub_client import BaseRemoteHub
from .client import connect
from .driver import driver_of_loop

__all__ = ["RemoteHub", "connect_hub"]


class RemoteHub(BaseRemoteHub):
    """A client of a hub on asyncio; the arguments are those of `BaseRemoteHub`. `connect_hub` is another
    name for it.
    """

    def _make_driver(self, clock: Clock | None) -> Driver:
        return driver_of_loop(clock)

    def _make_connect(self) -> BaseConnect:
        return connect(self._uri, **self._connecting)

    def _spawn(
        self, function: Callable[[], Awaitable[None]], context: Context, ended: Callable[[], None]
    ) -> Callable[[], object]:
        loop = asyncio.get_running_loop()
        task: asyncio.Task[None] = loop.create_task(function(), context=context)  # type: ignore[arg-type]
        task.add_done_callback(lambda _: ended())
        return task.cancel

    async def _finish(self, function: Callable[[], Awaitable[None]]) -> None:
        await asyncio.shield(function())


connect_hub = RemoteHub
