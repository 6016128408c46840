"""Peers of a server under test that send whatever bytes they like."""

from __future__ import annotations

import errno
import os
import socket
import ssl as stdlib_ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import anyio
from anyio.abc import ByteStream
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.tls import TLSStream

from support.net import ServerLife, address
from support.wire import request

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA


class SocketStream(ByteStream):
    """A socket that reads nothing before it is asked to, which no loop's own stream promises."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """What has arrived."""
        while True:
            await anyio.wait_readable(self.socket)
            try:
                data = self.socket.recv(max_bytes)
            except BlockingIOError:
                continue
            except OSError as error:
                raise anyio.BrokenResourceError from error
            if not data:
                raise anyio.EndOfStream
            return data

    async def send(self, item: bytes) -> None:
        """Send all of it; the system has taken it when this returns."""
        view = memoryview(item)
        while view:
            await anyio.wait_writable(self.socket)
            try:
                view = view[self.socket.send(view) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise anyio.BrokenResourceError from error

    async def send_eof(self) -> None:
        """End our side (FIN)."""
        with suppress(OSError):  # the other was faster, with a reset
            self.socket.shutdown(socket.SHUT_WR)

    async def aclose(self) -> None:
        """Close the socket."""
        self.socket.close()


async def connected(
    host: str, port: int, *, receive_buffer: int | None = None, send_buffer: int | None = None
) -> SocketStream:
    """A connection over TCP.

    Args:
        host: an address of IPv4.
        port: of TCP.
        receive_buffer: bytes that the system may hold for us; more only if it insists.
        send_buffer: bytes that it may hold from us; likewise.
    """
    stream = SocketStream(socket.socket())
    sock = stream.socket
    sock.setblocking(False)
    for option, size in ((socket.SO_RCVBUF, receive_buffer), (socket.SO_SNDBUF, send_buffer)):
        if size is not None:
            sock.setsockopt(socket.SOL_SOCKET, option, size)
    problem = sock.connect_ex((host, port))
    try:
        if problem == errno.EINPROGRESS:
            await anyio.wait_writable(sock)
            problem = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    except BaseException:
        sock.close()
        raise
    if problem:
        sock.close()
        raise OSError(problem, os.strerror(problem))
    return stream


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

    def __init__(self, sock: socket.socket, stream: ByteStream) -> None:
        self._socket = sock
        self._stream = stream
        self._reader = BufferedByteReceiveStream(stream)

    async def send(self, data: bytes) -> None:
        """Send bytes, and wait until the system has them."""
        await self._stream.send(data)

    async def upgrade(self, *extra: tuple[str, str], target: str = "/") -> bytes:
        """Open a WebSocket; the head of the response."""
        await self.send(request(*extra, target=target))
        head = await self.read_head()
        assert head.startswith(b"HTTP/1.1 101 "), head
        return head

    async def read_some(self) -> bytes:
        """Whatever has arrived, but at least a byte."""
        return await self._reader.receive()

    async def read_head(self) -> bytes:
        """The head of an HTTP response."""
        return await self._reader.receive_until(b"\r\n\r\n", 65536) + b"\r\n\r\n"

    async def read_rest(self) -> bytes:
        """All bytes up to the end of the stream. A reset raises BrokenResourceError."""
        rest = b""
        with suppress(anyio.EndOfStream):
            while True:
                rest += await self.read_some()
        return rest

    async def read_frame(self) -> Frame:
        """The next frame, which must not be masked (RFC 6455, 5.1)."""
        first, size = await self._reader.receive_exactly(2)
        assert size < 128, "a server's frame is masked"
        if size == 126:
            (size,) = struct.unpack("!H", await self._reader.receive_exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self._reader.receive_exactly(8))
        payload = await self._reader.receive_exactly(size) if size else b""
        return Frame(first & 15, payload, bool(first & 128))

    async def read_close(self) -> Frame:
        """The Close frame, whatever frames come before it."""
        while (frame := await self.read_frame()).opcode != CLOSE:
            pass
        return frame

    async def end(self) -> None:
        """End our side of the stream (FIN)."""
        await self._stream.send_eof()

    def cut(self) -> None:
        """End both sides of the stream (FIN), under TLS without a word."""
        self._socket.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """Vanish at once (RST)."""
        linger = struct.pack("ii", 1, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._socket.close()

    async def close(self) -> None:
        """Close the socket."""
        await anyio.aclose_forcefully(self._stream)


async def open_raw(host: str, port: int) -> RawPeer:
    """A connection that has sent nothing yet; whoever asks for it closes it."""
    stream = await connected(host, port)
    return RawPeer(stream.socket, stream)


@asynccontextmanager
async def raw_peer(
    server: ServerLife,
    *,
    receive_buffer: int | None = None,
    send_buffer: int | None = None,
    ssl: stdlib_ssl.SSLContext | None = None,
) -> AsyncIterator[RawPeer]:
    """A connection that has sent nothing yet, to the first address of a server.

    Args:
        server: whom to connect to.
        receive_buffer: bytes that the system may hold for us; more only if it insists.
        send_buffer: bytes that it may hold from us; likewise.
        ssl: a context, to do the handshake of TLS first.
    """
    tcp = await connected(*address(server), receive_buffer=receive_buffer, send_buffer=send_buffer)
    stream: ByteStream = tcp
    try:
        if ssl is not None:
            stream = await TLSStream.wrap(
                tcp, hostname="localhost", ssl_context=ssl, standard_compatible=False
            )
        yield RawPeer(tcp.socket, stream)
    finally:
        await anyio.aclose_forcefully(stream)
