"""Servers, to a client under test, that answer with whatever bytes they like."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from support.wire import accept_for, response


class Answerer:
    """One connection that was accepted."""

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream
        self._reader = BufferedByteReceiveStream(stream)

    async def read_head(self) -> bytes:
        """A request's head, without its blank line."""
        return await self._reader.receive_until(b"\r\n\r\n", 65536)

    async def read_some(self) -> bytes:
        """Whatever has arrived, but at least a byte."""
        return await self._reader.receive()

    async def read_rest(self) -> bytes:
        """All bytes up to the end of the stream."""
        rest = b""
        with suppress(anyio.EndOfStream):
            while True:
                rest += await self.read_some()
        return rest

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        await self._stream.send(data)

    async def accept(self, rest: bytes = b"") -> bytes:
        """Read a request and open the WebSocket, with more bytes right behind the response; its head."""
        head = await self.read_head()
        key = re.search(rb"Sec-WebSocket-Key: (\S+)", head)
        assert key is not None, head
        await self.send(response(accept=accept_for(key[1])) + rest)
        return head


Answer = Callable[[Answerer], Awaitable[None]]


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[int]:
    """A server that does with each connection what `answer` does, then closes it; its port."""

    async def handle(stream: SocketStream) -> None:
        async with stream:
            # A client that leaves ends what `answer` does.
            with suppress(anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError):
                await answer(Answerer(stream))

    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, handle, tasks)
        yield listener.extra(SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


def silent_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
    return port
