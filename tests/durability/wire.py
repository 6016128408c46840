"""A client of the hub in as few lines as a proof of somebody else needs: frames by hand, JSON by msgspec.

It shares nothing with hubbub's own client, and is cheap enough for a thousand of them in one process.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any

import msgspec

__all__ = ["Message", "Wire", "connect"]

Message = dict[str, Any]

_REQUEST = (
    "GET /?token={} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

_TEXT = 0x81
_CLOSE = 0x88
_PING = 0x89

_read = msgspec.json.Decoder().decode
_write = msgspec.json.Encoder().encode


class Wire(asyncio.Protocol):
    """One WebSocket. Made by `connect`.

    Args:
        token: of the user.
        receive: called with each message.
    """

    def __init__(self, token: str, receive: Callable[[Message], None]) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()
        self._token = token
        self._receive = receive
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._is_open = False

    # For whoever uses it.

    @property
    def is_open(self) -> bool:
        """Whether something can still be sent."""
        return self._is_open and not self.lost.done()

    def send(self, **fields: Any) -> None:
        """Send a request."""
        assert self._transport is not None
        self._transport.write(_frame(_TEXT, _write(fields)))

    def pause(self) -> None:
        """Read nothing for a while."""
        if self._transport is not None and self.is_open:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and self.is_open:
            self._transport.resume_reading()

    def abort(self) -> None:
        """Leave at once, without a word."""
        self._is_open = False
        if self._transport is not None:
            self._transport.abort()

    def reset(self) -> None:
        """Leave with a reset, so that what is on its way is thrown away on both sides."""
        if self._transport is not None and self.is_open:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()

    # For the loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(_REQUEST.format(self._token).encode())

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        at = 0
        if not self._is_open:
            end = buffer.find(b"\r\n\r\n")
            if end < 0 or self.opened.done():
                return
            if not buffer.startswith(b"HTTP/1.1 101"):
                self.abort()
                return
            at = end + 4
            self._is_open = True
            self.opened.set_result(None)
        end = len(buffer)
        while at + 2 <= end and self._is_open:
            size, start = buffer[at + 1], at + 2
            if size == 126:
                start += 2
                size = int.from_bytes(buffer[at + 2 : start]) if start <= end else end
            elif size == 127:
                start += 8
                size = int.from_bytes(buffer[at + 2 : start]) if start <= end else end
            if start + size > end:
                break
            self._take(buffer[at], bytes(buffer[start : start + size]))
            at = start + size
        del buffer[:at]

    def _take(self, first: int, payload: bytes) -> None:
        if first == _TEXT:
            self._receive(_read(payload))
        elif first == _PING:
            assert self._transport is not None
            self._transport.write(_frame(0x8A, payload))
        elif first == _CLOSE:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_open = False
        for future in (self.opened, self.lost):
            if not future.done():
                future.set_result(None)


async def connect(port: int, token: str, receive: Callable[[Message], None]) -> Wire | None:
    """Open a WebSocket; None if nobody listens, or whoever does goes away."""
    loop = asyncio.get_running_loop()
    try:
        _, wire = await loop.create_connection(lambda: Wire(token, receive), "127.0.0.1", port)
    except OSError:
        return None
    await wire.opened
    return wire if wire.is_open else None


def _frame(first: int, payload: bytes) -> bytes:
    """A client's frame. It must be masked; the mask may be nothing."""
    size = len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65536:
        head = bytes((first, 0x80 | 126)) + size.to_bytes(2)
    else:
        head = bytes((first, 0x80 | 127)) + size.to_bytes(8)
    return head + b"\0\0\0\0" + payload
