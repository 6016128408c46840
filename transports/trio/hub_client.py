"""`connect_hub(uri)` on trio."""

from collections.abc import Awaitable, Callable
from contextvars import Context

import trio

from ..client import BaseConnect
from ..driver import Clock, Driver
from ..hub_client import BaseRemoteHub
from .client import connect
from .driver import driver_of_loop

__all__ = ["RemoteHub", "connect_hub"]


class RemoteHub(BaseRemoteHub):
    """A client of a hub on trio; the arguments are those of `BaseRemoteHub`. `connect_hub` is another
    name for it.

    It needs no nursery. What connects and fetches tokens runs in system tasks, which end with the block.
    """

    def _make_driver(self, clock: Clock | None) -> Driver:
        return driver_of_loop(clock)

    def _make_connect(self) -> BaseConnect:
        return connect(self._uri, **self._connecting)

    def _spawn(
        self, function: Callable[[], Awaitable[None]], context: Context, ended: Callable[[], None]
    ) -> Callable[[], object]:
        scope = trio.CancelScope()

        async def run() -> None:
            try:
                with scope:
                    await function()
            finally:
                ended()

        trio.lowlevel.spawn_system_task(run, context=context)
        return scope.cancel

    async def _finish(self, function: Callable[[], Awaitable[None]]) -> None:
        with trio.CancelScope(shield=True):
            await function()


connect_hub = RemoteHub
