"""Peers of a server under test: the `websockets` client, and one that sends whatever bytes it likes."""

from __future__ import annotations

import asyncio
import socket
import ssl as stdlib_ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import connect

from hubbub.core.handshake import ServerOptions
from hubbub.core.limits import Limits
from hubbub.transports.asyncio import Handler, Server, serve
from support.wire import request

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA


def serving(handler: Handler, limits: Limits | None = None, **options: Any) -> serve:
    """Serve on a free port of this machine, with these limits and options."""
    made = ServerOptions(limits=limits if limits is not None else Limits(), **options)
    return serve(handler, "127.0.0.1", 0, options=made)


def address(server: Server) -> tuple[str, int]:
    """Where it listens."""
    host, port = server.sockets[0].getsockname()[:2]
    return host, port


def client(server: Server, path: str = "/", **arguments: Any) -> connect:
    """A `websockets` client that sends nothing of its own accord."""
    host, port = address(server)
    scheme = "ws" if arguments.get("ssl") is None else "wss"
    quiet: dict[str, Any] = {"compression": None, "ping_interval": None, "proxy": None}
    return connect(f"{scheme}://{host}:{port}{path}", **(quiet | arguments))


@dataclass(frozen=True)
class Frame:
    """One frame that came from a server."""

    opcode: int
    payload: bytes
    final: bool = True

    @property
    def code(self) -> int:
        """The code of a Close frame."""
        assert self.opcode == CLOSE, self
        return int.from_bytes(self.payload[:2], "big")


class RawPeer:
    """A client that takes no rule for granted. What it sends is made by `support.wire`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        """Send bytes, without waiting."""
        self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the system has nearly all that was sent."""
        await self._writer.drain()

    async def upgrade(self, *extra: tuple[str, str], target: str = "/") -> bytes:
        """Open a WebSocket; the head of the response."""
        self.send(request(*extra, target=target))
        head = await self.read_head()
        assert head.startswith(b"HTTP/1.1 101 "), head
        return head

    async def read_head(self) -> bytes:
        """The head of an HTTP response."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def read_rest(self) -> bytes:
        """All bytes up to the end of the stream. A reset raises ConnectionResetError."""
        return await self._reader.read()

    async def read_frame(self) -> Frame:
        """The next frame, which must not be masked (RFC 6455, 5.1)."""
        first, size = await self._reader.readexactly(2)
        assert size < 128, "a server's frame is masked"
        if size == 126:
            (size,) = struct.unpack("!H", await self._reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self._reader.readexactly(8))
        return Frame(first & 15, await self._reader.readexactly(size), bool(first & 128))

    async def read_close(self) -> Frame:
        """The Close frame, whatever frames come before it."""
        while (frame := await self.read_frame()).opcode != CLOSE:
            pass
        return frame

    def end(self) -> None:
        """End our side of the stream (FIN)."""
        self._writer.write_eof()

    def reset(self) -> None:
        """Vanish at once (RST)."""
        linger = struct.pack("ii", 1, 0)
        self._writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, linger
        )
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close the socket."""
        self._writer.close()
        # It may have been reset, by us or by the server.
        with suppress(ConnectionError, stdlib_ssl.SSLError):
            await self._writer.wait_closed()


@asynccontextmanager
async def raw_peer(
    server: Server, *, receive_buffer: int | None = None, read_limit: int = 65536
) -> AsyncIterator[RawPeer]:
    """A connection that has sent nothing yet.

    Args:
        server: whose first address is taken.
        receive_buffer: bytes that the system may hold for us; more only if it insists.
        read_limit: half the bytes that are read before anybody asks for them.
    """
    sock = socket.socket()
    sock.setblocking(False)
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await asyncio.get_running_loop().sock_connect(sock, address(server))
    peer = RawPeer(*await asyncio.open_connection(sock=sock, limit=read_limit))
    try:
        yield peer
    finally:
        await peer.close()
