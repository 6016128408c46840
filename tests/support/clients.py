"""The `websockets` client as a peer: its asyncio form or its trio form, with the same methods."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import trio
import websockets.asyncio.client
import websockets.trio.client
from websockets.http11 import Response
from websockets.typing import Data

from support.net import ServerLife, address

Real = websockets.asyncio.client.ClientConnection | websockets.trio.client.ClientConnection


class Client:
    """A connection of `websockets`."""

    def __init__(self, real: Real) -> None:
        self._real = real

    async def send(self, message: Data | Iterable[Data] | AsyncIterable[Data]) -> None:
        """Send a message, or an iterable's items as its fragments."""
        await self._real.send(message)

    async def recv(self) -> Data:
        """The next message."""
        return await self._real.recv()

    def __aiter__(self) -> AsyncIterator[Data]:
        return aiter(self._real)

    async def ping(self) -> None:
        """Send a ping and wait for the pong."""
        pong = await self._real.ping()
        if isinstance(pong, trio.Event):
            await pong.wait()
        else:
            await pong

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, and wait for the end."""
        if isinstance(self._real, websockets.trio.client.ClientConnection):
            await self._real.aclose(code, reason)
        else:
            await self._real.close(code, reason)

    async def wait_closed(self) -> None:
        """Wait for the end."""
        await self._real.wait_closed()

    @property
    def close_code(self) -> int | None:
        """The code of the server's Close frame, or what stands for it."""
        return self._real.close_code

    @property
    def close_reason(self) -> str | None:
        """The reason in it."""
        return self._real.close_reason

    @property
    def subprotocol(self) -> str | None:
        """What was agreed on."""
        return self._real.subprotocol

    @property
    def response(self) -> Response:
        """What answered the opening request."""
        assert self._real.response is not None
        return self._real.response


@asynccontextmanager
async def client(server: ServerLife, path: str = "/", **arguments: Any) -> AsyncIterator[Client]:
    """A client of this server that sends nothing of its own accord."""
    host, port = address(server)
    scheme = "ws" if arguments.get("ssl") is None else "wss"
    async with client_at(f"{scheme}://{host}:{port}{path}", **arguments) as connected:
        yield connected


@asynccontextmanager
async def client_at(url: str, **arguments: Any) -> AsyncIterator[Client]:
    """Likewise, of a server that listens there."""
    library = websockets.trio if trio.lowlevel.in_trio_run() else websockets.asyncio
    quiet: dict[str, Any] = {"compression": None, "ping_interval": None, "proxy": None}
    async with library.client.connect(url, **(quiet | arguments)) as real:
        yield Client(real)


@asynccontextmanager
async def unix_client(path: str) -> AsyncIterator[Client]:
    """Likewise, of a server that listens on a socket in the file system."""
    library = websockets.trio if trio.lowlevel.in_trio_run() else websockets.asyncio
    async with library.client.unix_connect(path, compression=None, ping_interval=None) as real:
        yield Client(real)
