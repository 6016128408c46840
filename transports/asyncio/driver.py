"""What all connections of one event loop share: a read buffer, one timer, one flush at a turn's end."""

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from ...core.timeouts import Deadlines

if TYPE_CHECKING:
    from .protocol import LinkProtocol

__all__ = ["Driver"]

logger = logging.getLogger("hubbub.server")

READ_SIZE: Final = 65536
"""The most that one read takes from a socket, in bytes."""


class Driver:
    """Drives many links with one timer and one flush.

    A link that has something to do is marked; all that were marked in one turn of the loop are flushed
    together at its end, so what several tasks send to one peer leaves in one system call, and a message
    to a thousand peers schedules one callback.

    Args:
        loop: the event loop of every link of this driver.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        # Not the loop's time, which uvloop keeps in whole milliseconds: too coarse for latencies.
        self.now = time.monotonic
        # Reads are copied out before the next callback runs, so one buffer serves every connection.
        self.buffer = memoryview(bytearray(READ_SIZE))
        self._deadlines: Deadlines[LinkProtocol] = Deadlines()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._dirty: list[LinkProtocol] = []

    def mark(self, protocol: "LinkProtocol") -> None:
        """Flush this link at the end of the loop's turn."""
        if not protocol.marked:
            protocol.marked = True
            self._dirty.append(protocol)
            if len(self._dirty) == 1:
                self.loop.call_soon(self._flush)

    def reschedule(self, protocol: "LinkProtocol") -> None:
        """Note when this link wants to be called."""
        self._deadlines.set(protocol, protocol.link.next_timeout())
        self._arm()

    def forget(self, protocol: "LinkProtocol") -> None:
        """This link's socket is gone."""
        self._deadlines.set(protocol, None)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        now = self.now()
        for protocol in dirty:
            protocol.marked = False
            try:
                protocol.flush(now)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is one connection's
                self._give_up(protocol, error)
            self._deadlines.set(protocol, protocol.next_timeout())
        self._arm()

    def _arm(self) -> None:
        at = self._deadlines.next()
        if self._timer is not None:
            if at is not None and self._timer_at <= at:
                return  # it fires early at worst, and is armed anew then
            self._timer.cancel()
            self._timer = None
        if at is not None:
            self._timer_at = at
            self._timer = self.loop.call_later(at - self.now(), self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = self.now()
        # A loop may fire a little early; what is due within its resolution is due now.
        for protocol in self._deadlines.due(now + 1e-3):
            try:
                protocol.link.handle_timeout(max(now, protocol.next_timeout() or now))
                protocol.changed()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is one connection's
                self._give_up(protocol, error)
        self._arm()

    def _give_up(self, protocol: "LinkProtocol", error: Exception) -> None:
        """Something that must not raise has: this one socket is dropped, the others are served."""
        logger.error("a connection is dropped after an internal error", exc_info=error)
        if protocol.transport is not None:
            protocol.transport.abort()
