"""The driver of asyncio's event loops, uvloop's among them."""

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from typing import Any
from weakref import WeakKeyDictionary, ref

from ..driver import Clock, Driver, Event

__all__ = ["AsyncioDriver", "driver_of_loop"]


class AsyncioDriver(Driver):
    """Lets one loop serve sockets: one reader, one callback at the end of a turn, one timer."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        super().__init__(clock)
        self.loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self.promise = loop.create_future  # type: ignore[method-assign]  # it is that, without a call
        loop.add_reader(self._poller.fileno(), self._poll)

    def _flush_soon(self) -> None:
        self.loop.call_soon(self._flush)

    def _set_alarm(self, at: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if at is not None:
            self._timer = self.loop.call_later(at - self.now(), self._expire)

    def _stop(self) -> None:
        self.loop.remove_reader(self._poller.fileno())
        known = _drivers.get(self.loop)
        if known is not None and known() is self:
            del _drivers[self.loop]

    def promise(self) -> "asyncio.Future[Any]":
        """A future."""
        return self.loop.create_future()

    def event(self) -> Event:
        """An event."""
        return asyncio.Event()

    async def checkpoint(self) -> None:
        """Let other tasks run."""
        await asyncio.sleep(0)

    async def checkpoint_if_cancelled(self) -> None:
        """A task is cancelled where it waits, and nowhere else."""

    def fail_after(self, seconds: float | None) -> AbstractAsyncContextManager[object]:
        """A timeout."""
        return asyncio.timeout(seconds)


_drivers: "WeakKeyDictionary[asyncio.AbstractEventLoop, ref[AsyncioDriver]]" = WeakKeyDictionary()


def driver_of_loop(clock: Clock | None) -> AsyncioDriver:
    """The running loop's driver, shared by all that use it; one of its own for each clock."""
    loop = asyncio.get_running_loop()
    if clock is not None:
        return AsyncioDriver(loop, clock)
    known = _drivers.get(loop)
    found = None if known is None else known()
    if found is None or found.stopped:
        # Not the loop's time, which uvloop keeps in whole milliseconds: too coarse for latencies.
        found = AsyncioDriver(loop, time.monotonic)
        _drivers[loop] = ref(found)  # the loop's reader keeps it, and it the loop, as a cycle
    return found
