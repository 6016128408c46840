"""The half of the asyncio adapter that owns a socket and drives a link. It decides nothing."""

import asyncio
from collections.abc import Callable
from typing import Final, cast

from ...core.link import LINGER, End, Link
from .driver import Driver

__all__ = ["LinkProtocol"]

OPENING_READ_SIZE: Final = 16384
"""Reads are small until the handshake is done: nobody needs more for it."""

HIGH_WATER: Final = 65536
"""Bytes in the transport's own buffer above which nothing more is taken from the link."""


class LinkProtocol(asyncio.BufferedProtocol):
    """Moves bytes and time between one transport and one link.

    Args:
        driver: shared by all links of the loop.
        make_link: called with the time when the connection is made.
        on_change: called after the link may have events.
    """

    def __init__(
        self,
        driver: Driver,
        make_link: Callable[[float], Link],
        on_change: Callable[["LinkProtocol"], None],
    ) -> None:
        self._driver = driver
        self._make_link = make_link
        self._on_change = on_change
        self._writable = True
        self._reading = True
        self._half_closed = False
        self._linger: asyncio.TimerHandle | None = None
        self.marked = False
        """Whether the driver will flush this link at the end of the turn."""
        self.opened = False
        """Set by the owner when the handshake is done."""
        self.transport: asyncio.Transport | None = None
        self.link: Link

    # asyncio's callbacks.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A socket was accepted, and TLS is done."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=HIGH_WATER)
        self.link = self._make_link(self._driver.now())
        self._on_change(self)
        self._driver.reschedule(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next read goes."""
        buffer = self._driver.buffer
        return buffer if self.opened else buffer[:OPENING_READ_SIZE]

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes arrived."""
        self.link.receive_data(bytes(self._driver.buffer[:nbytes]), self._driver.now())
        self.changed()

    def eof_received(self) -> bool:
        """The peer ended its stream."""
        self.link.receive_eof(self._driver.now())
        self.changed()
        # True keeps the sending side open, for answers; TLS has no half-closed state.
        return self.transport is not None and self.transport.can_write_eof()

    def pause_writing(self) -> None:
        """The transport's buffer is above its high-water mark."""
        self._writable = False

    def resume_writing(self) -> None:
        """It has drained."""
        self._writable = True
        self._driver.mark(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        if self._linger is not None:
            self._linger.cancel()
        self.transport = None
        self.link.connection_lost(self._driver.now())
        self._driver.forget(self)
        self._on_change(self)

    # For the driver and the owner.

    @property
    def paused(self) -> bool:
        """Whether reading has stopped."""
        return not self._reading

    def changed(self) -> None:
        """The link was given something: hand on its events, then flush at the end of the turn."""
        self._on_change(self)
        self._driver.mark(self)

    def next_timeout(self) -> float | None:
        """When the link wants to be called; None once the socket is gone."""
        return None if self.transport is None else self.link.next_timeout()

    def flush(self, now: float) -> None:
        """Write what the link has, then do to the socket what the link wants."""
        transport, link = self.transport, self.link
        if transport is None:
            return
        if not self._writable:
            link.handle_timeout(now)  # it tells the link the time, as `data_to_send` would
        while self._writable:
            data = link.data_to_send(now)
            if data:
                transport.write(data[0] if len(data) == 1 else b"".join(data))
            if not link.wants_write:
                break
        if link.wants_read is not self._reading:
            self._reading = not self._reading
            if self._reading:
                transport.resume_reading()
            else:
                transport.pause_reading()
        end = link.end
        if end is not None:
            self._finish(transport, end)
        self._on_change(self)

    def _finish(self, transport: asyncio.Transport, end: End) -> None:
        if end is End.HALF_CLOSE and transport.can_write_eof():
            if not self._half_closed:
                self._half_closed = True
                try:
                    transport.write_eof()
                except OSError:
                    transport.abort()  # the peer was faster, with a reset
        elif not transport.is_closing():
            # TLS cannot be half closed, but its closing is like it: it says the end, then reads until
            # the peer's, for as long as `ssl_shutdown_timeout` lets it.
            transport.close()
            # Always: under TLS there is a second buffer that nobody tells us of.
            self._linger = self._driver.loop.call_later(LINGER, transport.abort)
