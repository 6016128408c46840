"""A relay of TCP between a client and a server, which loses connections when a test says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.abc import ByteStream, SocketAttribute, TaskGroup

__all__ = ["Relay", "relay"]


class Relay:
    """Passes bytes on.

    Args:
        where: the server.
    """

    def __init__(self, where: tuple[str, int]) -> None:
        self.where = where
        self.port = 0
        self.accepted = 0
        """Connections that came, whether or not they got through."""
        self.broken = False
        """Whether connections that come now are closed at once."""
        self.deaf = False
        """Whether what the server says is lost from now on."""
        self._clients: set[ByteStream] = set()
        self._servers: set[ByteStream] = set()

    @property
    def url(self) -> str:
        """How a client names it."""
        return f"ws://127.0.0.1:{self.port}/"

    async def cut(self, *, half: bool = False) -> None:
        """Lose all connections; `half`: the server does not learn of it."""
        for stream in tuple(self._clients if half else self._clients | self._servers):
            await anyio.aclose_forcefully(stream)

    async def lose_answers(self) -> None:
        """Lose all connections that were deaf; those that come now are not."""
        self.broken = True
        await self.cut()
        self.deaf = self.broken = False

    async def bury(self) -> None:
        """The server learns of all that was lost half."""
        for stream in tuple(self._servers):
            await anyio.aclose_forcefully(stream)

    async def handle(self, client: ByteStream) -> None:
        """One connection."""
        self.accepted += 1
        async with client:  # whatever comes, such as a cancellation while it connects
            if not self.broken:
                with suppress(OSError):
                    await self._connect(client)

    async def _connect(self, client: ByteStream) -> None:
        server = await self._reach()
        self._clients.add(client)
        self._servers.add(server)
        async with server, anyio.create_task_group() as tasks:
            tasks.start_soon(self._pass, server, client)
            await self._pass(client, server)
            if client in self._clients:  # it left by itself
                tasks.cancel_scope.cancel()
        self._clients.discard(client)
        self._servers.discard(server)

    async def _reach(self) -> ByteStream:
        # A connection that is cancelled halfway is closed by nobody.
        shield = anyio.CancelScope(shield=True)
        with shield:
            return await anyio.connect_tcp(*self.where)
        raise AssertionError("what is shielded was cancelled")

    async def _pass(self, source: ByteStream, sink: ByteStream) -> None:
        lost = anyio.ClosedResourceError, anyio.BrokenResourceError
        try:
            while True:
                data = await source.receive()
                if not (self.deaf and source in self._servers):
                    await sink.send(data)
        except anyio.EndOfStream:
            with suppress(*lost):
                await sink.send_eof()
        except lost:
            self._clients.discard(source)


@asynccontextmanager
async def relay(where: tuple[str, int]) -> AsyncIterator[Relay]:
    """Run a relay until the block ends."""
    made = Relay(where)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    made.port = listener.extra(SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, made.handle, tasks)
        yield made
        _end(tasks)


def _end(tasks: TaskGroup) -> None:
    tasks.cancel_scope.cancel()
