"""`connect(uri)` on asyncio."""

import asyncio
import os
import socket as stdlib_socket
from collections.abc import Generator
from typing import Any

from ..client import BaseConnect
from ..client_connection import ClientConnection
from ..driver import Clock, Driver
from .driver import driver_of_loop

__all__ = ["connect", "unix_connect"]


class connect(BaseConnect):  # noqa: N801 - a function to its users
    """A connection to a server, on asyncio; the arguments and the ways to use it are `BaseConnect`'s.

    `await connect(uri)` connects too; then closing the connection is up to you.
    """

    def _driver_of_loop(self, clock: Clock | None) -> Driver:
        return driver_of_loop(clock)

    async def _resolve(self, host: str, port: int) -> list[Any]:
        return await asyncio.get_running_loop().getaddrinfo(
            host, port, family=self._family, type=stdlib_socket.SOCK_STREAM
        )

    async def _connect_socket(self, sock: stdlib_socket.socket, address: Any) -> None:
        await asyncio.get_running_loop().sock_connect(sock, address)

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def __await__(self) -> Generator[Any, None, ClientConnection]:
        """Connect; the connection."""
        return self._connect().__await__()


def unix_connect(
    path: "str | os.PathLike[str]", uri: str | None = None, **keywords: Any
) -> connect:
    """Connect to a server on a Unix socket; the keywords are those of `connect`.

    Args:
        path: of the socket.
        uri: what to ask for; if left out, ws://localhost/, with `ssl=` wss://localhost/.
        keywords: those of `connect`.
    """
    if uri is None:
        uri = "ws://localhost/" if keywords.get("ssl") is None else "wss://localhost/"
    return connect(uri, path=path, **keywords)
